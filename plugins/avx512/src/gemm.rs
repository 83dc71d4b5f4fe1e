//! The ternary product of several tokens: packed weights by register tiles of tokens.
//!
//! A tile is a row group (32 rows, two registers) by up to [`TOKENS`] tokens. The four bit planes of a
//! block are shifted down and masked in registers, so a code costs under two operations for all tokens
//! of the tile, and one accumulator a row register and token takes all planes. Unpacking the codes into memory first
//! was slower, as four times the bytes then came from the second-level cache for every tile. Tokens beyond a tile
//! find the packed rows in the caches. A dot product is at most 4 * 2 * 128 = 2^10, 2^15 of them stay below 2^25.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::HALVES;
use crate::isa::Isa;
use crate::rows::{Sums, rows};

/// Most tokens of a tile: 24 sums, four registers of weights and codes, one of activations, one mask.
const TOKENS: usize = 12;

/// Columns of a bit plane of a block.
const QUAD: usize = 4;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 6144;

/// The product of checked arguments.
pub(crate) fn matmul(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    for_each_isa!(isa, product::<>(
        w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
    ));
}

/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn product<D: Dot>(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // As many tiles as it takes, of sizes that differ by one at most. The rows of a call fit the
    // second-level cache, and so do the activations of a tile; those of all tokens may not.
    let tiles = x.tokens.div_ceil(TOKENS);
    let mut token = 0;
    for tile in 0..tiles {
        let end = x.tokens * (tile + 1) / tiles;
        for first_row in out.range().step_by(GROUP_ROWS) {
            let at = (first_row / GROUP_ROWS, token);
            // SAFETY: the features are there.
            unsafe {
                match end - token {
                    1 => rows::<D, Shifted, 1>(w, x, out, at),
                    2 => rows::<D, Shifted, 2>(w, x, out, at),
                    3 => rows::<D, Shifted, 3>(w, x, out, at),
                    4 => rows::<D, Shifted, 4>(w, x, out, at),
                    5 => rows::<D, Shifted, 5>(w, x, out, at),
                    6 => rows::<D, Shifted, 6>(w, x, out, at),
                    7 => rows::<D, Shifted, 7>(w, x, out, at),
                    8 => rows::<D, Shifted, 8>(w, x, out, at),
                    9 => rows::<D, Shifted, 9>(w, x, out, at),
                    10 => rows::<D, Shifted, 10>(w, x, out, at),
                    11 => rows::<D, Shifted, 11>(w, x, out, at),
                    _ => rows::<D, Shifted, TOKENS>(w, x, out, at),
                }
            }
        }
        token = end;
    }
}

/// Planes that are shifted down, all into one accumulator a row register and token.
struct Shifted;

impl Sums for Shifted {
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        weights: *const u8,
        q: &[*const i8; T],
        blocks: usize,
    ) -> [[__m512i; HALVES]; T] {
        // SAFETY: the features are there, and the loads are those promised by the caller.
        unsafe {
            let mask = _mm512_set1_epi8(0x03);
            let mut sums = [[_mm512_setzero_si512(); HALVES]; T];
            for b in 0..blocks {
                let block = weights.add(b * BLOCK_BYTES);
                // A prefetch cannot fault, so it may run past the end of the weights.
                let ahead = block.wrapping_add(PREFETCH_BYTES).cast();
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                let mut packed = [_mm512_setzero_si512(); HALVES];
                for (h, packed) in packed.iter_mut().enumerate() {
                    *packed = _mm512_loadu_si512(block.add(64 * h).cast());
                }
                let first = b * BLOCK_COLS;
                // Bits that a shift of 16-bit lanes brings in from the next byte are masked away.
                let planes = [
                    packed,
                    packed.map(|v| _mm512_srli_epi16::<2>(v)),
                    packed.map(|v| _mm512_srli_epi16::<4>(v)),
                    packed.map(|v| _mm512_srli_epi16::<6>(v)),
                ];
                for (p, plane) in planes.iter().enumerate() {
                    let codes = plane.map(|v| _mm512_and_si512(v, mask));
                    for t in 0..T {
                        let quad: *const i32 = q[t].add(first + QUAD * p).cast();
                        let quad = _mm512_set1_epi32(quad.read_unaligned());
                        for h in 0..HALVES {
                            sums[t][h] = D::dot(sums[t][h], codes[h], quad);
                        }
                    }
                }
            }
            sums
        }
    }
}
