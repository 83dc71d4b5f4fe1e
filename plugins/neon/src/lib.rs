//! Kernel for aarch64 processors: 128-bit NEON, with the dot products of `dotprod` and the matrix
//! products of `i8mm` where they are there.
//!
//! The crate is compiled for the baseline instruction set. What is beyond it stands in functions
//! with `#[target_feature]`, which are reached with an `isa::Isa` in hand that found the feature.
//! The two instructions are written as assembler because their intrinsics are not stable.
//!
//! * `dot`: products of codes with activations, by `sdot` or by widening multiplication;
//! * `decode`: the ternary product of one to four tokens, a linear stream over the weights;
//! * `gemm`, `mmla`: the ternary product of many tokens, in register tiles over unpacked weights;
//! * `fold`: from exact integer sums to scaled outputs, for all of them;
//! * `head`: logits of a quantised head;
//! * `probe`: loops that measure what the instruction set can reach;
//! * `lanes`: the sixteen virtual lanes of [`tritone_abi::numerics`] in four registers.
#![cfg_attr(
    target_arch = "aarch64",
    expect(
        unsafe_code,
        reason = "vector loads, assembler, and calls of functions with target features"
    )
)]

#[cfg(target_arch = "aarch64")]
mod decode;
#[cfg(target_arch = "aarch64")]
mod dot;
#[cfg(target_arch = "aarch64")]
mod fold;
#[cfg(target_arch = "aarch64")]
mod gemm;
#[cfg(target_arch = "aarch64")]
mod head;
#[cfg(target_arch = "aarch64")]
mod isa;
#[cfg(target_arch = "aarch64")]
mod kernel;
#[cfg(target_arch = "aarch64")]
mod lanes;
#[cfg(target_arch = "aarch64")]
mod mmla;
#[cfg(target_arch = "aarch64")]
mod probe;

#[cfg(target_arch = "aarch64")]
type Here = tritone_simd::SimdKernel<kernel::Neon>;
#[cfg(target_arch = "aarch64")]
const HERE: Here = Here::new();

#[cfg(not(target_arch = "aarch64"))]
type Here = tritone_simd::Elsewhere;
#[cfg(not(target_arch = "aarch64"))]
const HERE: Here = Here::new(facts, "aarch64");

tritone_abi::export_kernel! {
    static KERNEL: Here = HERE;
    symbol: tritone_kernel_neon,
    name: "neon",
    isa: "NEON, dotprod and i8mm if present",
    layout: tritone_abi::LayoutId::T2R32,
    row_align: 32,
    ops: tritone_abi::Ops::ALL
        .with(tritone_abi::Ops::PROBE)
        .with(tritone_abi::Ops::FUSED),
}
