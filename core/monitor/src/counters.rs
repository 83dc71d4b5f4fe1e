//! Counters that only grow, and what they say about an interval.

use std::time::Duration;

use crate::metric::Metric;
use crate::sample::Sample;

/// Time of steps by what it was spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepShares {
    /// Ternary products.
    pub matmul: Duration,
    /// Attention, and the KV cache.
    pub attention: Duration,
    /// The output head.
    pub head: Duration,
    /// Everything else, choosing tokens between steps included.
    pub other: Duration,
}

/// What an engine has done since it was started. Everything only grows, until it starts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Tokens of prompts that were computed.
    pub prefill_tokens: u64,
    /// Tokens of prompts that were found in the KV cache.
    pub cached_tokens: u64,
    /// Tokens that were generated.
    pub decode_tokens: u64,
    /// Requests that ended by themselves.
    pub finished: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that somebody cancelled.
    pub cancelled: u64,
    /// Answers whose first token has come.
    pub first_tokens: u64,
    /// From submission to the first token, all those answers together.
    pub first_token_time: Duration,
    /// Time of steps that computed tokens of a prompt.
    pub prefill_time: Duration,
    /// Time of steps that computed the next token of an answer, and of choosing it.
    pub decode_time: Duration,
    /// Where the time of steps went.
    pub step: StepShares,
    /// Energy of the processor in microjoules, where the system tells.
    pub energy: Option<u64>,
}

impl Counters {
    /// What was added since `earlier`. A counter that is lower now was started anew, and what it shows
    /// is what was added.
    fn since(&self, earlier: &Self) -> Self {
        let count = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
        let time = |now: Duration, then: Duration| now.checked_sub(then).unwrap_or(now);
        Self {
            prefill_tokens: count(self.prefill_tokens, earlier.prefill_tokens),
            cached_tokens: count(self.cached_tokens, earlier.cached_tokens),
            decode_tokens: count(self.decode_tokens, earlier.decode_tokens),
            finished: count(self.finished, earlier.finished),
            failed: count(self.failed, earlier.failed),
            cancelled: count(self.cancelled, earlier.cancelled),
            first_tokens: count(self.first_tokens, earlier.first_tokens),
            first_token_time: time(self.first_token_time, earlier.first_token_time),
            prefill_time: time(self.prefill_time, earlier.prefill_time),
            decode_time: time(self.decode_time, earlier.decode_time),
            step: StepShares {
                matmul: time(self.step.matmul, earlier.step.matmul),
                attention: time(self.step.attention, earlier.step.attention),
                head: time(self.step.head, earlier.step.head),
                other: time(self.step.other, earlier.step.other),
            },
            // A meter that wraps around or starts anew has lost what was added.
            energy: match (self.energy, earlier.energy) {
                (Some(now), Some(then)) => now.checked_sub(then),
                _ => None,
            },
        }
    }
}

/// Makes rates of counters.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    earlier: Option<Counters>,
}

impl Rates {
    /// Writes into `sample` what happened in its interval, at the end of which the counters stand at
    /// `now`. The first time there is nothing to compare with, and nothing is written.
    pub fn fill(&mut self, sample: &mut Sample, now: Counters) {
        let Some(earlier) = self.earlier.replace(now) else {
            return;
        };
        let added = now.since(&earlier);
        let mut count = |metric, count: u64| sample.set(metric, count as f64);
        count(Metric::DecodeTokens, added.decode_tokens);
        count(Metric::PrefillTokens, added.prefill_tokens);
        count(Metric::CachedTokens, added.cached_tokens);
        count(Metric::Finished, added.finished);
        count(Metric::Failed, added.failed);
        count(Metric::Cancelled, added.cancelled);

        let prompt = added.prefill_tokens.saturating_add(added.cached_tokens);
        sample.set_known(
            Metric::CacheHits,
            share(added.cached_tokens as f64, prompt as f64),
        );
        sample.set_known(
            Metric::DecodeRate,
            ratio(added.decode_tokens, added.decode_time),
        );
        sample.set_known(
            Metric::PrefillRate,
            ratio(added.prefill_tokens, added.prefill_time),
        );
        let answers = sample.get(Metric::Active).unwrap_or(1.0).max(1.0);
        sample.set_known(
            Metric::TokenLatency,
            ratio(added.decode_tokens, added.decode_time).map(|rate| 1000.0 * answers / rate),
        );
        if added.first_tokens > 0 {
            sample.set(
                Metric::FirstToken,
                1000.0 * added.first_token_time.as_secs_f64() / added.first_tokens as f64,
            );
        }
        let step = added.step;
        let parts = [
            (Metric::StepMatmul, step.matmul),
            (Metric::StepAttention, step.attention),
            (Metric::StepHead, step.head),
            (Metric::StepOther, step.other),
        ];
        let all: f64 = parts.iter().map(|(_, time)| time.as_secs_f64()).sum();
        for (metric, time) in parts {
            sample.set_known(metric, share(time.as_secs_f64(), all));
        }
        if let Some(energy) = added.energy
            && sample.span > 0
        {
            // Microjoules by milliseconds are milliwatts.
            sample.set(Metric::Power, energy as f64 / sample.span as f64 / 1000.0);
            let tokens = added.decode_tokens.saturating_add(added.prefill_tokens);
            if tokens > 0 {
                sample.set(Metric::TokenEnergy, energy as f64 / 1e6 / tokens as f64);
            }
        }
    }
}

/// `part` of `whole` in per cent; `None` of nothing.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

/// Things a second; `None` for none of them, or in no time.
fn ratio(count: u64, time: Duration) -> Option<f64> {
    (count > 0 && !time.is_zero()).then(|| count as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counters(scale: u64) -> Counters {
        let time = |ms| Duration::from_millis(ms * scale);
        Counters {
            prefill_tokens: 100 * scale,
            cached_tokens: 300 * scale,
            decode_tokens: 20 * scale,
            finished: 2 * scale,
            failed: scale,
            cancelled: 0,
            first_tokens: 2 * scale,
            first_token_time: time(600),
            prefill_time: time(500),
            decode_time: time(400),
            step: StepShares {
                matmul: time(600),
                attention: time(150),
                head: time(200),
                other: time(50),
            },
            energy: Some(30_000_000 * scale),
        }
    }

    fn sample(rates: &mut Rates, now: Counters) -> Sample {
        let mut sample = Sample::new(10_000, 1000);
        rates.fill(&mut sample, now);
        sample
    }

    #[test]
    fn rates_are_differences() {
        let mut rates = Rates::default();
        assert_eq!(sample(&mut rates, counters(5)).get(Metric::Finished), None);
        let sample = sample(&mut rates, counters(6));
        for (metric, value) in [
            (Metric::DecodeTokens, 20.0),
            (Metric::PrefillTokens, 100.0),
            (Metric::CacheHits, 75.0),
            (Metric::DecodeRate, 50.0),
            (Metric::PrefillRate, 200.0),
            (Metric::TokenLatency, 20.0),
            (Metric::FirstToken, 300.0),
            (Metric::Finished, 2.0),
            (Metric::Failed, 1.0),
            (Metric::Cancelled, 0.0),
            (Metric::StepMatmul, 60.0),
            (Metric::StepAttention, 15.0),
            (Metric::StepHead, 20.0),
            (Metric::StepOther, 5.0),
            (Metric::Power, 30.0),
            (Metric::TokenEnergy, 0.25),
        ] {
            assert_eq!(sample.get(metric), Some(value), "{metric:?}");
        }
    }

    #[test]
    fn an_engine_that_starts_anew_counts_from_nothing() {
        let mut rates = Rates::default();
        sample(&mut rates, counters(7));
        let sample = sample(&mut rates, counters(1));
        assert_eq!(sample.get(Metric::DecodeTokens), Some(20.0));
        assert_eq!(sample.get(Metric::DecodeRate), Some(50.0));
        assert_eq!(sample.get(Metric::Power), None, "a meter that went back");
    }

    #[test]
    fn idle_has_no_rates() {
        let mut rates = Rates::default();
        sample(&mut rates, counters(1));
        let sample = sample(&mut rates, counters(1));
        assert_eq!(sample.get(Metric::DecodeRate), None);
        assert_eq!(sample.get(Metric::StepMatmul), None);
        assert_eq!(sample.get(Metric::DecodeTokens), Some(0.0));
        assert_eq!(sample.get(Metric::Power), Some(0.0));
    }

    proptest! {
        #[test]
        fn any_counters_make_sound_samples(pairs in prop::collection::vec(any::<[u64; 8]>(), 1..20)) {
            let mut rates = Rates::default();
            for [a, b, c, d, e, f, g, h] in pairs {
                let now = Counters {
                    prefill_tokens: a,
                    cached_tokens: b,
                    decode_tokens: c,
                    first_tokens: d,
                    first_token_time: Duration::from_nanos(e),
                    prefill_time: Duration::from_nanos(f),
                    decode_time: Duration::from_nanos(g),
                    step: StepShares { matmul: Duration::from_nanos(h), ..StepShares::default() },
                    energy: Some(h),
                    ..Counters::default()
                };
                let mut sample = Sample::new(h, a);
                rates.fill(&mut sample, now);
                for &metric in Metric::ALL {
                    prop_assert!(sample.get(metric).is_none_or(|v| v.is_finite() && v >= 0.0));
                }
                for share in [Metric::CacheHits, Metric::StepMatmul] {
                    prop_assert!(sample.get(share).is_none_or(|v| v <= 100.0));
                }
            }
        }
    }
}
