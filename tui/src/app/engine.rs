//! The real engine as a [`Backend`].

use std::sync::Arc;

use tritone_abi::Kernel;
use tritone_engine::{Cancel, Engine, EngineStatus, Event, GenerateError, Generation, Request};

use super::backend::{Backend, EventSource, KernelChoice, ModelCard};

/// A kernel that was found and passed its checks.
#[derive(Clone)]
pub struct KernelOption {
    /// Its name.
    pub name: String,
    /// What it is and how well it suits this machine, in a line.
    pub detail: String,
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
}

/// An [`Engine`] and the kernels it can be switched to.
pub struct EngineBackend {
    engine: Engine,
    kernels: Vec<KernelOption>,
}

impl EngineBackend {
    /// Puts the two together; the best kernel comes first.
    #[must_use]
    pub fn new(engine: Engine, kernels: Vec<KernelOption>) -> Self {
        Self { engine, kernels }
    }
}

impl Backend for EngineBackend {
    fn model(&self) -> ModelCard {
        let info = self.engine.info();
        ModelCard {
            name: info.name.clone(),
            architecture: info.architecture.clone(),
            parameters: info.parameters,
            context: info.context,
            file_bytes: info.file_bytes,
            notices: info.notices.clone(),
        }
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        Ok(Box::new(self.engine.generate(request)?))
    }

    fn status(&self) -> EngineStatus {
        self.engine.status()
    }

    fn threads(&self) -> usize {
        self.engine.threads()
    }

    fn kernel_name(&self) -> String {
        self.engine.kernel_name()
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        let choice = |option: &KernelOption| KernelChoice {
            name: option.name.clone(),
            detail: option.detail.clone(),
        };
        self.kernels.iter().map(choice).collect()
    }

    fn set_kernel(&self, name: &str) -> Result<(), String> {
        let Some(option) = self.kernels.iter().find(|option| option.name == name) else {
            let names: Vec<_> = self
                .kernels
                .iter()
                .map(|option| option.name.as_str())
                .collect();
            return Err(format!(
                "there is no kernel {name}; choose one of: {}",
                names.join(", ")
            ));
        };
        self.engine
            .set_kernel(Arc::clone(&option.kernel))
            .map_err(|error| error.to_string())
    }
}

impl EventSource for Generation {
    fn next_event(&mut self) -> Option<Event> {
        Generation::next_event(self)
    }

    fn cancel_handle(&self) -> Cancel {
        Generation::cancel_handle(self)
    }
}
