//! A plugin's bytes, changed at random: looking at them never fails worse than with an error.
//! The changed files are not opened.

use std::sync::OnceLock;

use proptest::prelude::*;
use tritone_abi::host::check_header;
use tritone_loader::{RefusedReason, inspect_file};

use crate::cage::specimen;

fn stranger() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(specimen("good_stranger")).unwrap())
}

/// What may be said of changed bytes: a refusal, or a plugin whose header is valid.
fn look(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(inspected) = inspect_file(bytes) {
        prop_assert_eq!(check_header(&inspected.header), Ok(()));
        prop_assert!(inspected.symbol.starts_with(tritone_abi::SYMBOL_PREFIX));
    }
    Ok(())
}

/// Offsets where a change hurts: headers, symbols and strings at the start, section headers at
/// the end, and anywhere.
fn offset() -> impl Strategy<Value = usize> {
    let len = stranger().len();
    prop_oneof![
        4 => 0..64usize.min(len),
        4 => 64..1024usize.min(len),
        4 => 1024..16_384usize.min(len),
        4 => len.saturating_sub(4096)..len,
        1 => 0..len,
    ]
}

#[test]
fn the_unchanged_plugin_passes() {
    let inspected = inspect_file(stranger()).unwrap();
    assert_eq!(inspected.symbol, "tritone_kernel_stranger");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((offset(), any::<u8>()), 1..8),
    ) {
        let mut bytes = stranger().to_vec();
        for (at, value) in changes {
            bytes[at] = value;
        }
        look(&bytes)?;
    }

    #[test]
    fn large_numbers_never_panic(
        at in offset(),
        value in prop_oneof![Just(u64::MAX), Just(1 << 63), Just(1 << 31), any::<u64>()],
    ) {
        let mut bytes = stranger().to_vec();
        let end = (at + 8).min(bytes.len());
        bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        look(&bytes)?;
    }

    #[test]
    fn every_proper_prefix_is_refused(len in 0..stranger().len()) {
        prop_assert!(inspect_file(&stranger()[..len]).is_err());
    }

    #[test]
    fn noise_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 1..512), elf: bool) {
        if elf {
            let start = bytes.len().min(16);
            bytes[..start].copy_from_slice(&stranger()[..start]);
        }
        let refused = inspect_file(&bytes);
        prop_assert!(refused.is_err());
        prop_assert!(!matches!(refused, Err(RefusedReason::Empty)));
    }
}
