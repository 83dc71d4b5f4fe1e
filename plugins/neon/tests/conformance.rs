//! The kernel passes the suite that every kernel has to pass, through the C boundary. Which of its
//! loops ran depends on the processor, so the test says it.
#![expect(unsafe_code, reason = "wrapping the exported table")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions; it says which instructions were tested"
)]

use tritone_abi::Kernel;
use tritone_abi::host::TableKernel;
use tritone_conformance::{Effort, Options, check};

fn passes(effort: Effort) {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_neon::TABLE) }.unwrap();
    println!("tested: {}", kernel.score().reason);
    let report = check(&kernel, &Options { seed: 0, effort });
    let ran = report.cannot_run().is_none();
    assert_eq!(ran, cfg!(target_arch = "aarch64"), "{report}");
    if ran {
        assert!(report.is_ok(), "{report}");
        assert_eq!(report.skipped().count(), 0, "{report}");
    }
}

#[test]
fn the_kernel_passes_the_suite() {
    passes(Effort::Quick);
}

#[test]
#[ignore = "takes minutes under emulation"]
fn the_kernel_passes_the_full_suite() {
    passes(Effort::Full);
}
