//! The tensors of a directory, out of those of a GGUF file.

use std::borrow::Cow;
use std::collections::HashSet;

use half::bf16;

use super::config::{Model, gguf};
use super::refuse;
use crate::codec::{Scales, encode_row, ternary_values};
use crate::gguf::{GgufFile, TensorView};
use crate::hf::HfError;
use crate::types::TensorType;

/// Types of tensors in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HfDtype {
    /// binary32.
    F32,
    /// binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// Packed codes.
    U8,
}

impl HfDtype {
    /// The name in a safetensors file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::U8 => "U8",
        }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }
}

/// A tensor of a directory.
#[derive(Debug, Clone)]
pub struct HfPart {
    /// Its name there.
    pub name: String,
    /// Its type there.
    pub dtype: HfDtype,
    /// Its shape there, rows first.
    pub shape: Vec<usize>,
    /// Its name in the GGUF file.
    from: String,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    /// Floats of any type.
    Floats,
    /// Packed codes; with the order of rows in heads of so many.
    Codes(Option<usize>),
    /// The scale of the codes.
    Scale(f32),
}

impl HfPart {
    /// Bytes of the tensor; `None` beyond what memory can address.
    #[must_use]
    pub fn byte_len(&self) -> Option<usize> {
        let elements = self
            .shape
            .iter()
            .try_fold(1_usize, |n, dim| n.checked_mul(*dim));
        elements?.checked_mul(self.dtype.size())
    }

    /// The bytes of the tensor.
    ///
    /// # Errors
    ///
    /// When the file's are damaged.
    pub fn bytes<'f, B: AsRef<[u8]>>(
        &self,
        file: &'f GgufFile<B>,
    ) -> Result<Cow<'f, [u8]>, HfError> {
        if let Source::Scale(scale) = self.source {
            return Ok(Cow::Owned(match self.dtype {
                HfDtype::Bf16 => bf16::from_f32(scale).to_le_bytes().to_vec(),
                _ => scale.to_le_bytes().to_vec(),
            }));
        }
        let tensor = file.require_tensor(&self.from).map_err(gguf)?;
        match self.source {
            Source::Codes(turned) => packed(&tensor, turned).map(Cow::Owned),
            _ if Some(self.dtype) == stored(tensor.ty()) => {
                Ok(Cow::Borrowed(tensor.bytes().map_err(gguf)?))
            }
            _ => floats(&tensor, self.dtype).map(Cow::Owned),
        }
    }
}

/// Names of the projections: in GGUF files, and in the library.
const PROJECTIONS: [(&str, &str); 7] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// All tensors, the widest types first, so that each begins where its type wants it.
pub(super) fn plan<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    model: &Model,
) -> Result<Vec<HfPart>, HfError> {
    let mut plan = Plan {
        file,
        parts: Vec::new(),
        used: HashSet::new(),
    };
    let (hidden, ffn) = (model.hidden, model.ffn);
    let (q, kv) = (
        model.heads * model.head_dim,
        model.kv_heads * model.head_dim,
    );
    let table = [model.vocab, hidden];
    plan.floats(
        "token_embd.weight".into(),
        "model.embed_tokens.weight".into(),
        &table,
    )?;
    for layer in 0..model.layers {
        let (from, to) = (format!("blk.{layer}"), format!("model.layers.{layer}"));
        let mut norms = vec![
            ("attn_norm", "input_layernorm".to_owned(), hidden),
            ("ffn_norm", "post_attention_layernorm".to_owned(), hidden),
        ];
        if model.class.sub_norms {
            norms.push(("attn_sub_norm", "self_attn.attn_sub_norm".to_owned(), q));
            norms.push(("ffn_sub_norm", "mlp.ffn_sub_norm".to_owned(), ffn));
        }
        if model.class.head_norms {
            norms.push(("attn_q_norm", "self_attn.q_norm".to_owned(), model.head_dim));
            norms.push(("attn_k_norm", "self_attn.k_norm".to_owned(), model.head_dim));
        }
        for (name, hf, width) in norms {
            let place = (format!("{from}.{name}.weight"), format!("{to}.{hf}.weight"));
            plan.floats(place.0, place.1, &[width])?;
        }
        let shapes = [(q, hidden), (kv, hidden), (kv, hidden), (hidden, q)];
        let shapes = shapes
            .into_iter()
            .chain([(ffn, hidden), (ffn, hidden), (hidden, ffn)]);
        for ((name, hf), (rows, columns)) in PROJECTIONS.into_iter().zip(shapes) {
            if model.input_norms {
                let own = format!("{from}.{name}_norm_in.weight");
                plan.floats(own, format!("{to}.{hf}.rms_norm.weight"), &[columns])?;
            }
            let turned = model.class.permuted && matches!(name, "attn_q" | "attn_k");
            let turned = turned.then_some(model.head_dim);
            plan.ternary(
                &format!("{from}.{name}"),
                &format!("{to}.{hf}"),
                (rows, columns),
                turned,
            )?;
        }
    }
    plan.floats(
        "output_norm.weight".into(),
        "model.norm.weight".into(),
        &[hidden],
    )?;
    if !model.tied {
        plan.floats("output.weight".into(), "lm_head.weight".into(), &table)?;
    }
    if let Some(other) = file.tensors().find(|t| !plan.used.contains(t.name())) {
        return refuse(format!(
            "tensor '{}' has no place in a directory of {}",
            other.name().escape_default(),
            model.architecture.escape_default()
        ));
    }
    let mut parts = plan.parts;
    parts.sort_by_key(|part| std::cmp::Reverse(part.dtype.size()));
    Ok(parts)
}

struct Plan<'f, B> {
    file: &'f GgufFile<B>,
    parts: Vec<HfPart>,
    used: HashSet<String>,
}

impl<'f, B: AsRef<[u8]>> Plan<'f, B> {
    /// The tensor called `name`, of this shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorView<'f>, HfError> {
        let tensor = self.file.require_tensor(name).map_err(gguf)?;
        let dims: Vec<usize> = tensor.dims().iter().rev().copied().collect();
        if dims != shape {
            return refuse(format!(
                "tensor '{name}' has the shape {dims:?}; its metadata ask for {shape:?}"
            ));
        }
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    fn floats(&mut self, from: String, name: String, shape: &[usize]) -> Result<(), HfError> {
        let tensor = self.take(&from, shape)?;
        let dtype = narrowest(&tensor)?;
        self.parts.push(HfPart {
            name,
            dtype,
            shape: shape.to_vec(),
            from,
            source: Source::Floats,
        });
        Ok(())
    }

    fn ternary(
        &mut self,
        from: &str,
        name: &str,
        (rows, columns): (usize, usize),
        turned: Option<usize>,
    ) -> Result<(), HfError> {
        let from = format!("{from}.weight");
        let tensor = self.take(&from, &[rows, columns])?;
        if !tensor.ty().is_ternary() {
            return refuse(format!(
                "tensor '{from}' is {}; a directory of packed weights holds ternary ones only",
                tensor.ty()
            ));
        }
        let ternary = tensor.ternary().map_err(gguf)?;
        let scales = ternary.scales().map_err(|source| HfError::Codec {
            name: from.clone(),
            source,
        })?;
        let scale = match scales {
            Scales::Tensor(scale) => scale,
            Scales::Row(_) => return too_fine(&from, "rows"),
            Scales::Group { columns, .. } => {
                return too_fine(&from, &format!("groups of {columns} columns"));
            }
        };
        let exact = bf16::from_f32(scale).to_f32() == scale;
        self.parts.push(HfPart {
            name: format!("{name}.weight_scale"),
            dtype: if exact { HfDtype::Bf16 } else { HfDtype::F32 },
            shape: vec![1],
            from: from.clone(),
            source: Source::Scale(scale),
        });
        self.parts.push(HfPart {
            name: format!("{name}.weight"),
            dtype: HfDtype::U8,
            shape: vec![rows.div_ceil(4), columns],
            from,
            source: Source::Codes(turned),
        });
        Ok(())
    }
}

fn too_fine<T>(name: &str, reach: &str) -> Result<T, HfError> {
    refuse(format!(
        "the scales of tensor '{name}' belong to {reach}, but a directory of packed weights has one a \
         matrix; a GGUF file of another --type holds them"
    ))
}

/// The type in a directory that has the bytes of a type of GGUF files.
fn stored(ty: TensorType) -> Option<HfDtype> {
    match ty {
        TensorType::F32 => Some(HfDtype::F32),
        TensorType::F16 => Some(HfDtype::F16),
        TensorType::Bf16 => Some(HfDtype::Bf16),
        _ => None,
    }
}

/// The narrowest type that holds all values of a tensor: bfloat16, the type it is stored in, or
/// binary32.
fn narrowest(tensor: &TensorView<'_>) -> Result<HfDtype, HfError> {
    if tensor.ty() == TensorType::Bf16 {
        return Ok(HfDtype::Bf16);
    }
    let mut row = vec![0.0; tensor.columns()];
    for i in 0..tensor.rows() {
        tensor.decode_row(i, &mut row).map_err(gguf)?;
        if row
            .iter()
            .any(|x| bf16::from_f32(*x).to_f32().to_bits() != x.to_bits())
        {
            return Ok(stored(tensor.ty()).unwrap_or(HfDtype::F32));
        }
    }
    Ok(HfDtype::Bf16)
}

fn floats(tensor: &TensorView<'_>, dtype: HfDtype) -> Result<Vec<u8>, HfError> {
    let ty = match dtype {
        HfDtype::Bf16 => TensorType::Bf16,
        HfDtype::F16 => TensorType::F16,
        HfDtype::F32 | HfDtype::U8 => TensorType::F32,
    };
    let mut bytes = Vec::with_capacity(tensor.elements().saturating_mul(dtype.size()));
    let mut row = vec![0.0; tensor.columns()];
    for i in 0..tensor.rows() {
        tensor.decode_row(i, &mut row).map_err(gguf)?;
        encode_row(ty, &row, &mut bytes).map_err(|source| HfError::Codec {
            name: tensor.name().to_owned(),
            source,
        })?;
    }
    Ok(bytes)
}

/// Four rows a byte, a quarter of all apart: field `i` of packed row `r` is row `i R + r`.
fn packed(tensor: &TensorView<'_>, turned: Option<usize>) -> Result<Vec<u8>, HfError> {
    let ternary = tensor.ternary().map_err(gguf)?;
    let (rows, columns) = (ternary.rows(), ternary.columns());
    let quarter = rows.div_ceil(4);
    let mut bytes = vec![0; quarter * columns];
    let mut codes = vec![0; columns.div_ceil(4)];
    for row in 0..rows {
        let from = turned.map_or(row, |head_dim| interleaved(row, head_dim));
        let read = ternary.canonical_row(from, &mut codes);
        read.map_err(|source| HfError::Codec {
            name: tensor.name().to_owned(),
            source,
        })?;
        let (field, place) = (row / quarter, row % quarter);
        let line = &mut bytes[place * columns..][..columns];
        for (byte, t) in line.iter_mut().zip(ternary_values(&codes)) {
            *byte |= ((t + 1) as u8) << (2 * field);
        }
    }
    Ok(bytes)
}

/// Where a row of the library's order lies in GGUF files of arch `llama`, which pair the rows of the
/// two halves of a head.
fn interleaved(row: usize, head_dim: usize) -> usize {
    let (head, at, half) = (row / head_dim, row % head_dim, head_dim / 2);
    head * head_dim + 2 * (at % half) + at / half
}
