//! An OpenAI-compatible HTTP server over the Tritone engine: bounded, guarded, observed.
//!
//! A request passes, in this order: size and header limits, [`guard`] (host, key, rate), JSON and
//! ranges (`api`), admission (`schedule`: reserved in requests and in tokens, before anything is
//! tokenised), the engine, and comes back as JSON or as server-sent events. Whatever is refused is refused
//! with an [`ApiError`], which has the shape that OpenAI's clients read.
#![forbid(unsafe_code)]

pub mod api;
mod config;
mod constrain;
mod error;
pub mod guard;
pub mod metrics;
pub mod schedule;
pub mod serve;

pub use config::{Limits, Schedule};
pub use constrain::Grammars;
pub use error::{ApiError, ErrorKind};
