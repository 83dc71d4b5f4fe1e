use super::exp::{LEAST, exp};
use super::nucleus::Nucleus;
use super::peaks::{BLOCK, Peaks, each};
use super::philox::bits_at;
use super::{SampleError, Sampling, TokenMask};

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// The natural logarithm of its probability in the model's own distribution, before
    /// penalties, bias and temperature, if [`Sampling::logprobs`] asked for it.
    pub logprob: Option<f32>,
}

/// What may be chosen, beside what the settings say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Within<'a> {
    /// Only these tokens.
    pub allowed: Option<&'a TokenMask>,
    /// None of these.
    pub banned: &'a [u32],
}

/// Chooses tokens by fixed settings. It keeps buffers between calls, but nothing that a choice
/// depends on.
#[derive(Debug, Clone)]
pub struct Sampler {
    settings: Sampling,
    vocab: usize,
    peaks: Peaks,
    nucleus: Nucleus,
    window: Vec<u32>,
    /// Logits that were changed, as they were, in the order of the changes.
    changed: Vec<(u32, f32)>,
    /// The likeliest tokens of the last choice, with their logprobs.
    likeliest: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler for logits over `vocab` tokens.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range, or a bias is for a token outside the vocabulary.
    pub fn new(settings: Sampling, vocab: usize) -> Result<Self, SampleError> {
        settings.validate()?;
        let mut tokens = settings.logit_bias.iter().map(|&(token, _)| token);
        if let Some(token) = tokens.find(|&token| token as usize >= vocab) {
            return Err(SampleError::BiasToken { token, vocab });
        }
        let (window, changed) = (Vec::new(), Vec::new());
        Ok(Self {
            settings,
            vocab,
            peaks: Peaks::default(),
            nucleus: Nucleus::default(),
            window,
            changed,
            likeliest: Vec::new(),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Sampling {
        &self.settings
    }

    /// The likeliest tokens of the last choice and their logprobs, the likeliest first; as many as
    /// [`Sampling::top_logprobs`] asks for.
    pub fn likeliest(&self) -> &[(u32, f32)] {
        &self.likeliest
    }

    /// [`next_within`](Self::next_within) the whole vocabulary.
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn next(
        &mut self,
        logits: &mut [f32],
        position: u64,
        history: &[u32],
    ) -> Result<Choice, SampleError> {
        self.next_within(Within::default(), logits, position, history)
    }

    /// Chooses the token at `position` of its sequence among those that `within` leaves.
    ///
    /// Logprobs are those of the model, whatever may be chosen.
    ///
    /// `logits` holds one number per token of the vocabulary, minus infinity for a masked one; it
    /// is changed by penalties and bias. `history` is what the penalties look at, oldest first:
    /// usually prompt and answer so far.
    ///
    /// # Errors
    ///
    /// If the number of logits is wrong, one is NaN or plus infinity, or all are masked.
    pub fn next_within(
        &mut self,
        within: Within<'_>,
        logits: &mut [f32],
        position: u64,
        history: &[u32],
    ) -> Result<Choice, SampleError> {
        if logits.len() != self.vocab {
            return Err(SampleError::Length {
                logits: logits.len(),
                vocab: self.vocab,
            });
        }
        let total = if self.settings.logprobs {
            self.peaks.find(logits)?;
            let total = log_sum_exp(logits, self.peaks.max());
            let most = self.settings.top_logprobs as usize;
            self.peaks.likeliest(logits, most, &mut self.likeliest);
            for (_, logit) in &mut self.likeliest {
                *logit -= total;
            }
            Some(total)
        } else {
            None
        };
        self.changed.clear();
        self.penalise(logits, history);
        for &(token, bias) in &self.settings.logit_bias {
            let logit = &mut logits[token as usize];
            self.changed.push((token, *logit));
            *logit += bias;
        }
        for &token in within.banned {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        if let Some(allowed) = within.allowed {
            allowed.apply(logits);
        }
        self.peaks.find(logits)?;
        let token = if self.settings.temperature == 0.0 {
            self.peaks.best(logits)
        } else {
            let bits = bits_at(self.settings.seed, position);
            self.nucleus.draw(logits, &self.peaks, &self.settings, bits)
        };
        let logprob = total.map(|total| {
            let original = self.changed.iter().find(|&&(id, _)| id == token);
            original.map_or(logits[token as usize], |&(_, logit)| logit) - total
        });
        Ok(Choice { token, logprob })
    }

    fn penalise(&mut self, logits: &mut [f32], history: &[u32]) {
        let Sampling {
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
            ..
        } = self.settings;
        if repetition_penalty == 1.0 && frequency_penalty == 0.0 && presence_penalty == 0.0 {
            return;
        }
        let start = history
            .len()
            .saturating_sub(self.settings.repetition_window as usize);
        self.window.clear();
        self.window.extend_from_slice(&history[start..]);
        self.window.sort_unstable();
        for same in self.window.chunk_by(|a, b| a == b) {
            let Some(logit) = logits.get_mut(same[0] as usize) else {
                continue;
            };
            self.changed.push((same[0], *logit));
            if *logit > 0.0 {
                *logit /= repetition_penalty;
            } else {
                *logit *= repetition_penalty;
            }
            *logit -= same.len() as f32 * frequency_penalty + presence_penalty;
        }
    }
}

/// ln(sum of exp(logit)): in f64, in increasing order of ids. `max` is the greatest logit.
fn log_sum_exp(logits: &[f32], max: f32) -> f32 {
    let mut sum = 0.0;
    let (whole, rest) = logits.as_chunks::<BLOCK>();
    for block in whole {
        let distances = each(block, |logit| logit - max);
        // Both have the same bits, and the first has a bounded range.
        let chances = if distances.iter().all(|&distance| distance >= LEAST) {
            each(&distances, exp)
        } else {
            distances.map(libm::expf)
        };
        sum = chances.iter().fold(sum, |sum, &c| sum + f64::from(c));
    }
    for &logit in rest {
        sum += f64::from(libm::expf(logit - max));
    }
    max + libm::log(sum) as f32
}
