//! What models with recurrent layers and folded weights have besides (Ternary Bonsai 27B, Bonsai 2).

use tritone_formats::TensorType;
use tritone_formats::write::{GgufWriter, Strings, WriteError};

use super::{Content, Shape, Tensor};

/// Layers of gated DeltaNet, and attention with gates between them (arch `qwen35`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Hybrid {
    /// Layers of which the last has attention.
    pub(super) interval: usize,
    pub(super) key_heads: usize,
    pub(super) value_heads: usize,
    pub(super) head_dim: usize,
    /// Positions that the convolution sees.
    pub(super) taps: usize,
    /// Block of the Hadamard transform that weights are folded with.
    pub(super) block: Option<u32>,
}

/// Those of Qwen3.5 2B.
pub(super) const QWEN35: Hybrid = Hybrid {
    interval: 4,
    key_heads: 16,
    value_heads: 16,
    head_dim: 128,
    taps: 4,
    block: Some(1024),
};

/// Name, content, rows and columns.
pub(super) type Entry = (&'static str, Content, usize, usize);

impl Hybrid {
    /// Whether layer `number` is recurrent.
    pub(super) fn is_recurrent(&self, number: usize) -> bool {
        !(number + 1).is_multiple_of(self.interval)
    }

    fn inner(&self) -> usize {
        self.value_heads * self.head_dim
    }

    fn channels(&self) -> usize {
        2 * self.key_heads * self.head_dim + self.inner()
    }

    /// The tensors that a recurrent layer has in place of attention.
    pub(super) fn mixer(&self, hidden: usize, ternary: Content) -> Vec<Entry> {
        let (heads, inner, channels) = (self.value_heads, self.inner(), self.channels());
        let small = Content::Embedding;
        vec![
            ("attn_qkv", ternary, channels, hidden),
            ("attn_gate", ternary, inner, hidden),
            ("ssm_alpha", small(TensorType::Bf16), heads, hidden),
            ("ssm_beta", small(TensorType::Bf16), heads, hidden),
            ("ssm_conv1d", small(TensorType::F32), channels, self.taps),
            ("ssm_dt.bias", Content::ONES, 1, heads),
            ("ssm_a", Content::Constant(-0.1), 1, heads),
            ("ssm_norm", Content::ONES, 1, self.head_dim),
            ("ssm_out", ternary, hidden, inner),
        ]
    }

    /// Plans the keys that describe these layers and what is folded of `tensors`.
    pub(super) fn describe(
        &self,
        shape: &Shape,
        tensors: &[Tensor],
        plan: &mut GgufWriter,
    ) -> Result<(), WriteError> {
        let numbers = [
            ("full_attention_interval", self.interval),
            ("ssm.conv_kernel", self.taps),
            ("ssm.inner_size", self.inner()),
            ("ssm.state_size", self.head_dim),
            ("ssm.time_step_rank", self.value_heads),
            ("ssm.group_count", self.key_heads),
        ];
        for (key, number) in numbers {
            let key = format!("{}.{key}", shape.architecture);
            plan.metadata(&key, number as u32)?;
        }
        let Some(block) = self.block else {
            return Ok(());
        };
        let key = |name: &str| format!("prism.hadamard.{name}");
        let folded = tensors.iter().filter(|tensor| {
            matches!(tensor.content, Content::Ternary(_)) && tensor.name != "token_embd.weight"
        });
        let names: Vec<&str> = folded.clone().map(|tensor| tensor.name.as_str()).collect();
        let mut widths: Vec<usize> = folded.map(|tensor| tensor.columns).collect();
        widths.push(shape.hidden);
        widths.sort_unstable();
        widths.dedup();
        let values: Vec<i32> = widths.iter().flat_map(|width| signs(*width)).collect();
        let widths: Vec<u32> = widths.iter().map(|width| *width as u32).collect();
        plan.metadata(&key("version"), if shape.tied { 2u32 } else { 1 })?
            .metadata(&key("tied_output"), shape.tied)?
            .metadata(&key("block_size"), block)?
            .metadata(&key("transform"), "normalized-sylvester-walsh-hadamard")?
            .metadata(&key("axis"), "input-last-dimension")?
            .metadata(&key("sign_mode"), "explicit")?
            .metadata(&key("weight_names"), Strings(&names[..]))?
            .metadata(
                &key("inverse_weight_names"),
                Strings(&["token_embd.weight"][..]),
            )?
            .metadata(&key("sign_widths"), &widths[..])?
            .metadata(&key("sign_values"), &values[..])?
            .metadata(&key("gdn_v_grouped"), true)?;
        Ok(())
    }
}

/// Whether the name of a tensor of a layer is all of its name in the file.
pub(super) fn is_bare(name: &str) -> bool {
    matches!(name, "ssm_a" | "ssm_dt.bias")
}

/// Signs that look random, always the same.
fn signs(width: usize) -> impl Iterator<Item = i32> {
    // Knuth's multiplicative hash.
    let odd = |i: u32| i.wrapping_mul(2_654_435_761) >> 31;
    (1..=width as u32).map(move |i| 1 - 2 * odd(i) as i32)
}
