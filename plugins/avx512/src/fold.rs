//! From exact integer sums to scaled outputs, for 32 rows (two registers) at a time.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::GROUP_ROWS;
use tritone_abi::{Activations, MatOut, TernaryMatrix, WeightScales};

/// Registers that hold one value for each row of a row group.
pub(crate) const HALVES: usize = GROUP_ROWS / 16;

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

    /// Adds one span to the outputs of rows `16 * half ..` of a row group for one token.
    /// `sum` is the product of weight *codes* (weight + 1) and activations; taking away the
    /// activations' own sum leaves the product of the weights.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn fold(
        &self,
        acc: __m512,
        sum: __m512i,
        x: &Activations<'_>,
        token: usize,
        (row_group, span, half): (usize, usize, usize),
    ) -> __m512 {
        let at = token * self.count + span;
        let sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(x.sums[at]));
        let (sum, a) = (_mm512_cvtepi32_ps(sum), _mm512_set1_ps(x.scales[at]));
        match self.scales {
            WeightScales::Tensor(w) => _mm512_mul_ps(sum, _mm512_mul_ps(_mm512_set1_ps(w), a)),
            WeightScales::Row(w) => {
                let w = sixteen(&w[row_group * GROUP_ROWS + 16 * half..]);
                _mm512_mul_ps(sum, _mm512_mul_ps(w, a))
            }
            WeightScales::Group { scales, .. } => {
                let first = (row_group * self.count + span) * GROUP_ROWS + 16 * half;
                let w = sixteen(&scales[first..]);
                _mm512_fmadd_ps(sum, _mm512_mul_ps(w, a), acc)
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn sixteen(x: &[f32]) -> __m512 {
    let x = &x[..16];
    // SAFETY: the slice is sixteen floats long.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

/// Writes rows `first .. first + 16` of one token, as far as they belong to the output.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn store(out: &mut MatOut<'_>, token: usize, first: usize, values: __m512) {
    let start = first - out.range().start;
    let row = out.row(token);
    if let Some(place) = row.get_mut(start..) {
        let n = place.len().min(16);
        let lanes = (0xffff_u32 >> (16 - n)) as u16;
        // SAFETY: `lanes` has the first `n` bits set, and `n` floats are there; the others are
        // not touched.
        unsafe { _mm512_mask_storeu_ps(place.as_mut_ptr(), lanes, values) };
    }
}
