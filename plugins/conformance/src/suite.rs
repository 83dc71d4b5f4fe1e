//! Runs cases, catches what a kernel does to them, and keeps the record.

use core::fmt::Arguments;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tritone_abi::{Kernel, KernelError, Ops};

use crate::data::Rng;
use crate::report::{Failure, OpReport, Report};
use crate::{Effort, Options, misuse};

/// Failures of one operation after which its other cases are left out.
const ENOUGH: usize = 5;

/// How a case ended.
pub(crate) enum Outcome {
    Passed,
    /// The kernel has no packed form for this shape.
    Unsupported,
}

/// What went wrong in a case, or how it ended.
pub(crate) type Verdict = Result<Outcome, String>;

/// One run over one kernel.
pub(crate) struct Suite<'k> {
    kernel: &'k dyn Kernel,
    full: bool,
    /// Draws shapes where they are not those of the edges.
    shapes: Option<Rng>,
    report: Report,
}

impl<'k> Suite<'k> {
    pub(crate) fn new(kernel: &'k dyn Kernel, options: &Options) -> Self {
        let report = Report {
            facts: kernel.facts().clone(),
            score: kernel.score(),
            seed: options.seed,
            ops: Vec::new(),
            failures: Vec::new(),
        };
        Self {
            kernel,
            full: options.effort == Effort::Full,
            shapes: (options.effort == Effort::Random).then(|| Rng::new(options.seed, "shapes", 0)),
            report,
        }
    }

    pub(crate) fn finish(self) -> Report {
        self.report
    }

    pub(crate) fn can_run(&self) -> bool {
        self.report.cannot_run().is_none()
    }

    /// Whether all combinations are wanted.
    pub(crate) fn full(&self) -> bool {
        self.full
    }

    /// The sizes to run instead of `edges`: the same, or as many others up to each of them.
    pub(crate) fn sizes<const N: usize>(&mut self, edges: [usize; N]) -> [usize; N] {
        self.sizes_by(1, edges)
    }

    /// [`sizes`](Self::sizes) that are multiples of `step`, as the edges are.
    pub(crate) fn sizes_by<const N: usize>(
        &mut self,
        step: usize,
        edges: [usize; N],
    ) -> [usize; N] {
        let Some(rng) = &mut self.shapes else {
            return edges;
        };
        edges.map(|edge| {
            // Often whole blocks and scale groups: other sizes never come to those paths.
            let step = [step, step, 32, 64, 128, 256][rng.below(6)].max(step);
            match edge / step {
                0 => edge,
                most => (1 + rng.below(most)) * step,
            }
        })
    }

    /// Row alignment of the kernel's tiles, made usable if it is not (the facts say so then).
    pub(crate) fn row_align(&self) -> usize {
        self.report.facts.row_align.max(1)
    }

    /// Runs the cases of one operation, or, when the kernel does not announce it, checks that it
    /// says so when called (a fused operation may be called all the same: it is then made of its
    /// parts).
    pub(crate) fn section(
        &mut self,
        op: &'static str,
        needs: Option<Ops>,
        cases: fn(&mut Suite<'_>),
    ) {
        let skipped = needs.is_some_and(|ops| !self.report.facts.ops.contains(ops));
        self.report.ops.push(OpReport {
            op,
            cases: 0,
            unsupported: 0,
            left_out: 0,
            skipped,
        });
        if skipped && needs == Some(Ops::FUSED) {
            return;
        }
        if skipped {
            self.case(
                format_args!("not announced"),
                |kernel, _| match misuse::plain_call(kernel, op) {
                    Err(KernelError::Unsupported(_)) => Ok(Outcome::Passed),
                    other => Err(format!("expected an `Unsupported` error, got {other:?}")),
                },
            );
        } else {
            cases(self);
        }
    }

    /// Runs one case of the current operation. `shape` describes it; the generator handed to
    /// `run` depends on the seed, the operation and the number of the case alone.
    pub(crate) fn case(
        &mut self,
        shape: Arguments<'_>,
        run: impl FnOnce(&dyn Kernel, &mut Rng) -> Verdict,
    ) {
        let seed = self.report.seed;
        let Some(section) = self.report.ops.last_mut() else {
            return;
        };
        let op = section.op;
        let failed = self.report.failures.iter().filter(|f| f.op == op).count();
        if failed >= ENOUGH {
            section.left_out += 1;
            return;
        }
        let number = section.cases + section.unsupported;
        let mut rng = Rng::new(seed, op, number);
        let verdict = catch_unwind(AssertUnwindSafe(|| run(self.kernel, &mut rng)));
        match verdict {
            Ok(Ok(Outcome::Passed)) => section.cases += 1,
            Ok(Ok(Outcome::Unsupported)) => section.unsupported += 1,
            Ok(Err(what)) => self.fail(op, number, shape, what),
            Err(payload) => {
                let text = payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| payload.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                self.fail(op, number, shape, format!("panicked: {text}"));
            }
        }
    }

    fn fail(&mut self, op: &'static str, case: usize, shape: Arguments<'_>, what: String) {
        if let Some(section) = self.report.ops.last_mut() {
            section.cases += 1;
        }
        self.report.failures.push(Failure {
            op,
            case,
            shape: shape.to_string(),
            what,
        });
    }
}

/// Turns a kernel's error on good arguments into a failure.
pub(crate) fn worked(result: Result<(), KernelError>) -> Result<(), String> {
    result.map_err(|error| format!("refused good arguments: {error}"))
}

/// The oracle's own error, which would be a fault of the suite.
pub(crate) fn oracle(result: Result<(), KernelError>) -> Result<(), String> {
    result.map_err(|error| format!("the oracle refused the case: {error}"))
}

/// Compares two runs of floats bit for bit; any NaN equals any NaN. `place` names an index.
pub(crate) fn compare(
    got: &[f32],
    want: &[f32],
    place: impl Fn(usize) -> String,
) -> Result<(), String> {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        if got.to_bits() != want.to_bits() && !(got.is_nan() && want.is_nan()) {
            return Err(format!(
                "{}: got {got:e} ({:#010x}), expected {want:e} ({:#010x})",
                place(i),
                got.to_bits(),
                want.to_bits()
            ));
        }
    }
    Ok(())
}
