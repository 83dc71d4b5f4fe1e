//! What was measured, as data.

use serde::{Deserialize, Serialize};
use tritone_abi::Kernel;
use tritone_engine::Model;
use tritone_machine::Machine;

use super::compare::Comparison;
use super::stats::Measured;

/// Everything a run of `bench` found, and what it takes to do it again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// [`Document::SCHEMA`](super::rows::Document::SCHEMA).
    pub(super) schema: String,
    #[serde(flatten)]
    pub(super) facts: Facts,
    pub(super) settings: Settings,
    /// One entry for every kernel, head and number of threads.
    pub(super) results: Vec<Results>,
    /// Against an earlier report, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comparison: Option<Comparison>,
}

/// What a report is about; the same for all kinds of reports.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Version of the program.
    pub(super) tritone: String,
    /// Seconds since 1970 at the start.
    pub(super) unix_time: u64,
    /// The same as a date.
    pub(super) date: String,
    pub(super) machine: MachineFacts,
    /// The first of `kernels`.
    pub(super) kernel: KernelFacts,
    pub(super) kernels: Vec<KernelFacts>,
    pub(super) model: ModelFacts,
    /// The processors that threads were kept on, in order; empty when they were not kept.
    pub(super) pinned: Vec<usize>,
    /// Ctrl+C ended the run early.
    pub(super) interrupted: bool,
    /// What a reader should know before believing a number.
    pub(super) notes: Vec<String>,
}

/// The machine, as far as it matters for speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MachineFacts {
    pub(super) cpu: String,
    pub(super) arch: String,
    pub(super) isa: Vec<String>,
    pub(super) physical_cores: usize,
    pub(super) logical_cpus: usize,
    pub(super) usable_threads: usize,
    pub(super) cpu_quota: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) caches: Vec<String>,
    pub(super) os: String,
}

impl MachineFacts {
    pub(super) fn new(machine: &Machine) -> Self {
        Self {
            cpu: machine.cpu.clone(),
            arch: machine.arch.to_owned(),
            isa: machine.isa.iter().map(|&name| name.to_owned()).collect(),
            physical_cores: machine.physical_cores,
            logical_cpus: machine.logical_cpus,
            usable_threads: machine.usable_threads,
            cpu_quota: machine.cpu_quota.as_ref().map(ToString::to_string),
            memory_bytes: machine.memory.total_bytes,
            caches: machine.caches.iter().map(ToString::to_string).collect(),
            os: tritone_machine::operating_system(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KernelFacts {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) build_id: String,
    pub(super) isa: String,
    pub(super) layout: String,
}

impl KernelFacts {
    pub(super) fn new(kernel: &dyn Kernel) -> Self {
        let facts = kernel.facts();
        Self {
            name: facts.name.clone(),
            version: facts.version.clone(),
            build_id: facts.build_id.clone(),
            isa: facts.isa.clone(),
            layout: facts.layout.name().to_owned(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ModelFacts {
    pub(super) source: String,
    /// What is in the file, whatever it is called.
    pub(super) content_id: String,
    pub(super) name: String,
    pub(super) architecture: String,
    pub(super) file_bytes: u64,
    pub(super) parameters: u64,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) ffn: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) vocab: usize,
    pub(super) ternary_macs_per_token: u64,
    /// Packed ternary weights in memory, head and its form, of the first entry of the results.
    pub(super) weights_bytes: u64,
    pub(super) head_format: String,
    pub(super) head_bytes: u64,
}

impl ModelFacts {
    /// The facts, with nothing in memory yet.
    pub(super) fn new(model: &Model) -> Self {
        let recipe = model.recipe();
        Self {
            source: model.source().to_owned(),
            content_id: model.content_id(),
            name: recipe.name.clone(),
            architecture: recipe.architecture.clone(),
            file_bytes: model.file_bytes(),
            parameters: recipe.parameters(),
            layers: recipe.layers.len(),
            hidden: recipe.hidden,
            ffn: recipe.ffn,
            heads: recipe.heads,
            kv_heads: recipe.kv_heads,
            head_dim: recipe.head_dim,
            vocab: recipe.vocab,
            ternary_macs_per_token: recipe.ternary_macs(),
            weights_bytes: 0,
            head_format: String::new(),
            head_bytes: 0,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) kernels: Vec<String>,
    pub(super) heads: Vec<String>,
    pub(super) threads: Vec<usize>,
    pub(super) prompt: usize,
    pub(super) generate: usize,
    pub(super) contexts: Vec<usize>,
    pub(super) batches: Vec<usize>,
    pub(super) mixed: Option<usize>,
    pub(super) repeat: usize,
    pub(super) prefill_chunk: usize,
    pub(super) read_buffer_bytes: usize,
    pub(super) prefetch_bytes: Vec<usize>,
}

/// What was measured in one way to run the model.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) kernel: String,
    pub(super) head: String,
    pub(super) threads: usize,
    pub(super) load_seconds: f64,
    /// Packed ternary weights in memory.
    pub(super) weights_bytes: u64,
    pub(super) head_bytes: u64,
    /// Best streaming read, GB/s.
    pub(super) read_gb_per_s: Measured,
    /// The prefetch distances that were best, one a repetition.
    pub(super) best_prefetch_bytes: Vec<usize>,
    /// Int8 multiply-adds on registers, 10^9/s.
    pub(super) int8_gmac_per_s: Measured,
    pub(super) prefill: Option<Prefill>,
    pub(super) decode: Vec<Decode>,
    pub(super) batch: Vec<Batch>,
    pub(super) mixed: Option<Mixed>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prefill {
    pub(super) tokens: usize,
    pub(super) tokens_per_s: Measured,
    /// Ternary multiply-adds, 10^9/s.
    pub(super) gmac_per_s: Measured,
    /// Of the int8 peak measured in the same repetition.
    pub(super) share_of_int8: Measured,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decode {
    /// Tokens in the cache before the first one.
    pub(super) context: usize,
    pub(super) tokens: usize,
    /// Weights, head, keys and values that one token reads, on average.
    pub(super) bytes_per_token: f64,
    pub(super) tokens_per_s: Measured,
    /// Bytes a token times tokens a second, GB/s.
    pub(super) gb_per_s: Measured,
    /// Of the streaming read measured in the same repetition.
    pub(super) share_of_read: Measured,
}

/// Sequences decoded together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) sequences: usize,
    /// Tokens in the cache of each before the first one.
    pub(super) context: usize,
    /// Of all together.
    pub(super) tokens_per_s: Measured,
    pub(super) tokens_per_s_each: Measured,
    /// Of all together, against one sequence alone in the same repetition.
    pub(super) times_one: Measured,
    /// Ternary multiply-adds, of the int8 peak measured in the same repetition.
    pub(super) share_of_int8: Measured,
    /// Weights, head, keys and values, of the streaming read measured in the same repetition.
    pub(super) share_of_read: Measured,
}

/// What reading a prompt does to sequences that are being decoded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mixed {
    pub(super) decoders: usize,
    /// Tokens in the cache of each decoder before the first one.
    pub(super) context: usize,
    /// Tokens of the prompt, and of each piece it is read in.
    pub(super) prompt: usize,
    pub(super) chunk: usize,
    /// Time between two tokens of a decoder, with nothing else to do.
    pub(super) alone: Gaps,
    /// The same while the prompt is read.
    pub(super) reading: Gaps,
}

/// Times between tokens in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gaps {
    /// Median of each repetition.
    pub(super) p50_ms: Measured,
    /// The time that 95 % of the gaps of each repetition stay below.
    pub(super) p95_ms: Measured,
    /// All gaps, by repetition.
    pub(super) ms: Vec<Vec<f64>>,
}
