//! The terminal program without a terminal: state, messages, and what they do to each other.
//!
//! Everything that happens arrives as a `msg::Msg` together with the time it happened at;
//! `update::update` changes the `state::State` and answers with `msg::Effect`s, which
//! somebody else carries out. Nothing here does I/O or asks a clock, so a whole session can be
//! played back in a test. The other direction is as narrow: drawing reads the state and changes
//! nothing.

mod answer;
mod apply;
pub mod backend;
pub(crate) mod chord;
pub(crate) mod commands;
pub(crate) mod complete;
pub(crate) mod context;
pub(crate) mod conversation;
pub(crate) mod desk;
mod engine;
#[cfg(any(test, feature = "bench"))]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "for tests, and for measurements"
)]
#[cfg_attr(not(test), allow(dead_code, reason = "measurements use a part"))]
pub(crate) mod headless;
pub mod host;
mod input;
pub(crate) mod keep;
pub(crate) mod keymap;
mod keys;
pub(crate) mod meter;
pub(crate) mod msg;
pub(crate) mod overlay;
mod palette;
pub(crate) mod pick;
pub(crate) mod picker;
mod pointer;
pub mod profiles;
pub(crate) mod queue;
mod race;
mod reading;
pub(crate) mod sampling;
pub(crate) mod screen;
pub(crate) mod select;
pub(crate) mod state;
pub mod strategy;
mod switch;
pub(crate) mod update;
pub(crate) mod vi;
pub(crate) mod views;
