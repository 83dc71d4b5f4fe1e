//! The output head: used from the model file as it stands, or converted.

use std::ops::Range;

use tritone_abi::{HeadFormat, HeadMatrix, head};
use tritone_formats::TensorType;

use super::jobs::{Progress, run_jobs};
use super::{format_error, recipe_error, tensor};
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// Where the rows lie.
#[derive(Debug)]
enum Rows {
    /// In the model file, as they stand.
    File(Range<usize>),
    /// Converted.
    Converted(AlignedBuf<u8>),
}

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
            Rows::File(range) => &model.file.bytes()[range.clone()],
            Rows::Converted(buf) => buf.as_slice(),
        };
        HeadMatrix {
            format: self.format,
            rows: model.recipe.vocab,
            cols: model.recipe.hidden,
            data,
        }
    }

    /// Finds the head of `model`, and converts it with `threads` threads unless it is used from
    /// the file.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape or type, a width that the format does not take,
    /// no memory, or the wish to stop.
    pub(super) fn load(
        model: &Model,
        format: HeadFormat,
        threads: usize,
        progress: Progress<'_>,
    ) -> Result<Self, LoadError> {
        let recipe = &model.recipe;
        let (vocab, hidden) = (recipe.vocab, recipe.hidden);
        let name = if recipe.tied_head {
            "token_embd.weight"
        } else {
            "output.weight"
        };
        let view = tensor(model, name, vocab, hidden)?;
        if format == HeadFormat::F16 && view.ty() == TensorType::F16 {
            let rows = Rows::File(view.byte_range());
            return Ok(Self { rows, format });
        }
        if format != HeadFormat::F16 && !hidden.is_multiple_of(head::SCALE_COLS) {
            let what =
                format!("a {format:?} head needs a hidden size that 32 divides, not {hidden}");
            return Err(recipe_error(model, what));
        }
        let bytes = format.bytes(vocab, hidden).and_then(AlignedBuf::zeroed);
        let mut data =
            bytes.ok_or_else(|| recipe_error(model, "no memory for the head".to_owned()))?;
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
        let stored = view.byte_range();
        let row_bytes = stored.len() / vocab;
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
            let first = stored.start + rows.start * row_bytes;
            let read = rows.len() * row_bytes;
            model.file.owner().release(first..first + read);
            Ok(read as u64)
        };
        let total = stored.len() as u64;
        run_jobs(
            jobs,
            threads,
            "converting the head",
            total,
            progress,
            convert,
        )?;
        model.file.owner().release(stored.clone());
        Ok(Self {
            rows: Rows::Converted(data),
            format,
        })
    }
}
