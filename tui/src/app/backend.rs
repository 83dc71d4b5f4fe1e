//! What the terminal needs of an engine.

use tritone_engine::{Cancel, EngineStatus, Event, GenerateError, Request};

pub use super::engine::{EngineBackend, KernelOption};

/// The model, for the status strip and the first screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// Name.
    pub name: String,
    /// Architecture, as the file calls it.
    pub architecture: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Context in tokens.
    pub context: usize,
    /// Bytes of the model file.
    pub file_bytes: u64,
    /// What was replaced, lowered or refused; shown to the user.
    pub notices: Vec<String>,
}

/// A kernel that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelChoice {
    /// Its name, with which it is chosen.
    pub name: String,
    /// What it is and how well it suits this machine, in a line.
    pub detail: String,
}

/// A running answer.
pub trait EventSource: Send {
    /// Waits for the next event; `None` after the last.
    fn next_event(&mut self) -> Option<Event>;

    /// A handle that ends the answer early.
    fn cancel_handle(&self) -> Cancel;
}

/// A loaded model that answers.
pub trait Backend: Send + Sync {
    /// The model.
    fn model(&self) -> ModelCard;

    /// Begins an answer. May take as long as it takes to tokenise the conversation.
    ///
    /// # Errors
    /// Why there will be no answer.
    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError>;

    /// What the engine is doing.
    fn status(&self) -> EngineStatus;

    /// Threads of the team.
    fn threads(&self) -> usize;

    /// Name of the active kernel.
    fn kernel_name(&self) -> String;

    /// Kernels there are, the best first.
    fn kernels(&self) -> Vec<KernelChoice>;

    /// Switches to another kernel, between two tokens if an answer is running. Waits until it is
    /// done.
    ///
    /// # Errors
    /// Why the old kernel stays, and what to do.
    fn set_kernel(&self, name: &str) -> Result<(), String>;
}
