//! A short generation, checked: the same for every strategy.

use std::time::{Duration, Instant};

use serde::Serialize;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Input, Request};

use crate::answer::Answer;
use crate::error::StrategyError;
use crate::ledger::median;

/// What is asked.
const PROMPTS: [&str; 3] = [
    "Say hello.",
    "What is the capital of France?",
    "Count from one to ten.",
];

/// Tokens of an answer.
const TOKENS: usize = 24;

/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One prompt and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// What was asked.
    pub prompt: String,
    /// What was answered.
    pub text: String,
    /// Tokens of the answer.
    pub tokens: usize,
    /// From asking to the first token, in seconds.
    pub first_token_s: f64,
    /// Tokens a second after the first; 0 where there are fewer than two.
    pub decode_rate: f64,
}

/// What a strategy answered to the prompts that all are tried with.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trial {
    /// The prompts, as far as they were answered.
    pub tried: Vec<Tried>,
    /// The first prompt, asked again, was answered with the same text. `None` where it was not asked again.
    pub repeats: Option<bool>,
    /// Resident memory of what runs the model, in bytes, where it can be known.
    pub resident_bytes: Option<u64>,
    /// What is wrong; empty if everything is as it should be.
    pub faults: Vec<String>,
}

impl Trial {
    /// Asks all prompts, greedily, and the first of them again.
    pub fn of(
        generate: &dyn Fn(Request) -> Result<Answer, StrategyError>,
        resident_bytes: Option<u64>,
    ) -> Self {
        let mut trial = Self {
            resident_bytes,
            ..Self::default()
        };
        for prompt in PROMPTS {
            match ask(generate, prompt) {
                Ok(tried) => {
                    if tried.text.trim().is_empty() {
                        trial.faults.push(format!("'{prompt}' got an empty answer"));
                    }
                    if tried.tokens > TOKENS {
                        let text = format!(
                            "'{prompt}' got {} tokens where {TOKENS} were allowed",
                            tried.tokens
                        );
                        trial.faults.push(text);
                    }
                    trial.tried.push(tried);
                }
                Err(error) => {
                    trial.faults.push(format!("'{prompt}' failed: {error}"));
                    return trial;
                }
            }
        }
        match ask(generate, PROMPTS[0]) {
            Ok(again) => {
                let same = trial.tried.first().map(|first| first.text == again.text);
                trial.repeats = same;
            }
            Err(error) => trial.faults.push(format!(
                "'{}' failed when it was asked again: {error}",
                PROMPTS[0]
            )),
        }
        trial
    }

    /// Whether everything is as it should be. That an answer is not repeated is no fault: only some promise it.
    #[must_use]
    pub fn works(&self) -> bool {
        self.faults.is_empty()
    }

    /// From asking to the first token, in seconds: the median.
    #[must_use]
    pub fn first_token_s(&self) -> Option<f64> {
        median(self.tried.iter().map(|tried| tried.first_token_s))
    }

    /// Tokens a second after the first: the median.
    #[must_use]
    pub fn decode_rate(&self) -> Option<f64> {
        let rates = self.tried.iter().map(|tried| tried.decode_rate);
        median(rates.filter(|rate| *rate > 0.0))
    }

    /// Whether every prompt that both were asked got the same text; `None` where there is none.
    #[must_use]
    pub fn same_text(&self, other: &Self) -> Option<bool> {
        let mut pairs = self.tried.iter().zip(&other.tried).peekable();
        pairs.peek()?;
        Some(pairs.all(|(a, b)| a.text.trim() == b.text.trim()))
    }
}

fn ask(
    generate: &dyn Fn(Request) -> Result<Answer, StrategyError>,
    prompt: &str,
) -> Result<Tried, StrategyError> {
    let message = Message::new(Role::User, prompt.to_owned());
    let request = Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(TOKENS),
        // What was kept of an earlier trial would make the first token come sooner.
        keep: false,
        ..Request::new(Input::Chat(vec![message]))
    };
    let answer = generate(request)?;
    let (text, finished) = answer.wait(Some(Instant::now() + PATIENCE))?;
    Ok(Tried {
        prompt: prompt.to_owned(),
        text,
        tokens: finished.timings.generated_tokens,
        first_token_s: finished.timings.first_token.as_secs_f64(),
        decode_rate: finished.timings.decode_rate(),
    })
}
