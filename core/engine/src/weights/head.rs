//! The output head: used from the model file as it stands, or converted.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use tritone_abi::{HeadFormat, HeadMatrix, head};
use tritone_formats::TensorType;

use super::bytes::Bytes;
use super::cache::{self, Cache, Part};
use super::jobs::{Progress, run_jobs};
use super::{format_error, recipe_error, tensor};
use crate::api::LoadedFrom;
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::files::Stretch;
use crate::model::Model;

/// Where the rows lie.
#[derive(Debug)]
enum Rows {
    /// In the model file, as they stand.
    File(Stretch),
    /// Converted.
    Converted(Arc<Bytes>),
}

/// Bytes that one thread reads at a time.
const PIECE: usize = 4 << 20;

/// The rows of the head in one format.
#[derive(Debug)]
pub(super) struct HeadRows {
    rows: Rows,
    format: HeadFormat,
}

impl HeadRows {
    /// The rows for a step.
    pub(super) fn view<'a>(&'a self, model: &'a Model) -> HeadMatrix<'a> {
        let data = match &self.rows {
            Rows::File(stored) => stored.bytes(&model.file),
            Rows::Converted(data) => data.as_slice(),
        };
        HeadMatrix {
            format: self.format,
            rows: model.recipe.vocab,
            cols: model.recipe.hidden,
            data,
        }
    }

    /// Bytes of all rows.
    pub(super) fn bytes(&self, model: &Model) -> u64 {
        self.view(model).data.len() as u64
    }

    /// Bytes of rows that are not the model file's own.
    pub(super) fn converted_bytes(&self, model: &Model) -> u64 {
        match &self.rows {
            Rows::File(_) => 0,
            Rows::Converted(_) => self.bytes(model),
        }
    }

    /// Brings rows that are used from the file into memory, all of which every token reads; the
    /// first token would otherwise wait for them.
    ///
    /// # Errors
    /// [`LoadError::Cancelled`] when `progress` says so.
    pub(super) fn bring_in(
        &self,
        model: &Model,
        threads: usize,
        progress: Progress<'_>,
    ) -> Result<(), LoadError> {
        let Rows::File(stored) = &self.rows else {
            return Ok(());
        };
        let jobs = stored.clone().pieces(PIECE).collect();
        let work = |piece: Stretch| {
            piece.populate(&model.file);
            Ok(piece.range.len() as u64)
        };
        let total = stored.range.len() as u64;
        run_jobs(jobs, threads, "reading the head", total, progress, work)
    }

    /// Keeps them in memory.
    pub(super) fn lock(&self, model: &Model) -> io::Result<()> {
        match &self.rows {
            Rows::File(stored) => stored.lock(&model.file),
            Rows::Converted(data) => data.lock(),
        }
    }

    /// Finds the head of `model`: in the file as it stands, in `cache`, or converted with `threads`
    /// threads.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape or type, a width that the format does not take,
    /// no memory, or the wish to stop.
    pub(super) fn load(
        model: &Model,
        format: HeadFormat,
        threads: usize,
        cache: &mut Cache<'_>,
        progress: Progress<'_>,
    ) -> Result<(Self, LoadedFrom), LoadError> {
        let recipe = &model.recipe;
        let (vocab, hidden) = (recipe.vocab, recipe.hidden);
        let view = tensor(model, recipe.head_tensor(), vocab, hidden)?;
        if format == HeadFormat::F16 && view.ty() == TensorType::F16 {
            let rows = Rows::File(Stretch::of(&view));
            return Ok((Self { rows, format }, LoadedFrom::Model));
        }
        if format != HeadFormat::F16 && !hidden.is_multiple_of(head::SCALE_COLS) {
            let what =
                format!("a {format:?} head needs a hidden size that 32 divides, not {hidden}");
            return Err(recipe_error(model, what));
        }
        let no_memory = || recipe_error(model, "no memory for the head".to_owned());
        let bytes = format.bytes(vocab, hidden).ok_or_else(no_memory)?;
        let (part, shape) = (Part::Head(format), cache::shape_of_head(vocab, hidden));
        if let Some((data, from)) = cache.find(part, shape, bytes, threads, progress)? {
            let rows = Rows::Converted(data);
            return Ok((Self { rows, format }, from));
        }
        let mut data = AlignedBuf::zeroed(bytes).ok_or_else(no_memory)?;
        data.prefer_huge_pages();
        let mut jobs = Vec::new();
        let mut rest = data.as_mut_slice();
        for start in (0..vocab).step_by(head::GROUP_ROWS) {
            let rows = start..vocab.min(start + head::GROUP_ROWS);
            let bytes = format.bytes(rows.len(), hidden).unwrap_or(0);
            let bytes = bytes.min(rest.len());
            let out = rest.split_off_mut(..bytes).unwrap_or_default();
            jobs.push((rows, out));
        }
        let stored = Stretch::of(&view);
        let row_bytes = stored.range.len() / vocab;
        let convert = |(rows, out): (Range<usize>, &mut [u8])| {
            let mut values = vec![0.0f32; rows.len() * hidden];
            for (row, out) in rows.clone().zip(values.chunks_exact_mut(hidden)) {
                view.decode_row(row, out).map_err(format_error(model))?;
            }
            if format == HeadFormat::F16 {
                for (value, out) in values.iter().zip(out.chunks_exact_mut(2)) {
                    out.copy_from_slice(&half::f16::from_f32(*value).to_le_bytes());
                }
            } else {
                head::pack_group(format, &values, hidden, out)
                    .map_err(|source| recipe_error(model, source.to_string()))?;
            }
            let read = rows.start * row_bytes..rows.end * row_bytes;
            stored.within(read).release_around(&model.file);
            Ok((rows.len() * row_bytes) as u64)
        };
        let total = stored.range.len() as u64;
        run_jobs(
            jobs,
            threads,
            "converting the head",
            total,
            progress,
            convert,
        )?;
        stored.release(&model.file);
        let data = Arc::new(Bytes::Own(data));
        cache.keep(part, shape, &data);
        let rows = Rows::Converted(data);
        Ok((Self { rows, format }, LoadedFrom::Packed))
    }
}
