//! The packed matrices of a model in one buffer.

use std::ops::Range;
use std::sync::Arc;

use tritone_abi::{Kernel, LayoutId, TernaryMatrix, WeightScales};

use super::jobs::Progress;
use super::pack::pack;
use super::places::Places;
use super::{format_error, recipe_error, tensor};
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// A packed ternary matrix with one scale.
#[derive(Debug)]
pub(crate) struct Matrix {
    data: Arc<AlignedBuf<u8>>,
    range: Range<usize>,
    layout: LayoutId,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    scale: f32,
}

impl Matrix {
    pub(crate) fn view(&self) -> TernaryMatrix<'_> {
        TernaryMatrix {
            layout: self.layout,
            rows: self.rows,
            cols: self.cols,
            scales: WeightScales::Tensor(self.scale),
            data: &self.data.as_slice()[self.range.clone()],
        }
    }
}

/// All ternary matrices of a model, packed for kernels of one layout.
#[derive(Debug)]
pub(crate) struct Packed {
    layout: LayoutId,
    places: Places,
    data: Arc<AlignedBuf<u8>>,
}

impl Packed {
    /// Packs all matrices of `model` with `threads` threads.
    ///
    /// # Errors
    /// As [`pack`], and when the system has no memory.
    pub(super) fn pack(
        model: &Model,
        kernel: &dyn Kernel,
        threads: usize,
        progress: Progress<'_>,
    ) -> Result<Self, LoadError> {
        let no_memory = || recipe_error(model, "no memory for the packed weights".to_owned());
        let places = Places::new(&model.recipe, kernel).ok_or_else(no_memory)?;
        let mut data = AlignedBuf::zeroed(places.bytes()).ok_or_else(no_memory)?;
        data.prefer_huge_pages();
        let out = data.as_mut_slice();
        pack(model, kernel, places.all(), out, threads, progress)?;
        for place in places.all() {
            if let Some(tensor) = model.file.tensor(&place.tensor()) {
                model.file.owner().release(tensor.byte_range());
            }
        }
        Ok(Self {
            layout: kernel.facts().layout,
            places,
            data: Arc::new(data),
        })
    }

    /// The layout.
    pub(crate) fn layout(&self) -> LayoutId {
        self.layout
    }

    /// All matrices in order, with their scales out of the model file.
    pub(super) fn matrices(&self, model: &Model) -> Result<Vec<Matrix>, LoadError> {
        let matrix = |place: &super::places::Place| {
            let view = tensor(model, &place.tensor(), place.rows, place.cols)?;
            Ok(Matrix {
                data: Arc::clone(&self.data),
                range: place.range.clone(),
                layout: self.layout,
                rows: place.rows,
                cols: place.cols,
                scale: view.i2s().map_err(format_error(model))?.scale(),
            })
        };
        self.places.all().iter().map(matrix).collect()
    }
}
