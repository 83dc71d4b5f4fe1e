//! The best form passes the suite that every kernel has to pass, through the C boundary and laid
//! over a complete kernel.
#![expect(unsafe_code, reason = "wrapping the exported table")]

use std::sync::Arc;

use tritone_abi::host::TableKernel;
use tritone_abi::{Kernel, Ops};
use tritone_conformance::{Options, check};
use tritone_loader::Layered;
use tritone_lut::Lut;
use tritone_scalar::Scalar;

#[test]
fn the_kernel_passes_the_suite() {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_lut::TABLE) }.unwrap();
    let report = check(&kernel, &Options::default());
    assert_eq!(report.cannot_run(), None);
    assert!(report.is_ok(), "{report}");
}

#[test]
fn laid_over_a_complete_kernel_it_is_complete() {
    let alone = check(&Scalar, &Options::default());
    let layered = Layered::new(Arc::new(Lut::best()), Arc::new(Scalar));
    assert!(layered.facts().ops.contains(Ops::ALL));
    let report = check(&layered, &Options::default());
    assert!(report.is_ok(), "{report}");
    assert!(report.skipped().eq(alone.skipped()), "{report}");
}
