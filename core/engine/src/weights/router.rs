//! The router of a feed-forward part with experts.

use tritone_abi::numerics::{f16_to_f32, f32_to_f16};
use tritone_abi::{HeadFormat, HeadMatrix};

use super::{format_error, recipe_error, tensor};
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// What the second part of the weights is multiplied by when it is stored: a power of two, so that
/// nothing is rounded, large enough that what binary16 leaves of a weight is a normal number.
const SCALE: f32 = 2048.0;

/// Weights of a router, `[expert][hidden]`, in binary32: as the sum of two parts in binary16, because
/// that is what kernels multiply with. Together they have 22 bits; weights that were trained in
/// bfloat16 have 8, and no second part.
#[derive(Debug)]
pub(crate) struct Router {
    rows: usize,
    cols: usize,
    first: AlignedBuf<u8>,
    rest: Option<AlignedBuf<u8>>,
}

impl Router {
    /// Reads the tensor `name`.
    pub(super) fn load(
        model: &Model,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Self, LoadError> {
        let no_memory = || recipe_error(model, "no memory for the router".to_owned());
        let view = tensor(model, name, rows, cols)?;
        let bytes = HeadFormat::F16.bytes(rows, cols).ok_or_else(no_memory)?;
        let new = || AlignedBuf::<u8>::zeroed(bytes).ok_or_else(no_memory);
        let (mut first, mut rest) = (new()?, new()?);
        let mut row = vec![0.0; cols];
        let mut exact = true;
        let places = first.as_mut_slice().chunks_exact_mut(2);
        let mut places = places.zip(rest.as_mut_slice().chunks_exact_mut(2));
        for i in 0..rows {
            view.decode_row(i, &mut row).map_err(format_error(model))?;
            for (w, (first, rest)) in row.iter().zip(&mut places) {
                let half = f32_to_f16(*w);
                let left = f32_to_f16((w - f16_to_f32(half)) * SCALE);
                if !f16_to_f32(half).is_finite() {
                    let what = format!("tensor '{name}' holds {w} in row {i}");
                    return Err(recipe_error(model, what));
                }
                exact &= left << 1 == 0;
                first.copy_from_slice(&half.to_le_bytes());
                rest.copy_from_slice(&left.to_le_bytes());
            }
        }
        Ok(Self {
            rows,
            cols,
            first,
            rest: (!exact).then_some(rest),
        })
    }

    /// The parts: one, or two.
    pub(crate) fn parts(&self) -> impl Iterator<Item = HeadMatrix<'_>> {
        let part = |data| HeadMatrix {
            format: HeadFormat::F16,
            rows: self.rows,
            cols: self.cols,
            data,
        };
        let all = std::iter::once(&self.first).chain(&self.rest);
        all.map(move |data| part(data.as_slice()))
    }

    /// What the second part's product is multiplied by before it is added to that of the first;
    /// `None` without one.
    pub(crate) fn rest_scale(&self) -> Option<f32> {
        self.rest.as_ref().map(|_| 1.0 / SCALE)
    }
}

/// Bytes of a router, both parts.
pub(crate) fn router_bytes(experts: usize, hidden: usize) -> Option<u64> {
    (experts as u64).checked_mul(hidden as u64)?.checked_mul(4)
}
