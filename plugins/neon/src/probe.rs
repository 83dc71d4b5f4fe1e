//! What this instruction set can reach: loops that do nothing but read, or nothing but multiply.

use core::arch::aarch64::*;
use core::arch::asm;
use core::hint::black_box;

use crate::dot::{Dot, Sdot};
use crate::isa::Isa;
use crate::mmla::smmla;

/// Registers that sum in turn, enough to hide the latency of a product.
const SUMS: usize = 12;

/// Asks for the cache line `AHEAD` bytes (a multiple of 8, at most 32760) after `at`, which may be
/// any address: a prefetch cannot fault.
#[inline(always)]
pub(crate) fn prefetch<const AHEAD: usize>(at: *const u8) {
    // SAFETY: the instruction neither faults nor changes anything that a program can see.
    unsafe {
        asm!(
            "prfm pldl1keep, [{at}, #{ahead}]",
            at = in(reg) at,
            ahead = const AHEAD,
            options(readonly, nostack, preserves_flags),
        );
    }
}

/// Sum of the little-endian 64-bit words of `data`, the last one padded with zeros.
#[target_feature(enable = "neon")]
pub(crate) fn read(data: &[u8], ahead: usize) -> u64 {
    const LINES: usize = 128;
    let (lines, tail) = data.as_chunks::<LINES>();
    let mut sums = [vdupq_n_u64(0); LINES / 16];
    for line in lines {
        if ahead > 0 {
            let at = line.as_ptr().wrapping_add(ahead);
            prefetch::<0>(at);
            prefetch::<64>(at);
        }
        for (sum, part) in sums.iter_mut().zip(line.as_chunks::<16>().0) {
            // SAFETY: the part is one register long.
            let words = unsafe { vld1q_u8(part.as_ptr()) };
            *sum = vaddq_u64(*sum, vreinterpretq_u64_u8(words));
        }
    }
    let total = sums.into_iter().map(|sum| vaddvq_u64(sum));
    let total = total.fold(0, u64::wrapping_add);
    tail.chunks(8).fold(total, |total, part| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        total.wrapping_add(u64::from_le_bytes(word))
    })
}

/// `rounds` times [`SUMS`] of the widest byte products there are, on registers alone; gives the
/// number of multiply-adds.
pub(crate) fn int8(isa: Isa, rounds: u64) -> u64 {
    // SAFETY: the proof says that the functions' features are there.
    let macs = unsafe {
        if isa.i8mm() {
            matrices(rounds);
            32
        } else if isa.dotprod() {
            dots(rounds);
            16
        } else {
            halves(rounds);
            8
        }
    };
    rounds.saturating_mul(macs * SUMS as u64)
}

#[target_feature(enable = "neon,i8mm")]
fn matrices(rounds: u64) {
    let (codes, q) = (vdupq_n_s8(2), vdupq_n_s8(3));
    let mut sums = [vdupq_n_s32(0); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = smmla(*sum, codes, q);
        }
    }
    black_box(sums);
}

#[target_feature(enable = "neon,dotprod")]
fn dots(rounds: u64) {
    let (codes, q) = (vdupq_n_s8(2), vdupq_n_s8(3));
    let mut sums = [vdupq_n_s32(0); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // SAFETY: this function has `dotprod`.
            *sum = unsafe { Sdot::add::<0>(*sum, codes, q) };
        }
    }
    black_box(sums);
}

#[target_feature(enable = "neon")]
fn halves(rounds: u64) {
    let (codes, q) = (vdup_n_s8(2), vdup_n_s8(3));
    let mut sums = [vdupq_n_s16(0); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // Written out, because the compiler would multiply the same operands only once.
            // SAFETY: the instruction touches the named registers only.
            unsafe {
                asm!(
                    "smlal {sum:v}.8h, {codes:v}.8b, {q:v}.8b",
                    sum = inout(vreg) *sum,
                    codes = in(vreg) codes,
                    q = in(vreg) q,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
}
