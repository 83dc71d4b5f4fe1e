//! How far files have come.

use std::time::Instant;

use crate::app::meter::Meter as Rate;
use crate::cli::console::{Console, Progress};
use crate::view::format;

/// The line for all files together.
pub(super) struct Meter<'a> {
    console: &'a Console,
    line: Progress,
    begin: Instant,
    rate: Rate,
    name: String,
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    /// The line for `total` bytes.
    pub(super) fn new(console: &'a Console, total: u64) -> Self {
        Self {
            console,
            line: console.progress(),
            begin: Instant::now(),
            rate: Rate::default(),
            name: String::new(),
            done: 0,
            total,
        }
    }

    /// The file that comes next.
    pub(super) fn name(&mut self, name: &str) {
        let name = name.rsplit('/').next().unwrap_or(name);
        self.name = name.chars().take(28).collect();
    }

    /// So many bytes are there already.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.done += bytes;
        self.rate = Rate::default();
    }

    /// So many bytes are of no use.
    pub(super) fn take_back(&mut self, bytes: u64) {
        self.done = self.done.saturating_sub(bytes);
        self.rate = Rate::default();
    }

    /// So many bytes more have come.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.rate.record(self.begin.elapsed(), self.done);
        let (name, done, total, rate) = (&self.name, self.done, self.total, &self.rate);
        self.line.show(|| {
            let percent = format::percent(done, total);
            let of = format!("{} of {}", format::bytes(done), format::bytes(total));
            let mut text = format!("{name}: {of} ({percent} %)");
            if let Some(rate) = rate.rate() {
                text += &format!(", {}/s", format::bytes(rate as u64));
            }
            if let Some(left) = rate.remaining(total) {
                text += &format!(", {} left", format::clock(left));
            }
            text
        });
    }

    /// Says something between.
    pub(super) fn say(&mut self, text: &str) {
        self.line.clear();
        self.console.note(text);
    }
}
