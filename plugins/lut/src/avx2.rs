//! AVX2: both tables in halves of registers, looked up 32 rows at a time.
//!
//! A block of 32 rows takes 18 operations besides its load: six for the two indices and the
//! escape, four lookups, two additions of triple and pair, two signs, two additions to the sums,
//! and two for a third of the widening.

use core::arch::x86_64::*;

use tritone_abi::layout::t5r128::{BLOCK_BYTES, BLOCK_COLS};

use crate::form::{Form, Sums, TILE_ROWS, Tiles};
use crate::tables::{ENTRIES, RECIPE, RUN, RUNS};
use crate::widen::{BIAS, Part, widen};

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// Column quads whose products 16 bits hold: two codes (0..=2) times activations are at most 512
/// in magnitude, so sums reach -32768 at the lowest and 32512 at the highest.
const QUAD_RUN: usize = 64;

/// Registers of 32 rows that one pass over the blocks takes.
const WIDTH: usize = 2;

/// Registers of 32 rows in a row group.
const REGISTERS: usize = BLOCK_BYTES / 32;

/// Bit 7 where a triple's index means an escape.
const ESCAPES: [i8; ENTRIES] = {
    let mut all = [0; ENTRIES];
    (all[0], all[8]) = (i8::MIN, i8::MIN);
    all
};

pub(crate) struct Avx2;

impl Form for Avx2 {
    /// Triples of the low and the high part, pairs of the low and the high part.
    const TABLE_BYTES: usize = 4 * ENTRIES;

    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
        // SAFETY: promised by the caller.
        unsafe { make_tables(low, high, tables) }
    }

    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums {
        // SAFETY: promised by the caller.
        unsafe { look_up(tables, weights) }
    }
}

impl Tiles for Avx2 {
    unsafe fn tile<const T: usize>(
        codes: *const u8,
        q: [*const i8; T],
        quads: usize,
    ) -> [[i32; TILE_ROWS]; T] {
        // SAFETY: promised by the caller.
        unsafe { multiply(codes, q, quads) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn both_halves(x: &[i8; 16]) -> __m256i {
    // SAFETY: the array is sixteen bytes long.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(x.as_ptr().cast())) }
}

/// # Safety
/// See [`Form::tables`].
#[target_feature(enable = "avx2,fma")]
unsafe fn make_tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
    let first = both_halves(&RECIPE.first);
    let second = both_halves(&RECIPE.second);
    let second_sign = both_halves(&RECIPE.second_sign);
    let (two, two_sign) = (both_halves(&RECIPE.low), both_halves(&RECIPE.low_sign));
    let third = both_halves(&RECIPE.third);
    let (pair, pair_sign) = (both_halves(&RECIPE.pair), both_halves(&RECIPE.pair_sign));
    let blocks = tables.as_chunks_mut::<{ Avx2::TABLE_BYTES }>().0;
    for (b, table) in blocks.iter_mut().enumerate() {
        // SAFETY: five values a block are there and 16 more, so 16 from the start of any; a
        // table is two registers long.
        unsafe {
            let low = _mm_loadu_si128(low.as_ptr().add(b * BLOCK_COLS).cast());
            let high = _mm_loadu_si128(high.as_ptr().add(b * BLOCK_COLS).cast());
            let a = _mm256_set_m128i(high, low);
            let nine = _mm256_add_epi8(
                _mm256_shuffle_epi8(a, first),
                _mm256_sign_epi8(_mm256_shuffle_epi8(a, second), second_sign),
            );
            let triples = _mm256_add_epi8(
                _mm256_sign_epi8(_mm256_shuffle_epi8(nine, two), two_sign),
                _mm256_shuffle_epi8(nine, third),
            );
            let pairs = _mm256_sign_epi8(_mm256_shuffle_epi8(nine, pair), pair_sign);
            let place = table.as_mut_ptr();
            _mm256_storeu_si256(place.cast(), triples);
            _mm256_storeu_si256(place.add(32).cast(), pairs);
        }
    }
}

/// # Safety
/// See [`Form::sums`].
#[target_feature(enable = "avx2,fma")]
unsafe fn look_up(tables: &[u8], weights: &[u8]) -> Sums {
    let blocks = tables.len() / Avx2::TABLE_BYTES;
    let mut sums = [0; BLOCK_BYTES];
    let mut start = 0;
    while start < blocks {
        let n = (blocks - start).min(RUNS * RUN);
        let mut parts = [Part::ZERO; 2];
        for first in (0..REGISTERS).step_by(WIDTH) {
            // SAFETY: blocks `start .. start + n` are there, and registers from `first` lie
            // inside of one.
            unsafe {
                let tables = tables.as_ptr().add(start * Avx2::TABLE_BYTES);
                let weights = weights.as_ptr().add(start * BLOCK_BYTES + 32 * first);
                let whole = n / RUN * RUN;
                let mut b = 0;
                while b < whole {
                    run(tables, weights, b, RUN, first, &mut parts);
                    b += RUN;
                }
                if b < n {
                    run(tables, weights, b, n - b, first, &mut parts);
                }
            }
        }
        widen(&parts[0], &parts[1], n.div_ceil(RUN), &mut sums);
        start += n;
    }
    sums
}

/// Looks up `n` blocks from `b` on for the rows of registers `first ..`, and widens their sums.
///
/// # Safety
/// * `b + n` tables are readable at `tables`, and that many blocks at `weights` (of which only
///   the first [`WIDTH`] registers are read);
/// * `n` is at most [`RUN`], and `first + WIDTH` at most [`REGISTERS`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn run(
    tables: *const u8,
    weights: *const u8,
    b: usize,
    n: usize,
    first: usize,
    parts: &mut [Part; 2],
) {
    let nibble = _mm256_set1_epi8(15);
    let escapes = both_halves(&ESCAPES);
    let bias = _mm256_set1_epi8(BIAS as i8);
    let mut sums = [[bias; 2]; WIDTH];
    for b in b..b + n {
        // SAFETY: `b` is below what the caller promises.
        unsafe {
            let table = |i: usize| {
                let place = tables.add(b * Avx2::TABLE_BYTES + i * ENTRIES);
                _mm256_broadcastsi128_si256(_mm_loadu_si128(place.cast()))
            };
            let (triples, pairs) = ([table(0), table(1)], [table(2), table(3)]);
            let block = weights.add(b * BLOCK_BYTES);
            // A prefetch cannot fault, so it may run past the end of the weights.
            _mm_prefetch::<_MM_HINT_T0>(block.wrapping_add(PREFETCH_BYTES).cast());
            for (y, sums) in sums.iter_mut().enumerate() {
                let v = _mm256_loadu_si256(block.add(32 * y).cast());
                let m = _mm256_and_si256(v, nibble);
                let k = _mm256_and_si256(_mm256_srli_epi16::<3>(v), nibble);
                let escape = _mm256_shuffle_epi8(escapes, m);
                let m = _mm256_blendv_epi8(m, k, escape);
                // With bit 7 set a shuffle gives zero.
                let k = _mm256_or_si256(k, escape);
                for part in 0..2 {
                    let triple = _mm256_shuffle_epi8(triples[part], m);
                    let worth = _mm256_add_epi8(triple, _mm256_shuffle_epi8(pairs[part], k));
                    // A byte of 0, whose sign counts as 0, is worth nothing anyway.
                    let worth = _mm256_sign_epi8(worth, v);
                    sums[part] = _mm256_add_epi8(sums[part], worth);
                }
            }
        }
    }
    for (y, sums) in sums.into_iter().enumerate() {
        let word = 16 * (first + y);
        for (part, sum) in parts.iter_mut().zip(sums) {
            let odd = _mm256_srli_epi16::<8>(sum);
            for (words, x) in [(&mut part.words, sum), (&mut part.odd, odd)] {
                let place: *mut __m256i = words[word..word + 16].as_mut_ptr().cast();
                // SAFETY: the slice is one register long.
                unsafe {
                    let x = _mm256_add_epi16(_mm256_loadu_si256(place), x);
                    _mm256_storeu_si256(place, x);
                }
            }
        }
    }
}

/// # Safety
/// See [`Tiles::tile`].
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply<const T: usize>(
    codes: *const u8,
    q: [*const i8; T],
    quads: usize,
) -> [[i32; TILE_ROWS]; T] {
    let mut out = [[0; TILE_ROWS]; T];
    for half in 0..2 {
        // SAFETY: 16 rows of every quad are two registers, at this distance.
        let sums = unsafe { multiply_half(codes.add(64 * half), &q, quads) };
        for (out, sums) in out.iter_mut().zip(sums) {
            for (y, sum) in sums.into_iter().enumerate() {
                let place = &mut out[16 * half + 8 * y..][..8];
                // SAFETY: the slice is one register long.
                unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), sum) };
            }
        }
    }
    out
}

/// Products over `quads` column quads: 16 rows by `T` tokens.
///
/// # Safety
/// * 64 bytes are readable at `codes + k * 4 * TILE_ROWS` for every `k < quads`;
/// * `4 * quads` activations are readable at every `q[t]`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_half<const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    quads: usize,
) -> [[__m256i; 2]; T] {
    let one = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; T];
    let mut start = 0;
    while start < quads {
        let end = quads.min(start + QUAD_RUN);
        let mut run = [[_mm256_setzero_si256(); 2]; T];
        for k in start..end {
            // SAFETY: `k < quads`, so these are the loads promised by the caller.
            unsafe {
                let from = codes.add(k * 4 * TILE_ROWS);
                let rows: [__m256i; 2] =
                    core::array::from_fn(|y| _mm256_loadu_si256(from.add(32 * y).cast()));
                for t in 0..T {
                    let quad: *const i32 = q[t].add(4 * k).cast();
                    let quad = _mm256_set1_epi32(quad.read_unaligned());
                    for y in 0..2 {
                        let products = _mm256_maddubs_epi16(rows[y], quad);
                        run[t][y] = _mm256_add_epi16(run[t][y], products);
                    }
                }
            }
        }
        for t in 0..T {
            for y in 0..2 {
                let wide = _mm256_madd_epi16(run[t][y], one);
                sums[t][y] = _mm256_add_epi32(sums[t][y], wide);
            }
        }
        start = end;
    }
    sums
}
