//! What this instruction set can reach: loops that do nothing but read, or nothing but multiply.

use core::arch::asm;
use core::arch::x86_64::*;
use core::hint::black_box;

use crate::isa::Isa;

/// Registers that sum in turn, enough to hide the latency of an addition.
const SUMS: usize = 12;

/// Multiply-adds of one round of [`int8`].
pub(crate) const MACS: u64 = 32 * SUMS as u64;

/// Sum of the little-endian 64-bit words of `data`, the last one padded with zeros.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn read(data: &[u8], prefetch: usize) -> u64 {
    const LINES: usize = 128;
    let (lines, tail) = data.as_chunks::<LINES>();
    let mut sums = [_mm256_setzero_si256(); LINES / 32];
    for line in lines {
        if prefetch > 0 {
            // A prefetch cannot fault, so it may run past the end of the data.
            let ahead: *const i8 = line.as_ptr().wrapping_add(prefetch).cast();
            _mm_prefetch::<_MM_HINT_T0>(ahead);
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
        }
        for (sum, part) in sums.iter_mut().zip(line.as_chunks::<32>().0) {
            // SAFETY: the part is one register long.
            let words = unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
            *sum = _mm256_add_epi64(*sum, words);
        }
    }
    let mut total = 0u64;
    for sum in sums {
        let mut words = [0u64; 4];
        // SAFETY: the array is one register long.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), sum) };
        total = words.into_iter().fold(total, u64::wrapping_add);
    }
    tail.chunks(8).fold(total, |total, part| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        total.wrapping_add(u64::from_le_bytes(word))
    })
}

/// `rounds` times [`SUMS`] byte products with their additions, on registers alone.
pub(crate) fn int8(isa: Isa, rounds: u64) {
    if isa.vnni() {
        // SAFETY: the proof says that the features are there.
        unsafe { dpbusd(rounds) };
    } else {
        // SAFETY: the proof says that the features are there.
        unsafe { maddubs(rounds) };
    }
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn dpbusd(rounds: u64) {
    let (codes, q) = (_mm256_set1_epi8(2), _mm256_set1_epi8(3));
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // Written out, because the compiler would multiply the same operands only once.
            // SAFETY: the instruction is AVX-VNNI's and touches the named registers only.
            unsafe {
                asm!(
                    "{{vex}} vpdpbusd {sum}, {codes}, {q}",
                    codes = in(ymm_reg) codes,
                    q = in(ymm_reg) q,
                    sum = inout(ymm_reg) *sum,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
}

#[target_feature(enable = "avx2,fma,f16c")]
fn maddubs(rounds: u64) {
    let (codes, q) = (_mm256_set1_epi8(2), _mm256_set1_epi8(3));
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // As in `dpbusd`.
            // SAFETY: the instructions are AVX2's and touch the named registers only.
            unsafe {
                let products: __m256i;
                asm!(
                    "vpmaddubsw {products}, {codes}, {q}",
                    "vpaddw {sum}, {sum}, {products}",
                    products = out(ymm_reg) products,
                    codes = in(ymm_reg) codes,
                    q = in(ymm_reg) q,
                    sum = inout(ymm_reg) *sum,
                    options(pure, nomem, nostack, preserves_flags),
                );
                let _: __m256i = products;
            }
        }
    }
    black_box(sums);
}
