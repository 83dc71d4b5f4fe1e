//! What the ternary products of few and of many tokens share: the walk over the spans of a row group.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::Dot;
use crate::fold::{self, HALVES, Spans};

/// How codes and activations are multiplied.
pub(crate) trait Sums {
    /// Products of codes and activations over `blocks` blocks, for a row group and `T` tokens.
    ///
    /// # Safety
    /// * The processor has the features of `D`.
    /// * `blocks * BLOCK_BYTES` bytes are readable at `weights`;
    /// * `blocks * BLOCK_COLS` activations are readable at every `q[t]`.
    unsafe fn sums<D: Dot, const T: usize>(
        weights: *const u8,
        q: &[*const i8; T],
        blocks: usize,
    ) -> [[__m512i; HALVES]; T];
}

/// A row group for tokens `token .. token + T`.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
pub(crate) unsafe fn rows<D: Dot, S: Sums, const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    (row_group, token): (usize, usize),
) {
    let spans = Spans::of(w);
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let span_blocks = spans.cols.div_ceil(BLOCK_COLS);
    let data = &w.data[row_group * blocks * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
    // SAFETY: the features are there.
    let mut acc = unsafe { [[_mm512_setzero_ps(); HALVES]; T] };
    for span in 0..spans.count {
        let weights = &data[span * span_blocks * BLOCK_BYTES..][..span_blocks * BLOCK_BYTES];
        let mut q = [core::ptr::null(); T];
        for (t, q) in q.iter_mut().enumerate() {
            let first = span * span_blocks * BLOCK_COLS;
            *q = x.row(token + t)[first..][..span_blocks * BLOCK_COLS].as_ptr();
        }
        // SAFETY: the features are there; the slices hold `span_blocks` blocks and sixteen times as
        // many activations.
        unsafe {
            let sums = S::sums::<D, T>(weights.as_ptr(), &q, span_blocks);
            for t in 0..T {
                for h in 0..HALVES {
                    let at = (row_group, span, h);
                    acc[t][h] = spans.fold(acc[t][h], sums[t][h], x, token + t, at);
                }
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        for (h, values) in acc.iter().enumerate() {
            let row = row_group * GROUP_ROWS + 16 * h;
            // SAFETY: the features are there.
            unsafe { fold::store(out, token + t, row, *values) };
        }
    }
}
