//! The part of a SIMD kernel that is the same on every vector unit, written once over sixteen
//! lanes.
//!
//! A plugin brings three things:
//!
//! * a [`Simd`] type, the proof that the processor has its features: sixteen lanes of f32 in as
//!   many registers as it takes, and [`Simd::run`], the one function with `#[target_feature]`;
//! * a [`Backend`]: what depends on the instruction set, which is everything that multiplies
//!   bytes;
//! * `export_kernel!` of a [`SimdKernel`] over the two, which checks all arguments and does the
//!   rest of a decoder step.
//!
//! # How the loops get their features
//!
//! Nothing here is compiled for a feature. Each operation is an [`Op`] whose body, like every
//! function below it and every method of the lanes, is `#[inline(always)]`; [`Simd::run`] is
//! compiled for the features, so the whole loop is inlined into it and compiled with them.
//! Functions in the loops take no closures over lanes: a closure cannot be `#[inline(always)]`,
//! and one that is not inlined would call its instructions one by one.
//!
//! # Bits
//!
//! Every operation of the lanes is the IEEE operation of its name, lane by lane, and the loops
//! repeat the definitions of [`tritone_abi::numerics`] and [`tritone_abi::AttendArgs`] in their
//! order.
#![expect(
    unsafe_code,
    reason = "attention reads pages and scratch memory through pointers"
)]

mod attend;
mod backend;
mod elsewhere;
mod exp;
mod fused;
mod gate;
mod head;
mod kernel;
mod lanes;
mod norm;
mod quantize;
mod rope;

pub use backend::Backend;
pub use elsewhere::Elsewhere;
pub use kernel::SimdKernel;
pub use lanes::{Floats, Ints, Op, Simd};
