//! Where the packed matrices of a model lie in their one buffer.

use std::ops::Range;

use tritone_abi::Kernel;

use crate::recipe::Recipe;

/// Matrices begin on a page, so that the pages of one can be given back without its neighbours.
const ALIGN: usize = 4096;

/// One packed matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Decoder layer.
    pub(crate) layer: usize,
    /// Name within the layer, such as `attn_q`.
    pub(crate) name: &'static str,
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
        format!("blk.{}.{}.weight", self.layer, self.name)
    }
}

/// All packed matrices, layer by layer in the order of [`Recipe::matrices`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    all: Vec<Place>,
    bytes: usize,
}

impl Places {
    /// Lays the matrices of `recipe` out for `kernel`; `None` when a size overflows or the kernel
    /// does not take a shape.
    pub(crate) fn new(recipe: &Recipe, kernel: &dyn Kernel) -> Option<Self> {
        let (mut all, mut bytes) = (Vec::new(), 0usize);
        for (layer, kind) in recipe.layers.iter().enumerate() {
            for (name, rows, cols) in recipe.matrices(*kind) {
                let end = bytes.checked_add(kernel.packed_bytes(rows, cols)?)?;
                all.push(Place {
                    layer,
                    name,
                    rows,
                    cols,
                    range: bytes..end,
                });
                bytes = end.checked_next_multiple_of(ALIGN)?;
            }
        }
        Some(Self { all, bytes })
    }

    /// All matrices, in order of their bytes.
    pub(crate) fn all(&self) -> &[Place] {
        &self.all
    }

    /// Bytes of the buffer.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
