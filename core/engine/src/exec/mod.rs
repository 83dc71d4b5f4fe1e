//! The threads of the engine and the memory they share: the one place below the kernels where
//! `unsafe` is allowed.
//!
//! A step is SPMD: every thread of the [`team`] runs the same program ([`step`]), claims units
//! of work from a counter and meets the others at barriers. What a phase writes, only the next
//! phase reads; that *phase rule* is what makes the unchecked access to [`shared`] buffers sound,
//! and each block that relies on it says so.
#![expect(
    unsafe_code,
    reason = "threads share buffers whose disjointness the phase rule provides"
)]

mod barrier;
pub(crate) mod clock;
pub(crate) mod delta;
mod hadamard;
mod kv;
mod rope;
mod shared;
mod state;
pub(crate) mod step;
mod sync;
pub(crate) mod team;

pub(crate) use hadamard::Transform;
pub(crate) use kv::KvCache;
pub use kv::{KvShape, Pages};
pub(crate) use rope::RopeTables;
pub(crate) use shared::AlignedBuf;
pub(crate) use state::{Snapshot, States};
pub(crate) use step::step_bytes;
