//! Running windows through a model.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context as _;
use tritone_abi::PAGE_TOKENS;
use tritone_engine::{Capacity, Forms, Model, Pages, Runner, RunnerOptions, Slice, Want};

use crate::cli::console::Progress;
use crate::cli::interrupt::Interrupt;
use crate::cli::setup::Setup;

/// Rows of logits that are held at a time: a row of a large vocabulary takes half a megabyte.
const LOGIT_ROWS: usize = 64;

/// The sizes for windows of `size` tokens that are read in chunks.
pub(super) fn capacity(size: usize, chunk: usize) -> Capacity {
    let rows = chunk.clamp(1, size);
    Capacity {
        context: size,
        batch: 1,
        rows,
        logit_rows: rows.min(LOGIT_ROWS),
        kv_pages: size.div_ceil(PAGE_TOKENS),
        states: 1,
        beside: 0,
    }
}

/// Loads `model`, with at most `limit` bytes.
pub(super) fn load(
    setup: &Setup,
    model: &Arc<Model>,
    capacity: Capacity,
    forms: Forms,
    limit: u64,
    (line, interrupt): (&mut Progress, &Interrupt),
) -> anyhow::Result<Scorer> {
    let options = RunnerOptions {
        kernel: setup.choose(model).kernel,
        threads: setup.threads,
        capacity,
        forms,
        memory_limit: Some(limit),
        pack_cache: setup.pack_cache(),
        mlock: setup.profile().mlock,
    };
    let mut runner = Runner::load(Arc::clone(model), options, &mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    line.clear();
    let pages = runner
        .reserve(capacity.context)
        .context("the KV cache is too small")?;
    Ok(Scorer { runner, pages })
}

/// A model that reads one sequence at a time.
pub(super) struct Scorer {
    runner: Runner,
    pages: Pages,
}

impl Scorer {
    /// The runner.
    pub(super) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Most tokens of a step that wants logits, and of one that wants none.
    fn steps(&self) -> (usize, usize) {
        let capacity = self.runner.capacity();
        (capacity.logit_rows, capacity.rows)
    }

    /// Reads `tokens`, which come at `start`.
    pub(super) fn read(&mut self, tokens: &[u32], start: usize, want: Want) -> anyhow::Result<()> {
        self.runner.step(&[Slice {
            tokens,
            start,
            pages: &self.pages,
            want,
        }])?;
        Ok(())
    }

    /// Reads `tokens` in steps; of the last one the logits are there afterwards, as row 0.
    pub(super) fn read_all(&mut self, tokens: &[u32]) -> anyhow::Result<()> {
        let (_, rows) = self.steps();
        let mut start = 0;
        for part in tokens.chunks(rows) {
            let last = start + part.len() == tokens.len();
            let want = if last { Want::Last } else { Want::Nothing };
            self.read(part, start, want)?;
            start += part.len();
        }
        Ok(())
    }

    /// Logits of a wanted row of the last step.
    pub(super) fn logits(&mut self, row: usize) -> &mut [f32] {
        self.runner.logits(row)
    }

    /// The parts in which a window is read, and whether logits are wanted of them: those of the
    /// position before every scored token.
    pub(super) fn parts(&self, scored: &Range<usize>) -> Vec<(Range<usize>, Want)> {
        let (wanted, rows) = self.steps();
        let first = scored.start - 1;
        let cut = |range: Range<usize>, step: usize, want| {
            let end = range.end;
            let starts = range.step_by(step);
            starts.map(move |start| (start..end.min(start + step), want))
        };
        cut(0..first, rows, Want::Nothing)
            .chain(cut(first..scored.end - 1, wanted, Want::All))
            .collect()
    }
}
