//! Ternary product over weights of 1.6 bits: five trits a byte, looked up instead of multiplied.
//!
//! The plugin implements the ternary product alone, on its own layout
//! ([`T5R128`](tritone_abi::layout::t5r128)); the loader lays it over the best complete kernel. It
//! reads a fifth fewer bytes a weight than `T2R32`, so it is for machines whose memory, not
//! arithmetic, is the limit.
//!
//! # How
//!
//! Five activations `a` make a table of what a byte of weights is worth. It is the sum of two
//! small ones, `n . (a0, a1, a2)` and `u . (a3, a4)` for the triple and the pair of a byte, which
//! fit the sixteen entries of a byte shuffle. Sums of five activations do not fit a byte, so each
//! activation is split, `a = lo + 16 hi` with both parts from -8 to 8: there is a table of each,
//! whose entries are at most 40 in magnitude. Three blocks add up in a byte, then sums are
//! widened. No step rounds.
//!
//! * `decode`: few tokens; tables of a row of activations, then one pass over the weights;
//! * `gemm`: many tokens; weights unpacked to a byte each, then byte dot products;
//! * `portable`, `avx2`, `avx512`, `neon`: the forms, one for each grade of processor, behind
//!   `form::Form`; they give the same bits;
//! * `forms`: the list of them, best first;
//! * `tables`, `widen`, `fold`: what the forms share, before, in and after the loops.
#![expect(
    unsafe_code,
    reason = "vector loads, and calls of functions with target features"
)]
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "the portable form needs only a part")
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod decode;
mod fold;
mod form;
mod forms;
mod gemm;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod tables;
#[cfg(target_arch = "x86_64")]
mod widen;

pub use kernel::Lut;

tritone_abi::export_kernel! {
    static KERNEL: Lut = Lut::best();
    symbol: tritone_kernel_lut,
    name: "lut",
    isa: "none; AVX2, AVX-512 VBMI, NEON if present",
    layout: tritone_abi::LayoutId::T5R128,
    row_align: 128,
    ops: tritone_abi::Ops::MATMUL,
}
