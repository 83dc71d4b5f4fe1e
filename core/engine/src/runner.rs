//! A model in memory, ready to run steps.

use std::sync::Arc;

use tritone_abi::Kernel;

use crate::api::{LoadProgress, LoadReport, PackCache};
use crate::error::{LoadError, StepError};
use crate::exec::clock::StepClock;
use crate::exec::step::{Buffers, NO_EMBEDDING, Slice, Step};
use crate::exec::team::{Member, Poisoned, Team};
use crate::exec::{KvCache, Pages, RopeTables};
use crate::forms::Forms;
use crate::map::not_locked;
use crate::model::Model;
use crate::plan::{Capacity, MemoryPlan};
use crate::reshape::new_cache;
use crate::tally::StepTimes;
use crate::weights::{Loaded, Packing, Repacked, Unwritten, Weights};

/// How a runner is set up.
#[derive(Clone)]
pub struct RunnerOptions {
    /// Kernel to run on.
    pub kernel: Arc<dyn Kernel>,
    /// Threads, at least 1.
    pub threads: usize,
    /// Sizes of steps and cache.
    pub capacity: Capacity,
    /// Forms of the head and the KV cache.
    pub forms: Forms,
    /// Upper bound for the plan, or `None`.
    pub memory_limit: Option<u64>,
    /// Where packed weights are kept. A runner reads packs, and leaves it to its owner to write
    /// new ones.
    pub pack_cache: PackCache,
    /// Lock weights, head and KV cache into memory.
    pub mlock: bool,
}

impl RunnerOptions {
    /// Defaults for `kernel` and `capacity`: one thread, head and KV cache in f16, no memory limit,
    /// nothing kept or locked.
    #[must_use]
    pub fn new(kernel: Arc<dyn Kernel>, capacity: Capacity) -> Self {
        Self {
            kernel,
            threads: 1,
            capacity,
            forms: Forms::default(),
            memory_limit: None,
            pack_cache: PackCache::default(),
            mlock: false,
        }
    }
}

/// Packed weights, KV cache and a team of threads: runs one batch of slices at a time.
///
/// The layer below [`Engine`](crate::Engine), for callers that want logits.
pub struct Runner {
    pub(crate) model: Arc<Model>,
    pub(crate) options: RunnerOptions,
    pub(crate) plan: MemoryPlan,
    pub(crate) weights: Weights,
    pub(crate) cache: KvCache,
    pub(crate) rope: RopeTables,
    pub(crate) buffers: Buffers,
    pub(crate) team: Team,
    clock: Arc<StepClock>,
    report: LoadReport,
    notices: Vec<String>,
    unwritten: Vec<Unwritten>,
}

impl Runner {
    /// Loads the weights of `model`. `progress` is called some hundred times a second; when it
    /// returns `false`, loading ends with [`LoadError::Cancelled`].
    ///
    /// # Errors
    /// When the plan exceeds the memory limit, a tensor is missing or wrong, the kernel does not
    /// take the model, or the system has no memory or threads.
    pub fn load(
        model: Arc<Model>,
        options: RunnerOptions,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, LoadError> {
        let RunnerOptions {
            ref kernel,
            threads,
            capacity,
            forms,
            memory_limit,
            ref pack_cache,
            mlock,
        } = options;
        let threads = threads.max(1);
        let recipe = &model.recipe;
        let too_big = || LoadError::Recipe {
            model: model.source.clone(),
            what: "the model is too large for this machine's address space or memory".to_owned(),
        };
        model.check_head(forms.head)?;
        let plan = MemoryPlan::new(recipe, &**kernel, threads, capacity, forms, memory_limit)
            .ok_or_else(too_big)?;
        if !plan.fits() {
            return Err(LoadError::Memory {
                model: model.source.clone(),
                plan: Box::new(plan),
            });
        }
        let Loaded {
            weights,
            report,
            mut notices,
            unwritten,
        } = Weights::load(&model, &**kernel, threads, forms.head, pack_cache, progress)?;
        let cache = new_cache(&model, capacity, forms).ok_or_else(too_big)?;
        let rope = RopeTables::new(recipe, capacity.context).ok_or_else(too_big)?;
        let buffers = Buffers::new(recipe, &**kernel, capacity, threads, forms, weights.groups)
            .ok_or_else(too_big)?;
        let team = Team::new(threads).map_err(LoadError::Thread)?;
        if mlock && let Err(error) = weights.lock(&model).and_then(|()| cache.lock()) {
            notices.push(not_locked(
                &error,
                plan.weights + plan.head + plan.kv + plan.states,
            ));
        }
        Ok(Self {
            model,
            options,
            plan,
            weights,
            cache,
            rope,
            buffers,
            team,
            clock: Arc::new(StepClock::new()),
            report,
            notices,
            unwritten,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What it takes in memory.
    #[must_use]
    pub fn plan(&self) -> &MemoryPlan {
        &self.plan
    }

    /// What loading consisted of.
    #[must_use]
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// What the user should know about loading.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What was packed and is to be written to files; empty the second time.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Unwritten> {
        std::mem::take(&mut self.unwritten)
    }

    /// The kernel in use.
    #[must_use]
    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        &self.options.kernel
    }

    /// Threads of the team.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.team.size()
    }

    /// Where the time of steps went so far.
    #[must_use]
    pub fn step_times(&self) -> StepTimes {
        self.clock.times()
    }

    /// The clock of steps, to be read from other threads.
    pub(crate) fn clock(&self) -> &Arc<StepClock> {
        &self.clock
    }

    /// Sizes of steps and cache.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.buffers.capacity()
    }

    /// The KV cache, to reserve and release pages.
    pub(crate) fn cache(&mut self) -> &mut KvCache {
        &mut self.cache
    }

    /// Gives pages back.
    pub fn release(&mut self, pages: Pages) {
        self.cache.release(pages);
    }

    /// Pages for `positions` positions, or `None` when the cache has too few.
    pub fn reserve(&mut self, positions: usize) -> Option<Pages> {
        let mut pages = Pages::default();
        self.cache.reserve(&mut pages, positions).then_some(pages)
    }

    /// Goes on with another kernel. With the same layout nothing is copied; otherwise the weights
    /// are packed anew, and the old ones are given up when that is done.
    ///
    /// # Errors
    /// When the kernel does not take the model, or the weights do not fit beside the old ones; the
    /// runner then keeps its old kernel.
    pub fn set_kernel(&mut self, kernel: Arc<dyn Kernel>) -> Result<(), LoadError> {
        let packing = self.packing_for(&*kernel)?;
        let new = packing.map(|packing| packing.run(&*kernel, &mut |_| true));
        let repacked = new.transpose()?;
        self.exchange(kernel, repacked).map(drop)
    }

    /// Goes on with another kernel and, if it has another layout, with the weights packed for it.
    /// Takes no time worth mentioning; returns the old weights, giving up which does.
    ///
    /// # Errors
    /// As for [`set_kernel`](Self::set_kernel), and when the weights are in another layout.
    pub(crate) fn exchange(
        &mut self,
        kernel: Arc<dyn Kernel>,
        repacked: Option<Repacked>,
    ) -> Result<Option<Repacked>, LoadError> {
        let plan = self.plan_for(&*kernel)?;
        let layout = repacked.as_ref().map(Repacked::layout);
        if kernel.facts().layout != layout.unwrap_or(self.weights.layout()) {
            return Err(self.cannot("the weights are packed for another kernel"));
        }
        let (threads, forms) = (self.team.size(), self.options.forms);
        let buffers = Buffers::new(
            &self.model.recipe,
            &*kernel,
            self.capacity(),
            threads,
            forms,
            self.weights.groups,
        )
        .ok_or_else(|| self.cannot("no memory for the kernel's buffers"))?;
        self.buffers = buffers;
        self.plan = plan;
        self.options.kernel = kernel;
        Ok(repacked.map(|new| self.weights.exchange(new)))
    }

    /// How to pack the weights for `kernel`; `None` when it can use them as they are.
    ///
    /// # Errors
    /// When the model does not fit the memory limit with that kernel, or the weights do not beside
    /// those in use.
    pub(crate) fn packing_for(&self, kernel: &dyn Kernel) -> Result<Option<Packing>, LoadError> {
        let needed = self.plan_for(kernel)?.total();
        if kernel.facts().layout == self.weights.layout() {
            return Ok(None);
        }
        let needed = needed.saturating_add(self.weights.packed_bytes());
        if let Some(limit) = self.options.memory_limit.filter(|limit| needed > *limit) {
            let kernel = kernel.facts().name.clone();
            return Err(LoadError::Switch {
                kernel,
                needed,
                limit,
            });
        }
        Ok(Some(Packing {
            model: Arc::clone(&self.model),
            threads: self.team.size(),
            pack_cache: self.options.pack_cache.clone(),
            mlock: self.options.mlock,
            head: self.weights.has_ternary_head(),
        }))
    }

    /// The plan with `kernel` in place of the present one.
    fn plan_for(&self, kernel: &dyn Kernel) -> Result<MemoryPlan, LoadError> {
        let (capacity, forms) = (self.capacity(), self.options.forms);
        let (recipe, limit) = (&self.model.recipe, self.options.memory_limit);
        let plan = MemoryPlan::new(recipe, kernel, self.team.size(), capacity, forms, limit);
        let plan = plan.ok_or_else(|| self.cannot("no memory for the kernel's weights"))?;
        if plan.fits() {
            return Ok(plan);
        }
        Err(LoadError::Memory {
            model: self.model.source.clone(),
            plan: Box::new(plan),
        })
    }

    pub(crate) fn cannot(&self, what: &str) -> LoadError {
        LoadError::Recipe {
            model: self.model.source.clone(),
            what: what.to_owned(),
        }
    }

    /// Goes on with another number of threads, at least 1. Weights and KV cache stay as they are.
    ///
    /// # Errors
    /// When the buffers of so many threads exceed the memory limit or the system has no thread; the
    /// runner then keeps its old team.
    pub fn set_threads(&mut self, threads: usize) -> Result<(), LoadError> {
        let threads = threads.max(1);
        if threads == self.team.size() {
            return Ok(());
        }
        let (recipe, kernel) = (&self.model.recipe, &*self.options.kernel);
        let (capacity, forms) = (self.capacity(), self.options.forms);
        let too_big = || LoadError::Recipe {
            model: self.model.source.clone(),
            what: format!("no memory for the buffers of {threads} threads"),
        };
        let limit = self.options.memory_limit;
        let plan =
            MemoryPlan::new(recipe, kernel, threads, capacity, forms, limit).ok_or_else(too_big)?;
        if !plan.fits() {
            return Err(LoadError::Memory {
                model: self.model.source.clone(),
                plan: Box::new(plan),
            });
        }
        let groups = self.weights.groups;
        let buffers =
            Buffers::new(recipe, kernel, capacity, threads, forms, groups).ok_or_else(too_big)?;
        let team = Team::new(threads).map_err(LoadError::Thread)?;
        (self.plan, self.buffers, self.team) = (plan, buffers, team);
        self.options.threads = threads;
        Ok(())
    }

    /// Calls `work` once on every thread of the team, with its number: 0 is the calling thread. For
    /// what belongs to a thread, such as the processor it may run on.
    ///
    /// # Errors
    /// When `work` panics, now or in an earlier step.
    pub fn on_threads(&mut self, work: &(dyn Fn(usize) + Sync)) -> Result<(), StepError> {
        let program = |member: &Member<'_>| {
            work(member.id());
            Ok(())
        };
        self.team
            .run(&program)
            .map_err(|Poisoned| StepError::Panicked)
    }

    /// Copies the first page of `source` over every page of `into`: a cache of any depth in the time
    /// of a copy. Attention then reads as much memory as after a real prefill, but what it computes
    /// means nothing; for measurements.
    ///
    /// # Errors
    /// When `source` has no page, or pages belong to another cache.
    pub fn repeat_page(&mut self, source: &Pages, into: &Pages) -> Result<(), StepError> {
        if source.count() == 0 || !self.cache.owns(source) || !self.cache.owns(into) {
            return Err(StepError::Batch("pages of another cache, or none"));
        }
        self.cache.repeat_page(source, into);
        Ok(())
    }

    /// Takes the recurrent state of a sequence, if there is one, for that at `position`. What is
    /// computed from there means nothing; for measurements.
    pub fn assume_position(&mut self, pages: &Pages, position: usize) {
        self.cache.set_state_position(pages, position);
    }

    /// Runs one batch: afterwards the keys and values of all its tokens are in the cache, and
    /// [`logits`](Self::logits) holds one row for every wanted position, in order.
    ///
    /// A recurrent state cannot go back: a slice begins at 0, or where the last one of its sequence
    /// ended.
    ///
    /// # Errors
    /// When the batch does not fit the capacity or its pages, or the kernel fails.
    pub fn step(&mut self, batch: &[Slice<'_>]) -> Result<(), StepError> {
        self.check(batch)?;
        self.buffers.prepare(batch);
        let embedding = self
            .model
            .file
            .tensor("token_embd.weight")
            .ok_or(NO_EMBEDDING)?;
        let step = Step {
            model: &self.model,
            embedding,
            keeps_embedding: self.model.recipe.keeps_embedding(self.options.forms.head),
            weights: &self.weights,
            kernel: &*self.options.kernel,
            cache: &self.cache,
            rope: &self.rope,
            buffers: &self.buffers,
            batch,
            clock: &self.clock,
        };
        self.team
            .run(&|member| step.run(member))
            .map_err(|_| StepError::Panicked)?;
        for slice in batch {
            let end = slice.start + slice.tokens.len();
            self.cache.set_state_position(slice.pages, end);
        }
        self.buffers
            .take_failure()
            .map_or(Ok(()), |error| Err(StepError::Kernel(error)))
    }

    /// Logits of the `i`-th wanted position of the last step, one a token of the vocabulary.
    ///
    /// # Panics
    /// When `i` is not below the capacity's `logit_rows`.
    pub fn logits(&mut self, i: usize) -> &mut [f32] {
        self.buffers.logits(i)
    }

    /// The `i`-th wanted state of the last step: what the head is given, one value for every column
    /// of the residual stream.
    ///
    /// # Panics
    /// When fewer were wanted.
    pub fn state(&mut self, i: usize) -> &[f32] {
        self.buffers.state(i)
    }

    fn check(&self, batch: &[Slice<'_>]) -> Result<(), StepError> {
        let capacity = self.capacity();
        let rows: usize = batch.iter().map(|s| s.tokens.len()).sum();
        let wanted: usize = batch.iter().map(Slice::wanted).sum();
        if rows == 0 || batch.iter().any(|s| s.tokens.is_empty()) {
            return Err(StepError::Batch("every slice has a token"));
        }
        if rows > capacity.rows || wanted > capacity.logit_rows {
            return Err(StepError::Batch("more rows than the runner was made for"));
        }
        for (i, slice) in batch.iter().enumerate() {
            let end = slice.start.checked_add(slice.tokens.len());
            if end.is_none_or(|end| end > capacity.context || end > slice.pages.positions()) {
                return Err(StepError::Batch("a slice leaves its pages or the context"));
            }
            if !self.cache.owns(slice.pages) {
                return Err(StepError::Batch("pages of another cache"));
            }
            let state = self.cache.state_position(slice.pages);
            if slice.start > 0 && state.is_some_and(|position| position != slice.start) {
                return Err(StepError::Batch(
                    "a recurrent state is at another position than its slice",
                ));
            }
            if batch[..i]
                .iter()
                .any(|other| other.pages.shares(slice.pages))
            {
                return Err(StepError::Batch("two slices share a page"));
            }
        }
        let vocab = self.model.recipe.vocab;
        if batch
            .iter()
            .flat_map(|s| s.tokens)
            .any(|t| *t as usize >= vocab)
        {
            return Err(StepError::Batch("a token lies outside the vocabulary"));
        }
        Ok(())
    }
}
