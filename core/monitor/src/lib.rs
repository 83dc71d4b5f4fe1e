//! What a running model does over time: samples, history, alerts, summaries, export.
//!
//! A [`Sample`] is what was true of one interval: memory, CPU use, tokens a second, queue, KV cache,
//! latencies, shares of a step. [`Rates`] makes the part that comes from counters that only grow, and
//! takes a restart of those counters for what it is. [`History`] keeps 24 hours of samples in bounded
//! memory, with [`Event`]s on the same axis; [`Alerts`] compares samples with [`Limits`]; [`summary`]
//! condenses hours; [`export`] and [`Log`] write JSON and CSV, and [`read_log`] reads a log back, cut
//! or damaged as it may be.
//!
//! Nothing here looks at a clock or a machine: the caller says what time it is and what was measured.
//!
//! ```
//! use tritone_monitor::{History, Metric, Sample};
//!
//! let mut history = History::new();
//! for second in 1..=10 {
//!     let mut sample = Sample::new(second * 1000, 1000);
//!     sample.set(Metric::DecodeRate, 20.0 + second as f64);
//!     history.push(sample);
//! }
//! let columns = history.series(Metric::DecodeRate, 0, 10_000, 5);
//! assert_eq!(columns[4].map(|point| point.max), Some(30.0));
//! ```
#![forbid(unsafe_code)]

mod alert;
mod bucket;
mod counters;
mod event;
pub mod export;
mod history;
mod log;
mod metric;
mod record;
mod sample;
pub mod summary;
mod time;

pub use alert::{Alert, AlertChange, AlertKind, Alerts, Limits};
pub use counters::{Counters, Rates, StepShares};
pub use event::{Event, EventKind};
pub use history::{History, Point};
pub use log::{Log, LogContent, LogError, LogTail, read_log};
pub use metric::{Metric, Unit};
pub use record::Record;
pub use sample::{MAX_CORES, Sample};
pub use time::utc;
