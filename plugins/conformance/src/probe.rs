//! Measuring loops: they must do all of the work that they are timed for.

use tritone_abi::Kernel;

use crate::data::Guarded;
use crate::suite::{Outcome, Suite, Verdict};

pub(crate) fn cases(suite: &mut Suite<'_>) {
    for len in [0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1000, 4096, 70_001] {
        for prefetch in [0, 1, 64, 4096, 1 << 20] {
            let shape = format_args!("{len} bytes, prefetch {prefetch}");
            suite.case(shape, |kernel, rng| {
                let bytes: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
                let data = Guarded::of(&bytes, rng.below(64), 0xa5);
                read(kernel, data.get(), prefetch)
            });
        }
    }
    suite.case(format_args!("int8"), |kernel, _| {
        let run = |rounds| kernel.probe_int8(rounds).map_err(|e| e.to_string());
        let (few, many) = (run(10)?, run(1000)?);
        if few >= 10 && many >= 1000 && many > few {
            Ok(Outcome::Passed)
        } else {
            Err(format!(
                "10 rounds are {few} multiply-adds, 1000 rounds {many}"
            ))
        }
    });
}

fn read(kernel: &dyn Kernel, data: &[u8], prefetch: usize) -> Verdict {
    let want = data.chunks(8).fold(0u64, |sum, word| {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        sum.wrapping_add(u64::from_le_bytes(padded))
    });
    match kernel.probe_read(data, prefetch) {
        Ok(got) if got == want => Ok(Outcome::Passed),
        Ok(got) => Err(format!("sum {got:#x}, expected {want:#x}")),
        Err(error) => Err(error.to_string()),
    }
}
