//! The output head in a kernel's ternary layout, for models whose file holds it in a ternary type.

use std::sync::Arc;

use tritone_abi::{Kernel, LayoutId};
use tritone_formats::codec::Scales;

use super::bytes::Bytes;
use super::cache::{self, Cache, Part};
use super::jobs::Progress;
use super::pack::pack;
use super::packed::Matrix;
use super::places::Place;
use super::scales::Arranged;
use super::{format_error, recipe_error, tensor};
use crate::api::LoadedFrom;
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// The head as one more ternary matrix.
#[derive(Debug)]
pub(super) struct TernaryHead {
    pub(super) matrix: Matrix,
    /// Values of its input that share a scale, as its weights do.
    pub(super) group: usize,
}

/// What a pack of it holds, with the checksum of its shape.
pub(super) fn part(model: &Model, layout: LayoutId) -> (Part, u64) {
    let recipe = &model.recipe;
    let shape = cache::shape_of_head(recipe.vocab, recipe.hidden);
    (Part::TernaryHead(layout), shape)
}

impl TernaryHead {
    /// The head of `model` for `kernel`: from `cache`, or packed with `threads` threads.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape or not ternary, no memory, a kernel that refuses, or
    /// the wish to stop.
    pub(super) fn load(
        model: &Model,
        kernel: &dyn Kernel,
        threads: usize,
        cache: &mut Cache<'_>,
        progress: Progress<'_>,
    ) -> Result<(Self, LoadedFrom), LoadError> {
        let recipe = &model.recipe;
        let (rows, cols) = (recipe.vocab, recipe.hidden);
        let place = Place::head(recipe, kernel)
            .ok_or_else(|| recipe_error(model, "no memory for the head".to_owned()))?;
        let view = tensor(model, &place.tensor(), rows, cols)?;
        let scales = view.ternary().map_err(format_error(model))?.scales();
        let scales = scales
            .map_err(|source| recipe_error(model, format!("tensor '{}': {source}", view.name())))?;
        let group = match &scales {
            Scales::Group { columns, .. } => *columns,
            _ => cols,
        };
        let (layout, bytes) = (kernel.facts().layout, place.range.len());
        let (part, shape) = part(model, layout);
        let (data, from) = match cache.find(part, shape, bytes, threads, progress)? {
            Some(found) => found,
            None => {
                let mut buf = AlignedBuf::zeroed(bytes)
                    .ok_or_else(|| recipe_error(model, "no memory for the head".to_owned()))?;
                buf.prefer_huge_pages();
                let out = buf.as_mut_slice();
                pack(model, kernel, &[place], out, threads, progress)?;
                let data = Arc::new(Bytes::Own(buf));
                cache.keep(part, shape, &data);
                (data, LoadedFrom::Packed)
            }
        };
        let scales = Arranged::new(&scales, 0..rows, cols, group);
        let matrix = Matrix::whole(data, layout, (rows, cols), scales);
        Ok((Self { matrix, group }, from))
    }
}
