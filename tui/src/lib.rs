//! The program `tritone` as a library: its command line ([`main`]) and its terminal.
#![forbid(unsafe_code)]

pub mod app;
mod attach;
mod chat;
mod cli;
mod desk;
mod health;
pub mod keep;
mod logs;
mod race;
#[cfg(feature = "bench")]
pub mod screen;
pub mod term;
mod view;

pub use cli::main;
