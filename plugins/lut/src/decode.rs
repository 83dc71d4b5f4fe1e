//! The product of a few tokens: tables of the activations, then one pass over the weights.

use tritone_abi::layout::t5r128::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::fold::Spans;
use crate::form::Form;
use crate::tables::{blocks_of, part_bytes, split};

/// Bytes of the largest tables of a block.
const MAX_TABLE_BYTES: usize = if cfg!(target_arch = "aarch64") {
    128
} else {
    64
};

/// Narrowest group of scales.
const MIN_GROUP: usize = 64;

/// Blocks that a group of [`MIN_GROUP`] columns touches at most.
const MIN_GROUP_BLOCKS: usize = 14;

/// Scratch memory for matrices with up to `cols` columns: the tables of a row of activations,
/// where blocks across the border of two spans are there twice, and both parts of a row.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(MIN_GROUP)
        .saturating_mul(MIN_GROUP_BLOCKS * MAX_TABLE_BYTES)
        .saturating_add(part_bytes(cols).saturating_mul(2))
}

/// The product of checked arguments; `scratch` is [`scratch_bytes`]`(w.cols)` long.
///
/// # Safety
/// The processor has the instructions of `F`.
#[inline(always)]
pub(crate) unsafe fn product<F: Form>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    let spans = Spans::of(w);
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let parts = 2 * part_bytes(w.cols);
    let (tables, parts) = scratch.split_at_mut(scratch.len() - parts);
    for token in 0..x.tokens {
        // SAFETY: the instructions are there.
        unsafe { make_tables::<F>(&spans, x.row(token), tables, parts) };
        let range = out.range();
        for first in range.clone().step_by(GROUP_ROWS) {
            let weights = &w.data[first / GROUP_ROWS * blocks * BLOCK_BYTES..];
            let rows = GROUP_ROWS.min(range.end - first);
            let mut acc = [0.0; GROUP_ROWS];
            let mut at = 0;
            for span in 0..spans.count {
                let blocks = blocks_of(&spans.cols(span));
                let tables = &tables[at..][..blocks.len() * F::TABLE_BYTES];
                at += tables.len();
                let weights = &weights[blocks.start * BLOCK_BYTES..blocks.end * BLOCK_BYTES];
                // SAFETY: the instructions are there; both slices hold `blocks`.
                let sums = unsafe { F::sums(tables, weights) };
                spans.fold(&mut acc[..rows], &sums, x, (token, span, first));
            }
            out.row(token)[first - range.start..][..rows].copy_from_slice(&acc[..rows]);
        }
    }
}

/// The tables of all spans of a row of activations, one after another.
///
/// # Safety
/// The processor has the instructions of `F`.
#[inline(always)]
unsafe fn make_tables<F: Form>(spans: &Spans<'_>, q: &[i8], tables: &mut [u8], parts: &mut [u8]) {
    // SAFETY: u8 and i8 are alike in size, alignment and valid values.
    let (_, parts, _) = unsafe { parts.align_to_mut::<i8>() };
    let (low, high) = parts.split_at_mut(parts.len() / 2);
    let mut at = 0;
    for span in 0..spans.count {
        let span = spans.cols(span);
        let used = split(q, &span, low, high);
        let bytes = blocks_of(&span).len() * F::TABLE_BYTES;
        let place = &mut tables[at..at + bytes];
        at += bytes;
        // SAFETY: the instructions are there; `split` filled five values a block and the slack,
        // and the place holds the tables of as many blocks.
        unsafe { F::tables(&low[..used], &high[..used], place) };
    }
}
