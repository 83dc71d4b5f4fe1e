//! Models that are ready to be measured.
//!
//! A loaded model serves every kernel of its layout and every number of threads; another layout or
//! another head needs a model of its own. As many stay loaded as memory allows, so that measuring
//! them in turn costs no loading.

use std::sync::Arc;
use std::time::Instant;

use tritone_abi::{Kernel, LayoutId};
use tritone_engine::{Forms, LoadProgress, Model, RunnerOptions};

use super::pin::Pins;
use super::subject::{Extent, Subject};

/// One way to run the model.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) kernel: Arc<dyn Kernel>,
    /// The head's word in profiles, and what it means.
    pub(super) head: (&'static str, Forms),
    pub(super) threads: usize,
    /// Upper bound for the memory plan.
    pub(super) limit: u64,
}

impl Case {
    fn key(&self) -> (LayoutId, &'static str) {
        (self.kernel.facts().layout, self.head.0)
    }
}

struct Loaded {
    key: (LayoutId, &'static str),
    subject: Subject,
    seconds: f64,
    /// Larger is later.
    used: u64,
}

/// The models that are loaded.
pub(super) struct Pool<'a> {
    model: &'a Arc<Model>,
    extent: Extent,
    /// Bytes that all together may take.
    budget: u64,
    loaded: Vec<Loaded>,
    clock: u64,
    /// Models given up to make room for others.
    pub(super) given_up: usize,
}

impl<'a> Pool<'a> {
    pub(super) fn new(model: &'a Arc<Model>, extent: Extent, budget: u64) -> Self {
        Self {
            model,
            extent,
            budget,
            loaded: Vec::new(),
            clock: 0,
            given_up: 0,
        }
    }

    /// The model ready for `case`, and how many seconds loading it took; models that were not used
    /// for the longest time make room for it if it must be loaded.
    pub(super) fn take(
        &mut self,
        case: &Case,
        pins: Option<&Pins>,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> anyhow::Result<(&mut Subject, f64)> {
        self.clock += 1;
        let at = match self
            .loaded
            .iter()
            .position(|loaded| loaded.key == case.key())
        {
            Some(at) => at,
            None => {
                self.load(case, progress)?;
                self.loaded.len() - 1
            }
        };
        let loaded = &mut self.loaded[at];
        loaded.used = self.clock;
        loaded.subject.adapt(&case.kernel, case.threads, pins)?;
        Ok((&mut loaded.subject, loaded.seconds))
    }

    fn load(
        &mut self,
        case: &Case,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> anyhow::Result<()> {
        let options = RunnerOptions {
            threads: case.threads,
            forms: case.head.1,
            memory_limit: Some(case.limit),
            ..RunnerOptions::new(Arc::clone(&case.kernel), self.extent.capacity())
        };
        let plan = tritone_engine::MemoryPlan::new(
            self.model.recipe(),
            &*case.kernel,
            case.threads,
            options.capacity,
            options.forms,
            None,
        );
        let needed = plan.map_or(0, |plan| plan.total());
        let held = |loaded: &[Loaded]| -> u64 {
            let plans = loaded.iter().map(|loaded| loaded.subject.plan().total());
            plans.sum()
        };
        while held(&self.loaded).saturating_add(needed) > self.budget
            && let Some((oldest, _)) =
                (self.loaded.iter().enumerate()).min_by_key(|(_, loaded)| loaded.used)
        {
            self.loaded.remove(oldest);
            self.given_up += 1;
        }
        let begin = Instant::now();
        let subject = Subject::load(self.model, options, self.extent, progress)?;
        self.loaded.push(Loaded {
            key: case.key(),
            subject,
            seconds: begin.elapsed().as_secs_f64(),
            used: self.clock,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup;
    use tritone_engine::Head;

    #[test]
    fn models_are_shared_kept_and_given_up() {
        let model = Arc::new(Model::open(&setup::source(None)).unwrap());
        let registry = setup::registry(&Default::default());
        let case = |kernel: &str, head, threads| Case {
            kernel: registry.by_name(kernel).unwrap(),
            head,
            threads,
            limit: 1 << 30,
        };
        let best = registry.best().unwrap().facts().name.clone();
        let form = |head| Forms {
            head,
            ..Forms::default()
        };
        let (f16, q6) = (("f16", form(Head::F16)), ("q6", form(Head::Q6)));
        let extent = Extent {
            context: 64,
            sequences: 1,
            further: 0,
            chunk: 16,
        };
        let mut pool = Pool::new(&model, extent, 1 << 30);
        let mut loads = 0;
        let mut take = |pool: &mut Pool<'_>, case: &Case| {
            let mut loading = false;
            let taken = pool.take(case, None, &mut |_| {
                loading = true;
                true
            });
            taken.unwrap().0.decode(1, 3, 1, |_| true).unwrap().unwrap();
            loads += usize::from(loading);
            loads
        };
        assert_eq!(take(&mut pool, &case("scalar", f16, 1)), 1);
        assert_eq!(take(&mut pool, &case("scalar", f16, 2)), 1);
        assert_eq!(take(&mut pool, &case("scalar", q6, 1)), 2);
        assert_eq!(take(&mut pool, &case("scalar", f16, 1)), 2);
        assert_eq!((pool.given_up, pool.loaded.len()), (0, 2));
        // The same layout, if the best kernel's is the scalar one's.
        let other = case(&best, q6, 1);
        let same = other.key() == case("scalar", q6, 1).key();
        assert_eq!(take(&mut pool, &other), if same { 2 } else { 3 });

        let mut narrow = Pool::new(&model, extent, 1);
        for (head, given_up) in [(f16, 0), (q6, 1), (f16, 2)] {
            take(&mut narrow, &case("scalar", head, 1));
            assert_eq!((narrow.given_up, narrow.loaded.len()), (given_up, 1));
        }
    }
}
