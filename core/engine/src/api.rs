//! What a caller says to the engine and what it hears back.
//!
//! A [`Request`] goes in, a [`Generation`] comes out: a stream of [`Event`]s and a way to cancel.
//! Everything here is plain data, so that the terminal, the command line and a server share it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tritone_abi::Kernel;

use crate::constraint::Grammar;
use crate::error::GenerateError;
use crate::forms::Forms;
use crate::model::Model;
use crate::plan::{Capacity, MemoryPlan};
use crate::sample::Sampling;
use crate::tally::Counters;
pub use crate::text::{Message, Role};

/// Where a model comes from.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A GGUF file; it is memory-mapped.
    File(PathBuf),
    /// A GGUF file that is open and has no path, or none that stays; it is memory-mapped.
    Open {
        /// Name for people.
        name: String,
        /// The file, open for reading.
        file: Arc<File>,
    },
    /// A GGUF file linked into the program.
    Embedded {
        /// Name for people.
        name: &'static str,
        /// The file's bytes.
        bytes: &'static [u8],
    },
}

impl ModelSource {
    /// The file's path, or the name of a model that is linked in.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Open { name, .. } => name.clone(),
            Self::Embedded { name, .. } => (*name).to_owned(),
        }
    }
}

/// How to load and run a model.
#[derive(Clone)]
pub struct EngineOptions {
    /// Kernel to run on.
    pub kernel: Arc<dyn Kernel>,
    /// Threads of the team, at least 1. The caller has already lowered it to the CPU quota.
    pub threads: usize,
    /// Context in tokens, or `None` for the smaller of the model's own and 4096.
    pub context: Option<usize>,
    /// Sequences that run together, at least 1.
    pub batch: usize,
    /// Prompt tokens in one step, at least 1.
    pub prefill_chunk: usize,
    /// How long an answer that is being written may wait for its next token while a prompt is read
    /// beside it; smaller steps of the prompt keep it. `None` for as long as a chunk takes.
    pub inter_token_target: Option<Duration>,
    /// Forms of the output head and the KV cache.
    pub forms: Forms,
    /// Bytes that the process takes beside the engine, such as a screen; they are part of the plan.
    pub beside: u64,
    /// Bytes that the process may take, or `None`.
    pub memory_limit: Option<u64>,
    /// Where packed weights are kept.
    pub pack_cache: PackCache,
    /// Lock weights, head and KV cache into memory, so that they are not swapped out.
    pub mlock: bool,
}

impl EngineOptions {
    /// Defaults for `kernel`: one thread, the model's context up to 4096, one sequence, chunks of
    /// 256 tokens, head and KV cache in f16, no memory limit,
    /// nothing kept or locked.
    #[must_use]
    pub fn new(kernel: Arc<dyn Kernel>) -> Self {
        Self {
            kernel,
            threads: 1,
            context: None,
            batch: 1,
            prefill_chunk: 256,
            inter_token_target: None,
            forms: Forms::default(),
            beside: 0,
            memory_limit: None,
            pack_cache: PackCache::default(),
            mlock: false,
        }
    }
}

impl EngineOptions {
    /// What `model` takes under these options, with what would fit where it does not fit their limit.
    /// `None` when a size overflows or the kernel does not take the model.
    #[must_use]
    pub fn plan(&self, model: &Model) -> Option<MemoryPlan> {
        MemoryPlan::new(
            &model.recipe,
            &*self.kernel,
            self.threads.max(1),
            self.capacity_for(model),
            self.forms,
            self.memory_limit,
        )
    }

    /// Sizes for `model`.
    pub(crate) fn capacity_for(&self, model: &Model) -> Capacity {
        let context = self.context_for(model);
        Capacity::new(context, self.batch, self.prefill_chunk).beside(self.beside)
    }

    /// Positions of one sequence of `model`.
    pub(crate) fn context_for(&self, model: &Model) -> usize {
        let trained = model.recipe.trained_context;
        self.context.unwrap_or_else(|| trained.min(DEFAULT_CONTEXT))
    }
}

/// Context when neither the user nor the model asks for less.
const DEFAULT_CONTEXT: usize = 4096;

/// Where packed weights and converted heads are kept between two starts. The default keeps none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackCache {
    /// Beside the model, if its directory is this user's own.
    pub beside: bool,
    /// In this directory.
    pub dir: Option<PathBuf>,
    /// Parts below this are not written: packing them takes no time.
    pub least_bytes: u64,
    /// Compare every packed tensor with the model again, even if the model file has not changed
    /// since.
    pub verify: bool,
}

/// A pack file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackStatus {
    /// What is in it, for people.
    pub what: String,
    /// The file.
    pub path: PathBuf,
    /// Bytes of its data.
    pub bytes: u64,
    /// Whether it can be used.
    pub state: PackState,
}

/// Whether a pack file can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackState {
    /// It can; its data is still checked when it is loaded.
    Valid,
    /// It cannot, and why.
    Unusable(String),
}

/// How a part of a model came into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedFrom {
    /// It is used from the model file as it stands.
    Model,
    /// It was packed, or converted.
    Packed,
    /// It is used from this pack file.
    Cache(PathBuf),
}

/// How long a part of a model took to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// Bytes in memory.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// Where it came from.
    pub from: LoadedFrom,
}

/// What loading consisted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The ternary matrices.
    pub weights: PartReport,
    /// The head.
    pub head: PartReport,
}

/// How far loading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// What is being done: "packing weights", "converting the head", "reading the head",
    /// "reading the packed cache", "comparing with the model", "writing the packed cache"; from callers
    /// that make the model file first, "looking at the weights" and "converting the directory"; from those that start
    /// a server, "starting the server" and "waiting for a first token".
    pub stage: &'static str,
    /// Bytes of the model file dealt with in this stage.
    pub done: u64,
    /// Bytes of this stage.
    pub total: u64,
}

/// What the model is asked to continue.
#[derive(Clone, Debug)]
pub enum Input {
    /// A conversation, rendered with the model's chat template; the answer is the next
    /// assistant message.
    Chat(Vec<Message>),
    /// Text to continue as it stands; control tokens in it are plain text.
    Text(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

/// One answer wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to continue.
    pub input: Input,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// Most tokens to generate; `None` for what fits into the context.
    pub max_tokens: Option<usize>,
    /// The answer ends before any of these strings.
    pub stop: Vec<String>,
    /// Go on after an end-of-turn token (for measurements).
    pub ignore_eos: bool,
    /// Whether the model is to think before it answers, where its chat template asks; `None` as the
    /// makers of the model advise.
    pub thinking: Option<bool>,
    /// Go on with the last message of a chat, the beginning of an answer, instead of answering it.
    pub continue_last: bool,
    /// Begin with the keys and values that earlier requests left, and leave some; `false` for a
    /// measurement, which would take the place of a conversation.
    pub keep: bool,
    /// Only keys and values of requests with the same salt are used again. Whoever must not learn, from the
    /// time an answer takes, what others asked has one of his own.
    pub salt: u64,
    /// Tokens that the answer has at least: until then no token that ends it is chosen.
    pub min_tokens: usize,
    /// A form that the answer has to keep to. With the head `q4+exact` only the 256 best rows of the whole
    /// vocabulary are exact: a form that allows none of them chooses by 4-bit logits.
    pub grammar: Option<Arc<dyn Grammar>>,
}

impl Request {
    /// A request with default sampling and no further limits.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            ignore_eos: false,
            thinking: None,
            continue_last: false,
            keep: true,
            salt: 0,
            min_tokens: 0,
            grammar: None,
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn.
    EndOfTurn,
    /// A stop string came up.
    StopString(String),
    /// `max_tokens` were generated.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The caller cancelled; what was written stands.
    Cancelled,
}

impl FinishReason {
    /// Short name: `stop`, `length`, `context`, `cancelled`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::EndOfTurn | Self::StopString(_) => "stop",
            Self::MaxTokens => "length",
            Self::ContextFull => "context",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Counts and times of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, taken over from the KV cache of an earlier request, or of one that runs beside.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// From submission to the first step.
    pub queued: Duration,
    /// Steps that read the prompt.
    pub prefill: Duration,
    /// From the first generated token to the last.
    pub decode: Duration,
    /// From submission to the first generated token.
    pub first_token: Duration,
}

impl Timings {
    /// Prompt tokens computed a second; 0 before there are any.
    #[must_use]
    pub fn prefill_rate(&self) -> f64 {
        rate(self.prompt_tokens - self.cached_tokens, self.prefill)
    }

    /// Tokens generated a second after the first; 0 before there are two.
    #[must_use]
    pub fn decode_rate(&self) -> f64 {
        rate(self.generated_tokens.saturating_sub(1), self.decode)
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        count as f64 / time.as_secs_f64()
    }
}

/// The end of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Why it ended.
    pub reason: FinishReason,
    /// Counts and times.
    pub timings: Timings,
}

/// How likely a token was in the model's own distribution: before penalties, bias, temperature, and whatever
/// else kept it from being chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// Natural logarithm of the chosen token's probability.
    pub logprob: f32,
    /// The likeliest tokens with theirs, the likeliest first: as many as
    /// [`Sampling::top_logprobs`] asks for.
    pub top: Vec<(u32, f32)>,
}

/// What a running request says, in order: any number of `Prefill`, then `Text`, then exactly one
/// `Finished` or `Failed`.
#[derive(Clone, Debug)]
pub enum Event {
    /// Prompt tokens read so far (cached ones included) of all.
    Prefill {
        /// Read.
        done: usize,
        /// All.
        total: usize,
    },
    /// A generated token. `text` holds whole characters only and may be empty while a character,
    /// or what may become a stop string, is incomplete.
    Text {
        /// Text that is now certain.
        text: String,
        /// The token. Text that was held back until the end comes with the last one once more.
        token: u32,
        /// How likely it was, if [`Sampling::logprobs`] asked for it; not with text that was held back.
        likelihood: Option<Box<Likelihood>>,
        /// Counts and times so far.
        timings: Timings,
    },
    /// The answer is complete.
    Finished(Finished),
    /// The answer could not be given or completed; what was written stands.
    Failed(GenerateError),
}

/// Ends a request early, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the engine to stop; it does so before the next prefill chunk or token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where events of a request go. Called on the engine's thread, between two steps, so it must not wait for
/// anything; `false` cancels the request, and nothing is said after that.
pub type Sink = Box<dyn FnMut(Event) -> bool + Send>;

/// A running request whose events go to a [`Sink`].
#[derive(Clone, Debug)]
pub struct Handle {
    /// Ends the request.
    pub cancel: Cancel,
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
}

/// A running request. Dropping it cancels.
#[derive(Debug)]
pub struct Generation {
    pub(crate) events: Receiver<Event>,
    pub(crate) cancel: Cancel,
    pub(crate) prompt_tokens: usize,
}

impl Generation {
    /// The next event; `None` after the last.
    #[must_use]
    pub fn next_event(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// The next event if it comes before `deadline`.
    #[must_use]
    pub fn event_before(&self, deadline: Instant) -> Option<Event> {
        self.events
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .ok()
    }

    /// A handle that ends the request.
    #[must_use]
    pub fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Tokens of the rendered prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Waits for the end and returns the whole text.
    ///
    /// # Errors
    /// What made the request fail.
    pub fn wait(self) -> Result<(String, Finished), GenerateError> {
        let mut answer = String::new();
        while let Some(event) = self.next_event() {
            match event {
                Event::Prefill { .. } => {}
                Event::Text { text, .. } => answer.push_str(&text),
                Event::Finished(finished) => return Ok((answer, finished)),
                Event::Failed(error) => return Err(error),
            }
        }
        Err(GenerateError::Stopped)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What the engine is doing right now; cheap to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Sequences in the running batch.
    pub active: usize,
    /// Requests waiting.
    pub queued: usize,
    /// KV pages in use, cached prefixes included.
    pub kv_pages_used: usize,
    /// KV pages there are.
    pub kv_pages: usize,
    /// Bytes of one KV page.
    pub kv_page_bytes: usize,
    /// What was done since the engine was started.
    pub counters: Counters,
}
