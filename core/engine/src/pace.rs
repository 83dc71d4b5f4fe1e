//! How many prompt tokens a step may read while answers are being written.
//!
//! Every token of a prompt that joins a step makes the running answers wait longer for their next
//! token. From the times of past steps this bounds the chunk so that a step stays within the
//! profile's target. It changes when work is done, never its result.

use std::time::Duration;

/// A prompt always gets on by this much: a target that cannot be met must not starve it.
const LEAST: usize = 16;
/// Weight of the newest observation.
const NEW: f64 = 0.3;

/// What steps cost, learnt from those that were run.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    target: Option<f64>,
    /// Seconds of a step that only decodes.
    decode: Option<f64>,
    /// Seconds that a token of a prompt adds.
    prompt: Option<f64>,
}

impl Pace {
    /// A pace for steps of at most `target`; `None` bounds nothing.
    pub(crate) fn new(target: Option<Duration>) -> Self {
        Self {
            target: target.map(|target| target.as_secs_f64()),
            decode: None,
            prompt: None,
        }
    }

    /// The target.
    pub(crate) fn target(&self) -> Option<Duration> {
        self.target.map(Duration::from_secs_f64)
    }

    /// Prompt tokens for a step in which `decoding` answers get their next token: at most `most`.
    pub(crate) fn chunk(&self, decoding: usize, most: usize) -> usize {
        let Some(target) = self.target.filter(|_| decoding > 0) else {
            return most;
        };
        let fitting = match (self.decode, self.prompt) {
            (Some(decode), Some(prompt)) => (target - decode) / prompt,
            // Nothing is known yet: find out with a small step.
            _ => 0.0,
        };
        // As a cast does it: what is negative or no number becomes 0.
        (fitting as usize).max(LEAST).min(most)
    }

    /// Takes note of a step that decoded for `decoding` answers and read `prompt` tokens.
    pub(crate) fn learn(&mut self, decoding: usize, prompt: usize, took: Duration) {
        let took = took.as_secs_f64();
        if prompt == 0 {
            blend(&mut self.decode, took);
            return;
        }
        let decode = if decoding > 0 {
            self.decode.unwrap_or(0.0)
        } else {
            0.0
        };
        // A shorter step than decoding alone is chance; time never runs backwards.
        let rest = (took - decode).max(took * 0.01);
        blend(&mut self.prompt, rest / prompt as f64);
    }
}

fn blend(known: &mut Option<f64>, new: f64) {
    *known = Some(known.map_or(new, |known| known + NEW * (new - known)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_chunk_fills_what_decoding_leaves_of_the_target() {
        let mut pace = Pace::new(Some(100 * MS));
        assert_eq!(pace.chunk(2, 256), LEAST, "nothing known");
        for _ in 0..40 {
            pace.learn(2, 0, 20 * MS);
            pace.learn(2, 40, 60 * MS);
        }
        // (100 - 20) ms at 1 ms a token.
        assert!((79..=80).contains(&pace.chunk(2, 256)));
        assert_eq!(pace.chunk(2, 50), 50, "never more than the profile's chunk");
        assert_eq!(pace.chunk(2, 5), 5);
        assert_eq!(pace.chunk(0, 256), 256, "nobody waits");
    }

    #[test]
    fn a_target_out_of_reach_does_not_starve_a_prompt() {
        let mut pace = Pace::new(Some(MS));
        pace.learn(1, 0, 50 * MS);
        pace.learn(1, 16, 70 * MS);
        assert_eq!(pace.chunk(1, 256), LEAST);
        let mut free = Pace::new(None);
        free.learn(1, 0, 50 * MS);
        assert_eq!(free.chunk(1, 256), 256);
    }

    #[test]
    fn the_pace_follows_the_machine() {
        let mut pace = Pace::new(Some(100 * MS));
        pace.learn(0, 100, 100 * MS);
        pace.learn(1, 0, 20 * MS);
        let quiet = pace.chunk(1, 256);
        for _ in 0..20 {
            pace.learn(1, 40, 20 * MS + 160 * MS);
        }
        assert!(pace.chunk(1, 256) < quiet / 2, "four times as slow");
    }
}
