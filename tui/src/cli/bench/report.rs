//! What was measured, as data.

use serde::Serialize;
use tritone_machine::Machine;

/// Everything a run of `bench` found, and what it takes to do it again.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Version of the program.
    pub(super) tritone: &'static str,
    /// Seconds since 1970 at the start.
    pub(super) unix_time: u64,
    pub(super) machine: Machine,
    pub(super) kernel: KernelFacts,
    pub(super) model: ModelFacts,
    pub(super) settings: Settings,
    pub(super) results: Vec<Results>,
    /// Ctrl+C ended the run early.
    pub(super) interrupted: bool,
    /// What a reader should know before believing a number.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct KernelFacts {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) build_id: String,
    pub(super) isa: String,
    pub(super) layout: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct ModelFacts {
    pub(super) source: String,
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
    /// Packed ternary weights in memory.
    pub(super) weights_bytes: u64,
    pub(super) head_format: String,
    pub(super) head_bytes: u64,
    pub(super) ternary_macs_per_token: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) threads: Vec<usize>,
    pub(super) prompt: usize,
    pub(super) generate: usize,
    pub(super) contexts: Vec<usize>,
    pub(super) repeat: usize,
    pub(super) prefill_chunk: usize,
    pub(super) read_buffer_bytes: usize,
    pub(super) prefetch_bytes: Vec<usize>,
}

/// What was measured with one number of threads.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    pub(super) threads: usize,
    pub(super) load_seconds: f64,
    /// Best streaming read, GB/s.
    pub(super) read_gb_per_s: Measured,
    /// The prefetch distances that were best, one a repetition.
    pub(super) best_prefetch_bytes: Vec<usize>,
    /// Int8 multiply-adds on registers, 10^9/s.
    pub(super) int8_gmac_per_s: Measured,
    pub(super) prefill: Prefill,
    pub(super) decode: Vec<Decode>,
}

#[derive(Debug, Serialize)]
pub(super) struct Prefill {
    pub(super) tokens: usize,
    pub(super) tokens_per_s: Measured,
    /// Ternary multiply-adds, 10^9/s.
    pub(super) gmac_per_s: Measured,
    /// Of the int8 peak measured in the same repetition.
    pub(super) share_of_int8: Measured,
}

#[derive(Debug, Serialize)]
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

/// A number that was measured several times, or why it was not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Measured {
    Samples {
        median: f64,
        min: f64,
        max: f64,
        samples: Vec<f64>,
    },
    Missing {
        missing: String,
    },
}

/// Why a number is missing that Ctrl+C came before.
const NOT_REACHED: &str = "not measured: interrupted";

impl Measured {
    /// Summarises samples; none at all is said to be an interruption.
    pub(super) fn new(samples: Vec<f64>) -> Self {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Self::missing(NOT_REACHED);
        };
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Self::Samples {
            median: (sorted[low] + sorted[high]) / 2.0,
            min: *min,
            max: *max,
            samples,
        }
    }

    pub(super) fn missing(why: impl Into<String>) -> Self {
        Self::Missing {
            missing: why.into(),
        }
    }

    /// Every sample times `factor`.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Samples { samples, .. } => {
                Self::new(samples.iter().map(|sample| sample * factor).collect())
            }
            Self::Missing { .. } => self.clone(),
        }
    }

    /// Every sample as a share of the limit of the same repetition. The machine may change from
    /// one repetition to the next, so a ratio of medians would compare different machines.
    pub(super) fn share_of(&self, limit: &Self) -> Self {
        match (self, limit) {
            (
                Self::Samples { samples, .. },
                Self::Samples {
                    samples: limits, ..
                },
            ) => Self::new(samples.iter().zip(limits).map(|(a, b)| a / b).collect()),
            (Self::Missing { .. }, _) => self.clone(),
            (_, Self::Missing { .. }) => limit.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(measured: &Measured) -> (f64, f64, f64) {
        match measured {
            Measured::Samples {
                median, min, max, ..
            } => (*median, *min, *max),
            Measured::Missing { missing } => panic!("{missing}"),
        }
    }

    #[test]
    fn samples_are_summarised() {
        let odd = Measured::new(vec![3.0, 1.0, 2.0]);
        assert_eq!(summary(&odd), (2.0, 1.0, 3.0));
        let even = Measured::new(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!(summary(&even), (2.5, 1.0, 4.0));
        assert_eq!(summary(&odd.scaled(2.0)), (4.0, 2.0, 6.0));
    }

    #[test]
    fn shares_compare_samples_of_one_repetition() {
        let rate = Measured::new(vec![10.0, 40.0, 30.0]);
        let limit = Measured::new(vec![20.0, 50.0, 100.0]);
        assert_eq!(summary(&rate.share_of(&limit)), (0.5, 0.3, 0.8));
        // The third repetition was interrupted.
        let short = Measured::new(vec![20.0, 50.0]);
        assert_eq!(summary(&rate.share_of(&short)), (0.65, 0.5, 0.8));
        let missing = Measured::missing("no such loop");
        assert_eq!(rate.share_of(&missing), missing);
        assert_eq!(
            Measured::new(vec![]).share_of(&limit),
            Measured::new(vec![])
        );
    }
}
