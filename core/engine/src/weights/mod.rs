//! Weights in memory: ternary matrices packed for a kernel, norms, and the head.

mod bytes;
mod cache;
mod change_head;
mod head;
mod jobs;
mod layer;
mod pack;
mod packed;
mod places;
mod router;
mod scales;
mod ternary_head;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tritone_abi::{HeadMatrix, Kernel, LayoutId, TernaryMatrix};
use tritone_formats::{GgufError, TensorView};

use crate::api::{LoadReport, PackCache, PackStatus, PartReport};
use crate::error::LoadError;
use crate::exec::Transform;
use crate::files::Stretch;
use crate::forms::Head;
use crate::map::not_locked;
use crate::model::Model;
use cache::{Cache, Part};
pub(crate) use cache::{Unwritten, WriteError};
pub(crate) use change_head::{HeadChange, OtherHead};
use head::HeadRows;
pub(crate) use jobs::Progress;
pub(crate) use layer::{Attention, Dense, Experts, FeedForward, Input, Layer, Mixer, Recurrent};
use layer::{layers, transform};
pub(crate) use packed::Matrix;
use packed::Packed;
pub(crate) use places::Places;
pub(crate) use router::router_bytes;
pub(crate) use scales::{Groups, scale_bytes, ternary_head_bytes};
use ternary_head::TernaryHead;

/// The head in the form it was loaded in.
#[derive(Debug)]
enum LoadedHead {
    Rows(HeadRows),
    Ternary(TernaryHead),
}

impl LoadedHead {
    /// Bytes in memory.
    fn bytes(&self, model: &Model) -> u64 {
        match self {
            Self::Rows(rows) => rows.bytes(model),
            Self::Ternary(head) => head.matrix.bytes(),
        }
    }

    /// Keeps it in memory.
    fn lock(&self, model: &Model) -> io::Result<()> {
        match self {
            Self::Rows(rows) => rows.lock(model),
            Self::Ternary(head) => head.matrix.lock(),
        }
    }
}

/// The head for a step.
pub(crate) enum HeadView<'a> {
    /// Rows in a format of their own.
    Rows(HeadMatrix<'a>),
    /// One more ternary matrix.
    Ternary(TernaryMatrix<'a>),
}

/// All weights.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Vec<f32>,
    /// Of a folded embedding, whose rows it gives back, and of the input of a folded head.
    pub(crate) embedding: Option<Arc<Transform>>,
    pub(crate) head_input: Option<Arc<Transform>>,
    /// Of the inputs of the layers' products.
    pub(crate) groups: Groups,
    packed: Packed,
    head: LoadedHead,
    /// Binary16 rows, when the best of them are computed again.
    exact: Option<HeadRows>,
}

impl Weights {
    /// All weights of `model` for `kernel`: from packs, or packed with `threads` threads.
    pub(crate) fn load(
        model: &Arc<Model>,
        kernel: &dyn Kernel,
        threads: usize,
        head: Head,
        pack_cache: &PackCache,
        progress: Progress<'_>,
    ) -> Result<Loaded, LoadError> {
        let mut cache = Cache::new(model, pack_cache);
        let begin = Instant::now();
        let (packed, from) = Packed::load(model, kernel, threads, &mut cache, progress)?;
        let weights = PartReport {
            bytes: packed.bytes(),
            took: begin.elapsed(),
            from,
        };
        let begin = Instant::now();
        let OtherHead {
            head,
            exact,
            group,
            from,
            ..
        } = change_head::load(model, kernel, threads, head, &mut cache, progress)?;
        let (layers, mut groups) = layers(model, &packed)?;
        groups.head = group;
        let mut output_norm = floats(model, "output_norm.weight", 1, model.recipe.hidden)?;
        // The head is linear: what its result is multiplied by can be in the norm before it.
        let scale = model.recipe.logit_scale;
        output_norm.iter_mut().for_each(|w| *w *= scale);
        let hidden = transform(&model.recipe, model.recipe.hidden, false);
        let folded = |is: bool| hidden.clone().filter(|_| is);
        let hadamard = model.recipe.hadamard.as_ref();
        release_rest(model);
        if let LoadedHead::Rows(rows) = &head {
            rows.bring_in(model, threads, progress)?;
        }
        let bytes = head.bytes(model);
        let head_report = PartReport {
            bytes,
            took: begin.elapsed(),
            from,
        };
        let Cache {
            notices, unwritten, ..
        } = cache;
        Ok(Loaded {
            weights: Self {
                layers,
                groups,
                output_norm,
                embedding: folded(hadamard.is_some_and(|h| h.embedding)),
                head_input: folded(hadamard.is_some_and(|h| h.head)),
                packed,
                head,
                exact,
            },
            report: LoadReport {
                weights,
                head: head_report,
            },
            notices,
            unwritten,
        })
    }

    /// Keeps matrices and head in memory.
    pub(crate) fn lock(&self, model: &Model) -> io::Result<()> {
        self.packed.lock()?;
        self.head.lock(model)?;
        self.exact
            .as_ref()
            .map_or(Ok(()), |exact| exact.lock(model))
    }

    /// Exchanges the ternary matrices; the value is the old ones.
    pub(crate) fn exchange(&mut self, new: Repacked) -> Repacked {
        let head = match (&mut self.head, new.head) {
            (LoadedHead::Ternary(head), Some(new)) => Some(std::mem::replace(head, new)),
            (_, unused) => unused,
        };
        Repacked {
            head,
            layers: std::mem::replace(&mut self.layers, new.layers),
            packed: std::mem::replace(&mut self.packed, new.packed),
            notices: Vec::new(),
        }
    }

    /// Bytes of the ternary matrices, a ternary head included.
    pub(crate) fn packed_bytes(&self) -> u64 {
        let head = match &self.head {
            LoadedHead::Rows(_) => 0,
            LoadedHead::Ternary(head) => head.matrix.bytes(),
        };
        self.packed.bytes() + head
    }

    /// Whether the head is one of the ternary matrices.
    pub(crate) fn has_ternary_head(&self) -> bool {
        matches!(self.head, LoadedHead::Ternary(_))
    }

    /// Layout of the ternary matrices.
    pub(crate) fn layout(&self) -> LayoutId {
        self.packed.layout()
    }

    /// The head that every row of logits is computed from.
    pub(crate) fn head<'a>(&'a self, model: &'a Model) -> HeadView<'a> {
        match &self.head {
            LoadedHead::Rows(rows) => HeadView::Rows(rows.view(model)),
            LoadedHead::Ternary(head) => HeadView::Ternary(head.matrix.view()),
        }
    }

    /// The binary16 head that the best rows are computed again from, if the form of the head says
    /// so.
    pub(crate) fn exact<'a>(&'a self, model: &'a Model) -> Option<HeadMatrix<'a>> {
        Some(self.exact.as_ref()?.view(model))
    }
}

/// The ternary matrices in another layout, made ready while those in use are read.
pub(crate) struct Repacked {
    layers: Vec<Layer>,
    packed: Packed,
    /// The head, if it is ternary.
    head: Option<TernaryHead>,
    /// What the user should know.
    pub(crate) notices: Vec<String>,
}

impl Repacked {
    /// Their layout.
    pub(crate) fn layout(&self) -> LayoutId {
        self.packed.layout()
    }
}

/// How to pack the ternary matrices again.
pub(crate) struct Packing {
    pub(crate) model: Arc<Model>,
    pub(crate) threads: usize,
    pub(crate) pack_cache: PackCache,
    /// Keep them in memory.
    pub(crate) mlock: bool,
    /// The head too.
    pub(crate) head: bool,
}

impl Packing {
    /// Packs them for `kernel`, or finds them in a pack.
    ///
    /// # Errors
    /// As for loading; [`LoadError::Cancelled`] when `progress` says so.
    pub(crate) fn run(
        &self,
        kernel: &dyn Kernel,
        progress: Progress<'_>,
    ) -> Result<Repacked, LoadError> {
        let mut cache = Cache::new(&self.model, &self.pack_cache);
        let (packed, _) = Packed::load(&self.model, kernel, self.threads, &mut cache, progress)?;
        let head = if self.head {
            let (model, threads) = (&self.model, self.threads);
            Some(TernaryHead::load(model, kernel, threads, &mut cache, progress)?.0)
        } else {
            None
        };
        let mut notices = cache.notices;
        let lock_head = || head.as_ref().map_or(Ok(()), |head| head.matrix.lock());
        if self.mlock
            && let Err(error) = packed.lock().and_then(|()| lock_head())
        {
            notices.push(not_locked(&error, packed.bytes()));
        }
        let (layers, _) = layers(&self.model, &packed)?;
        release_rest(&self.model);
        Ok(Repacked {
            layers,
            packed,
            head,
            notices,
        })
    }
}

/// Weights, and what there is to say about them.
pub(crate) struct Loaded {
    pub(crate) weights: Weights,
    pub(crate) report: LoadReport,
    /// What the user should know.
    pub(crate) notices: Vec<String>,
    /// What is worth a file.
    pub(crate) unwritten: Vec<Unwritten>,
}

/// The packs there are for `model`, `kernel` and a head in the form `head`. Data is only read when
/// `pack_cache.verify` is set.
#[must_use]
pub fn packs(
    model: &Arc<Model>,
    kernel: &dyn Kernel,
    head: Head,
    pack_cache: &PackCache,
    threads: usize,
) -> Vec<PackStatus> {
    let recipe = &model.recipe;
    let places = Places::new(recipe, kernel);
    let weights = places.map(|places| {
        let shape = (cache::shape_of_places(&places), places.bytes());
        (Part::Weights(kernel.facts().layout), shape)
    });
    let (vocab, hidden) = (recipe.vocab, recipe.hidden);
    let head = match head.format() {
        Some(format) => format.bytes(vocab, hidden).map(|bytes| {
            let shape = (cache::shape_of_head(vocab, hidden), bytes);
            (Part::Head(format), shape)
        }),
        None => kernel.packed_bytes(vocab, hidden).map(|bytes| {
            let (part, shape) = ternary_head::part(model, kernel.facts().layout);
            (part, (shape, bytes))
        }),
    };
    let status = |(part, shape)| cache::status(model, pack_cache, part, shape, threads);
    [weights, head]
        .into_iter()
        .flatten()
        .filter_map(status)
        .collect()
}

/// Gives back what came into memory of the tensors that are not used from the file: reading a norm
/// or a scale brings its neighbours in, some 60 KiB each time.
fn release_rest(model: &Model) {
    const PAGE: usize = 4096;
    let used = ["token_embd.weight", model.recipe.head_tensor()];
    let used = used.map(|name| Some(Stretch::of(&model.file.tensor(name)?)));
    for (number, part) in model.file.parts().enumerate() {
        let here = used.iter().flatten().filter(|data| data.part == number);
        let mut here: Vec<_> = here.map(|data| data.range.clone()).collect();
        here.sort_by_key(|range| range.start);
        let end = part.bytes().len();
        let mut at = part.data_offset();
        for range in here.into_iter().chain(std::iter::once(end..usize::MAX)) {
            // Whole pages only: what is used may be locked.
            let free = at.next_multiple_of(PAGE)..range.start / PAGE * PAGE;
            if free.start < free.end {
                part.owner().release(free);
            }
            at = at.max(range.end);
        }
    }
}

fn recipe_error(model: &Model, what: String) -> LoadError {
    LoadError::Recipe {
        model: model.source.clone(),
        what,
    }
}

fn format_error(model: &Model) -> impl Fn(GgufError) -> LoadError {
    |source| LoadError::Format {
        model: model.source.clone(),
        source,
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
        .map_err(format_error(model))?;
    if view.rows() != rows || view.columns() != cols {
        let (r, c) = (view.rows(), view.columns());
        let what = format!("tensor '{name}' is {r} x {c}; the metadata asks for {rows} x {cols}");
        return Err(recipe_error(model, what));
    }
    Ok(view)
}

/// All values of a tensor, row by row.
fn floats(model: &Model, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, LoadError> {
    let view = tensor(model, name, rows, columns)?;
    let mut out = vec![0.0; view.elements()];
    for (row, out) in out.chunks_exact_mut(columns.max(1)).enumerate() {
        view.decode_row(row, out).map_err(format_error(model))?;
    }
    match out.iter().position(|w| !w.is_finite()) {
        None => Ok(out),
        Some(i) => Err(recipe_error(
            model,
            format!("tensor '{name}' holds {} at {i}", out[i]),
        )),
    }
}
