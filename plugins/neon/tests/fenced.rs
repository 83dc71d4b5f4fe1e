//! The kernel neither reads nor writes behind its arguments: every buffer of the suite ends at a
//! page that may not be touched, so that a single byte beyond would end this process.
#![expect(unsafe_code, reason = "wrapping the exported table")]

use tritone_abi::host::TableKernel;
use tritone_conformance::{Options, check_fenced};

#[test]
fn nothing_behind_an_argument_is_touched() {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_neon::TABLE) }.unwrap();
    let options = Options {
        seed: 1,
        ..Options::default()
    };
    let report = check_fenced(&kernel, &options);
    assert!(report.is_ok() || report.cannot_run().is_some(), "{report}");
}
