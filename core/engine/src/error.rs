//! Why a model does not load and why an answer does not come.

use std::path::PathBuf;

use tritone_abi::KernelError;
use tritone_formats::GgufError;

use crate::forms::Head;
use crate::plan::{MemoryPlan, human_bytes};
use crate::sample::SampleError;
use crate::text::TextError;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be opened or mapped.
    #[error("cannot open model {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a model this program reads.
    #[error("model {model}: {source}")]
    Format {
        /// File or name.
        model: String,
        /// What is wrong.
        source: GgufError,
    },
    /// The files that a model is cut into are not all there, or do not belong together.
    #[error("model {model}: {what}")]
    Parts {
        /// The file that was named.
        model: String,
        /// Which part, and what is wrong with it.
        what: String,
    },
    /// The metadata or tensors do not make a model.
    #[error("model {model}: {what}")]
    Recipe {
        /// File or name.
        model: String,
        /// Expected, found, and what to do.
        what: String,
    },
    /// The tokenizer or template cannot be used.
    #[error("model {model}: {source}")]
    Text {
        /// File or name.
        model: String,
        /// What is wrong.
        source: TextError,
    },
    /// The kernel cannot hold the model.
    #[error("kernel {kernel} cannot run model {model}: {source}")]
    Kernel {
        /// Kernel.
        kernel: String,
        /// File or name.
        model: String,
        /// What it said.
        source: KernelError,
    },
    /// The plan exceeds the memory limit.
    #[error("model {model} does not fit the memory limit: {plan}")]
    Memory {
        /// File or name.
        model: String,
        /// The breakdown.
        plan: Box<MemoryPlan>,
    },
    /// Weights packed for another kernel do not fit beside those in use.
    #[error(
        "cannot switch to kernel {kernel}: its weights are packed in another way, and both ways \
         together take {} of a limit of {}; raise the limit, or start with `--kernel {kernel}`",
        human_bytes(*needed),
        human_bytes(*limit)
    )]
    Switch {
        /// The kernel to switch to.
        kernel: String,
        /// Bytes of everything while both are in memory.
        needed: u64,
        /// The memory limit.
        limit: u64,
    },
    /// A head in another form does not fit beside the one in use.
    #[error(
        "cannot change the head to {head}: it is made beside the one in use, and all together takes {} of \
         a limit of {}; raise the limit, or start with `--head {head}`",
        human_bytes(*needed),
        human_bytes(*limit)
    )]
    HeadBeside {
        /// The form wanted.
        head: Head,
        /// Bytes of everything while both are in memory.
        needed: u64,
        /// The memory limit.
        limit: u64,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// Loading was cancelled by the caller.
    #[error("loading was cancelled")]
    Cancelled,
}

/// Why a step was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The batch does not fit the runner; the text names the rule.
    #[error("the batch does not fit the runner: {0}")]
    Batch(&'static str),
    /// The kernel failed.
    #[error("the kernel failed: {0}")]
    Kernel(#[from] KernelError),
    /// A thread of the team panicked; the runner cannot be used any more.
    #[error("a worker thread panicked; load the model again")]
    Panicked,
}

/// Why an answer was not given or not completed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GenerateError {
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// `max_tokens` is 0.
    #[error("max_tokens is 0: ask for at least one token")]
    NothingWanted,
    /// The prompt does not fit.
    #[error(
        "the prompt has {prompt} tokens, the context holds {context}: shorten the conversation, \
         or raise the context (`--ctx`)"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {token} at position {position} is outside the vocabulary of {vocab}")]
    BadToken {
        /// The id.
        token: u32,
        /// Where.
        position: usize,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// The template or tokenizer failed.
    #[error("{0}")]
    Text(String),
    /// Settings that make no sense, or logits that are not numbers.
    #[error("{0}")]
    Sample(#[from] SampleError),
    /// The form that the answer has to keep to cannot be worked out.
    #[error("the form of the answer: {0}")]
    Grammar(String),
    /// A step failed.
    #[error("{0}")]
    Step(#[from] StepError),
    /// The caller cancelled, and there is no part of what was wanted.
    #[error("cancelled")]
    Cancelled,
    /// The engine was shut down.
    #[error("the engine has stopped")]
    Stopped,
}

impl From<TextError> for GenerateError {
    fn from(error: TextError) -> Self {
        Self::Text(error.to_string())
    }
}
