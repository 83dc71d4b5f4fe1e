//! Layers whose past is a state of fixed size: gated DeltaNet (Yang et al. 2024, arXiv 2412.06464).

use tritone_formats::GgufFile;

use super::MixerKind;

/// Sizes of the recurrent layers of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values, a multiple of `key_heads`: head `h` goes with key head `h % key_heads`.
    pub value_heads: usize,
    /// Values of a head of queries, keys or values; a multiple of 16.
    pub head_dim: usize,
    /// Positions that the convolution in front of the state sees, the newest included.
    pub taps: usize,
}

impl Recurrent {
    /// Width of all queries (or keys) of a position.
    #[must_use]
    pub fn key_width(&self) -> usize {
        self.key_heads * self.head_dim
    }

    /// Width of all values of a position.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.value_heads * self.head_dim
    }

    /// Channels of the convolution: queries, keys and values.
    #[must_use]
    pub fn channels(&self) -> usize {
        2 * self.key_width() + self.inner()
    }

    /// Floats of the states of one layer and sequence.
    #[must_use]
    pub fn state_floats(&self) -> usize {
        self.inner() * self.head_dim
    }

    /// Floats of the positions that the convolution of one layer and sequence still needs.
    #[must_use]
    pub fn window_floats(&self) -> usize {
        (self.taps - 1) * self.channels()
    }

    /// Weights of a layer that are neither ternary nor norms of the residual stream: decay and write
    /// strength of every value head, convolution, and the norm of the heads.
    #[must_use]
    pub fn float_weights(&self, hidden: usize) -> usize {
        2 * self.value_heads * (hidden + 1) + self.taps * self.channels() + self.head_dim
    }

    /// Reads `ARCH.ssm.*`.
    pub(super) fn from_gguf<B: AsRef<[u8]>>(
        file: &GgufFile<B>,
        architecture: &str,
    ) -> Result<Self, String> {
        let size = |name: &str, most: usize| -> Result<usize, String> {
            let key = format!("{architecture}.ssm.{name}");
            let value: usize = file.require(&key).map_err(|e| e.to_string())?;
            match value {
                0 => Err(format!("{key} is 0")),
                _ if value > most => Err(format!("{key} is {value}; expected 1 to {most}")),
                _ => Ok(value),
            }
        };
        let recurrent = Self {
            key_heads: size("group_count", 1024)?,
            value_heads: size("time_step_rank", 1024)?,
            head_dim: size("state_size", 1024)?,
            taps: size("conv_kernel", 16)?,
        };
        let Self {
            key_heads,
            value_heads,
            head_dim,
            ..
        } = recurrent;
        if !value_heads.is_multiple_of(key_heads) {
            return Err(format!(
                "{architecture}.ssm.group_count: {key_heads} key heads do not divide \
                 {value_heads} value heads"
            ));
        }
        if !head_dim.is_multiple_of(16) {
            return Err(format!(
                "{architecture}.ssm.state_size is {head_dim}; expected a multiple of 16"
            ));
        }
        let inner = size("inner_size", 1 << 20)?;
        if inner != recurrent.inner() {
            return Err(format!(
                "{architecture}.ssm.inner_size is {inner}; {value_heads} heads of {head_dim} make {}",
                recurrent.inner()
            ));
        }
        Ok(recurrent)
    }
}

/// What mixes positions in each of `layers` layers of a hybrid model.
pub(super) fn mixers<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    layers: usize,
) -> Result<Vec<MixerKind>, String> {
    let kind = |recurrent: bool| match recurrent {
        true => MixerKind::Recurrent,
        false => MixerKind::Attention,
    };
    let text = |e: tritone_formats::GgufError| e.to_string();
    let key = format!("{architecture}.attention.recurrent_layers");
    if file.get(&key).is_some() {
        let flags: Vec<bool> = file.require(&key).map_err(text)?;
        if flags.len() < layers {
            let count = flags.len();
            return Err(format!(
                "{key} has {count} entries; the model has {layers} layers"
            ));
        }
        return Ok(flags.into_iter().take(layers).map(kind).collect());
    }
    let key = format!("{architecture}.full_attention_interval");
    let interval: usize = file.value(&key).map_err(text)?.unwrap_or(4);
    if interval == 0 {
        return Err(format!("{key} is 0"));
    }
    let layers = 1..=layers;
    Ok(layers
        .map(|layer| kind(!layer.is_multiple_of(interval)))
        .collect())
}
