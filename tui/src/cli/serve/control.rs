//! Kernels and profiles of a server, while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use tritone_engine::Engine;
use tritone_server::serve::{Bounds, Control, KernelEntry};

use crate::cli::args::CommonArgs;
use crate::cli::host::bounds as bounds_of;
use crate::cli::setup::Setup;

/// What the admin routes change.
pub(super) struct Live {
    engine: Engine,
    common: CommonArgs,
    /// Answers written at once: that stays.
    slots: usize,
    setup: Mutex<Setup>,
    bounds: Mutex<Bounds>,
}

impl Live {
    pub(super) fn new(engine: Engine, common: &CommonArgs, slots: usize, setup: Setup) -> Self {
        let (options, _) = setup.options(engine.model(), slots);
        Self {
            engine,
            common: common.clone(),
            slots,
            bounds: Mutex::new(bounds(&setup, options.memory_limit)),
            setup: Mutex::new(setup),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Setup) -> T) -> T {
        look(&self.setup.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a profile has watched, with a server's limit of memory.
fn bounds(setup: &Setup, memory_limit: Option<u64>) -> Bounds {
    let own = setup.profile().memory_bytes();
    bounds_of(setup, memory_limit.unwrap_or(own))
}

impl Control for Live {
    fn kernels(&self) -> Vec<KernelEntry> {
        let active = self.engine.kernel_name();
        self.with(|setup| {
            let usable = setup
                .registry
                .kernels()
                .iter()
                .filter(|found| found.is_usable());
            let usable = usable.map(|found| KernelEntry {
                name: found.facts.name.clone(),
                usable: true,
                reason: found.score.reason.clone(),
                active: found.facts.name == active,
            });
            let others = crate::cli::kernels::unusable(&setup.registry).into_iter();
            let others = others.map(|other| KernelEntry {
                name: other.name,
                usable: false,
                reason: format!("{}: {}", other.state, other.why),
                active: false,
            });
            usable.chain(others).collect()
        })
    }

    fn switch_kernel(&self, name: &str) -> Result<Vec<String>, String> {
        let kernel = self.with(|setup| setup.registry.by_name(name));
        let kernel = kernel.map_err(|error| error.to_string())?;
        let switched = self.engine.switch_kernel(kernel, &mut |_| true);
        switched.map_err(|error| error.to_string())
    }

    fn bounds(&self) -> Bounds {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn profile(&self) -> String {
        self.with(|setup| setup.profile().name.clone())
    }

    fn switch_profile(&self, name: &str) -> Result<Vec<String>, String> {
        let common = CommonArgs {
            profile: Some(name.to_owned()),
            ..self.common.clone()
        };
        let mut setup = Setup::new(&common).map_err(|error| format!("{error:#}"))?;
        setup.beside = self.with(|old| old.beside);
        let model = self.engine.shared_model();
        let (options, mut notes) = setup.options(&model, self.slots);
        let changed = self.engine.reconfigure(&options, &mut |_| true);
        notes.extend(changed.map_err(|error| error.to_string())?);
        let wanted = &options.kernel.facts().name;
        if setup.names_kernel() && *wanted != self.engine.kernel_name() {
            let kernel = Arc::clone(&options.kernel);
            match self.engine.switch_kernel(kernel, &mut |_| true) {
                Ok(more) => notes.extend(more),
                Err(why) => {
                    notes.push(format!("kernel {} stays: {why}", self.engine.kernel_name()))
                }
            }
        }
        notes.push("slots, queue and limits of requests stay as they were at the start".to_owned());
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) =
            bounds(&setup, options.memory_limit);
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
        Ok(notes)
    }
}
