//! From exact integer sums to scaled outputs, for 32 rows (four registers) at a time.
//!
//! Sums are products of weight *codes* (weight + 1) and activations; taking away the activations'
//! own sum leaves the product of the weights.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::GROUP_ROWS;
use tritone_abi::{Activations, MatOut, TernaryMatrix, WeightScales};

/// Registers that hold one value for each row of a row group.
pub(crate) const QUARTERS: usize = GROUP_ROWS / 8;

/// Outputs of rows `8 * quarter ..` of a row group without scale groups, for one token.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn scale(
    w: &TernaryMatrix<'_>,
    sum: __m256i,
    x: &Activations<'_>,
    token: usize,
    (row_group, quarter): (usize, usize),
) -> __m256 {
    let w = match w.scales {
        WeightScales::Tensor(w) => _mm256_set1_ps(w),
        WeightScales::Row(scales) | WeightScales::Group { scales, .. } => {
            let scales = &scales[row_group * GROUP_ROWS + 8 * quarter..][..8];
            // SAFETY: the slice is eight floats long.
            unsafe { _mm256_loadu_ps(scales.as_ptr()) }
        }
    };
    let sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(x.sums[token]));
    let factor = _mm256_mul_ps(w, _mm256_set1_ps(x.scales[token]));
    _mm256_mul_ps(_mm256_cvtepi32_ps(sum), factor)
}

/// The scale groups of one row group for `T` tokens: pointers to things that were checked once,
/// because groups are short.
#[derive(Clone, Copy)]
pub(crate) struct Groups<const T: usize> {
    /// Groups in a row.
    pub(crate) count: usize,
    /// Columns in a group: at most 256.
    pub(crate) cols: usize,
    /// `[count][32]`.
    weights: *const f32,
    /// `[count]` for each token.
    scales: [*const f32; T],
    /// As the scales.
    sums: [*const i32; T],
    /// The activations of each token, `count * cols` of them.
    pub(crate) q: [*const i8; T],
}

impl<const T: usize> Groups<T> {
    /// The groups of a matrix that has them, for tokens `token .. token + T`.
    pub(crate) fn of(
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        row_group: usize,
        token: usize,
    ) -> Option<Self> {
        let WeightScales::Group { group, scales } = w.scales else {
            return None;
        };
        let count = w.cols / group;
        Some(Self {
            count,
            cols: group,
            weights: scales[row_group * count * GROUP_ROWS..][..count * GROUP_ROWS].as_ptr(),
            scales: core::array::from_fn(|t| x.scales[(token + t) * count..][..count].as_ptr()),
            sums: core::array::from_fn(|t| x.sums[(token + t) * count..][..count].as_ptr()),
            q: core::array::from_fn(|t| x.row(token + t)[..count * group].as_ptr()),
        })
    }

    /// What is to be added to the sums of group `g` for token `t` of those given: the
    /// activations' sum, taken negative.
    ///
    /// # Safety
    /// `g` is below `count`, and what the groups were made of is still there.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) unsafe fn start(&self, t: usize, g: usize) -> __m256i {
        // SAFETY: promised by the caller.
        let sum = unsafe { *self.sums[t].add(g) };
        _mm256_set1_epi32(sum.wrapping_neg())
    }

    /// Adds such sums of group `g` to the outputs of rows `8 * quarter ..` for token `t` of those
    /// given.
    ///
    /// # Safety
    /// As for [`start`](Self::start), and `quarter` is below [`QUARTERS`].
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) unsafe fn fold(
        &self,
        acc: __m256,
        sum: __m256i,
        t: usize,
        (g, quarter): (usize, usize),
    ) -> __m256 {
        // SAFETY: promised by the caller.
        let (w, a) = unsafe {
            (
                _mm256_loadu_ps(self.weights.add(GROUP_ROWS * g + 8 * quarter)),
                *self.scales[t].add(g),
            )
        };
        let factor = _mm256_mul_ps(w, _mm256_set1_ps(a));
        _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factor, acc)
    }
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
