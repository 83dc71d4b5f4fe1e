//! Where the packed matrices of a model lie in their one buffer.

use std::ops::Range;

use tritone_abi::Kernel;

use crate::recipe::Recipe;

/// Matrices begin on a page, so that the pages of one can be given back without its neighbours.
const ALIGN: usize = 4096;

/// One packed matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Decoder layer; `None` for the head, which is in none.
    pub(crate) layer: Option<usize>,
    /// Name within the layer, such as `attn_q`, or of the head's tensor.
    pub(crate) name: &'static str,
    /// The first row in its tensor, which may hold several matrices, and all rows there.
    pub(crate) first_row: usize,
    pub(crate) tensor_rows: usize,
    /// Output features.
    pub(crate) rows: usize,
    /// Input features.
    pub(crate) cols: usize,
    /// Its packed bytes.
    pub(crate) range: Range<usize>,
}

impl Place {
    /// The tensor it is packed from.
    pub(crate) fn tensor(&self) -> String {
        match self.layer {
            Some(layer) => format!("blk.{layer}.{}.weight", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The head of `recipe` for `kernel`, in a buffer of its own; `None` when the kernel does not take
    /// its shape.
    pub(crate) fn head(recipe: &Recipe, kernel: &dyn Kernel) -> Option<Self> {
        let (rows, cols) = (recipe.vocab, recipe.hidden);
        Some(Self {
            layer: None,
            name: recipe.head_tensor(),
            first_row: 0,
            tensor_rows: rows,
            rows,
            cols,
            range: 0..kernel.packed_bytes(rows, cols)?,
        })
    }
}

/// All packed matrices, layer by layer in the order of [`Recipe::matrices`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    all: Vec<Place>,
    bytes: usize,
    /// Of them, those of experts.
    experts: usize,
}

impl Places {
    /// Lays the matrices of `recipe` out for `kernel`; `None` when a size overflows or the kernel
    /// does not take a shape.
    pub(crate) fn new(recipe: &Recipe, kernel: &dyn Kernel) -> Option<Self> {
        let (mut all, mut bytes, mut experts) = (Vec::new(), 0usize, 0usize);
        for (layer, kind) in recipe.layers.iter().enumerate() {
            let mut last = ("", 0usize);
            for (name, rows, cols) in recipe.matrices(*kind) {
                let first_row = if last.0 == name { last.1 } else { 0 };
                last = (name, first_row.checked_add(rows)?);
                let end = bytes.checked_add(kernel.packed_bytes(rows, cols)?)?;
                all.push(Place {
                    layer: Some(layer),
                    name,
                    first_row,
                    tensor_rows: rows.checked_mul(recipe.stacked(name))?,
                    rows,
                    cols,
                    range: bytes..end,
                });
                if recipe.stacked(name) > 1 {
                    experts += end - bytes;
                }
                bytes = end.checked_next_multiple_of(ALIGN)?;
            }
        }
        Some(Self {
            all,
            bytes,
            experts,
        })
    }

    /// All matrices, in order of their bytes.
    pub(crate) fn all(&self) -> &[Place] {
        &self.all
    }

    /// Bytes of the matrices of experts.
    pub(crate) fn expert_bytes(&self) -> usize {
        self.experts
    }

    /// Bytes of the buffer.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
