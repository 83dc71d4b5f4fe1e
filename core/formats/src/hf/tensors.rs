//! The weights of all shards, by name.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::HfError;
use super::config::Stored;
use crate::codec::{Grid, Scales, absmean, decode_row, ternary_grid};
use crate::types::TensorType;

/// A view of every tensor.
#[derive(Debug)]
pub(super) struct Tensors<'a> {
    by_name: HashMap<String, TensorView<'a>>,
}

pub(super) fn fault(name: &str, what: impl Into<String>) -> HfError {
    HfError::Tensor {
        name: name.chars().take(200).collect(),
        what: what.into(),
    }
}

impl<'a> Tensors<'a> {
    pub(super) fn new(shards: &[&'a [u8]]) -> Result<Self, HfError> {
        let mut by_name = HashMap::new();
        for (i, bytes) in shards.iter().enumerate() {
            let number = i + 1;
            let shard = SafeTensors::deserialize(bytes);
            let shard = shard.map_err(|source| HfError::Shard { number, source })?;
            for (name, view) in shard.tensors() {
                if by_name.insert(name.clone(), view).is_some() {
                    return Err(fault(&name, "is there twice"));
                }
            }
        }
        Ok(Self { by_name })
    }

    /// The tensor called `name`, of this shape.
    fn get(&self, name: &str, shape: &[usize]) -> Result<&TensorView<'a>, HfError> {
        let Some(view) = self.by_name.get(name) else {
            return Err(fault(name, "is missing"));
        };
        if view.shape() != shape {
            let got = view.shape();
            let what = format!("has the shape {got:?}; config.json asks for {shape:?}");
            return Err(fault(name, what));
        }
        Ok(view)
    }

    /// Type and bytes of a tensor of floats.
    pub(super) fn floats(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<(TensorType, &[u8]), HfError> {
        let view = self.get(name, shape)?;
        let ty = match view.dtype() {
            Dtype::F32 => TensorType::F32,
            Dtype::F16 => TensorType::F16,
            Dtype::BF16 => TensorType::Bf16,
            other => return Err(fault(name, format!("is {other:?}; expected floats"))),
        };
        Ok((ty, view.data()))
    }

    /// The values of a tensor of floats.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, HfError> {
        let (ty, bytes) = self.floats(name, shape)?;
        let mut values = vec![0.0; shape.iter().product()];
        decode_row(ty, bytes, &mut values).map_err(|source| HfError::Codec {
            name: name.to_owned(),
            source,
        })?;
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(i) => Err(fault(name, format!("holds {} at {i}", values[i]))),
        }
    }

    /// Whether there is a tensor called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What names of the decoder begin with: models without a head are saved without the name of what
    /// has one.
    pub(super) fn prefix(&self) -> &'static str {
        match self.has("embed_tokens.weight") {
            true => "",
            false => "model.",
        }
    }

    /// Bytes of a tensor; 0 if it is not there.
    pub(super) fn size(&self, name: &str) -> u64 {
        self.by_name
            .get(name)
            .map_or(0, |view| view.data().len() as u64)
    }

    /// The ternary weights of the projection `name`, which has `rows` outputs of `columns` inputs.
    pub(super) fn ternary(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
        stored: Stored,
    ) -> Result<Grid, HfError> {
        if self.by_name.contains_key(&format!("{name}.bias")) {
            return Err(fault(&format!("{name}.bias"), "biases are not supported"));
        }
        let weight = format!("{name}.weight");
        match stored {
            Stored::Online => return Ok(absmean(&self.values(&weight, &[rows, columns])?)),
            Stored::Grid => {
                let grid = ternary_grid(&self.values(&weight, &[rows, columns])?, columns);
                return grid.map_err(|source| HfError::OffGrid {
                    name: weight,
                    source,
                });
            }
            Stored::Divide | Stored::Multiply => {}
        }
        // Four rows a byte; transformers fills up the last ones.
        let quarter = rows.div_ceil(4);
        let view = self.get(&weight, &[quarter, columns])?;
        if view.dtype() != Dtype::U8 {
            let what = format!("is {:?}; expected packed bytes (U8)", view.dtype());
            return Err(fault(&weight, what));
        }
        let mut ternary = Vec::with_capacity(4 * quarter * columns);
        for field in 0..4 {
            let codes = view.data().iter().map(|byte| byte >> (2 * field) & 3);
            ternary.extend(codes.map(|code| code as i8 - 1));
        }
        ternary.truncate(rows * columns);
        if let Some(at) = ternary.iter().position(|t| *t == 2) {
            let what = format!(
                "row {}, column {} holds the code 3",
                at / columns,
                at % columns
            );
            return Err(fault(&weight, what));
        }
        let scale_name = format!("{name}.weight_scale");
        let shape = match self.by_name.get(&scale_name).map(TensorView::shape) {
            Some([]) => &[][..],
            _ => &[1],
        };
        let scale = self.values(&scale_name, shape)?[0];
        if scale <= 0.0 {
            let what = format!("is {scale}; a scale is larger than zero");
            return Err(fault(&scale_name, what));
        }
        let scale = match stored {
            Stored::Divide => 1.0 / scale,
            Stored::Multiply | Stored::Online | Stored::Grid => scale,
        };
        if !scale.is_finite() {
            return Err(fault(&scale_name, "is too small to be divided by"));
        }
        Ok((ternary, Scales::Tensor(scale)))
    }
}
