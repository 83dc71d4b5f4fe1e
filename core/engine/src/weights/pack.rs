//! From the ternary tensors of a model file to a kernel's layout.

use std::ops::Range;

use tritone_abi::{Kernel, PackArgs};
use tritone_formats::TensorView;

use super::jobs::{Progress, run_jobs};
use super::places::Place;
use super::{format_error, recipe_error, tensor};
use crate::error::LoadError;
use crate::files::Stretch;
use crate::model::Model;

/// Rows that one thread takes at a time.
const JOB_ROWS: usize = 1024;
/// Rows that are read and packed at once: their codes stay in the cache in between.
const CHUNK_ROWS: usize = 64;

/// A run of whole row groups of one matrix.
struct Job<'a> {
    tensor: TensorView<'a>,
    rows: Range<usize>,
    cols: usize,
    out: &'a mut [u8],
}

/// The largest multiple of `align` up to `rows`, at least `align`.
fn whole_groups(rows: usize, align: usize) -> usize {
    (rows / align * align).max(align)
}

/// Packs the matrices of `places`, which are neighbours, into `out`, which begins where the first
/// of them does.
///
/// Reads the map in the order of the file and gives its pages back at once, so that no weight is
/// resident twice for long.
///
/// # Errors
/// A tensor that is missing, of another shape or not ternary, a kernel that refuses, or the wish
/// to stop.
pub(super) fn pack(
    model: &Model,
    kernel: &dyn Kernel,
    places: &[Place],
    out: &mut [u8],
    threads: usize,
    progress: Progress<'_>,
) -> Result<(), LoadError> {
    let align = kernel.facts().row_align.max(1);
    let job_rows = whole_groups(JOB_ROWS, align);
    let (mut jobs, mut total) = (Vec::new(), 0);
    let mut rest = out;
    let mut at = places.first().map_or(0, |place| place.range.start);
    for place in places {
        let (rows, cols) = (place.rows, place.cols);
        let tensor = tensor(model, &place.tensor(), place.tensor_rows, cols)?;
        tensor.ternary().map_err(format_error(model))?;
        total += (rows * cols.div_ceil(4)) as u64;
        take(&mut rest, place.range.start - at);
        let mut matrix = take(&mut rest, place.range.len());
        at = place.range.end;
        for start in (0..rows).step_by(job_rows) {
            let end = rows.min(start + job_rows);
            let out = take_packed(&mut matrix, kernel, end - start, cols);
            jobs.push(Job {
                tensor,
                rows: place.first_row + start..place.first_row + end,
                cols,
                out,
            });
        }
    }
    let chunk = whole_groups(CHUNK_ROWS, align);
    let work = |job| pack_rows(model, kernel, chunk, job);
    run_jobs(jobs, threads, "packing weights", total, progress, work)?;
    // What lies between the ranges of two jobs, or was touched beside one.
    for place in places.iter().filter(|place| place.first_row == 0) {
        if let Some(tensor) = model.file.tensor(&place.tensor()) {
            Stretch::of(&tensor).release(&model.file);
        }
    }
    Ok(())
}

/// The first `count` bytes of `rest`, or what there is.
fn take<'a>(rest: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let count = count.min(rest.len());
    rest.split_off_mut(..count).unwrap_or_default()
}

/// The packed bytes of the next `rows` rows: those of aligned row ranges lie one after another
/// (`Facts::row_align`).
fn take_packed<'a>(
    rest: &mut &'a mut [u8],
    kernel: &dyn Kernel,
    rows: usize,
    cols: usize,
) -> &'a mut [u8] {
    take(rest, kernel.packed_bytes(rows, cols).unwrap_or(0))
}

/// Packs the rows of `job`, `chunk` rows at a time, and says how many bytes of the file they were.
fn pack_rows(
    model: &Model,
    kernel: &dyn Kernel,
    chunk: usize,
    job: Job<'_>,
) -> Result<u64, LoadError> {
    let Job {
        tensor,
        rows,
        cols,
        mut out,
    } = job;
    let ternary = tensor.ternary().map_err(format_error(model))?;
    let stride = cols.div_ceil(4);
    let mut codes = vec![0u8; chunk.min(rows.len()) * stride];
    for start in rows.clone().step_by(chunk) {
        let end = rows.end.min(start + chunk);
        let codes = &mut codes[..(end - start) * stride];
        for (row, out) in (start..end).zip(codes.chunks_exact_mut(stride)) {
            ternary.canonical_row(row, out).map_err(|source| {
                recipe_error(model, format!("tensor '{}': {source}", tensor.name()))
            })?;
        }
        let args = PackArgs {
            codes,
            rows: end - start,
            cols,
        };
        let out = take_packed(&mut out, kernel, end - start, cols);
        kernel
            .pack(&args, out)
            .map_err(|source| LoadError::Kernel {
                kernel: kernel.facts().name.clone(),
                model: model.source.clone(),
                source,
            })?;
    }
    Stretch::of(&tensor)
        .within(ternary.stored(rows.clone()))
        .release_around(&model.file);
    Ok((rows.len() * stride) as u64)
}
