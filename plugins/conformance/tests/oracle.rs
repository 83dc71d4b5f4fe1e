//! The oracle passes its own suite, directly and through the C boundary.
#![allow(unsafe_code, reason = "wraps a table that is linked in")]

use tritone_abi::host::TableKernel;
use tritone_conformance::{Effort, Options, check};

#[test]
fn random_shapes_pass_and_are_those_of_the_seed() {
    // SAFETY: as above.
    let kernel = unsafe { TableKernel::new(tritone_scalar::TABLE) }.unwrap();
    let run = |seed, effort| check(&kernel, &Options { seed, effort });
    let random = run(7, Effort::Random);
    assert!(random.is_ok(), "{random}");
    assert_eq!(run(7, Effort::Random), random);
    // Which rows have which kinds of scales, and packed forms, depends on the shapes.
    let other = run(8, Effort::Random);
    assert!(other.is_ok(), "{other}");
    assert_ne!(other.ops, random.ops);
    let cases = other.cases();
    let mut sum = random.clone();
    sum.add(other);
    assert_eq!(sum.cases(), random.cases() + cases);
}

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
