//! Measures what the machine and the engine do, once an interval, on a thread of its own.
//!
//! `tritone-monitor` keeps samples and knows neither clock nor machine; this room is where they come from. The
//! terminal and the server each have a [`Sampler`]: it asks its [`Subject`] what the engine is doing, the machine for
//! memory, processors and energy, writes the log, and tells whoever listens.
#![forbid(unsafe_code)]

mod bounds;
mod journal;
mod probe;
mod sampler;

pub use bounds::Bounds;
pub use probe::Subject;
pub use sampler::{Sampler, Told, Watch, unix_ms};
