//! The engine of this process for the strategy `native`: profile, kernel and plugins are the program's.

use tritone_engine::{Engine, LoadProgress};
use tritone_strategy::{Deployment, Fault, Loader, ModelRef, StrategyError};

use crate::cli::args::CommonArgs;
use crate::cli::setup::{Setup, registry};

/// Loads models as the command line says.
pub(super) struct Loading {
    common: CommonArgs,
}

impl Loading {
    pub(super) fn new(common: &CommonArgs) -> Self {
        Self {
            common: common.clone(),
        }
    }
}

impl Loader for Loading {
    fn ready(&self) -> Result<String, String> {
        let registry = registry(&self.common);
        let best = registry.best().map_err(|error| error.to_string())?;
        let facts = best.facts();
        Ok(format!("kernel {} ({})", facts.name, facts.isa))
    }

    fn load(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Engine, StrategyError> {
        let mut common = self.common.clone();
        common.model = match &deployment.model {
            ModelRef::Embedded => None,
            ModelRef::File(path) | ModelRef::Directory(path) => Some(path.clone()),
            ModelRef::Named(name) if name.is_empty() => common.model,
            ModelRef::Named(name) => Some(name.into()),
        };
        common.threads = deployment.threads.or(common.threads);
        common.ctx = deployment
            .context
            .map(|tokens| tokens as u64)
            .or(common.ctx);
        common.memory = deployment
            .memory_limit
            .map(|bytes| bytes.div_ceil(1 << 20))
            .or(common.memory);
        let setup = Setup::new(&common)
            .map_err(|error| StrategyError::new(Fault::Missing, format!("{error:#}")))?;
        let ready = setup
            .load(progress)
            .map_err(|error| StrategyError::not_loaded(&error))?;
        Ok(ready.engine)
    }
}
