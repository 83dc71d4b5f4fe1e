//! From exact integer sums to scaled outputs.

use core::ops::Range;

use tritone_abi::{Activations, TernaryMatrix, WeightScales};

/// Rows that group scales are interleaved by.
const SCALE_ROWS: usize = 32;

/// Columns whose integer sum is scaled as one: a scale group, or the whole row.
#[derive(Clone, Copy)]
pub(crate) struct Spans<'a> {
    scales: WeightScales<'a>,
    /// Spans in a row.
    pub(crate) count: usize,
    /// Columns in a span.
    cols: usize,
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

    /// The columns of a span.
    pub(crate) fn cols(&self, span: usize) -> Range<usize> {
        span * self.cols..(span + 1) * self.cols
    }

    /// Adds one span of a token to the outputs of the rows from `first` (a multiple of 32) on:
    /// as many as both slices hold, at most up to the end of the matrix padded to 32 rows.
    #[inline(always)]
    pub(crate) fn fold(
        &self,
        out: &mut [f32],
        sums: &[i32],
        x: &Activations<'_>,
        (token, span, first): (usize, usize, usize),
    ) {
        let a = x.scales[token * self.count + span];
        match self.scales {
            WeightScales::Tensor(w) => {
                let scale = w * a;
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = *sum as f32 * scale;
                }
            }
            WeightScales::Row(w) => {
                for ((out, sum), w) in out.iter_mut().zip(sums).zip(&w[first..]) {
                    *out = *sum as f32 * (w * a);
                }
            }
            WeightScales::Group { scales, .. } => {
                let parts = out.chunks_mut(SCALE_ROWS).zip(sums.chunks(SCALE_ROWS));
                for (i, (out, sums)) in parts.enumerate() {
                    let group = (first / SCALE_ROWS + i) * self.count + span;
                    let w = &scales[group * SCALE_ROWS..][..SCALE_ROWS];
                    for ((out, sum), w) in out.iter_mut().zip(sums).zip(w) {
                        *out = (*sum as f32).mul_add(w * a, *out);
                    }
                }
            }
        }
    }
}
