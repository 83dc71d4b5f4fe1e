//! From exact integer sums to scaled outputs, for 32 rows (four registers) at a time.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::GROUP_ROWS;
use tritone_abi::{Activations, MatOut, TernaryMatrix, WeightScales};

/// Registers that hold one value for each row of a row group.
pub(crate) const QUARTERS: usize = GROUP_ROWS / 8;

/// Columns whose integer sum is scaled as one: a scale group, or the whole row.
#[derive(Clone, Copy)]
pub(crate) struct Spans<'a> {
    scales: WeightScales<'a>,
    /// Spans in a row.
    pub(crate) count: usize,
    /// Columns in a span.
    pub(crate) cols: usize,
}

impl<'a> Spans<'a> {
    pub(crate) fn of(w: &TernaryMatrix<'a>) -> Self {
        let cols = w.scales.activation_group(w.cols);
        Self {
            scales: w.scales,
            count: w.cols / cols,
            cols,
        }
    }

    /// Where the integer sums of a span start. They are products of weight *codes* (weight + 1) and
    /// activations; taking away the activations' own sum leaves the product of the weights.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn start(&self, x: &Activations<'_>, token: usize, span: usize) -> __m256i {
        _mm256_set1_epi32(x.sums[token * self.count + span].wrapping_neg())
    }

    /// Adds the sums of one span to the outputs of rows `8 * quarter ..` of a row group for one
    /// token.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn fold(
        &self,
        acc: __m256,
        sum: __m256i,
        x: &Activations<'_>,
        token: usize,
        (row_group, span, quarter): (usize, usize, usize),
    ) -> __m256 {
        let at = token * self.count + span;
        let (sum, a) = (_mm256_cvtepi32_ps(sum), _mm256_set1_ps(x.scales[at]));
        match self.scales {
            WeightScales::Tensor(w) => _mm256_mul_ps(sum, _mm256_mul_ps(_mm256_set1_ps(w), a)),
            WeightScales::Row(w) => {
                let w = eight(&w[row_group * GROUP_ROWS + 8 * quarter..]);
                _mm256_mul_ps(sum, _mm256_mul_ps(w, a))
            }
            WeightScales::Group { scales, .. } => {
                let first = (row_group * self.count + span) * GROUP_ROWS + 8 * quarter;
                let w = eight(&scales[first..]);
                _mm256_fmadd_ps(sum, _mm256_mul_ps(w, a), acc)
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight(x: &[f32]) -> __m256 {
    let x = &x[..8];
    // SAFETY: the slice is eight floats long.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

/// Writes rows `first .. first + 8` of one token, as far as they belong to the output.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn store(out: &mut MatOut<'_>, token: usize, first: usize, values: __m256) {
    let start = first - out.range().start;
    let row = out.row(token);
    if let Some(place) = row.get_mut(start..start + 8) {
        // SAFETY: the slice is eight floats long.
        unsafe { _mm256_storeu_ps(place.as_mut_ptr(), values) };
    } else if let Some(place) = row.get_mut(start..) {
        let mut all = [0.0f32; 8];
        // SAFETY: the array is eight floats long.
        unsafe { _mm256_storeu_ps(all.as_mut_ptr(), values) };
        place.copy_from_slice(&all[..place.len()]);
    }
}
