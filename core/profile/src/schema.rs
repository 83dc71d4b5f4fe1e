//! A complete profile.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Every setting, after all layers; the ranges are those of [`KEYS`](crate::KEYS).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name shown to the user.
    pub name: String,
    /// One sentence about the profile.
    pub description: String,
    /// Worker threads wanted; the CPU quota may lower them.
    pub threads: usize,
    /// Limit on the resident memory of the process, in MiB.
    pub memory_mb: u64,
    /// What to favour.
    pub priority: Priority,
    /// Sequences decoded together.
    pub batch: usize,
    /// Longest context of one sequence, in tokens.
    pub context: usize,
    /// Element type of the KV cache.
    pub kv_type: KvType,
    /// Element type of the output head.
    pub head: Head,
    /// Kernel to prefer by name, or `auto`.
    pub kernel: String,
    /// Where packed weights are kept between two starts: `auto`, `off`, or a directory.
    pub pack_cache: String,
    /// Lock weights, head and KV cache into memory.
    pub mlock: bool,
    /// Prompt tokens worked through between two decode steps.
    pub prefill_chunk: usize,
    /// Time between two tokens of a running answer that prefill should not exceed, in ms.
    pub inter_token_target_ms: u64,
    /// Advice for the user.
    pub tips: Vec<String>,
    /// What the server takes on.
    pub admission: Admission,
    /// What the monitor does.
    pub monitor: Monitor,
    /// When the monitor raises an alert.
    pub alerts: Alerts,
}

impl Profile {
    /// [`memory_mb`](Self::memory_mb) in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_mb.saturating_mul(1 << 20)
    }
}

/// Limits on the requests that are waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// Requests that may wait.
    pub queue_max: usize,
    /// Prompt and answer tokens that all waiting requests together may ask for.
    pub queued_tokens_max: u64,
    /// Longest answer of one request, in tokens.
    pub max_output_tokens: usize,
    /// Longest wait, in ms.
    pub queue_timeout_ms: u64,
}

/// What the monitor does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// Time between two samples, in ms.
    pub interval_ms: u64,
}

/// Thresholds beyond which the monitor raises an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Resident memory, in MiB.
    pub memory_mb: u64,
    /// CPU use of the allowed processors, in percent.
    pub cpu_percent: f64,
    /// Decode speed in tokens per second; the alert is for less than this.
    pub min_tokens_per_second: f64,
    /// Failed requests, in percent.
    pub error_rate_percent: f64,
    /// Time to the first token, in ms.
    pub latency_ms: u64,
}

/// Declares an enum that is written as a lower-case word in profiles.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word that profiles may use, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word in profiles.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a profile favours.
    Priority {
        /// A quick first token and a smooth answer for one user.
        Latency = "latency",
        /// Work per watt and per byte of memory.
        Efficiency = "efficiency",
        /// Tokens per second over all requests.
        Throughput = "throughput",
        /// Steady service for as many requests as memory allows.
        Scalability = "scalability",
    }
}

words! {
    /// Element type of the KV cache.
    KvType {
        /// IEEE half precision.
        F16 = "f16",
        /// 8 bits with a scale for every position: half the memory.
        Q8 = "q8",
        /// Single precision: twice the memory, to compare with other programs.
        F32 = "f32",
    }
}

words! {
    /// Element type of the output head.
    Head {
        /// IEEE half precision: the reference.
        F16 = "f16",
        /// 8 bits.
        Q8 = "q8",
        /// 6 bits.
        Q6 = "q6",
        /// 4 bits.
        Q4 = "q4",
        /// 4 bits, and the best rows computed again in half precision.
        Q4Exact = "q4+exact",
        /// The ternary weights of the file, for models that store their head so.
        Ternary = "ternary",
        /// `ternary` for models that store their head so, `f16` for all others.
        Auto = "auto",
    }
}

/// Sequences decoded together under a memory limit, where the profile does not say:
/// `max(1, (memory_mb - 400) / 50)`.
///
/// 400 MiB stand for the weights of a small model, 50 MiB for one sequence's KV cache.
pub fn default_batch(memory_mb: u64) -> usize {
    usize::try_from(memory_mb.saturating_sub(400) / 50)
        .unwrap_or(usize::MAX)
        .max(1)
}
