//! The product of many tokens.
//!
//! The weights of 32 rows are unpacked once to a byte each, `[cols / 4][32 rows][4]`, as codes
//! (weight + 1), and stay in the second-level cache while all tokens pass by.

use tritone_abi::layout::t5r128::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS, TRITS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::fold::Spans;
use crate::form::{TILE_ROWS, TILE_TOKENS, Tiles};

/// Blocks whose columns make whole quads.
const BLOCKS: usize = 4;

/// Quads of so many blocks.
const QUADS: usize = 5;

/// Bytes of the codes of four columns of a tile's rows.
const QUAD_BYTES: usize = 4 * TILE_ROWS;

/// The codes of every byte of weights, one a byte, the first in the lowest.
const CODES: [u64; 256] = {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut i = 0;
        while i < BLOCK_COLS {
            all[byte] |= ((TRITS[byte][i] + 1) as u64) << (8 * i);
            i += 1;
        }
        byte += 1;
    }
    all
};

/// Scratch memory for matrices with up to `cols` columns: the codes of a tile's rows.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(BLOCKS * BLOCK_COLS)
        .saturating_mul(QUADS * QUAD_BYTES)
}

/// The product of checked arguments; `scratch` is [`scratch_bytes`]`(w.cols)` long.
///
/// # Safety
/// The processor has the instructions of `F`.
#[inline(always)]
pub(crate) unsafe fn product<F: Tiles>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * BLOCK_BYTES;
    for first in out.range().step_by(TILE_ROWS) {
        let group = &w.data[first / GROUP_ROWS * group_bytes..][..group_bytes];
        unpack(group, first % GROUP_ROWS, scratch);
        let mut token = 0;
        while token < x.tokens {
            let at = (first, token);
            // SAFETY: the instructions are there.
            token += unsafe {
                match x.tokens - token {
                    1 => tokens::<F, 1>(w, x, out, scratch, at),
                    2 => tokens::<F, 2>(w, x, out, scratch, at),
                    3 => tokens::<F, 3>(w, x, out, scratch, at),
                    4 => tokens::<F, 4>(w, x, out, scratch, at),
                    5 => tokens::<F, 5>(w, x, out, scratch, at),
                    _ => tokens::<F, TILE_TOKENS>(w, x, out, scratch, at),
                }
            };
        }
    }
}

/// Spreads the rows `lane ..` of a row group over quads of columns, a byte a code. Behind the
/// last block of the group codes are those of byte 0.
#[inline(always)]
fn unpack(group: &[u8], lane: usize, codes: &mut [u8]) {
    let places = codes.as_chunks_mut::<{ QUADS * QUAD_BYTES }>().0;
    for (blocks, place) in group.chunks(BLOCKS * BLOCK_BYTES).zip(places) {
        for row in 0..TILE_ROWS {
            let code = |b: usize| {
                let byte = blocks.get(b * BLOCK_BYTES + lane + row).copied();
                CODES[usize::from(byte.unwrap_or(0))]
            };
            let [a, b, c, d] = [code(0), code(1), code(2), code(3)];
            let (first, second) = (a | b << 40, b >> 24 | c << 16 | d << 56);
            let quads = [first, first >> 32, second, second >> 32, d >> 8];
            for (q, quad) in quads.into_iter().enumerate() {
                let at = q * QUAD_BYTES + 4 * row;
                place[at..at + 4].copy_from_slice(&(quad as u32).to_le_bytes());
            }
        }
    }
}

/// Rows `first ..` of a tile for tokens `token .. token + T`; gives `T`.
///
/// # Safety
/// The processor has the instructions of `F`.
#[inline(always)]
unsafe fn tokens<F: Tiles, const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    codes: &[u8],
    (first, token): (usize, usize),
) -> usize {
    let spans = Spans::of(w);
    let range = out.range();
    let rows = TILE_ROWS.min(range.end - first);
    let mut acc = [[0.0; TILE_ROWS]; T];
    for span in 0..spans.count {
        let cols = spans.cols(span);
        // Groups of scales are whole quads; what lies behind the last column is zero.
        let quads = cols.start / 4..cols.end.div_ceil(4);
        let codes = &codes[quads.start * QUAD_BYTES..quads.end * QUAD_BYTES];
        let q = core::array::from_fn(|t| x.row(token + t)[4 * quads.start..4 * quads.end].as_ptr());
        // SAFETY: the instructions are there; the slices hold as many quads.
        let sums: [[i32; TILE_ROWS]; T] = unsafe { F::tile(codes.as_ptr(), q, quads.len()) };
        for (t, mut sums) in sums.into_iter().enumerate() {
            // The sum of code times activation, less the activations' own sum.
            let codes_too_much = x.sums[(token + t) * spans.count + span];
            for sum in &mut sums {
                *sum -= codes_too_much;
            }
            spans.fold(&mut acc[t][..rows], &sums, x, (token + t, span, first));
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        out.row(token + t)[first - range.start..][..rows].copy_from_slice(&acc[..rows]);
    }
    T
}
