//! Kernel for x86-64 processors with AVX-512 (F, BW and VL), and faster still with VNNI.
//!
//! The crate is compiled for the baseline instruction set; only the loops carry
//! `#[target_feature]`, and they are reached with an `isa::Isa` in hand, which exists only where
//! the processor and the operating system support them. Loops that multiply bytes exist twice,
//! with `vpdpbusd` and with `vpmaddubsw`; see `dot`.
//!
//! * `decode`: the ternary product of one to three tokens, a linear stream over the weights;
//! * `gemm`: the ternary product of many tokens, in register tiles over unpacked weights;
//! * `fold`: from exact integer sums to scaled outputs, for both;
//! * `head`: logits of a quantised head;
//! * `probe`: loops that measure what the instruction set can reach;
//! * `lanes`: the sixteen virtual lanes of [`tritone_abi::numerics`] in one register.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "vector loads, and calls of functions with target features"
    )
)]

#[cfg(target_arch = "x86_64")]
mod decode;
#[cfg(target_arch = "x86_64")]
mod dot;
#[cfg(target_arch = "x86_64")]
mod fold;
#[cfg(target_arch = "x86_64")]
mod gemm;
#[cfg(target_arch = "x86_64")]
mod head;
#[cfg(target_arch = "x86_64")]
mod isa;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod probe;
mod rows;

#[cfg(target_arch = "x86_64")]
type Here = tritone_simd::SimdKernel<kernel::Avx512>;
#[cfg(target_arch = "x86_64")]
const HERE: Here = Here::new();

#[cfg(not(target_arch = "x86_64"))]
type Here = tritone_simd::Elsewhere;
#[cfg(not(target_arch = "x86_64"))]
const HERE: Here = Here::new(facts, "x86-64");

tritone_abi::export_kernel! {
    static KERNEL: Here = HERE;
    symbol: tritone_kernel_avx512,
    name: "avx512",
    isa: "AVX-512 F+BW+VL, VNNI if present",
    layout: tritone_abi::LayoutId::T2R32,
    row_align: 32,
    ops: tritone_abi::Ops::ALL
        .with(tritone_abi::Ops::PROBE)
        .with(tritone_abi::Ops::FUSED),
}
