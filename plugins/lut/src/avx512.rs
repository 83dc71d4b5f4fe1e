//! AVX-512 with VBMI: the two tables of a block spread over all 128 bytes without the sign, low
//! and high parts in two registers each, looked up 64 rows at a time.
//!
//! Spreading takes twelve operations a block, which 128 rows share. A block of 64 rows takes nine
//! besides its load: one for the signs, two lookups (`vpermi2b`), two negations, two additions to
//! the sums, and two for a third of the widening.

use core::arch::x86_64::*;

use tritone_abi::layout::t5r128::BLOCK_BYTES;

use crate::avx2::Avx2;
use crate::form::{Form, Sums, TILE_ROWS, Tiles};
use crate::tables::{ENTRIES, RUN, RUNS};
use crate::widen::{BIAS, Part, widen};

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 6144;

/// Registers of 64 rows in a row group.
const REGISTERS: usize = BLOCK_BYTES / 64;

/// Bytes of weights without their sign.
const BYTES: usize = 128;

/// Where the triple of every byte lies in the tables of the low part; those of the high part
/// follow [`ENTRIES`] later.
const TRIPLE_AT: [u8; BYTES] = {
    let mut all = [0; BYTES];
    let mut byte = 0;
    while byte < BYTES {
        // In an escape the triple's index is where else the pair's is.
        all[byte] = if byte % 8 == 0 { byte / 8 } else { byte % 16 } as u8;
        byte += 1;
    }
    all
};

/// Where the pair of every byte lies; the triple of index 0 is zero, and stands for no pair.
const PAIR_AT: [u8; BYTES] = {
    let mut all = [0; BYTES];
    let mut byte = 0;
    while byte < BYTES {
        all[byte] = if byte % 8 == 0 {
            0
        } else {
            2 * ENTRIES + byte / 8
        } as u8;
        byte += 1;
    }
    all
};

pub(crate) struct Avx512;

impl Form for Avx512 {
    const TABLE_BYTES: usize = Avx2::TABLE_BYTES;

    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
        // SAFETY: promised by the caller; where AVX-512 is, AVX2 is too.
        unsafe { Avx2::tables(low, high, tables) }
    }

    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums {
        // SAFETY: promised by the caller.
        unsafe { look_up(tables, weights) }
    }
}

impl Tiles for Avx512 {
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
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn halves(bytes: &[u8; BYTES], step: u8) -> [__m512i; 2] {
    let step = _mm512_set1_epi8(step as i8);
    // SAFETY: the array is two registers long.
    [0, 64].map(|first| unsafe {
        _mm512_add_epi8(_mm512_loadu_si512(bytes.as_ptr().add(first).cast()), step)
    })
}

/// # Safety
/// See [`Form::sums`].
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn look_up(tables: &[u8], weights: &[u8]) -> Sums {
    let triples = [0, ENTRIES as u8].map(|step| halves(&TRIPLE_AT, step));
    let pairs = [0, ENTRIES as u8].map(|step| halves(&PAIR_AT, step));
    let blocks = tables.len() / Avx512::TABLE_BYTES;
    let mut sums = [0; BLOCK_BYTES];
    let mut start = 0;
    while start < blocks {
        let end = blocks.min(start + RUNS * RUN);
        let zero = _mm512_setzero_si512();
        let (mut words, mut odds) = ([[zero; REGISTERS]; 2], [[zero; REGISTERS]; 2]);
        for run in (start..end).step_by(RUN) {
            let mut acc = [[_mm512_set1_epi8(BIAS as i8); REGISTERS]; 2];
            for b in run..end.min(run + RUN) {
                // SAFETY: the slices hold block `b`, a table and two registers of weights.
                unsafe {
                    let table = tables.as_ptr().add(b * Avx512::TABLE_BYTES);
                    let table = _mm512_loadu_si512(table.cast());
                    let block = weights.as_ptr().add(b * BLOCK_BYTES);
                    for y in 0..REGISTERS {
                        // A prefetch cannot fault, so it may run past the end of the weights.
                        let ahead = block.wrapping_add(64 * y + PREFETCH_BYTES);
                        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                    }
                    for (part, acc) in acc.iter_mut().enumerate() {
                        let [first, second] = [0, 1].map(|half| {
                            let triple = _mm512_permutexvar_epi8(triples[part][half], table);
                            let pair = _mm512_permutexvar_epi8(pairs[part][half], table);
                            _mm512_add_epi8(triple, pair)
                        });
                        for (y, acc) in acc.iter_mut().enumerate() {
                            let v = _mm512_loadu_si512(block.add(64 * y).cast());
                            let negative = _mm512_movepi8_mask(v);
                            let worth = _mm512_permutex2var_epi8(first, v, second);
                            let worth = _mm512_mask_sub_epi8(worth, negative, zero, worth);
                            *acc = _mm512_add_epi8(*acc, worth);
                        }
                    }
                }
            }
            for part in 0..2 {
                for y in 0..REGISTERS {
                    let odd = _mm512_srli_epi16::<8>(acc[part][y]);
                    words[part][y] = _mm512_add_epi16(words[part][y], acc[part][y]);
                    odds[part][y] = _mm512_add_epi16(odds[part][y], odd);
                }
            }
        }
        let mut parts = [Part::ZERO; 2];
        for (part, place) in parts.iter_mut().enumerate() {
            for (y, (words, odds)) in words[part].iter().zip(odds[part]).enumerate() {
                // SAFETY: a part holds as many words as two registers.
                unsafe {
                    let at = 32 * y;
                    _mm512_storeu_si512(place.words.as_mut_ptr().add(at).cast(), *words);
                    _mm512_storeu_si512(place.odd.as_mut_ptr().add(at).cast(), odds);
                }
            }
        }
        widen(&parts[0], &parts[1], (end - start).div_ceil(RUN), &mut sums);
        start = end;
    }
    sums
}

/// # Safety
/// See [`Tiles::tile`].
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn multiply<const T: usize>(
    codes: *const u8,
    q: [*const i8; T],
    quads: usize,
) -> [[i32; TILE_ROWS]; T] {
    let mut sums = [[_mm512_setzero_si512(); 2]; T];
    for k in 0..quads {
        // SAFETY: `k < quads`, so these are the loads promised by the caller.
        unsafe {
            let from = codes.add(k * 4 * TILE_ROWS);
            let rows: [__m512i; 2] =
                core::array::from_fn(|y| _mm512_loadu_si512(from.add(64 * y).cast()));
            for t in 0..T {
                let quad: *const i32 = q[t].add(4 * k).cast();
                let quad = _mm512_set1_epi32(quad.read_unaligned());
                for y in 0..2 {
                    sums[t][y] = _mm512_dpbusd_epi32(sums[t][y], rows[y], quad);
                }
            }
        }
    }
    let mut out = [[0; TILE_ROWS]; T];
    for (out, sums) in out.iter_mut().zip(sums) {
        for (place, sum) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
            // SAFETY: the array is one register long.
            unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), sum) };
        }
    }
    out
}
