//! From exact integer sums to scaled outputs, for 32 rows (eight registers) at a time.

use core::arch::aarch64::*;

use tritone_abi::layout::t2r32::GROUP_ROWS;
use tritone_abi::{Activations, MatOut, TernaryMatrix, WeightScales};

/// Rows in a register.
pub(crate) const ROWS: usize = 4;

/// Registers that hold one value for each row of a row group.
pub(crate) const PARTS: usize = GROUP_ROWS / ROWS;

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

    /// Adds one span to the outputs of rows `4 * part ..` of a row group for one token. `sum` is
    /// the product of weight *codes* (weight + 1) and activations; taking away the activations' own
    /// sum leaves the product of the weights.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn fold(
        &self,
        acc: float32x4_t,
        sum: int32x4_t,
        x: &Activations<'_>,
        token: usize,
        (row_group, span, part): (usize, usize, usize),
    ) -> float32x4_t {
        let at = token * self.count + span;
        let sum = vcvtq_f32_s32(vsubq_s32(sum, vdupq_n_s32(x.sums[at])));
        let a = vdupq_n_f32(x.scales[at]);
        match self.scales {
            WeightScales::Tensor(w) => vmulq_f32(sum, vmulq_f32(vdupq_n_f32(w), a)),
            WeightScales::Row(w) => {
                let w = four(&w[row_group * GROUP_ROWS + ROWS * part..]);
                vmulq_f32(sum, vmulq_f32(w, a))
            }
            WeightScales::Group { scales, .. } => {
                let first = (row_group * self.count + span) * GROUP_ROWS + ROWS * part;
                let w = four(&scales[first..]);
                vfmaq_f32(acc, sum, vmulq_f32(w, a))
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn four(x: &[f32]) -> float32x4_t {
    let x = &x[..ROWS];
    // SAFETY: the slice is four floats long.
    unsafe { vld1q_f32(x.as_ptr()) }
}

/// Writes rows `first .. first + 4` of one token, as far as they belong to the output.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store(out: &mut MatOut<'_>, token: usize, first: usize, values: float32x4_t) {
    let start = first - out.range().start;
    let row = out.row(token);
    if let Some(place) = row.get_mut(start..start + ROWS) {
        // SAFETY: the slice is four floats long.
        unsafe { vst1q_f32(place.as_mut_ptr(), values) };
    } else if let Some(place) = row.get_mut(start..) {
        let mut all = [0.0f32; ROWS];
        // SAFETY: the array is four floats long.
        unsafe { vst1q_f32(all.as_mut_ptr(), values) };
        place.copy_from_slice(&all[..place.len()]);
    }
}
