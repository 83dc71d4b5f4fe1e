//! The engine: from a model file to a stream of tokens.
//!
//! ```text
//! file -> formats -> Model (recipe, tokenizer, template) -> Runner (packed weights, KV cache,
//!         thread team, one step at a time) -> logits -> sample -> Engine (requests, events)
//! ```
//!
//! One direction, no call back up. [`Engine`] is what programs use; [`Runner`] is the layer below
//! for those who want logits (measurements, comparisons). The engine never names an instruction
//! set: the kernel arrives as an `Arc<dyn Kernel>`.
//!
//! # Invariants
//!
//! * **One answer**: the logits of a position depend on the model and the tokens before it, bit
//!   for bit, and on nothing else: not on the kernel, the number of threads, the chunks of the
//!   prompt or the other sequences of a batch.
//! * A step allocates nothing and takes no lock.
//! * No part of this crate prints, exits the process or talks to a network.

pub mod api;
mod bytes;
mod constraint;
mod embed;
mod engine;
mod error;
mod exec;
mod files;
mod fit;
mod forms;
mod kept;
mod map;
mod model;
mod outlet;
mod pace;
mod pack_writer;
mod plan;
mod recipe;
mod reconfigure;
mod reshape;
mod runner;
pub mod sample;
mod schedule;
mod serve;
mod tally;
pub mod text;
mod weights;

pub use api::{
    Cancel, EngineOptions, EngineStatus, Event, FinishReason, Finished, Generation, Handle, Input,
    Likelihood, LoadProgress, LoadReport, LoadedFrom, ModelSource, PackCache, PackState,
    PackStatus, PartReport, Request, Sink, Timings,
};
pub use bytes::PageBytes;
pub use constraint::{Constraint, Grammar};
pub use embed::{EmbedRequest, Embedding, PendingEmbedding, Pooling};
pub use engine::{Engine, ModelInfo};
pub use error::{GenerateError, LoadError, StepError};
pub use exec::step::{Slice, Want, tile_rows};
pub use exec::{KvShape, Pages};
pub use files::open_gguf;
pub use fit::Fit;
pub use forms::{Forms, Head, kv_name};
pub use map::ModelBytes;
pub use model::Model;
pub use plan::{Capacity, MemoryPlan, human_bytes};
pub use recipe::{
    Experts, FeedForwardKind, Hadamard, LayerKind, MixerKind, Recipe, Recurrent, Rope, RopeScaling,
};
pub use runner::{Runner, RunnerOptions};
pub use tally::{Counters, SequenceStatus, StepTimes};
pub use weights::packs;
