//! What this instruction set can reach: loops that do nothing but read, or nothing but multiply.

use core::arch::asm;
use core::arch::x86_64::*;
use core::hint::black_box;

use crate::isa::Isa;

/// Registers that sum in turn, enough to hide the latency of a dot product.
const SUMS: usize = 24;

/// Multiply-adds of one round of [`int8`].
pub(crate) const MACS: u64 = 64 * SUMS as u64;

/// Sum of the little-endian 64-bit words of `data`, the last one padded with zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn read(data: &[u8], prefetch: usize) -> u64 {
    const LINES: usize = 256;
    let (lines, tail) = data.as_chunks::<LINES>();
    let mut sums = [_mm512_setzero_si512(); LINES / 64];
    for line in lines {
        for (sum, part) in sums.iter_mut().zip(line.as_chunks::<64>().0) {
            if prefetch > 0 {
                // A prefetch cannot fault, so it may run past the end of the data.
                _mm_prefetch::<_MM_HINT_T0>(part.as_ptr().wrapping_add(prefetch).cast());
            }
            // SAFETY: the part is one register long.
            let words = unsafe { _mm512_loadu_si512(part.as_ptr().cast()) };
            *sum = _mm512_add_epi64(*sum, words);
        }
    }
    let total = sums.into_iter().fold(0, |total: u64, sum| {
        total.wrapping_add(_mm512_reduce_add_epi64(sum) as u64)
    });
    tail.chunks(8).fold(total, |total, part| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        total.wrapping_add(u64::from_le_bytes(word))
    })
}

/// `rounds` times [`SUMS`] byte dot products on registers alone.
pub(crate) fn int8(isa: Isa, rounds: u64) {
    if isa.vnni() {
        // SAFETY: the proof says that the features are there.
        unsafe { dpbusd(rounds) };
    } else {
        // SAFETY: the proof says that the features are there.
        unsafe { maddubs(rounds) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn dpbusd(rounds: u64) {
    let (codes, q) = (_mm512_set1_epi8(2), _mm512_set1_epi8(3));
    let mut sums = [_mm512_setzero_si512(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // Written out, so that the compiler takes no short cut through equal operands.
            // SAFETY: the instruction is VNNI's and touches the named registers only.
            unsafe {
                asm!(
                    "vpdpbusd {sum}, {codes}, {q}",
                    codes = in(zmm_reg) codes,
                    q = in(zmm_reg) q,
                    sum = inout(zmm_reg) *sum,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn maddubs(rounds: u64) {
    let (codes, q) = (_mm512_set1_epi8(2), _mm512_set1_epi8(3));
    let one = _mm512_set1_epi16(1);
    let mut sums = [_mm512_setzero_si512(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // As in `dpbusd`.
            // SAFETY: the instructions are BW's and touch the named registers only.
            unsafe {
                let products: __m512i;
                asm!(
                    "vpmaddubsw {products}, {codes}, {q}",
                    "vpmaddwd {products}, {products}, {one}",
                    "vpaddd {sum}, {sum}, {products}",
                    products = out(zmm_reg) products,
                    codes = in(zmm_reg) codes,
                    q = in(zmm_reg) q,
                    one = in(zmm_reg) one,
                    sum = inout(zmm_reg) *sum,
                    options(pure, nomem, nostack, preserves_flags),
                );
                let _: __m512i = products;
            }
        }
    }
    black_box(sums);
}
