//! What a run found.

use core::fmt;

use tritone_abi::{Facts, Score};

/// One case that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The operation: `matmul`, `attend`, ...
    pub op: &'static str,
    /// Number of the case within the operation; the same seed and effort give the same case.
    pub case: usize,
    /// Shape and contents of the case.
    pub shape: String,
    /// What was wrong: for values, the first differing element with both bit patterns.
    pub what: String,
}

/// What was run of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpReport {
    /// The operation.
    pub op: &'static str,
    /// Cases run.
    pub cases: usize,
    /// Cases left out because the kernel does not support their shape
    /// ([`packed_bytes`](tritone_abi::Kernel::packed_bytes) is `None`).
    pub unsupported: usize,
    /// Cases left out after too many failures.
    pub left_out: usize,
    /// The kernel does not announce this operation.
    pub skipped: bool,
}

/// The result of [`check`](crate::check). Its `Display` is a table for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the kernel says of itself.
    pub facts: Facts,
    /// Its score on this processor.
    pub score: Score,
    /// Seed of the run.
    pub seed: u64,
    /// Operations in the order in which they ran.
    pub ops: Vec<OpReport>,
    /// Everything that went wrong, a few failures an operation at most.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds what another run over the same kernel found.
    pub fn add(&mut self, other: Self) {
        for (sum, more) in self.ops.iter_mut().zip(other.ops) {
            sum.cases += more.cases;
            sum.unsupported += more.unsupported;
            sum.left_out += more.left_out;
        }
        self.failures.extend(other.failures);
    }

    /// Whether the kernel was run and nothing went wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.cannot_run().is_none() && self.failures.is_empty()
    }

    /// The kernel's reason when it cannot run on this processor and was not executed.
    #[must_use]
    pub fn cannot_run(&self) -> Option<&str> {
        (self.score.rank == 0).then_some(self.score.reason.as_str())
    }

    /// Cases run, of all operations.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.ops.iter().map(|op| op.cases).sum()
    }

    /// Names of the operations the kernel does not announce.
    pub fn skipped(&self) -> impl Iterator<Item = &'static str> {
        self.ops.iter().filter(|op| op.skipped).map(|op| op.op)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { facts, seed, .. } = self;
        writeln!(f, "kernel {} {} (seed {seed})", facts.name, facts.version)?;
        if let Some(reason) = self.cannot_run() {
            writeln!(f, "  cannot run here: {reason}")?;
        }
        for op in &self.ops {
            let failed = self.failures.iter().filter(|x| x.op == op.op).count();
            write!(f, "  {:<13}", op.op)?;
            if op.skipped {
                write!(f, " not implemented by this kernel")?;
            } else {
                write!(f, "{:>6} cases", op.cases)?;
            }
            if op.unsupported > 0 {
                write!(f, ", {} of unsupported shape", op.unsupported)?;
            }
            if failed > 0 {
                write!(f, ", {failed} FAILED")?;
            }
            if op.left_out > 0 {
                write!(f, ", {} left out", op.left_out)?;
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            let Failure {
                op,
                case,
                shape,
                what,
            } = failure;
            writeln!(f, "  FAILED {op} case {case} ({shape}): {what}")?;
        }
        if self.is_ok() {
            writeln!(f, "  {} cases, all bits equal", self.cases())?;
        }
        Ok(())
    }
}
