//! Random tensor data.
//!
//! The numbers of a tensor depend on the seed and the tensor's name alone: a file with fewer layers
//! holds the same first layers.

/// A counter run through a mixer (SplitMix64: Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Stream {
    counter: u64,
}

/// The counter's step: 2^64 over the golden ratio, odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    /// The numbers of the tensor called `name`.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let counter = name
            .bytes()
            .fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
        Self { counter }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(STEP);
        mix(self.counter)
    }

    /// Fills `out` with four ternary codes a byte, as I2_S stores them; see [`code_pairs`].
    pub(super) fn fill_codes(&mut self, pairs: &[u8; 256], out: &mut [u8]) {
        for part in out.chunks_mut(4) {
            let random = self.next().to_le_bytes();
            for (code, two) in part.iter_mut().zip(random.as_chunks::<2>().0) {
                *code = pairs[usize::from(two[0])] << 4 | pairs[usize::from(two[1])];
            }
        }
    }

    /// Fills `out` with values of mean 0 and standard deviation `sigma`, none larger than 3.5
    /// times that: the sum of four uniform bytes, which is close to normal.
    pub(super) fn fill_normal(&mut self, sigma: f32, out: &mut [f32]) {
        const BYTES: u64 = 0x00ff_00ff_00ff_00ff;
        // A uniform byte has variance (256^2 - 1) / 12.
        let step = sigma / (4.0 * 65_535.0 / 12.0f32).sqrt();
        for pair in out.chunks_mut(2) {
            let random = self.next();
            let sums = (random & BYTES) + (random >> 8 & BYTES);
            let sums = sums + (sums >> 16);
            for (value, sum) in pair.iter_mut().zip([sums & 0xffff, sums >> 32 & 0xffff]) {
                *value = (sum as f32 - 510.0) * step;
            }
        }
    }
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Two codes (0, 1, 2 for -1, 0, +1; four bits) for every byte: a uniform byte then gives two
/// nearly independent weights, 41.4 % of them zero and as many -1 as +1. Published 2B4T weights
/// have about 42 % zeros.
pub(super) fn code_pairs() -> [u8; 256] {
    let mut table = [0; 256];
    let mut next = table.iter_mut();
    for (high, low) in (0..3u8).flat_map(|high| (0..3u8).map(move |low| (high, low))) {
        let share = match (high == 1, low == 1) {
            (true, true) => 44,
            (true, false) | (false, true) => 31,
            (false, false) => 22,
        };
        next.by_ref()
            .take(share)
            .for_each(|pair| *pair = high << 2 | low);
    }
    table
}

/// Share of weights that are not zero.
pub(super) const DENSITY: f32 = 1.0 - 106.0 / 256.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ternary_in_the_promised_shares() {
        let mut bytes = vec![0; 1 << 16];
        Stream::new(7, "x").fill_codes(&code_pairs(), &mut bytes);
        let mut counts = [0.0f64; 4];
        for byte in &bytes {
            for field in 0..4 {
                counts[usize::from(byte >> (2 * field) & 3)] += 1.0 / (4 << 16) as f64;
            }
        }
        let zero = 1.0 - f64::from(DENSITY);
        assert_eq!(counts[3], 0.0);
        assert!((counts[1] - zero).abs() < 0.01, "{counts:?}");
        assert!((counts[0] - counts[2]).abs() < 0.01, "{counts:?}");
    }

    #[test]
    fn values_have_the_promised_mean_and_deviation() {
        let mut values = vec![0.0; 1 << 16];
        Stream::new(7, "x").fill_normal(0.02, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5e-4, "{mean}");
        assert!((square.sqrt() / 0.02 - 1.0).abs() < 0.02, "{square}");
        assert!(values.iter().all(|v| v.abs() <= 0.02 * 3.5));
    }

    #[test]
    fn seed_and_name_decide() {
        let first = |seed, name| Stream::new(seed, name).next();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }
}
