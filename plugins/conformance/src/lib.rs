//! Runs any kernel against the scalar oracle and compares the bits.
//!
//! [`check`] takes a [`Kernel`], however it came here (linked in, or out of a shared library),
//! runs every operation it announces over shapes around every edge of the layouts, extreme
//! values and contradicting arguments, and returns a [`Report`]. A wrong kernel makes failures in
//! the report, never a panic of the suite. What is compared:
//!
//! * results bit for bit (any NaN equals any NaN), with inputs at odd addresses;
//! * everything around the outputs and the scratch memory, which must stay as it was;
//! * that contradicting arguments are refused before anything is written.
//!
//! ```
//! use tritone_conformance::{Options, check};
//!
//! let report = check(&tritone_scalar::Scalar, &Options::default());
//! assert!(report.is_ok(), "{report}");
//! ```

mod attend;
mod cache;
mod data;
mod facts;
mod fence;
mod fused;
mod head;
mod matmul;
mod merge;
mod misuse;
mod pack;
mod probe;
mod report;
mod rows;
mod suite;

use tritone_abi::{Kernel, Ops};

pub use report::{Failure, OpReport, Report};

use suite::Suite;

/// How many cases to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Every edge once: seconds.
    #[default]
    Quick,
    /// The edges in all combinations, and full-size shapes: minutes.
    Full,
    /// As many cases as `Quick`, with shapes drawn by the seed: for long runs over many seeds.
    Random,
}

/// What [`check`] runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Seed of the generated values. A failure names the seed and the case, which repeat it.
    pub seed: u64,
    /// How many cases to run.
    pub effort: Effort,
}

/// Checks everything `kernel` announces against the scalar oracle.
///
/// A kernel that says it cannot run on this processor (score rank 0) is not executed; see
/// [`Report::cannot_run`]. Operations outside its [`Facts::ops`](tritone_abi::Facts::ops) are
/// listed as skipped, after one call that has to be answered with "unsupported". After a few
/// failures of an operation the rest of its cases is left out.
#[must_use]
pub fn check(kernel: &dyn Kernel, options: &Options) -> Report {
    let mut suite = Suite::new(kernel, options);
    suite.section("facts", None, facts::cases);
    if suite.can_run() {
        suite.section("pack", Some(Ops::MATMUL), pack::cases);
        suite.section("matmul", Some(Ops::MATMUL), matmul::cases);
        suite.section("head", Some(Ops::HEAD), head::cases);
        suite.section("quantize", Some(Ops::QUANTIZE), rows::quantize_cases);
        suite.section("rms_norm", Some(Ops::RMS_NORM), rows::norm_cases);
        suite.section("rope", Some(Ops::ROPE), rows::rope_cases);
        suite.section("gate", Some(Ops::GATE), rows::gate_cases);
        suite.section("attend", Some(Ops::ATTEND), attend::cases);
        suite.section("attend_merge", Some(Ops::ATTEND), merge::cases);
        suite.section("norm_quantize", Some(Ops::FUSED), fused::norm_cases);
        suite.section("gate_quantize", Some(Ops::FUSED), fused::gate_cases);
        suite.section("probe", Some(Ops::PROBE), probe::cases);
    }
    suite.finish()
}

/// [`check`] with every buffer ending right before a page of memory that may not be touched
/// (scratch memory, which is aligned, within 64 bytes of it): a kernel that reads or writes behind
/// an argument does not fail a case, it ends the process. For tests; where the system is not Unix,
/// the same as [`check`].
#[must_use]
pub fn check_fenced(kernel: &dyn Kernel, options: &Options) -> Report {
    fence::fenced(|| check(kernel, options))
}
