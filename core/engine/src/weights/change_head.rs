//! The head in another form, made ready while the one in use is read.

use std::sync::Arc;

use tritone_abi::{HeadFormat, Kernel, head};

use super::cache::Cache;
use super::head::HeadRows;
use super::jobs::Progress;
use super::ternary_head::TernaryHead;
use super::{LoadedHead, Weights};
use crate::api::{LoadedFrom, PackCache};
use crate::error::LoadError;
use crate::forms::Head;
use crate::map::not_locked;
use crate::model::Model;

/// A head, with all that belongs to its form.
pub(crate) struct OtherHead {
    pub(super) head: LoadedHead,
    /// Binary16 rows, when the best of them are computed again.
    pub(super) exact: Option<HeadRows>,
    /// Values of its input that share a scale.
    pub(super) group: usize,
    pub(super) from: LoadedFrom,
    /// What the user should know.
    pub(crate) notices: Vec<String>,
}

impl OtherHead {
    /// Values of its input that share a scale.
    pub(crate) fn group(&self) -> usize {
        self.group
    }
}

/// Loads the head in the form `head`.
pub(super) fn load(
    model: &Model,
    kernel: &dyn Kernel,
    threads: usize,
    head: Head,
    cache: &mut Cache<'_>,
    progress: Progress<'_>,
) -> Result<OtherHead, LoadError> {
    let exact = if head.exact() {
        let rows = HeadRows::load(model, HeadFormat::F16, threads, cache, progress)?;
        Some(rows.0)
    } else {
        None
    };
    let mut group = head::SCALE_COLS;
    let (head, from) = match head.format() {
        Some(format) => {
            let (rows, from) = HeadRows::load(model, format, threads, cache, progress)?;
            (LoadedHead::Rows(rows), from)
        }
        None => {
            let (head, from) = TernaryHead::load(model, kernel, threads, cache, progress)?;
            group = head.group;
            (LoadedHead::Ternary(head), from)
        }
    };
    Ok(OtherHead {
        head,
        exact,
        group,
        from,
        notices: Vec::new(),
    })
}

/// How to make the head again in another form.
pub(crate) struct HeadChange {
    pub(crate) model: Arc<Model>,
    pub(crate) kernel: Arc<dyn Kernel>,
    pub(crate) threads: usize,
    pub(crate) head: Head,
    pub(crate) pack_cache: PackCache,
    /// Keep it in memory.
    pub(crate) mlock: bool,
}

impl HeadChange {
    /// Makes it, or finds it in a pack.
    ///
    /// # Errors
    /// As for loading; [`LoadError::Cancelled`] when `progress` says so.
    pub(crate) fn run(&self, progress: Progress<'_>) -> Result<OtherHead, LoadError> {
        let (model, threads) = (&self.model, self.threads);
        let mut cache = Cache::new(model, &self.pack_cache);
        let mut new = load(
            model,
            &*self.kernel,
            threads,
            self.head,
            &mut cache,
            progress,
        )?;
        if let LoadedHead::Rows(rows) = &new.head {
            rows.bring_in(model, threads, progress)?;
        }
        new.notices = cache.notices;
        let lock = || {
            new.head.lock(model)?;
            new.exact.as_ref().map_or(Ok(()), |exact| exact.lock(model))
        };
        if self.mlock
            && let Err(error) = lock()
        {
            new.notices.push(not_locked(&error, new.head.bytes(model)));
        }
        Ok(new)
    }
}

impl Weights {
    /// Exchanges the head; the value is the old one.
    pub(crate) fn exchange_head(&mut self, new: OtherHead) -> OtherHead {
        OtherHead {
            head: std::mem::replace(&mut self.head, new.head),
            exact: std::mem::replace(&mut self.exact, new.exact),
            group: std::mem::replace(&mut self.groups.head, new.group),
            from: new.from,
            notices: Vec::new(),
        }
    }

    /// Bytes of the head that are not the model file's own: what another form comes beside.
    pub(crate) fn converted_head_bytes(&self, model: &Model) -> u64 {
        let exact = self.exact.as_ref();
        let exact = exact.map_or(0, |rows| rows.converted_bytes(model));
        exact
            + match &self.head {
                LoadedHead::Rows(rows) => rows.converted_bytes(model),
                LoadedHead::Ternary(head) => head.matrix.bytes(),
            }
    }
}
