//! Running on with other sizes, forms and limits: what stays is kept, the rest is made again.
//!
//! Weights are never packed again for that. Threads, chunk, pace and limit change between two steps, in
//! the middle of answers too, which they do not alter. The KV cache is made again when its form or size
//! changes, and the head when its form does; what answers then say would change, and their pages
//! would be gone, so that this waits for running answers to end.

use std::sync::Arc;
use std::time::Duration;

use crate::api::EngineOptions;
use crate::error::LoadError;
use crate::exec::step::Buffers;
use crate::exec::team::Team;
use crate::exec::{KvCache, KvShape, RopeTables, States};
use crate::forms::Forms;
use crate::map::not_locked;
use crate::model::Model;
use crate::plan::{Capacity, MemoryPlan};
use crate::runner::Runner;
use crate::weights::{HeadChange, OtherHead};

/// What an engine is to run with.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) threads: usize,
    pub(crate) capacity: Capacity,
    pub(crate) prefill_chunk: usize,
    pub(crate) inter_token_target: Option<Duration>,
    pub(crate) forms: Forms,
    pub(crate) memory_limit: Option<u64>,
}

impl Target {
    /// What `options` ask for where `model` runs. Kernel, pack cache and locking are not part of it.
    pub(crate) fn new(options: &EngineOptions, model: &Model) -> Self {
        Self {
            threads: options.threads.max(1),
            capacity: options.capacity_for(model),
            prefill_chunk: options.prefill_chunk,
            inter_token_target: options.inter_token_target,
            forms: options.forms,
            memory_limit: options.memory_limit,
        }
    }
}

/// What has to be done for a target.
pub(crate) struct Work {
    /// The head has to be made first.
    pub(crate) head: Option<HeadChange>,
    /// It has to wait for running answers.
    pub(crate) waits: bool,
    /// The KV cache is made again, and what it holds is lost.
    pub(crate) loses_cache: bool,
}

/// The cache for a capacity and a form.
pub(crate) fn new_cache(model: &Model, capacity: Capacity, forms: Forms) -> Option<KvCache> {
    let recipe = &model.recipe;
    let shape = KvShape {
        layers: recipe.kv_layers(),
        kv_heads: recipe.kv_heads,
        head_dim: recipe.head_dim,
        format: forms.kv,
    };
    let cache = KvCache::new(shape, capacity.kv_pages)?;
    let states = match recipe.recurrent {
        Some(shape) => Some(States::new(recipe, shape, capacity.states)?),
        None => None,
    };
    Some(cache.with_states(states))
}

impl Runner {
    /// The plan for `target` with the kernel in use.
    ///
    /// # Errors
    /// [`LoadError::Memory`] with the breakdown when it exceeds its limit.
    pub(crate) fn plan_target(&self, target: &Target) -> Result<MemoryPlan, LoadError> {
        let plan = MemoryPlan::new(
            &self.model.recipe,
            &*self.options.kernel,
            target.threads,
            target.capacity,
            target.forms,
            target.memory_limit,
        );
        let plan = plan.ok_or_else(|| self.cannot("no memory for these sizes"))?;
        if plan.fits() {
            return Ok(plan);
        }
        Err(LoadError::Memory {
            model: self.model.source.clone(),
            plan: Box::new(plan),
        })
    }

    /// What has to be done for `target`.
    ///
    /// # Errors
    /// When it does not fit its limit, when a new head does not fit beside the old one, or when the
    /// model cannot have its head in that form.
    pub(crate) fn work_for(&self, target: &Target) -> Result<Work, LoadError> {
        self.model.check_head(target.forms.head)?;
        let plan = self.plan_target(target)?;
        let other_head = target.forms.head != self.options.forms.head;
        if other_head {
            let needed = self.plan.total() - self.plan.head
                + self.weights.converted_head_bytes(&self.model)
                + plan.head;
            let limits = (self.options.memory_limit, target.memory_limit);
            let limit = limits.0.zip(limits.1).map(|(old, new)| old.max(new));
            if let Some(limit) = limit.filter(|limit| needed > *limit) {
                let head = target.forms.head;
                return Err(LoadError::HeadBeside {
                    head,
                    needed,
                    limit,
                });
            }
        }
        let loses_cache = self.changes_cache(target);
        Ok(Work {
            head: other_head.then(|| HeadChange {
                model: Arc::clone(&self.model),
                kernel: Arc::clone(&self.options.kernel),
                threads: target.threads,
                head: target.forms.head,
                pack_cache: self.options.pack_cache.clone(),
                mlock: self.options.mlock,
            }),
            waits: other_head || loses_cache || target.capacity.context != self.capacity().context,
            loses_cache,
        })
    }

    fn changes_cache(&self, target: &Target) -> bool {
        let (now, then) = (self.capacity(), target.capacity);
        target.forms.kv != self.options.forms.kv
            || (now.kv_pages, now.states) != (then.kv_pages, then.states)
    }

    /// Runs on as `target` says, with `head` if its form is another. The values are the old head, which
    /// takes time to give up, and what the user should know. All pages are void if the cache was made
    /// again.
    ///
    /// # Errors
    /// As for [`work_for`](Self::work_for), and when the system has no memory or threads; everything
    /// then stays as it is.
    pub(crate) fn reshape(
        &mut self,
        target: &Target,
        head: Option<OtherHead>,
    ) -> Result<(Option<OtherHead>, Vec<String>), LoadError> {
        if head.is_some() != (target.forms.head != self.options.forms.head) {
            return Err(self.cannot("the head was made in another form"));
        }
        let plan = self.plan_target(target)?;
        let no_memory = || self.cannot("no memory for these sizes");
        let (capacity, forms, threads) = (target.capacity, target.forms, target.threads);
        let cache = match self.changes_cache(target) {
            true => Some(new_cache(&self.model, capacity, forms).ok_or_else(no_memory)?),
            false => None,
        };
        let rope = match capacity.context == self.capacity().context {
            true => None,
            false => {
                let rope = RopeTables::new(&self.model.recipe, capacity.context);
                Some(rope.ok_or_else(no_memory)?)
            }
        };
        let team = match threads == self.team.size() {
            true => None,
            false => Some(Team::new(threads).map_err(LoadError::Thread)?),
        };
        let mut groups = self.weights.groups;
        groups.head = head.as_ref().map_or(groups.head, OtherHead::group);
        let (recipe, kernel) = (&self.model.recipe, &*self.options.kernel);
        let buffers = Buffers::new(recipe, kernel, capacity, threads, forms, groups);
        let buffers = buffers.ok_or_else(no_memory)?;
        // From here on nothing fails.
        let mut notices = Vec::new();
        if let Some(cache) = cache {
            if self.options.mlock
                && let Err(error) = cache.lock()
            {
                notices.push(not_locked(&error, plan.kv + plan.states));
            }
            self.cache = cache;
        }
        if let Some(rope) = rope {
            self.rope = rope;
        }
        if let Some(team) = team {
            self.team = team;
        }
        self.buffers = buffers;
        self.plan = plan;
        let options = &mut self.options;
        (options.threads, options.capacity, options.forms) = (threads, capacity, forms);
        options.memory_limit = target.memory_limit;
        Ok((head.map(|head| self.weights.exchange_head(head)), notices))
    }
}
