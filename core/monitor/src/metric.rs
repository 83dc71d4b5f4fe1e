//! What is measured.

/// In what a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Per cent.
    Percent,
    /// Tokens a second.
    TokensPerSecond,
    /// A number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Watts.
    Watts,
    /// Joules.
    Joules,
}

impl Unit {
    /// The unit behind a number, for people; empty for counts.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Bytes => "B",
            Self::Percent => "%",
            Self::TokensPerSecond => "tok/s",
            Self::Count => "",
            Self::Milliseconds => "ms",
            Self::Watts => "W",
            Self::Joules => "J",
        }
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $unit:ident, $label:literal;)*) => {
        /// A quantity of a [`Sample`](crate::Sample).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// Every metric, in the order in which they are written.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name in JSON and CSV.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// In what it is measured.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self {
                    $(Self::$variant => Unit::$unit,)*
                }
            }

            /// Name for people.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

metrics! {
    /// Resident memory of the process.
    Resident = "resident_bytes", Bytes, "resident memory";
    /// What the resident memory may be: the profile's limit.
    ResidentLimit = "resident_limit_bytes", Bytes, "memory limit";
    /// CPU time of everybody on the allowed CPUs, or of the control group within its quota.
    Cpu = "cpu_percent", Percent, "CPU";
    /// CPU time of this process, of the same whole.
    CpuProcess = "cpu_process_percent", Percent, "CPU of tritone";
    /// Tokens generated in a second of decoding; absent when nothing was decoded.
    DecodeRate = "decode_tokens_per_second", TokensPerSecond, "decode";
    /// Prompt tokens computed in a second of prefill; absent when nothing was.
    PrefillRate = "prefill_tokens_per_second", TokensPerSecond, "prefill";
    /// Tokens generated in the interval.
    DecodeTokens = "decode_tokens", Count, "generated tokens";
    /// Prompt tokens computed in the interval.
    PrefillTokens = "prefill_tokens", Count, "prompt tokens";
    /// Prompt tokens found in the KV cache in the interval.
    CachedTokens = "cached_tokens", Count, "cached tokens";
    /// Share of the interval's prompt tokens that were found in the KV cache.
    CacheHits = "cache_hit_percent", Percent, "cache hits";
    /// Sequences in the running batch.
    Active = "active_sequences", Count, "active sequences";
    /// Requests waiting.
    Queued = "queued_requests", Count, "queued requests";
    /// KV pages in use, cached prefixes included.
    KvUsed = "kv_pages_used", Count, "KV pages used";
    /// KV pages there are.
    KvPages = "kv_pages", Count, "KV pages";
    /// Bytes of the KV pages in use.
    KvBytes = "kv_bytes_used", Bytes, "KV cache";
    /// Requests that ended by themselves in the interval.
    Finished = "requests_finished", Count, "finished requests";
    /// Requests that failed in the interval.
    Failed = "requests_failed", Count, "failed requests";
    /// Requests that were cancelled in the interval.
    Cancelled = "requests_cancelled", Count, "cancelled requests";
    /// Time to the first token of the answers that began in the interval, on average.
    FirstToken = "first_token_ms", Milliseconds, "time to first token";
    /// Time between two tokens of an answer, on average.
    TokenLatency = "token_latency_ms", Milliseconds, "time per token";
    /// Power of the processor.
    Power = "power_watts", Watts, "power";
    /// Energy a generated or computed token took.
    TokenEnergy = "joules_per_token", Joules, "energy per token";
    /// Share of the steps' time in ternary products.
    StepMatmul = "step_matmul_percent", Percent, "step: matmul";
    /// Share of the steps' time in attention.
    StepAttention = "step_attention_percent", Percent, "step: attention";
    /// Share of the steps' time in the output head.
    StepHead = "step_head_percent", Percent, "step: head";
    /// Share of the steps' time in everything else, and between steps in choosing tokens.
    StepOther = "step_other_percent", Percent, "step: other";
}

/// How many metrics there are.
pub(crate) const METRICS: usize = Metric::ALL.len();

impl Metric {
    /// The metric of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|metric| metric.name() == name)
    }

    /// Whether it counts what happened in an interval, so that values of several intervals add up.
    #[must_use]
    pub fn adds_up(self) -> bool {
        matches!(
            self,
            Self::DecodeTokens
                | Self::PrefillTokens
                | Self::CachedTokens
                | Self::Finished
                | Self::Failed
                | Self::Cancelled
        )
    }

    /// Its place in a sample.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (at, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), at);
            assert_eq!(Metric::named(metric.name()), Some(*metric));
        }
        assert_eq!(Metric::named("at"), None);
    }
}
