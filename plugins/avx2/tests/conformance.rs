//! The kernel passes the suite that every kernel has to pass, through the C boundary.
#![expect(unsafe_code, reason = "wrapping the exported table")]

use tritone_abi::host::TableKernel;
use tritone_conformance::{Options, check};

#[test]
fn the_kernel_passes_the_suite() {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_avx2::TABLE) }.unwrap();
    let report = check(&kernel, &Options::default());
    if report.cannot_run().is_none() {
        assert!(report.is_ok(), "{report}");
        assert_eq!(report.skipped().count(), 0, "{report}");
    }
}
