//! What a GGUF file of a directory holds.

use super::config::{RopeScaling, Stored, Value};
use super::tensors::fault;
use super::{HfError, HfModel};
use crate::codec::{CodecError, Rounding, Scales, encode_ternary, lossless_type};
use crate::types::TensorType;
use crate::write::{GgufWriter, Strings};

/// Where a tensor comes from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// Floats as they are.
    Floats,
    /// A norm, in binary32, with so much added to its weights.
    Norm { plus: f32 },
    /// Numbers of the configuration.
    Given(Vec<f32>),
    /// Ternary weights; rows of so many outputs each are reordered.
    Ternary { permuted: Option<usize> },
}

/// A tensor of the GGUF file.
#[derive(Debug, Clone)]
pub struct HfTensor {
    /// Its name there.
    pub name: String,
    /// Its name in the directory; of a projection without `.weight`.
    from: String,
    ty: TensorType,
    /// As in the directory: rows first.
    shape: Vec<usize>,
    source: Source,
}

/// A GGUF file, planned.
#[derive(Debug)]
pub struct HfPlan {
    /// Metadata and shapes.
    pub writer: GgufWriter,
    /// Tensors in order.
    pub tensors: Vec<HfTensor>,
}

impl HfModel<'_> {
    /// Plans a GGUF file whose ternary matrices have the type `ty`, or else each the one that holds it
    /// exactly. For that, weights that are floats are looked through; `watch` gets the bytes of
    /// them so far, and returns `false` to stop.
    ///
    /// # Errors
    ///
    /// When a tensor is missing, or has another shape or type than `config.json` says, or no type holds
    /// it exactly; [`HfError::Stopped`] when `watch` said so.
    pub fn plan(
        &self,
        name: &str,
        ty: Option<TensorType>,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<HfPlan, HfError> {
        let mut writer = GgufWriter::new();
        self.describe(name, &mut writer)?;
        self.tokenizer.plan(&mut writer)?;
        if !self.notices().is_empty() {
            writer.metadata("tritone.notices", Strings(&self.notices()))?;
        }
        let mut tensors = self.tensors_of(ty.unwrap_or(TensorType::I2S))?;
        if ty.is_none() {
            self.choose_types(&mut tensors, watch)?;
        }
        for tensor in &tensors {
            let dims: Vec<usize> = tensor.shape.iter().rev().copied().collect();
            writer.tensor(&tensor.name, tensor.ty, &dims)?;
        }
        Ok(HfPlan { writer, tensors })
    }

    /// Gives every ternary tensor the type that holds it exactly.
    fn choose_types(
        &self,
        tensors: &mut [HfTensor],
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), HfError> {
        let mut seen = 0;
        for tensor in tensors {
            let (Source::Ternary { .. }, &[rows, columns]) = (&tensor.source, &tensor.shape[..])
            else {
                continue;
            };
            let scales = match self.config.stored {
                Stored::Grid => {
                    if !watch(seen) {
                        return Err(HfError::Stopped);
                    }
                    seen += self.tensors.size(&format!("{}.weight", tensor.from));
                    let stored = self.config.stored;
                    self.tensors
                        .ternary(&tensor.from, (rows, columns), stored)?
                        .1
                }
                Stored::Divide | Stored::Multiply | Stored::Online => Scales::Tensor(1.0),
            };
            tensor.ty = lossless_type(&scales, columns).ok_or_else(|| HfError::NoType {
                name: tensor.from.clone(),
                scales: match &scales {
                    Scales::Tensor(_) => "one for the tensor".to_owned(),
                    Scales::Row(_) => "one for every row".to_owned(),
                    Scales::Group { columns, .. } => format!("one for {columns} columns"),
                },
                columns,
            })?;
        }
        Ok(())
    }

    fn describe(&self, name: &str, writer: &mut GgufWriter) -> Result<(), HfError> {
        let c = &self.config;
        let arch = c.class.architecture;
        writer.metadata("general.architecture", arch)?;
        writer.metadata("general.name", name)?;
        writer.metadata("general.quantization_version", 2u32)?;
        for (key, value) in [
            ("vocab_size", c.vocab),
            ("context_length", c.context),
            ("embedding_length", c.hidden),
            ("block_count", c.layers),
            ("feed_forward_length", c.ffn),
            ("attention.head_count", c.heads),
            ("attention.head_count_kv", c.kv_heads),
            ("attention.key_length", c.head_dim),
            ("attention.value_length", c.head_dim),
            ("rope.dimension_count", c.head_dim),
        ] {
            writer.metadata(&format!("{arch}.{key}"), value)?;
        }
        let eps = format!("{arch}.attention.layer_norm_rms_epsilon");
        writer.metadata(&eps, c.eps as f32)?;
        writer.metadata(&format!("{arch}.rope.freq_base"), c.theta as f32)?;
        let key = |key: &str| format!("{arch}.rope.scaling.{key}");
        match &c.scaling {
            RopeScaling::None => {}
            RopeScaling::Linear { factor } => {
                writer.metadata(&key("type"), "linear")?;
                writer.metadata(&key("factor"), *factor as f32)?;
            }
            RopeScaling::Yarn { factor, original } => {
                writer.metadata(&key("type"), "yarn")?;
                writer.metadata(&key("factor"), *factor as f32)?;
                writer.metadata(&key("original_context_length"), *original)?;
            }
            RopeScaling::Factors { original, gain, .. } => {
                writer.metadata(&key("type"), "longrope")?;
                writer.metadata(&key("original_context_length"), *original)?;
                writer.metadata(&key("attn_factor"), *gain as f32)?;
            }
        }
        for (key, value) in &c.keys {
            let key = format!("{arch}.{key}");
            match value {
                Value::Number(number) => writer.metadata(&key, *number)?,
                Value::Float(number) => writer.metadata(&key, *number as f32)?,
                Value::Flags(flags) => writer.metadata(&key, flags.as_slice())?,
            };
        }
        Ok(())
    }

    fn tensors_of(&self, ty: TensorType) -> Result<Vec<HfTensor>, HfError> {
        let c = &self.config;
        let [hidden, ffn, vocab, head_dim] =
            [c.hidden, c.ffn, c.vocab, c.head_dim].map(|n| n as usize);
        let width = |heads: u32| (heads as usize).checked_mul(head_dim);
        let (Some(q), Some(kv)) = (width(c.heads), width(c.kv_heads)) else {
            return Err(HfError::Config("the heads make no sense".to_owned()));
        };
        let model = self.tensors.prefix();
        let table = self.table("token_embd", &format!("{model}embed_tokens"), vocab, hidden)?;
        let mut all = vec![table];
        if let RopeScaling::Factors { short, long, .. } = &c.scaling {
            for (name, values) in [("short", short), ("long", long)] {
                all.push(HfTensor {
                    name: format!("rope_factors_{name}.weight"),
                    from: "config.json".to_owned(),
                    ty: TensorType::F32,
                    shape: vec![values.len()],
                    source: Source::Given(values.clone()),
                });
            }
        }
        // `.weight` is added where it is read.
        let plain = |name: String, from: String, width: usize| HfTensor {
            name: format!("{name}.weight"),
            from: format!("{from}.weight"),
            ty: TensorType::F32,
            shape: vec![width],
            source: Source::Norm { plus: 0.0 },
        };
        let norm = |name: String, from: String, width: usize| HfTensor {
            source: Source::Norm {
                plus: c.class.norm_offset,
            },
            ..plain(name, from, width)
        };
        // Norms in front of products have a name of their own in BitNet's embedding models.
        let first = format!("{model}layers.0.self_attn.q_proj.norm.weight");
        let own = match c.input_norms {
            true => Some("rms_norm"),
            false => self.tensors.has(&first).then_some("norm"),
        };
        for layer in 0..c.layers {
            let (to, from) = (format!("blk.{layer}"), format!("{model}layers.{layer}"));
            let mut add_norm = |name: &str, hf: &str, width| {
                all.push(norm(format!("{to}.{name}"), format!("{from}.{hf}"), width));
            };
            add_norm("attn_norm", "input_layernorm", hidden);
            if c.class.post_norms {
                add_norm("post_attention_norm", "post_attention_layernorm", hidden);
                add_norm("ffn_norm", "pre_feedforward_layernorm", hidden);
                add_norm("post_ffw_norm", "post_feedforward_layernorm", hidden);
            } else {
                add_norm("ffn_norm", "post_attention_layernorm", hidden);
            }
            if c.class.head_norms {
                add_norm("attn_q_norm", "self_attn.q_norm", head_dim);
                add_norm("attn_k_norm", "self_attn.k_norm", head_dim);
            }
            if c.class.sub_norms {
                let old = c.class.architecture == "bitnet";
                let name = |new: &'static str, first: &'static str| if old { first } else { new };
                let attn = name("self_attn.attn_sub_norm", "self_attn.inner_attn_ln");
                let ffn_name = name("mlp.ffn_sub_norm", "mlp.ffn_layernorm");
                add_norm("attn_sub_norm", attn, q);
                add_norm("ffn_sub_norm", ffn_name, ffn);
            }
            for (name, hf, rows, columns) in [
                ("attn_q", "self_attn.q_proj", q, hidden),
                ("attn_k", "self_attn.k_proj", kv, hidden),
                ("attn_v", "self_attn.v_proj", kv, hidden),
                ("attn_output", "self_attn.o_proj", hidden, q),
                ("ffn_gate", "mlp.gate_proj", ffn, hidden),
                ("ffn_up", "mlp.up_proj", ffn, hidden),
                ("ffn_down", "mlp.down_proj", hidden, ffn),
            ] {
                if let Some(own) = own {
                    let own = format!("{from}.{hf}.{own}");
                    all.push(plain(format!("{to}.{name}_norm_in"), own, columns));
                }
                let turned = c.class.permuted && matches!(name, "attn_q" | "attn_k");
                all.push(HfTensor {
                    name: format!("{to}.{name}.weight"),
                    from: format!("{from}.{hf}"),
                    ty,
                    shape: vec![rows, columns],
                    source: Source::Ternary {
                        permuted: turned.then_some(head_dim),
                    },
                });
            }
        }
        all.push(norm("output_norm".into(), format!("{model}norm"), hidden));
        if !c.tied {
            all.push(self.table("output", "lm_head", vocab, hidden)?);
        }
        Ok(all)
    }

    /// The embedding or the head.
    fn table(&self, name: &str, hf: &str, rows: usize, cols: usize) -> Result<HfTensor, HfError> {
        let (from, shape) = (format!("{hf}.weight"), vec![rows, cols]);
        let (ty, _) = self.tensors.floats(&from, &shape)?;
        Ok(HfTensor {
            name: format!("{name}.weight"),
            from,
            ty,
            shape,
            source: Source::Floats,
        })
    }

    /// The bytes of a tensor of the plan.
    ///
    /// # Errors
    ///
    /// When it is missing or not what `config.json` says, or the type does not hold it; unless
    /// `rounding` allows it, also when a scale would be rounded.
    pub fn bytes(&self, tensor: &HfTensor, rounding: Rounding) -> Result<Vec<u8>, HfError> {
        let (from, shape) = (&tensor.from, &tensor.shape[..]);
        let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        match &tensor.source {
            Source::Given(values) => Ok(bytes(values)),
            Source::Floats => Ok(self.tensors.floats(from, shape)?.1.to_vec()),
            Source::Norm { plus } => {
                let mut values = self.tensors.values(from, shape)?;
                values.iter_mut().for_each(|x| *x += plus);
                Ok(bytes(&values))
            }
            Source::Ternary { permuted } => {
                let &[rows, columns] = shape else {
                    return Err(fault(from, "is no matrix"));
                };
                let dims = (rows, columns);
                let (mut ternary, mut scales) =
                    self.tensors.ternary(from, dims, self.config.stored)?;
                if let Some(head_dim) = *permuted {
                    ternary = interleaved(&ternary, columns, head_dim);
                    scales = match scales {
                        Scales::Tensor(scale) => Scales::Tensor(scale),
                        Scales::Row(scales) => Scales::Row(interleaved(&scales, 1, head_dim)),
                        Scales::Group { columns: n, values } => Scales::Group {
                            columns: n,
                            values: interleaved(&values, columns / n, head_dim),
                        },
                    };
                }
                self.encode(tensor, &ternary, dims, &scales, rounding)
            }
        }
    }

    fn encode(
        &self,
        tensor: &HfTensor,
        ternary: &[i8],
        dims: (usize, usize),
        scales: &Scales,
        rounding: Rounding,
    ) -> Result<Vec<u8>, HfError> {
        let codec = |source: CodecError| HfError::Codec {
            name: tensor.from.clone(),
            source,
        };
        encode_ternary(tensor.ty, ternary, dims, scales, rounding).map_err(codec)
    }
}

/// Rows of every head in the order of GGUF files of arch `llama`: of the two halves that are rotated
/// together, one row of each in turn.
fn interleaved<T: Copy>(rows: &[T], columns: usize, head_dim: usize) -> Vec<T> {
    let half = head_dim / 2;
    let heads = rows.chunks_exact(head_dim * columns);
    heads
        .flat_map(|head| {
            let row = move |i: usize| &head[i * columns..][..columns];
            (0..half)
                .flat_map(move |i| [row(i), row(half + i)])
                .flatten()
        })
        .copied()
        .collect()
}
