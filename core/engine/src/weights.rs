//! Weights in memory: ternary matrices packed for a kernel, norms, and the head.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tritone_abi::{
    HeadFormat, HeadMatrix, Kernel, LayoutId, PackArgs, TernaryMatrix, WeightScales, head,
};
use tritone_formats::{TensorType, TensorView};

use crate::api::LoadProgress;
use crate::error::LoadError;
use crate::exec::AlignedBuf;
use crate::model::Model;

/// Called while loading; `false` cancels.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(LoadProgress) -> bool;

/// A packed ternary matrix with one scale.
#[derive(Debug)]
pub(crate) struct Matrix {
    data: AlignedBuf<u8>,
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
            data: self.data.as_slice(),
        }
    }
}

/// One decoder layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attn_norm: Vec<f32>,
    pub(crate) ffn_norm: Vec<f32>,
    pub(crate) attn_sub_norm: Option<Vec<f32>>,
    pub(crate) ffn_sub_norm: Option<Vec<f32>>,
    pub(crate) q: Matrix,
    pub(crate) k: Matrix,
    pub(crate) v: Matrix,
    pub(crate) o: Matrix,
    pub(crate) gate: Matrix,
    pub(crate) up: Matrix,
    pub(crate) down: Matrix,
}

/// Where the head's rows lie.
#[derive(Debug)]
enum HeadData {
    /// In the model file, as they stand.
    File(Range<usize>),
    /// Converted.
    Owned(AlignedBuf<u8>),
}

/// All weights.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Vec<f32>,
    pub(crate) layout: LayoutId,
    head: HeadData,
    head_format: HeadFormat,
}

impl Weights {
    /// Reads and packs all weights of `model` for `kernel` with `threads` threads.
    pub(crate) fn load(
        model: &Model,
        kernel: &dyn Kernel,
        threads: usize,
        head_format: HeadFormat,
        progress: Progress<'_>,
    ) -> Result<Self, LoadError> {
        let layers = pack_layers(model, kernel, threads, progress)?;
        let head = load_head(model, head_format, threads, progress)?;
        let output_norm = norm(model, "output_norm.weight", model.recipe.hidden)?;
        Ok(Self {
            layers,
            output_norm,
            layout: kernel.facts().layout,
            head,
            head_format,
        })
    }

    /// Packs the ternary matrices again for a kernel with another layout.
    pub(crate) fn repack(
        &mut self,
        model: &Model,
        kernel: &dyn Kernel,
        threads: usize,
    ) -> Result<(), LoadError> {
        self.layers = pack_layers(model, kernel, threads, &mut |_| true)?;
        self.layout = kernel.facts().layout;
        Ok(())
    }

    pub(crate) fn head<'a>(&'a self, model: &'a Model) -> HeadMatrix<'a> {
        let data = match &self.head {
            HeadData::File(range) => &model.file.bytes()[range.clone()],
            HeadData::Owned(buf) => buf.as_slice(),
        };
        let (rows, cols) = (model.recipe.vocab, model.recipe.hidden);
        HeadMatrix {
            format: self.head_format,
            rows,
            cols,
            data,
        }
    }
}

fn recipe_error(model: &Model, what: String) -> LoadError {
    LoadError::Recipe {
        model: model.source.clone(),
        what,
    }
}

fn tensor<'a>(
    model: &'a Model,
    name: &str,
    rows: usize,
    cols: usize,
) -> Result<TensorView<'a>, LoadError> {
    let view = model
        .file
        .require_tensor(name)
        .map_err(|source| LoadError::Format {
            model: model.source.clone(),
            source,
        })?;
    if view.rows() != rows || view.columns() != cols {
        let (r, c) = (view.rows(), view.columns());
        let what = format!("tensor '{name}' is {r} x {c}; the metadata asks for {rows} x {cols}");
        return Err(recipe_error(model, what));
    }
    Ok(view)
}

fn norm(model: &Model, name: &str, width: usize) -> Result<Vec<f32>, LoadError> {
    let view = tensor(model, name, 1, width)?;
    let mut out = vec![0.0; width];
    view.decode_row(0, &mut out)
        .map_err(|source| LoadError::Format {
            model: model.source.clone(),
            source,
        })?;
    match out.iter().position(|w| !w.is_finite()) {
        None => Ok(out),
        Some(i) => Err(recipe_error(
            model,
            format!("tensor '{name}' holds {} at {i}", out[i]),
        )),
    }
}

/// A run of row groups of one matrix, to be packed by whoever takes it.
struct Job<'a> {
    tensor: TensorView<'a>,
    rows: Range<usize>,
    cols: usize,
    out: &'a mut [u8],
}

/// Rows that are packed at once: a multiple of every row alignment.
const JOB_ROWS: usize = 1024;

fn pack_layers(
    model: &Model,
    kernel: &dyn Kernel,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Vec<Layer>, LoadError> {
    let recipe = &model.recipe;
    let format = |source| LoadError::Format {
        model: model.source.clone(),
        source,
    };
    let kernel_error = |source| LoadError::Kernel {
        kernel: kernel.facts().name.clone(),
        model: model.source.clone(),
        source,
    };
    let mut matrices = Vec::new();
    let mut views = Vec::new();
    let mut total = 0u64;
    for layer in 0..recipe.layers {
        for (name, rows, cols) in recipe.matrices() {
            let name = format!("blk.{layer}.{name}.weight");
            let view = tensor(model, &name, rows, cols)?;
            let ternary = view.i2s().map_err(format)?;
            let bytes = kernel.packed_bytes(rows, cols);
            let data = bytes.and_then(AlignedBuf::zeroed).ok_or_else(|| {
                recipe_error(
                    model,
                    format!("no memory for tensor '{name}' ({rows} x {cols})"),
                )
            })?;
            data.prefer_huge_pages();
            total += (rows * cols.div_ceil(4)) as u64;
            let layout = kernel.facts().layout;
            matrices.push(Matrix {
                data,
                layout,
                rows,
                cols,
                scale: ternary.scale(),
            });
            views.push(view);
        }
    }

    let mut jobs = Vec::new();
    for (matrix, view) in matrices.iter_mut().zip(views) {
        let (rows, cols) = (matrix.rows, matrix.cols);
        let mut rest = matrix.data.as_mut_slice();
        for start in (0..rows).step_by(JOB_ROWS) {
            let end = rows.min(start + JOB_ROWS);
            // Packed bytes of aligned row ranges lie one after another (`Facts::row_align`).
            let bytes = kernel
                .packed_bytes(end - start, cols)
                .unwrap_or(0)
                .min(rest.len());
            let (out, tail) = rest.split_at_mut(bytes);
            rest = tail;
            jobs.push(Job {
                tensor: view,
                rows: start..end,
                cols,
                out,
            });
        }
    }

    run_jobs(jobs, threads, "packing weights", total, progress, |job| {
        let ternary = job.tensor.i2s().map_err(format)?;
        let stride = job.cols.div_ceil(4);
        let n = job.rows.len();
        let mut codes = vec![0u8; n * stride];
        for (row, out) in job.rows.clone().zip(codes.chunks_exact_mut(stride)) {
            ternary.canonical_row(row, out).map_err(|source| {
                recipe_error(model, format!("tensor '{}': {source}", job.tensor.name()))
            })?;
        }
        let args = PackArgs {
            codes: &codes,
            rows: n,
            cols: job.cols,
        };
        kernel.pack(&args, job.out).map_err(kernel_error)?;
        let start = job.tensor.byte_range().start + job.rows.start * stride;
        model.file.owner().release(start..start + n * stride);
        Ok((n * stride) as u64)
    })?;

    let mut matrices = matrices.into_iter();
    (0..recipe.layers)
        .map(|layer| {
            let mut next = || {
                matrices
                    .next()
                    .ok_or_else(|| recipe_error(model, "too few matrices".to_owned()))
            };
            let norm =
                |name: &str, width| norm(model, &format!("blk.{layer}.{name}.weight"), width);
            let sub = |name, width| recipe.sub_norms.then(|| norm(name, width)).transpose();
            Ok(Layer {
                attn_norm: norm("attn_norm", recipe.hidden)?,
                ffn_norm: norm("ffn_norm", recipe.hidden)?,
                attn_sub_norm: sub("attn_sub_norm", recipe.q_dim())?,
                ffn_sub_norm: sub("ffn_sub_norm", recipe.ffn)?,
                q: next()?,
                k: next()?,
                v: next()?,
                o: next()?,
                gate: next()?,
                up: next()?,
                down: next()?,
            })
        })
        .collect()
}

/// Runs `work` on all jobs with `threads` threads; the caller's thread reports progress.
fn run_jobs<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    stage: &'static str,
    total: u64,
    progress: Progress<'_>,
    work: impl Fn(J) -> Result<u64, LoadError> + Sync,
) -> Result<(), LoadError> {
    let queue = Mutex::new(jobs.into_iter());
    let failure = Mutex::new(None);
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let body = || {
        while !stop.load(Ordering::Relaxed) {
            let job = queue
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .next();
            let Some(job) = job else { break };
            match work(job) {
                Ok(bytes) => _ = done.fetch_add(bytes, Ordering::Relaxed),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    failure
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(body)).collect();
        let mut report = || {
            progress(LoadProgress {
                stage,
                done: done.load(Ordering::Relaxed),
                total,
            })
        };
        while !workers
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            if !report() {
                stop.store(true, Ordering::Relaxed);
                failure
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .get_or_insert(LoadError::Cancelled);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        report();
    });
    match failure
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

/// A row group of the head, to be converted by whoever takes it.
struct HeadJob<'a> {
    rows: Range<usize>,
    out: &'a mut [u8],
}

fn load_head(
    model: &Model,
    format: HeadFormat,
    threads: usize,
    progress: Progress<'_>,
) -> Result<HeadData, LoadError> {
    let recipe = &model.recipe;
    let (vocab, hidden) = (recipe.vocab, recipe.hidden);
    let name = if recipe.tied_head {
        "token_embd.weight"
    } else {
        "output.weight"
    };
    let view = tensor(model, name, vocab, hidden)?;
    if format == HeadFormat::F16 && view.ty() == TensorType::F16 {
        return Ok(HeadData::File(view.byte_range()));
    }
    if format != HeadFormat::F16 && !hidden.is_multiple_of(head::SCALE_COLS) {
        let what = format!("a {format:?} head needs a hidden size that 32 divides, not {hidden}");
        return Err(recipe_error(model, what));
    }
    let bytes = format.bytes(vocab, hidden).and_then(AlignedBuf::zeroed);
    let mut data = bytes.ok_or_else(|| recipe_error(model, "no memory for the head".to_owned()))?;
    data.prefer_huge_pages();
    let mut jobs = Vec::new();
    let mut rest = data.as_mut_slice();
    for start in (0..vocab).step_by(head::GROUP_ROWS) {
        let rows = start..vocab.min(start + head::GROUP_ROWS);
        let bytes = format
            .bytes(rows.len(), hidden)
            .unwrap_or(0)
            .min(rest.len());
        let (out, tail) = rest.split_at_mut(bytes);
        rest = tail;
        jobs.push(HeadJob { rows, out });
    }
    let row_bytes = view.byte_range().len() / vocab;
    run_jobs(
        jobs,
        threads,
        "head",
        view.byte_range().len() as u64,
        progress,
        |job| {
            let mut values = vec![0.0f32; job.rows.len() * hidden];
            for (row, out) in job.rows.clone().zip(values.chunks_exact_mut(hidden)) {
                view.decode_row(row, out)
                    .map_err(|source| LoadError::Format {
                        model: model.source.clone(),
                        source,
                    })?;
            }
            if format == HeadFormat::F16 {
                for (value, out) in values.iter().zip(job.out.chunks_exact_mut(2)) {
                    out.copy_from_slice(&half::f16::from_f32(*value).to_le_bytes());
                }
            } else {
                head::pack_group(format, &values, hidden, job.out)
                    .map_err(|source| recipe_error(model, source.to_string()))?;
            }
            Ok((job.rows.len() * row_bytes) as u64)
        },
    )?;
    Ok(HeadData::Owned(data))
}
