//! The result for a text, for people and as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use tritone_engine::{Forms, Model, kv_name};

use super::score::Scorer;
use super::stats::{Distance, Perplexity};
use crate::cli::setup::Setup;
use crate::view::format;

/// Everything there is to say.
pub(super) struct Report<'a> {
    pub(super) model: &'a Model,
    pub(super) setup: &'a Setup,
    pub(super) scorer: &'a Scorer,
    /// Windows that were scored, and all of the text.
    pub(super) windows: (usize, usize),
    pub(super) size: usize,
    pub(super) stride: Option<u32>,
    /// Tokens of the scored windows.
    pub(super) tokens: usize,
    pub(super) text: &'a Perplexity,
    pub(super) distance: Option<&'a Distance>,
    /// What was compared with.
    pub(super) against: Option<String>,
    pub(super) complete: bool,
    pub(super) took: Duration,
    pub(super) notes: &'a [String],
}

impl Report<'_> {
    /// Prints it.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, &self.json()).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            out.write_all(self.people().as_bytes())?;
        }
        Ok(())
    }

    /// All but `run` is the same on every kernel, thread count and machine.
    fn json(&self) -> Value {
        let (bytes, words) = self.text.amounts();
        let mut object = json!({
            "perplexity": self.text.value(),
            "perplexity_error": self.text.error(),
            "nats_per_token": self.text.surprise.mean(),
            "nats_per_token_error": self.text.surprise.error(),
            "bits_per_byte": self.text.bits_per_byte(),
            "bits_per_word": self.text.bits_per_word(),
            "scored": {
                "tokens": self.text.surprise.count(),
                "bytes": bytes,
                "words": words,
                "windows": self.windows.0,
            },
            "windows": self.windows.1,
            "window_tokens": self.size,
            "stride": self.stride,
            "complete": self.complete,
            "model": {
                "name": self.model.recipe().name,
                "source": self.model.source(),
                "content_id": self.model.content_id(),
            },
            "head": self.setup.forms(self.model).head.name(),
            "kv": kv_name(self.setup.forms(self.model).kv),
            "notices": self.notes,
            "run": {
                "kernel": self.scorer.runner().kernel().facts().name,
                "threads": self.scorer.runner().threads(),
                "seconds": self.took.as_secs_f64(),
                "tokens_per_second": self.tokens as f64 / self.took.as_secs_f64().max(1e-9),
            },
        });
        if let Some(distance) = self.distance {
            let [median, most_90, most_99, largest] = distance.quantiles(SHARES);
            let (same, same_error) = distance.same();
            object["against"] = json!({
                "name": self.against,
                "perplexity": distance.base.value(),
                "perplexity_error": distance.base.error(),
                "divergence": distance.divergence.mean(),
                "divergence_error": distance.divergence.error(),
                "divergence_median": median,
                "divergence_90_percent": most_90,
                "divergence_99_percent": most_99,
                "divergence_largest": largest,
                "same_first_choice": same,
                "same_first_choice_error": same_error,
                "ln_perplexity_ratio": distance.ratio.mean(),
                "ln_perplexity_ratio_error": distance.ratio.error(),
                "probability_shift": distance.shift(),
            });
        }
        object
    }

    fn people(&self) -> String {
        let text = self.text;
        let mut out = String::new();
        let error = |error: Option<f64>, digits: usize| {
            error.map_or_else(String::new, |error| format!(" ± {error:.digits$}"))
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "perplexity {:.4}{}: {} tokens scored in {} of {} windows of {} tokens{}",
            text.value(),
            error(text.error(), 4),
            text.surprise.count(),
            self.windows.0,
            self.windows.1,
            self.size,
            if self.complete {
                ""
            } else {
                " before it was cancelled"
            },
        );
        let nats = text.surprise.mean();
        let _ = write!(
            out,
            "{nats:.5}{} nats a token",
            error(text.surprise.error(), 5)
        );
        if let Some(bits) = text.bits_per_byte() {
            let _ = write!(out, ", {bits:.4} bits a byte");
        }
        if let Some(bits) = text.bits_per_word() {
            let _ = write!(out, ", {bits:.3} bits a word");
        }
        out.push('\n');
        if let Some(distance) = self.distance {
            let [median, _, most_99, largest] = distance.quantiles(SHARES);
            let (same, same_error) = distance.same();
            let against = self.against.as_deref().unwrap_or_default();
            let _ = writeln!(
                out,
                "against {}: perplexity {:.4}{}, ln of the ratio {:.5}{}",
                crate::cli::console::visible(against),
                distance.base.value(),
                error(distance.base.error(), 4),
                distance.ratio.mean(),
                error(distance.ratio.error(), 5),
            );
            let _ = writeln!(
                out,
                "divergence {:.6}{} nats (median {median:.6}, 99 % within {most_99:.5}, largest \
                 {largest:.4})",
                distance.divergence.mean(),
                error(distance.divergence.error(), 6),
            );
            let _ = writeln!(
                out,
                "same first choice {:.3} % ± {:.3} %, probability of the next token off by {:.3} % \
                 (root mean square)",
                100.0 * same,
                100.0 * same_error,
                100.0 * distance.shift(),
            );
        }
        let rate = self.tokens as f64 / self.took.as_secs_f64().max(1e-9);
        let _ = writeln!(
            out,
            "{} tokens in {:.1} s, {} a second; kernel {}, {} threads, {}",
            self.tokens,
            self.took.as_secs_f64(),
            format::rate(rate),
            self.scorer.runner().kernel().facts().name,
            self.scorer.runner().threads(),
            forms(self.setup.forms(self.model)),
        );
        out
    }
}

/// Median and tail.
const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];

/// Forms of head and cache for people.
pub(super) fn forms(forms: Forms) -> String {
    format!("head {}, KV {}", forms.head, kv_name(forms.kv))
}
