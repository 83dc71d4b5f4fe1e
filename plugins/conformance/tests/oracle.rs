//! The oracle passes its own suite, directly and through the C boundary.
#![allow(unsafe_code, reason = "wraps a table that is linked in")]

use tritone_abi::host::TableKernel;
use tritone_conformance::{Effort, Options, check};

#[test]
fn the_scalar_table_passes() {
    // SAFETY: `export_kernel!` made the table and it is linked in.
    let kernel = unsafe { TableKernel::new(tritone_scalar::TABLE) }.unwrap();
    let options = Options {
        seed: 7,
        effort: Effort::Quick,
    };
    let report = check(&kernel, &options);
    assert!(report.is_ok(), "{report}");
    assert_eq!(
        report.skipped().collect::<Vec<_>>(),
        ["norm_quantize", "gate_quantize"],
        "the oracle is the composition"
    );
    assert!(
        report.ops.iter().all(|op| op.cases >= 7 || op.skipped),
        "{report}"
    );
}
