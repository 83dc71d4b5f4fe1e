//! The packed matrices of a model in one buffer.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use tritone_abi::{Kernel, LayoutId, TernaryMatrix};
use tritone_formats::codec::Scales;

use super::bytes::Bytes;
use super::cache::{self, Cache, Part};
use super::jobs::Progress;
use super::pack::pack;
use super::places::{Place, Places};
use super::scales::{Arranged, Groups};
use super::{format_error, recipe_error, tensor};
use crate::api::LoadedFrom;
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// A packed ternary matrix.
#[derive(Debug)]
pub(crate) struct Matrix {
    data: Arc<Bytes>,
    range: Range<usize>,
    layout: LayoutId,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    scales: Arranged,
}

impl Matrix {
    /// A matrix of `rows` times `cols` that fills a buffer of its own.
    pub(super) fn whole(
        data: Arc<Bytes>,
        layout: LayoutId,
        (rows, cols): (usize, usize),
        scales: Arranged,
    ) -> Self {
        Self {
            range: 0..data.as_slice().len(),
            data,
            layout,
            rows,
            cols,
            scales,
        }
    }

    /// Bytes of its weights and their scales.
    pub(super) fn bytes(&self) -> u64 {
        (self.range.len() + self.scales.bytes()) as u64
    }

    /// Keeps the buffer it lies in in memory.
    pub(super) fn lock(&self) -> io::Result<()> {
        self.data.lock()
    }

    pub(crate) fn view(&self) -> TernaryMatrix<'_> {
        TernaryMatrix {
            layout: self.layout,
            rows: self.rows,
            cols: self.cols,
            scales: self.scales.view(),
            data: &self.data.as_slice()[self.range.clone()],
        }
    }
}

/// All ternary matrices of a model, packed for kernels of one layout.
#[derive(Debug)]
pub(crate) struct Packed {
    layout: LayoutId,
    places: Places,
    data: Arc<Bytes>,
}

impl Packed {
    /// All matrices of `model` for `kernel`: from `cache`, or packed with `threads` threads.
    ///
    /// # Errors
    /// As [`pack`], and when the system has no memory.
    pub(super) fn load(
        model: &Model,
        kernel: &dyn Kernel,
        threads: usize,
        cache: &mut Cache<'_>,
        progress: Progress<'_>,
    ) -> Result<(Self, LoadedFrom), LoadError> {
        let no_memory = || recipe_error(model, "no memory for the packed weights".to_owned());
        let places = Places::new(&model.recipe, kernel).ok_or_else(no_memory)?;
        let layout = kernel.facts().layout;
        let (part, shape) = (Part::Weights(layout), cache::shape_of_places(&places));
        let found = cache.find(part, shape, places.bytes(), threads, progress)?;
        let (data, from) = match found {
            Some(found) => found,
            None => {
                let mut buf = AlignedBuf::zeroed(places.bytes()).ok_or_else(no_memory)?;
                buf.prefer_huge_pages();
                let out = buf.as_mut_slice();
                pack(model, kernel, places.all(), out, threads, progress)?;
                let data = Arc::new(Bytes::Own(buf));
                cache.keep(part, shape, &data);
                (data, LoadedFrom::Packed)
            }
        };
        let packed = Self {
            layout,
            places,
            data,
        };
        Ok((packed, from))
    }

    /// Bytes of all matrices.
    pub(super) fn bytes(&self) -> u64 {
        self.places.bytes() as u64
    }

    /// Keeps them in memory.
    pub(super) fn lock(&self) -> io::Result<()> {
        self.data.lock()
    }

    /// The layout.
    pub(crate) fn layout(&self) -> LayoutId {
        self.layout
    }

    /// All matrices in order, with their scales out of the model file, and the groups their inputs
    /// have.
    pub(super) fn matrices(&self, model: &Model) -> Result<(Vec<Matrix>, Groups), LoadError> {
        let mut groups = Groups::rows(&model.recipe);
        let (mut all, mut tensors) = (Vec::new(), Vec::<Scales>::new());
        for place in self.places.all() {
            if place.first_row > 0 {
                // The matrices of a tensor come one after another.
                all.push((place, tensors.len() - 1));
                continue;
            }
            let view = tensor(model, &place.tensor(), place.tensor_rows, place.cols)?;
            let scales = view.ternary().map_err(format_error(model))?.scales();
            let scales = scales.map_err(|source| {
                recipe_error(model, format!("tensor '{}': {source}", view.name()))
            })?;
            groups.refine(place.name, &scales);
            tensors.push(scales);
            all.push((place, tensors.len() - 1));
        }
        let matrix = |(place, tensor): (&Place, usize)| Matrix {
            data: Arc::clone(&self.data),
            range: place.range.clone(),
            layout: self.layout,
            rows: place.rows,
            cols: place.cols,
            scales: {
                let group = groups.get(place.name);
                let factor = model.recipe.result_scale(place.name);
                let rows = place.first_row..place.first_row + place.rows;
                Arranged::new(&tensors[tensor], rows, place.cols, group).times(factor)
            },
        };
        Ok((all.into_iter().map(matrix).collect(), groups))
    }
}
