//! NEON: tables of 32 entries, for a byte's sign is part of the index, looked up 16 rows at a
//! time.
//!
//! A block of 16 rows takes 14 1/3 operations besides its load: five for the two indices and the
//! escape, four lookups in two registers each, four additions to the sums, and four widening
//! additions every three blocks.

use core::arch::aarch64::*;
use core::arch::asm;

use tritone_abi::layout::t5r128::{BLOCK_BYTES, BLOCK_COLS};

use crate::form::{Form, Sums, TILE_ROWS, Tiles};
use crate::tables::{ENTRIES, RECIPE, RUN, RUNS};

/// Registers of 16 rows that one pass over the blocks takes.
const WIDTH: usize = 2;

/// Registers of 16 rows in a row group.
const REGISTERS: usize = BLOCK_BYTES / 16;

/// Quads whose products 16 bits hold: each is at most 2 * 128 in magnitude.
const QUAD_RUN: usize = 127;

/// NEON, which every aarch64 processor has.
pub(crate) struct Neon;

/// NEON with `sdot`.
pub(crate) struct NeonDot;

impl Form for Neon {
    /// Triples and pairs of the low and the high part, positive and negative.
    const TABLE_BYTES: usize = 8 * ENTRIES;

    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
        // SAFETY: promised by the caller.
        unsafe { make_tables(low, high, tables) }
    }

    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums {
        // SAFETY: promised by the caller.
        unsafe { look_up(tables, weights) }
    }
}

impl Form for NeonDot {
    const TABLE_BYTES: usize = Neon::TABLE_BYTES;

    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
        // SAFETY: promised by the caller.
        unsafe { make_tables(low, high, tables) }
    }

    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums {
        // SAFETY: promised by the caller.
        unsafe { look_up(tables, weights) }
    }
}

impl Tiles for Neon {
    unsafe fn tile<const T: usize>(
        codes: *const u8,
        q: [*const i8; T],
        quads: usize,
    ) -> [[i32; TILE_ROWS]; T] {
        // SAFETY: promised by the caller.
        unsafe { multiply(codes, q, quads) }
    }
}

impl Tiles for NeonDot {
    unsafe fn tile<const T: usize>(
        codes: *const u8,
        q: [*const i8; T],
        quads: usize,
    ) -> [[i32; TILE_ROWS]; T] {
        // SAFETY: promised by the caller.
        unsafe { multiply_dot(codes, q, quads) }
    }
}

/// # Safety
/// See [`Form::tables`].
unsafe fn make_tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
    // SAFETY: the recipe's arrays are sixteen bytes long. Five values a block are there and 16
    // more, so 16 from the start of any; a table is eight registers long.
    unsafe {
        let index = |x: &[i8; ENTRIES]| vreinterpretq_u8_s8(vld1q_s8(x.as_ptr()));
        let sign = |x: &[i8; ENTRIES]| vld1q_s8(x.as_ptr());
        let (first, second) = (index(&RECIPE.first), index(&RECIPE.second));
        let second_sign = sign(&RECIPE.second_sign);
        let (two, two_sign) = (index(&RECIPE.low), sign(&RECIPE.low_sign));
        let third = index(&RECIPE.third);
        let (pair, pair_sign) = (index(&RECIPE.pair), sign(&RECIPE.pair_sign));
        let blocks = tables.as_chunks_mut::<{ Neon::TABLE_BYTES }>().0;
        for (b, table) in blocks.iter_mut().enumerate() {
            let place: *mut i8 = table.as_mut_ptr().cast();
            for (part, values) in [low, high].into_iter().enumerate() {
                let a = vld1q_s8(values.as_ptr().add(b * BLOCK_COLS));
                let nine = vmlaq_s8(vqtbl1q_s8(a, first), vqtbl1q_s8(a, second), second_sign);
                let triples = vmlaq_s8(vqtbl1q_s8(nine, third), vqtbl1q_s8(nine, two), two_sign);
                let pairs = vmulq_s8(vqtbl1q_s8(nine, pair), pair_sign);
                let entries = [triples, vnegq_s8(triples), pairs, vnegq_s8(pairs)];
                for (i, entries) in entries.into_iter().enumerate() {
                    vst1q_s8(place.add((4 * part + i) * ENTRIES), entries);
                }
            }
        }
    }
}

/// Sums of one part (low or high) of a row group.
type Words = [i16; BLOCK_BYTES];

/// # Safety
/// See [`Form::sums`].
unsafe fn look_up(tables: &[u8], weights: &[u8]) -> Sums {
    let blocks = tables.len() / Neon::TABLE_BYTES;
    let mut sums = [0; BLOCK_BYTES];
    let mut start = 0;
    while start < blocks {
        let end = blocks.min(start + RUNS * RUN);
        let mut words: [Words; 2] = [[0; BLOCK_BYTES]; 2];
        for first in (0..REGISTERS).step_by(WIDTH) {
            // SAFETY: blocks `start .. end` are there, and registers from `first` lie inside.
            unsafe {
                rows(
                    tables.as_ptr(),
                    weights.as_ptr(),
                    start..end,
                    first,
                    &mut words,
                )
            };
        }
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += i32::from(words[0][i]) + 16 * i32::from(words[1][i]);
        }
        start = end;
    }
    sums
}

/// Looks up blocks for the rows of registers `first ..`.
///
/// # Safety
/// * All of `blocks`, at most [`RUN`] times [`RUNS`], are readable at `tables` and `weights`;
/// * `first + WIDTH` is at most [`REGISTERS`].
#[inline]
unsafe fn rows(
    tables: *const u8,
    weights: *const u8,
    blocks: core::ops::Range<usize>,
    first: usize,
    words: &mut [Words; 2],
) {
    // SAFETY: blocks are readable, as the caller promises; the registers lie inside of a block,
    // and their rows inside of the sums.
    unsafe {
        let (nibble, seven) = (vdupq_n_u8(15), vdupq_n_u8(7));
        let mut wide = [[[vdupq_n_s16(0); 2]; 2]; WIDTH];
        for run in blocks.clone().step_by(RUN) {
            let mut acc = [[vdupq_n_s8(0); 2]; WIDTH];
            for b in run..blocks.end.min(run + RUN) {
                let table = |i: usize| {
                    let place = tables.add(b * Neon::TABLE_BYTES + 2 * i * ENTRIES).cast();
                    int8x16x2_t(vld1q_s8(place), vld1q_s8(place.add(ENTRIES)))
                };
                let (triples, pairs) = ([table(0), table(2)], [table(1), table(3)]);
                for (y, acc) in acc.iter_mut().enumerate() {
                    let v = vld1q_u8(weights.add(b * BLOCK_BYTES + 16 * (first + y)));
                    // The pair's index with the sign as bit 4; the triple's takes the sign too.
                    let k = vshrq_n_u8::<3>(v);
                    let m = vbslq_u8(nibble, v, k);
                    let plain = vtstq_u8(v, seven);
                    let m = vbslq_u8(plain, m, k);
                    // An index beyond the table gives zero.
                    let k = vornq_u8(k, plain);
                    for part in 0..2 {
                        let sum = vaddq_s8(acc[part], vqtbl2q_s8(triples[part], m));
                        acc[part] = vaddq_s8(sum, vqtbl2q_s8(pairs[part], k));
                    }
                }
            }
            for (wide, sum) in wide.as_flattened_mut().iter_mut().zip(acc.as_flattened()) {
                let [low, high] = *wide;
                *wide = [vaddw_s8(low, vget_low_s8(*sum)), vaddw_high_s8(high, *sum)];
            }
        }
        for (y, wide) in wide.into_iter().enumerate() {
            for (words, [low, high]) in words.iter_mut().zip(wide) {
                let place = words.as_mut_ptr().add(16 * (first + y));
                vst1q_s16(place, low);
                vst1q_s16(place.add(8), high);
            }
        }
    }
}

/// # Safety
/// See [`Tiles::tile`].
unsafe fn multiply<const T: usize>(
    codes: *const u8,
    q: [*const i8; T],
    quads: usize,
) -> [[i32; TILE_ROWS]; T] {
    let mut out = [[0; TILE_ROWS]; T];
    for (out, q) in out.iter_mut().zip(q) {
        for (four, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: four rows of every quad are one register, and the reads are those promised
            // by the caller; the place is one register long.
            unsafe {
                let mut sums = vdupq_n_s32(0);
                for run in (0..quads).step_by(QUAD_RUN) {
                    let (mut low, mut high) = (vdupq_n_s16(0), vdupq_n_s16(0));
                    for k in run..quads.min(run + QUAD_RUN) {
                        let from = codes.add((k * TILE_ROWS + 4 * four) * 4);
                        let codes = vreinterpretq_s8_u8(vld1q_u8(from));
                        let quad = q.add(4 * k).cast::<i32>().read_unaligned();
                        let quad = vreinterpretq_s8_s32(vdupq_n_s32(quad));
                        low = vmlal_s8(low, vget_low_s8(codes), vget_low_s8(quad));
                        high = vmlal_high_s8(high, codes, quad);
                    }
                    let part = vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
                    sums = vaddq_s32(sums, part);
                }
                vst1q_s32(out.as_mut_ptr(), sums);
            }
        }
    }
    out
}

/// Rows that [`multiply_dot`] takes at a time.
const EIGHT: usize = 8;

/// # Safety
/// See [`Tiles::tile`]; the processor has `sdot`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply_dot<const T: usize>(
    codes: *const u8,
    q: [*const i8; T],
    quads: usize,
) -> [[i32; TILE_ROWS]; T] {
    let mut out = [[0; TILE_ROWS]; T];
    for first in (0..TILE_ROWS).step_by(EIGHT) {
        let mut sums = [[vdupq_n_s32(0); EIGHT / 4]; T];
        for k in 0..quads {
            // SAFETY: `k < quads`, so these are the reads promised by the caller.
            unsafe {
                let from = codes.add((k * TILE_ROWS + first) * 4);
                let rows = [vld1q_u8(from), vld1q_u8(from.add(16))];
                for (sums, q) in sums.iter_mut().zip(q) {
                    let quad = vdupq_n_s32(q.add(4 * k).cast::<i32>().read_unaligned());
                    for (sum, rows) in sums.iter_mut().zip(rows) {
                        // SAFETY: this function has the feature; the instruction touches the
                        // named registers only.
                        asm!(
                            "sdot {sum:v}.4s, {rows:v}.16b, {quad:v}.16b",
                            sum = inout(vreg) *sum,
                            rows = in(vreg) rows,
                            quad = in(vreg) quad,
                            options(pure, nomem, nostack, preserves_flags),
                        );
                    }
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (y, sum) in sums.into_iter().enumerate() {
                // SAFETY: four rows from `first + 4 * y` lie in the tile.
                unsafe { vst1q_s32(out.as_mut_ptr().add(first + 4 * y), sum) };
            }
        }
    }
    out
}
