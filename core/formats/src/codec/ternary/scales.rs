//! Scales of ternary weights, and the coarsest form that says the same.

use super::{MAX_BLOCK, Span, Ternary};
use crate::codec::CodecError;

/// Scales of a ternary tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Scales {
    /// One for the tensor.
    Tensor(f32),
    /// One for every row.
    Row(Vec<f32>),
    /// One for every `columns` columns of a row: `values[row * (row length / columns) + group]`.
    Group {
        /// Columns under one scale.
        columns: usize,
        /// Row by row.
        values: Vec<f32>,
    },
}

impl Scales {
    /// The scale over a column of a row of `columns` elements; `None` beyond the last one.
    pub fn at(&self, columns: usize, row: usize, column: usize) -> Option<f32> {
        match self {
            Self::Tensor(scale) => Some(*scale),
            Self::Row(scales) => scales.get(row).copied(),
            Self::Group {
                columns: reach,
                values,
            } => {
                let in_row = columns.checked_div(*reach)?;
                let group = column.checked_div(*reach).filter(|group| *group < in_row)?;
                values
                    .get(row.checked_mul(in_row)?.checked_add(group)?)
                    .copied()
            }
        }
    }
}

pub(super) fn read(tensor: &Ternary<'_>) -> Result<Scales, CodecError> {
    let mut all = Vec::new();
    let rows = match tensor.span() {
        Span::Tensor => tensor.rows.min(1),
        Span::Row | Span::Columns(_) => tensor.rows,
    };
    for row in 0..rows {
        let first = all.len();
        all.extend(tensor.row_scales(row)?.into_iter().map(Some));
        if let Span::Columns(_) = tensor.span()
            && all[first..].contains(&Some(0.0))
        {
            forget_zeros(tensor, row, &mut all[first..]);
        }
    }
    let in_row = all.len() / rows.max(1);
    if let Some(scale) = one(&all) {
        return Ok(Scales::Tensor(scale));
    }
    let rows: Option<Vec<f32>> = all.chunks(in_row.max(1)).map(one).collect();
    Ok(rows.map_or_else(
        || Scales::Group {
            columns: tensor.columns / in_row.max(1),
            values: all.iter().map(|scale| scale.unwrap_or(0.0)).collect(),
        },
        Scales::Row,
    ))
}

/// Takes the zero scales of blocks that hold nothing but zeros out of the way.
fn forget_zeros(tensor: &Ternary<'_>, row: usize, scales: &mut [Option<f32>]) {
    let mut codes = [0; MAX_BLOCK];
    let codes = &mut codes[..tensor.form.elements()];
    for (number, scale) in scales.iter_mut().enumerate() {
        if *scale == Some(0.0) {
            let (block, lane) = tensor.block(row, number);
            tensor.form.unpack(block, lane, codes);
            if codes.iter().all(|code| *code == 1) {
                *scale = None;
            }
        }
    }
}

/// The scale that all of `scales` are, if they are one; 0 when none matters.
fn one(scales: &[Option<f32>]) -> Option<f32> {
    let mut known = scales.iter().flatten();
    let first = known.next().copied().unwrap_or(0.0);
    known.all(|scale| *scale == first).then_some(first)
}
