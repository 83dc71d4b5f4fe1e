//! Every form that this processor runs passes the suite, and none touches what lies behind its
//! arguments: every buffer ends at a page that may not be touched, so that a single byte beyond
//! would end this process.
#![expect(clippy::print_stdout, reason = "says which forms were tested")]

use tritone_conformance::{Options, check_fenced};
use tritone_lut::Lut;

#[test]
fn every_form_passes_and_touches_nothing_behind_an_argument() {
    let mut forms = 0;
    for (name, kernel) in Lut::forms() {
        let options = Options {
            seed: 1,
            ..Options::default()
        };
        let report = check_fenced(&kernel, &options);
        assert!(report.is_ok(), "{name}: {report}");
        println!("tested: {name}");
        forms += 1;
    }
    assert!(forms > 0);
}
