//! Numbers that values are multiplied with on their way through the layers.

use tritone_formats::{GgufError, GgufFile};

use super::Recipe;

/// What an architecture multiplies with where its files do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scaling {
    /// Nothing.
    Plain,
    /// Embeddings by the root of their width, scores by that of a head (Gemma).
    Gemma,
    /// Embeddings, results of layers and logits (MiniCPM: Hu et al. 2024).
    MiniCpm,
}

/// Width of the model that MiniCPM's sizes were tuned from, and its other factors.
const MINICPM_BASE: f32 = 256.0;
const MINICPM_EMBEDDING: f32 = 12.0;
const MINICPM_DEPTH: f32 = 1.4;

impl Recipe {
    /// Sets the factors, which are 1 so far.
    pub(super) fn read_scales<B: AsRef<[u8]>>(
        &mut self,
        file: &GgufFile<B>,
        scaling: Scaling,
    ) -> Result<(), String> {
        let number = |key: &str| -> Result<Option<f32>, String> {
            let key = format!("{}.{key}", self.architecture);
            let value: Option<f32> = file.value(&key).map_err(|e: GgufError| e.to_string())?;
            match value {
                Some(value) if !(value.is_finite() && value > 0.0) => {
                    Err(format!("{key} is {value}, which makes no sense"))
                }
                value => Ok(value),
            }
        };
        let (hidden, layers) = (self.hidden as f32, self.layers.len() as f32);
        let (embedding, residual, logits) = match scaling {
            Scaling::Plain => (1.0, 1.0, 1.0),
            Scaling::Gemma => (hidden.sqrt(), 1.0, 1.0),
            Scaling::MiniCpm => (
                MINICPM_EMBEDDING,
                MINICPM_DEPTH / layers.sqrt(),
                hidden / MINICPM_BASE,
            ),
        };
        if scaling == Scaling::MiniCpm {
            self.embedding_scale = number("embedding_scale")?.unwrap_or(embedding);
            self.residual_scale = number("residual_scale")?.unwrap_or(residual);
            self.logit_scale = 1.0 / number("logit_scale")?.unwrap_or(logits);
        } else {
            self.embedding_scale = embedding;
        }
        if scaling == Scaling::Gemma {
            // The 27B divides by the width that is left for a head, not by the head's own.
            if let Some(scale) = number("attention.scale")? {
                self.attention_scale = scale;
            } else if self.layers.len() == GEMMA_27B_LAYERS {
                self.attention_scale = 1.0 / (hidden / self.heads as f32).sqrt();
            }
            for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
                if number(cap).is_ok_and(|cap| cap.is_some()) {
                    return Err(format!("{}.{cap} is not supported", self.architecture));
                }
            }
        }
        Ok(())
    }
}

/// Files of Gemma 3 27B do not say what scores are divided by.
const GEMMA_27B_LAYERS: usize = 62;
