//! Shapes of published models, and what a file of that shape holds.

use tritone_formats::TensorType;
use tritone_formats::write::{GgufWriter, WriteError};

/// `general.architecture` of all shapes.
const ARCHITECTURE: &str = "bitnet-b1.58";

/// The numbers that decide a decoder's tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) layers: usize,
    hidden: usize,
    ffn: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    pub(super) vocab: usize,
    context: u32,
    theta: f32,
}

/// BitNet b1.58 2B4T (Ma et al. 2025, arXiv 2504.12285).
const B2_4T: Shape = Shape {
    name: "2b4t",
    summary: "BitNet b1.58 2B4T: 30 layers of 2560, vocabulary 128256 (1.2 GB)",
    layers: 30,
    hidden: 2560,
    ffn: 6912,
    heads: 20,
    kv_heads: 5,
    head_dim: 128,
    vocab: 128_256,
    context: 4096,
    theta: 500_000.0,
};

/// Every shape there is.
pub(super) const SHAPES: [Shape; 3] = [
    B2_4T,
    Shape {
        name: "2b4t-2layer",
        summary: "the first two layers of 2b4t with its whole vocabulary (0.7 GB)",
        layers: 2,
        ..B2_4T
    },
    Shape {
        name: "tiny",
        summary: "the built-in model: 6 layers of 256, vocabulary 2048 (2 MB)",
        layers: 6,
        hidden: 256,
        ffn: 768,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        vocab: 2048,
        context: 1024,
        theta: 10_000.0,
    },
];

/// One tensor of a file.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) content: Content,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What a tensor is filled with.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Small random values of this type.
    Embedding(TensorType),
    /// Ones.
    Norm,
    /// Random ternary weights.
    Ternary,
}

impl Content {
    fn ty(self) -> TensorType {
        match self {
            Self::Embedding(ty) => ty,
            Self::Norm => TensorType::F32,
            Self::Ternary => TensorType::I2S,
        }
    }
}

impl Shape {
    /// The tensors of a file, in its order.
    pub(super) fn tensors(&self, embedding: TensorType) -> Vec<Tensor> {
        let (hidden, ffn) = (self.hidden, self.ffn);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let layer = [
            ("attn_norm", Content::Norm, 1, hidden),
            ("attn_sub_norm", Content::Norm, 1, q),
            ("ffn_norm", Content::Norm, 1, hidden),
            ("ffn_sub_norm", Content::Norm, 1, ffn),
            ("attn_q", Content::Ternary, q, hidden),
            ("attn_k", Content::Ternary, kv, hidden),
            ("attn_v", Content::Ternary, kv, hidden),
            ("attn_output", Content::Ternary, hidden, q),
            ("ffn_gate", Content::Ternary, ffn, hidden),
            ("ffn_up", Content::Ternary, ffn, hidden),
            ("ffn_down", Content::Ternary, hidden, ffn),
        ];
        let tensor = |name: String, (content, rows, columns)| Tensor {
            name,
            content,
            rows,
            columns,
        };
        let embedding = (Content::Embedding(embedding), self.vocab, hidden);
        let mut tensors = vec![tensor("token_embd.weight".to_owned(), embedding)];
        for number in 0..self.layers {
            tensors.extend(layer.iter().map(|&(name, content, rows, columns)| {
                tensor(
                    format!("blk.{number}.{name}.weight"),
                    (content, rows, columns),
                )
            }));
        }
        let norm = (Content::Norm, 1, hidden);
        tensors.push(tensor("output_norm.weight".to_owned(), norm));
        tensors
    }

    /// Plans the keys that describe the shape, under the names of the official 2B4T file.
    pub(super) fn describe(&self, plan: &mut GgufWriter) -> Result<(), WriteError> {
        let name = format!("Synthetic {} with {} layers", self.name, self.layers);
        plan.metadata("general.architecture", ARCHITECTURE)?
            .metadata("general.name", name.as_str())?
            .metadata("general.file_type", 40u32)?
            .metadata("general.quantization_version", 2u32)?;
        let numbers = [
            ("vocab_size", self.vocab),
            ("embedding_length", self.hidden),
            ("block_count", self.layers),
            ("feed_forward_length", self.ffn),
            ("rope.dimension_count", self.head_dim),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
        ];
        for (key, number) in numbers {
            // The table above holds nothing near the limit of 32 bits.
            plan.metadata(&format!("{ARCHITECTURE}.{key}"), number as u32)?;
        }
        plan.metadata(&format!("{ARCHITECTURE}.context_length"), self.context)?
            .metadata(&format!("{ARCHITECTURE}.rope.freq_base"), self.theta)?
            .metadata(
                &format!("{ARCHITECTURE}.attention.layer_norm_rms_epsilon"),
                1e-5f32,
            )?;
        Ok(())
    }

    /// Plans all tensors.
    pub(super) fn plan(tensors: &[Tensor], plan: &mut GgufWriter) -> Result<(), WriteError> {
        for tensor in tensors {
            let dims = match tensor.content {
                Content::Norm => vec![tensor.columns],
                Content::Embedding(_) | Content::Ternary => vec![tensor.columns, tensor.rows],
            };
            plan.tensor(&tensor.name, tensor.content.ty(), &dims)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_2b4t_shape_has_the_published_tensors_and_weights() {
        let tensors = B2_4T.tensors(TensorType::F16);
        assert_eq!(tensors.len(), 332);
        let count = |wanted: fn(&Content) -> bool| {
            tensors
                .iter()
                .filter(|tensor| wanted(&tensor.content))
                .count()
        };
        assert_eq!(count(|c| matches!(c, Content::Norm)), 121);
        assert_eq!(count(|c| matches!(c, Content::Ternary)), 210);
        let ternary: usize = tensors
            .iter()
            .filter(|tensor| matches!(tensor.content, Content::Ternary))
            .map(|tensor| tensor.rows * tensor.columns)
            .sum();
        assert_eq!(ternary, 2_084_044_800);
    }

    #[test]
    fn shapes_have_different_names() {
        for (i, shape) in SHAPES.iter().enumerate() {
            assert!(SHAPES[..i].iter().all(|other| other.name != shape.name));
        }
    }
}
