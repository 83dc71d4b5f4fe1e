//! The program `tritone` as a library: its command line ([`main`]) and its terminal.
#![forbid(unsafe_code)]

pub mod app;
mod chat;
mod cli;
pub mod keep;
mod race;
pub mod term;
mod view;

pub use cli::main;
