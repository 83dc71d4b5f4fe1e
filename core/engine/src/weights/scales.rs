//! Scales of ternary matrices in the order kernels read them.

use std::ops::Range;

use tritone_abi::{Kernel, WeightScales, head};
use tritone_formats::codec::Scales;

use crate::recipe::Recipe;

/// Rows whose scales a kernel reads together.
const ROWS: usize = 32;

/// Values that share a scale in the kinds of inputs that ternary products have: the whole
/// row, unless weights have scales of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// Of the residual stream.
    pub(crate) hidden: usize,
    /// Of attention's result.
    pub(crate) attended: usize,
    /// Of the result of recurrent layers.
    pub(crate) mixed: usize,
    /// Of the gated product.
    pub(crate) ffn: usize,
    /// Of the final norm, where the head takes int8.
    pub(crate) head: usize,
}

impl Groups {
    /// One scale for every row of activations.
    pub(crate) fn rows(recipe: &Recipe) -> Self {
        Self {
            hidden: recipe.hidden,
            attended: recipe.q_dim(),
            mixed: recipe.recurrent.map_or(0, |recurrent| recurrent.inner()),
            ffn: recipe.ffn,
            head: head::SCALE_COLS,
        }
    }

    /// The group in the input of the matrix `name`.
    pub(super) fn get(mut self, name: &str) -> usize {
        *self.of(name)
    }

    fn of(&mut self, name: &str) -> &mut usize {
        match name {
            "attn_output" => &mut self.attended,
            "ssm_out" => &mut self.mixed,
            "ffn_down" | "ffn_down_exps" => &mut self.ffn,
            _ => &mut self.hidden,
        }
    }

    /// Makes the input of the matrix `name` fine enough for `scales`.
    pub(super) fn refine(&mut self, name: &str, scales: &Scales) {
        if let Scales::Group { columns, .. } = scales {
            let group = self.of(name);
            *group = (*group).min(*columns);
        }
    }
}

/// Scales as kernels take them.
#[derive(Debug)]
pub(super) enum Arranged {
    Tensor(f32),
    Row(Vec<f32>),
    Group { group: usize, scales: Vec<f32> },
}

impl Arranged {
    /// Those of `scales` that belong to the rows `range` of `cols` columns, for activations in groups of `group`: weights and
    /// activations have the same groups, so that coarser scales are repeated.
    pub(super) fn new(scales: &Scales, range: Range<usize>, cols: usize, group: usize) -> Self {
        let rows = range.len();
        // Rows beyond the last have no scale.
        let at = |row: usize, column: usize| match row < rows {
            true => scales.at(cols, range.start + row, column).unwrap_or(0.0),
            false => 0.0,
        };
        let padded = rows.next_multiple_of(ROWS);
        match scales {
            Scales::Tensor(scale) if group >= cols => Self::Tensor(*scale),
            Scales::Row(_) if group >= cols => {
                Self::Row((0..padded).map(|row| at(row, 0)).collect())
            }
            _ => {
                let groups = cols / group;
                let scales = (0..padded / ROWS)
                    .flat_map(|block| (0..groups).map(move |g| (block, g)))
                    .flat_map(|(block, g)| (0..ROWS).map(move |i| (block * ROWS + i, g * group)))
                    .map(|(row, column)| at(row, column))
                    .collect();
                Self::Group { group, scales }
            }
        }
    }

    /// Scales that are `factor` times as large.
    pub(super) fn times(mut self, factor: f32) -> Self {
        match &mut self {
            Self::Tensor(scale) => *scale *= factor,
            Self::Row(scales) | Self::Group { scales, .. } => {
                scales.iter_mut().for_each(|scale| *scale *= factor);
            }
        }
        self
    }

    /// Bytes of the scales, where they lie beside the weights.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Tensor(_) => 0,
            Self::Row(scales) | Self::Group { scales, .. } => size_of_val(&scales[..]),
        }
    }

    pub(super) fn view(&self) -> WeightScales<'_> {
        match self {
            Self::Tensor(scale) => WeightScales::Tensor(*scale),
            Self::Row(scales) => WeightScales::Row(scales),
            Self::Group { group, scales } => WeightScales::Group {
                group: *group,
                scales,
            },
        }
    }
}

/// Bytes of the scales of all ternary matrices of a model whose finest scales reach over
/// `recipe.weight_group` columns.
pub(crate) fn scale_bytes(recipe: &Recipe) -> u64 {
    let Some(group) = recipe.weight_group else {
        return 0;
    };
    let matrix = |(_, rows, cols): (&str, usize, usize)| {
        rows.next_multiple_of(ROWS) as u64 * (cols / group.max(1)).max(1) as u64 * 4
    };
    recipe.all_matrices().map(matrix).sum()
}

/// Bytes of a head in the ternary layout of `kernel`, its scales included; `None` when the model's is
/// not ternary or the kernel does not take its shape.
pub(crate) fn ternary_head_bytes(recipe: &Recipe, kernel: &dyn Kernel) -> Option<u64> {
    let group = recipe.ternary_head?;
    let packed = kernel.packed_bytes(recipe.vocab, recipe.hidden)? as u64;
    let scales = (recipe.hidden / group.max(1)).max(1) as u64;
    let rows = recipe.vocab.checked_next_multiple_of(ROWS)? as u64;
    packed.checked_add(rows.checked_mul(scales)?.checked_mul(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_32_rows_at_a_time() {
        let values: Vec<f32> = (0..40 * 3).map(|i| i as f32 + 1.0).collect();
        let scales = Scales::Group {
            columns: 128,
            values,
        };
        let Arranged::Group { group, scales } = Arranged::new(&scales, 0..40, 384, 128) else {
            panic!("groups stay groups");
        };
        assert_eq!((group, scales.len()), (128, 64 * 3));
        for row in 0..64 {
            for g in 0..3 {
                let expected = if row < 40 {
                    (row * 3 + g) as f32 + 1.0
                } else {
                    0.0
                };
                assert_eq!(scales[(row / 32 * 3 + g) * 32 + row % 32], expected);
            }
        }
    }

    #[test]
    fn coarse_scales_are_repeated_beside_finer_ones() {
        let Arranged::Group { scales, .. } = Arranged::new(&Scales::Tensor(2.0), 0..2, 128, 64)
        else {
            panic!("the input has groups");
        };
        let expected = (0..64).map(|i| if i % 32 < 2 { 2.0 } else { 0.0 });
        assert!(scales.into_iter().eq(expected));
        let rows = Arranged::new(&Scales::Row(vec![0.0, 1.0, 2.0]), 1..3, 128, 128);
        let WeightScales::Row(row) = rows.view() else {
            panic!("rows stay rows");
        };
        assert_eq!((row.len(), &row[..3]), (32, &[1.0, 2.0, 0.0][..]));
    }
}
