//! What is to be run, and what runs.

use std::path::PathBuf;

use serde::Serialize;

/// A model, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    /// The one that is linked into the program.
    Embedded,
    /// A GGUF file.
    File(PathBuf),
    /// A directory of the transformers library.
    Directory(PathBuf),
    /// The one that a server calls so; empty for the one it has.
    Named(String),
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("the embedded model"),
            Self::File(path) | Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Named(name) if name.is_empty() => f.write_str("the server's model"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// What is to be run, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The model.
    pub model: ModelRef,
    /// Positions of one conversation; `None` for the strategy's own choice.
    pub context: Option<usize>,
    /// Threads; `None` for the strategy's own choice.
    pub threads: Option<usize>,
    /// Answers that are written at once, at least 1.
    pub batch: usize,
    /// Bytes that it may take, if it is bounded.
    pub memory_limit: Option<u64>,
}

impl Deployment {
    /// `model` alone, for one answer at a time, with everything else left to the strategy.
    #[must_use]
    pub fn of(model: ModelRef) -> Self {
        Self {
            model,
            context: None,
            threads: None,
            batch: 1,
            memory_limit: None,
        }
    }
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// Name of the model.
    pub model: String,
    /// Architecture, where it is known.
    pub architecture: Option<String>,
    /// Weights, where it is known.
    pub parameters: Option<u64>,
    /// Positions of one conversation, where it is known.
    pub context: Option<usize>,
    /// Bytes of the model file, where it is known.
    pub file_bytes: Option<u64>,
    /// Whether its chat template asks if it is to think; `false` where that is not known.
    pub asks_for_thinking: bool,
    /// What it runs on: a kernel and threads, a program and its version, an address.
    pub runs_on: String,
    /// What was lowered, replaced or assumed; for the user to know.
    pub notices: Vec<String>,
}

/// What runs a model, with its threads, for people.
pub(crate) fn on_threads(runner: &str, threads: usize) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("{runner}, {threads} thread{plural}")
}
