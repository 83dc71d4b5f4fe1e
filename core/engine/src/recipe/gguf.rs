//! A recipe out of the metadata of a GGUF file.

use tritone_formats::codec::Span;
use tritone_formats::{GgufFile, TensorType, TensorView};

use crate::embed::Pooling;

use super::{
    FeedForwardKind, Hadamard, LayerKind, MixerKind, Recipe, Recurrent, experts, family, recurrent,
    rope,
};

impl Recipe {
    /// Reads the recipe of a GGUF file.
    ///
    /// # Errors
    /// The key or tensor that is missing or makes no sense, with what was expected.
    pub fn from_gguf<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Self, String> {
        let text = |e: tritone_formats::GgufError| e.to_string();
        let architecture: &str = file.require("general.architecture").map_err(text)?;
        let family = family::find(architecture)?;
        let size = |key: &str, most: usize| -> Result<usize, String> {
            let key = format!("{architecture}.{key}");
            let value: usize = file.require(&key).map_err(text)?;
            if value == 0 || value > most {
                return Err(format!("{key} is {value}; expected 1 to {most}"));
            }
            Ok(value)
        };
        let optional = |key: &str| -> Result<Option<usize>, String> {
            file.value(&format!("{architecture}.{key}")).map_err(text)
        };
        let mut notices = Vec::new();
        let blocks = size("block_count", 1024)?;
        let ahead = optional("nextn_predict_layers")?.unwrap_or(0);
        let layers = blocks.checked_sub(ahead).filter(|layers| *layers > 0);
        let layers = layers.ok_or_else(|| {
            format!("{architecture}.nextn_predict_layers is {ahead} of {blocks} layers")
        })?;
        if ahead > 0 {
            notices.push(format!(
                "{ahead} of {blocks} layers only guess tokens ahead (MTP); they are left out, which \
                 changes no answer"
            ));
        }
        let mixers = match family.hybrid {
            true => recurrent::mixers(file, architecture, layers)?,
            false => vec![MixerKind::Attention; layers],
        };
        let recurrent = match mixers.contains(&MixerKind::Recurrent) {
            true => Some(Recurrent::from_gguf(file, architecture)?),
            false => None,
        };
        let hidden = size("embedding_length", 131_072)?;
        let (ffn, experts) = match family.experts {
            false => (size("feed_forward_length", 131_072)?, None),
            true => experts::read(file, architecture, layers)?,
        };
        let heads = size("attention.head_count", 1024)?;
        let kv_heads = optional("attention.head_count_kv")?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(format!(
                "{kv_heads} KV heads do not divide {heads} query heads"
            ));
        }
        let head_dim = match optional("attention.key_length")? {
            Some(dim) => dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(format!(
                    "{heads} heads do not divide a hidden size of {hidden}"
                ));
            }
        };
        if head_dim == 0 || head_dim > 1024 || !head_dim.is_multiple_of(2) {
            return Err(format!(
                "a head of {head_dim} values; expected an even number to 1024"
            ));
        }
        let rope = rope::rope(file, architecture, head_dim, family.style)?;
        let (windows, window_rope) =
            rope::local(file, architecture, family.windows, &rope, layers)?;
        let key = format!("{architecture}.attention.layer_norm_rms_epsilon");
        let eps: f32 = file.value(&key).map_err(text)?.unwrap_or(1e-5);
        if !(eps.is_finite() && (0.0..1.0).contains(&eps)) {
            return Err(format!("{key} is {eps}, which makes no sense"));
        }
        let embedding = file.require_tensor("token_embd.weight").map_err(text)?;
        let vocab = embedding.rows();
        if embedding.columns() != hidden {
            return Err(format!(
                "the embedding 'token_embd.weight' has rows of {}; \
                 {architecture}.embedding_length asks for {hidden}",
                embedding.columns()
            ));
        }
        let input_norms = file.tensor("blk.0.attn_q_norm_in.weight").is_some();
        let name = file
            .value::<&str>("general.name")
            .map_err(text)?
            .unwrap_or(architecture);
        let mut recipe = Self {
            name: name.chars().filter(|c| !c.is_control()).take(80).collect(),
            layers: mixers
                .into_iter()
                .map(|mixer| LayerKind {
                    mixer,
                    feed_forward: match experts {
                        Some(_) => FeedForwardKind::Experts,
                        None => FeedForwardKind::Dense,
                    },
                })
                .collect(),
            hidden,
            ffn,
            experts,
            heads,
            kv_heads,
            head_dim,
            vocab,
            trained_context: size("context_length", 1 << 24)?,
            eps,
            rope: Some(rope).filter(|_| family.rotates_all || windows.is_empty()),
            windows,
            window_rope,
            gate: family.gate,
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            residual_scale: 1.0,
            logit_scale: 1.0,
            sub_norms: family.sub_norms,
            head_norms: family.head_norms,
            post_norms: family.post_norms,
            input_norms,
            pooling: pooling(file, architecture, input_norms)?,
            gated_attention: family.hybrid,
            ffn_norm: family.ffn_norm,
            recurrent,
            hadamard: None,
            tied_head: file.tensor("output.weight").is_none(),
            weight_group: weight_group(file),
            ternary_head: ternary_head(file),
            embedding_row: row_bytes(&embedding),
            head_in_file: file.tensor("output.weight").unwrap_or(embedding).ty() == TensorType::F16,
            header_bytes: file.parts().map(|part| part.data_offset() as u64).sum(),
            architecture: architecture.to_owned(),
            notices,
        };
        recipe.read_scales(file, family.scaling)?;
        recipe.hadamard = Hadamard::from_gguf(file, &recipe)?;
        Ok(recipe)
    }
}

/// `ARCH.pooling_type`.
fn pooling<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    input_norms: bool,
) -> Result<Option<Pooling>, String> {
    // The BitNet embedding models. Their converter writes "mean" when it does not know.
    if input_norms && matches!(architecture, "qwen3" | "gemma3") {
        return Ok(Some(Pooling::Last));
    }
    let key = format!("{architecture}.pooling_type");
    let text = |e: tritone_formats::GgufError| e.to_string();
    match file.value::<u32>(&key).map_err(text)? {
        // 4 is a score of a pair of texts.
        None | Some(0 | 4) => Ok(None),
        Some(1) => Ok(Some(Pooling::Mean)),
        Some(2) => Ok(Some(Pooling::Cls)),
        Some(3) => Ok(Some(Pooling::Last)),
        Some(other) => Err(format!("{key} is {other}; expected 0 to 4")),
    }
}

/// The reach of a scale in the head's tensor, where that is ternary.
fn ternary_head<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Option<usize> {
    let head = file.tensor("output.weight");
    let head = head.or_else(|| file.tensor("token_embd.weight"))?;
    match head.ternary().ok()?.span() {
        Span::Tensor | Span::Row => Some(head.columns()),
        Span::Columns(columns) => Some(columns),
    }
}

/// The finest scales of ternary tensors in the layers.
fn weight_group<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Option<usize> {
    let layers = file
        .tensors()
        .filter(|tensor| tensor.name().starts_with("blk."));
    let reach = layers.filter_map(|tensor| match tensor.ternary().ok()?.span() {
        Span::Tensor => None,
        Span::Row => Some(tensor.columns()),
        Span::Columns(columns) => Some(columns),
    });
    reach.min()
}

/// Bytes of a row of a matrix in the file; of all of it, where rows do not stand alone.
fn row_bytes(view: &TensorView<'_>) -> u64 {
    let bytes = view.row_bytes(0).or_else(|_| view.bytes());
    bytes.map_or(0, |row| row.len() as u64)
}
