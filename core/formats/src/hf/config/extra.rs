//! What some classes have besides: windows, scales, divisors of angles.

use super::{Class, Raw, RopeParameters, RopeScaling};

/// The value of a key of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::hf) enum Value {
    Number(u32),
    Float(f64),
    Flags(Vec<bool>),
}

/// Keys without the architecture, and their values.
type Keys = Vec<(&'static str, Value)>;

/// What Gemma 3 divides scores by the root of, and how its windows are laid out, if nothing is said.
const GEMMA_SCALAR: f64 = 256.0;
const GEMMA_PERIOD: u32 = 6;
const GEMMA_LOCAL_THETA: f64 = 10_000.0;

impl Raw {
    /// The keys that other classes do without.
    pub(super) fn keys(
        &self,
        class: &Class,
        local: Option<&RopeParameters>,
    ) -> Result<Keys, String> {
        match class.architecture {
            "gemma3" => self.gemma3(local),
            "minicpm" => self.minicpm(),
            _ => Ok(Vec::new()),
        }
    }

    fn gemma3(&self, local: Option<&RopeParameters>) -> Result<Keys, String> {
        if self.use_bidirectional_attention == Some(true) {
            return Err("attention in both directions is not supported".to_owned());
        }
        let caps = [self.attn_logit_softcapping, self.final_logit_softcapping];
        if caps.iter().flatten().any(|cap| *cap != 0.0) {
            return Err("caps of logits (softcapping) are not supported".to_owned());
        }
        let scalar = self.query_pre_attn_scalar.unwrap_or(GEMMA_SCALAR);
        let scale = positive("query_pre_attn_scalar", scalar)?.sqrt().recip();
        let mut keys = vec![("attention.scale", Value::Float(scale))];
        let layers = self.num_hidden_layers;
        let flags: Vec<bool> = match &self.layer_types {
            Some(types) => {
                let flag = |kind: &String| match kind.as_str() {
                    "sliding_attention" => Ok(true),
                    "full_attention" => Ok(false),
                    other => Err(format!(
                        "layer type '{}' is unknown",
                        other.escape_default()
                    )),
                };
                types.iter().map(flag).collect::<Result<_, _>>()?
            }
            None => {
                let period = self.sliding_window_pattern.unwrap_or(GEMMA_PERIOD);
                if period == 0 {
                    return Err("sliding_window_pattern is 0".to_owned());
                }
                (1..=layers).map(|i| !i.is_multiple_of(period)).collect()
            }
        };
        if flags.len() != layers as usize {
            let count = flags.len();
            return Err(format!("layer_types is about {count} of {layers} layers"));
        }
        if let Some(window) = self.sliding_window.filter(|window| *window > 0) {
            let theta = local.and_then(|local| local.rope_theta);
            let theta = theta.or(self.rope_local_base_freq);
            let theta = positive("rope_local_base_freq", theta.unwrap_or(GEMMA_LOCAL_THETA))?;
            keys.extend([
                ("attention.sliding_window", Value::Number(window)),
                ("attention.sliding_window_pattern", Value::Flags(flags)),
                ("rope.freq_base_swa", Value::Float(theta)),
            ]);
        }
        Ok(keys)
    }

    fn minicpm(&self) -> Result<Keys, String> {
        let number = |key, value: Option<f64>| positive(key, value.unwrap_or(1.0));
        let depth = number("scale_depth", self.scale_depth)?;
        let base = number("dim_model_base", self.dim_model_base)?;
        Ok(vec![
            (
                "embedding_scale",
                Value::Float(number("scale_emb", self.scale_emb)?),
            ),
            (
                "residual_scale",
                Value::Float(depth / f64::from(self.num_hidden_layers).sqrt()),
            ),
            (
                "logit_scale",
                Value::Float(f64::from(self.hidden_size) / base),
            ),
        ])
    }
}

impl RopeParameters {
    /// Divisors of the angles of `pairs` pairs, for a context of `context`.
    pub(super) fn longrope(&self, pairs: u32, context: u32) -> Result<RopeScaling, String> {
        let divisors = |key: &str, list: &Option<Vec<f64>>| -> Result<Vec<f32>, String> {
            let list = list.as_deref().unwrap_or_default();
            let sound = list.iter().all(|x| x.is_finite() && *x > 0.0);
            if list.len() != pairs as usize || !sound {
                let count = list.len();
                return Err(format!(
                    "{key} has {count} numbers; expected {pairs}, each more than 0"
                ));
            }
            Ok(list.iter().map(|x| *x as f32).collect())
        };
        let original = self.original_max_position_embeddings.unwrap_or(context);
        if original < 2 {
            return Err(format!("original_max_position_embeddings is {original}"));
        }
        let (first, longer) = (f64::from(original), f64::from(context.max(original)));
        let gain = (1.0 + (longer / first).ln() / first.ln()).sqrt();
        let gain = positive("attention_factor", self.attention_factor.unwrap_or(gain))?;
        Ok(RopeScaling::Factors {
            short: divisors("short_factor", &self.short_factor)?,
            long: divisors("long_factor", &self.long_factor)?,
            original,
            gain,
        })
    }
}

fn positive(key: &str, value: f64) -> Result<f64, String> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(format!("{key} is {value}, which makes no sense"))
    }
}
