//! Seeded values, and comparison by bits.

use tritone_abi::{Activations, padded_stride};

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as u32
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.bits() as u64 * n as u64) >> 32) as usize
    }

    /// From -2 to 2.
    pub(crate) fn float(&mut self) -> f32 {
        self.bits() as f32 / 1_073_741_824.0 - 2.0
    }

    pub(crate) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

/// Equal bits, or both NaN.
pub(crate) fn same(got: f32, want: f32) -> bool {
    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan())
}

pub(crate) fn assert_same(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            same(*g, *w),
            "{what}: element {i} is {g:e} instead of {w:e}"
        );
    }
}

pub(crate) struct Quantized {
    pub(crate) q: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) sums: Vec<i32>,
}

/// Activations of which some rows are extreme.
pub(crate) fn activations(
    random: &mut Random,
    tokens: usize,
    cols: usize,
    group: usize,
) -> Quantized {
    let stride = padded_stride(cols);
    let mut q = vec![0i8; tokens * stride];
    let mut sums = Vec::new();
    for (t, row) in q.chunks_exact_mut(stride).enumerate() {
        for v in &mut row[..cols] {
            *v = match t % 4 {
                1 => -128,
                2 => 127,
                _ => random.bits() as i8,
            };
        }
        sums.extend(
            row[..cols]
                .chunks(group)
                .map(|g| g.iter().map(|v| i32::from(*v)).sum::<i32>()),
        );
    }
    let scales = random.floats(sums.len());
    Quantized { q, scales, sums }
}

impl Quantized {
    pub(crate) fn view(&self, tokens: usize, cols: usize, group: usize) -> Activations<'_> {
        let (q, scales, sums) = (&self.q, &self.scales, &self.sums);
        Activations {
            tokens,
            cols,
            group,
            q,
            scales,
            sums,
        }
    }
}
