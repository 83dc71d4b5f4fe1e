/// Why settings or logits were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A setting is outside its range.
    #[error("{name} is {value}: expected {expected}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What it was.
        value: f32,
        /// Its range.
        expected: &'static str,
    },
    /// A logit bias is for a token outside the vocabulary.
    #[error("logit_bias names token {token}, but the vocabulary ends at {}", vocab.saturating_sub(1))]
    BiasToken {
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocab: usize,
    },
    /// There is not one logit per token.
    #[error("{logits} logits came for a vocabulary of {vocab} tokens")]
    Length {
        /// Logits given.
        logits: usize,
        /// Tokens in the vocabulary.
        vocab: usize,
    },
    /// A logit is not a number, or infinite: the model's arithmetic went wrong.
    #[error("the logit of token {token} is {value}: the model's output is broken")]
    BrokenLogit {
        /// The first such token.
        token: usize,
        /// NaN or infinity.
        value: f32,
    },
    /// Every token is masked.
    #[error("every token is masked: none can be chosen")]
    AllMasked,
}

/// How the next token is chosen.
///
/// The default is what 2B4T was published with: temperature 0.6 and `top_p` 0.9.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the best token. 0, or 0.001 to 100.
    pub temperature: f32,
    /// Keeps the `top_k` best tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the fewest best tokens whose probabilities reach this sum; 1 keeps all. Above 0.
    pub top_p: f32,
    /// Keeps tokens at least this probable, relative to the best one. 0 to 1.
    pub min_p: f32,
    /// Divides positive logits of tokens in the window, multiplies negative ones; 1 does nothing.
    /// 0.01 to 100.
    pub repetition_penalty: f32,
    /// How many of the last tokens the three penalties look at.
    pub repetition_window: u32,
    /// Taken off a token's logit for every time it is in the window. -100 to 100.
    pub frequency_penalty: f32,
    /// Taken off a token's logit once if it is in the window. -100 to 100.
    pub presence_penalty: f32,
    /// Chooses among the answers that chance allows.
    pub seed: u64,
    /// Added to the logits of single tokens, in this order. -1000 to 1000, or minus infinity to
    /// ban one.
    pub logit_bias: Vec<(u32, f32)>,
    /// Whether to work out [`Choice::logprob`](super::Choice::logprob), which costs an
    /// exponential for every token of the vocabulary.
    pub logprobs: bool,
    /// With [`logprobs`](Self::logprobs): how many of the likeliest tokens are told with every choice.
    pub top_logprobs: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.6,
            top_k: 0,
            top_p: 0.9,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 256,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            seed: 0,
            logit_bias: Vec::new(),
            logprobs: false,
            top_logprobs: 0,
        }
    }
}

impl Sampling {
    /// Always the best token; the lower id of equals.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            ..Self::default()
        }
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`SampleError::Setting`] names the first that is outside.
    pub fn validate(&self) -> Result<(), SampleError> {
        let penalty = -100.0..=100.0;
        let checks = [
            (
                "temperature",
                self.temperature,
                self.temperature == 0.0 || (0.001..=100.0).contains(&self.temperature),
                "0 for the best token, or 0.001 to 100",
            ),
            (
                "top_p",
                self.top_p,
                self.top_p > 0.0 && self.top_p <= 1.0,
                "above 0, at most 1",
            ),
            (
                "min_p",
                self.min_p,
                (0.0..=1.0).contains(&self.min_p),
                "0 to 1",
            ),
            (
                "repetition_penalty",
                self.repetition_penalty,
                (0.01..=100.0).contains(&self.repetition_penalty),
                "0.01 to 100, where 1 does nothing",
            ),
            (
                "frequency_penalty",
                self.frequency_penalty,
                penalty.contains(&self.frequency_penalty),
                "-100 to 100",
            ),
            (
                "presence_penalty",
                self.presence_penalty,
                penalty.contains(&self.presence_penalty),
                "-100 to 100",
            ),
        ];
        let bias = self.logit_bias.iter().map(|&(_, bias)| {
            let fits = (-1000.0..=1000.0).contains(&bias) || bias == f32::NEG_INFINITY;
            ("logit_bias", bias, fits, "-1000 to 1000, or minus infinity")
        });
        match checks
            .into_iter()
            .chain(bias)
            .find(|&(_, _, fits, _)| !fits)
        {
            Some((name, value, _, expected)) => Err(SampleError::Setting {
                name,
                value,
                expected,
            }),
            None => Ok(()),
        }
    }
}
