//! The engine: a thread that owns a runner and serves requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tritone_abi::Kernel;

use crate::api::{
    Cancel, EngineOptions, EngineStatus, Event, Generation, Handle, Input, LoadProgress,
    LoadReport, ModelSource, Request, Sink,
};
use crate::embed::{self, EmbedRequest, Embedding, PendingEmbedding, Pool, Pooling};
use crate::error::{GenerateError, LoadError};
use crate::exec::clock::StepClock;
use crate::model::Model;
use crate::outlet::{Form, Outlet};
use crate::pack_writer::PackWriter;
use crate::plan::MemoryPlan;
use crate::recipe::Rope;
use crate::runner::{Runner, RunnerOptions};
use crate::sample::{Sampler, Sampling};
use crate::schedule::{Job, Scheduler};
use crate::serve::{Command, Gauges, serve};
use crate::tally::SequenceStatus;
use crate::text::StopStrings;

/// What a loaded model is.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// `general.name`.
    pub name: String,
    /// File or name it was opened from.
    pub source: String,
    /// `general.architecture`.
    pub architecture: String,
    /// Weights.
    pub parameters: u64,
    /// Positions of one sequence here.
    pub context: usize,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether its chat template asks if the model is to think ([`Request::thinking`]).
    pub asks_for_thinking: bool,
    /// What was replaced or assumed, for the user to know.
    pub notices: Vec<String>,
    /// What the model takes in memory.
    pub plan: MemoryPlan,
    /// What loading consisted of.
    pub load: LoadReport,
}

pub(crate) struct Inner {
    pub(crate) model: Arc<Model>,
    /// Changes with context and plan.
    pub(crate) info: Mutex<Arc<ModelInfo>>,
    commands: Sender<Command>,
    pub(crate) gauges: Arc<Gauges>,
    clock: Arc<StepClock>,
    kernel: Mutex<String>,
    /// Held while a kernel is switched, or sizes and forms are changed.
    pub(crate) switching: Mutex<()>,
    pub(crate) threads: AtomicUsize,
    /// Pages of the KV cache, and bytes of one.
    pub(crate) kv: Mutex<(usize, usize)>,
    thread: Mutex<Option<JoinHandle<()>>>,
    packs: PackWriter,
}

/// A running model. Clones are handles to the same one; when the last is dropped, the engine
/// stops.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

impl Engine {
    /// Opens and loads a model and starts the engine. `progress` is called often while weights
    /// are packed; when it returns `false`, loading ends with [`LoadError::Cancelled`].
    ///
    /// # Errors
    /// When the model cannot be opened or does not fit; see [`LoadError`].
    pub fn load(
        source: &ModelSource,
        options: &EngineOptions,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, LoadError> {
        Self::start(Arc::new(Model::open(source)?), options, progress)
    }

    /// [`load`](Self::load) for a model that is already open.
    ///
    /// # Errors
    /// When the model does not fit; see [`LoadError`].
    pub fn start(
        model: Arc<Model>,
        options: &EngineOptions,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, LoadError> {
        let trained = model.recipe.trained_context;
        let context = options.context_for(&model);
        let capacity = options.capacity_for(&model);
        let mut runner = Runner::load(
            model.clone(),
            RunnerOptions {
                kernel: options.kernel.clone(),
                threads: options.threads,
                capacity,
                forms: options.forms,
                memory_limit: options.memory_limit,
                pack_cache: options.pack_cache.clone(),
                mlock: options.mlock,
            },
            progress,
        )?;
        let mut notices = model.notices().to_vec();
        notices.extend_from_slice(runner.notices());
        if context > trained {
            notices.push(format!(
                "the context is {context} tokens, but the model was trained for {trained}; \
                 answers may get worse beyond that"
            ));
        }
        let recipe = &model.recipe;
        if let Some(original) = recipe.rope.as_ref().and_then(Rope::changes_beyond)
            && context > original
        {
            notices.push(format!(
                "this model rotates positions in another way when the context is longer than \
                 {original} tokens: with {context}, answers are not those of a shorter context"
            ));
        }
        let info = ModelInfo {
            name: recipe.name.clone(),
            source: model.source.clone(),
            architecture: recipe.architecture.clone(),
            parameters: recipe.parameters(),
            context,
            trained_context: trained,
            vocab: recipe.vocab,
            layers: recipe.layers.len(),
            hidden: recipe.hidden,
            file_bytes: model.file_bytes(),
            asks_for_thinking: model.template.asks_for_thinking(),
            notices,
            plan: runner.plan().clone(),
            load: runner.report().clone(),
        };
        let unwritten = runner.take_unwritten();
        let kernel = Mutex::new(runner.kernel().facts().name.clone());
        let threads = runner.threads();
        let clock = Arc::clone(runner.clock());
        let gauges = Arc::new(Gauges::default());
        let mut scheduler = Scheduler::new(
            runner,
            options.prefill_chunk,
            options.inter_token_target,
            Arc::clone(&gauges.tally),
        );
        let (_, pages, page_bytes) = scheduler.pages_in_use();
        let (commands, receiver) = channel();
        let shared = gauges.clone();
        let packs = {
            let gauges = gauges.clone();
            PackWriter::start(unwritten, move || gauges.is_busy())
        };
        let thread = std::thread::Builder::new()
            .name("tritone-engine".to_owned())
            .spawn(move || serve(scheduler, &receiver, &shared))
            .map_err(LoadError::Thread)?;
        Ok(Self(Arc::new(Inner {
            model,
            info: Mutex::new(Arc::new(info)),
            commands,
            gauges,
            clock,
            kernel,
            switching: Mutex::default(),
            threads: AtomicUsize::new(threads),
            kv: Mutex::new((pages, page_bytes)),
            thread: Mutex::new(Some(thread)),
            packs,
        })))
    }

    /// What is loaded, as it runs now.
    #[must_use]
    pub fn info(&self) -> Arc<ModelInfo> {
        let info = self.0.info.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&info)
    }

    /// The model itself: recipe and tokenizer.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// The model, to be kept or run anew after this engine.
    #[must_use]
    pub fn shared_model(&self) -> Arc<Model> {
        Arc::clone(&self.0.model)
    }

    /// Name of the kernel in use.
    #[must_use]
    pub fn kernel_name(&self) -> String {
        self.0
            .kernel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Threads of the team.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads.load(Ordering::Relaxed)
    }

    /// What the engine is doing right now.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let gauges = &self.0.gauges;
        let (kv_pages, kv_page_bytes) = *self.0.kv.lock().unwrap_or_else(PoisonError::into_inner);
        EngineStatus {
            active: gauges.active.load(Ordering::Relaxed),
            queued: gauges.queued.load(Ordering::Relaxed),
            kv_pages_used: gauges.kv_pages_used.load(Ordering::Relaxed),
            kv_pages,
            kv_page_bytes,
            counters: gauges.tally.counters(self.0.clock.times()),
        }
    }

    /// The sequences of the running batch, as they stood after the last step.
    #[must_use]
    pub fn sequences(&self) -> Vec<SequenceStatus> {
        let sequences = &self.0.gauges.sequences;
        sequences
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until packed weights are on disk (see [`EngineOptions::pack_cache`]), and returns
    /// what there is to say about that; empty when there was nothing to write, and when asked
    /// again. `progress` is called meanwhile; when it returns `false`, writing is given up.
    ///
    /// Packs are written while the engine is idle, and given up when the last handle is dropped.
    pub fn wait_for_packs(&self, progress: &mut dyn FnMut(LoadProgress) -> bool) -> Vec<String> {
        self.0.packs.wait(progress)
    }

    /// Tokens the model would read for `input`.
    ///
    /// # Errors
    /// As for [`generate`](Self::generate), save that any length is counted.
    pub fn count_tokens(&self, input: &Input) -> Result<usize, GenerateError> {
        self.0.model.encode(input).map(|tokens| tokens.len())
    }

    /// Starts an answer.
    ///
    /// # Errors
    /// When the input cannot be encoded or does not fit the context, a setting makes no sense, or
    /// the engine has stopped.
    pub fn generate(&self, request: Request) -> Result<Generation, GenerateError> {
        let (sender, events) = channel();
        // A receiver that is gone has cancelled.
        let handle = self.generate_into(request, Box::new(move |e| sender.send(e).is_ok()))?;
        Ok(Generation {
            events,
            cancel: handle.cancel,
            prompt_tokens: handle.prompt_tokens,
        })
    }

    /// Starts an answer whose events go to `sink`, for callers that cannot wait for them. Unlike that of
    /// [`generate`](Self::generate), the answer goes on until it ends, or `sink` or the handle cancels it.
    ///
    /// # Errors
    /// As for that.
    pub fn generate_into(&self, request: Request, sink: Sink) -> Result<Handle, GenerateError> {
        let submitted = Instant::now();
        let model = &self.0.model;
        let tokens = model.encode_request(&request)?;
        let (prompt, context) = (tokens.len(), self.info().context);
        if prompt >= context {
            return Err(GenerateError::PromptTooLong { prompt, context });
        }
        let room = context - prompt;
        let wanted = request.max_tokens.unwrap_or(room);
        if wanted == 0 {
            return Err(GenerateError::NothingWanted);
        }
        let vocab = model.tokenizer.vocab_size();
        let form = match &request.grammar {
            Some(grammar) => {
                let constraint = grammar.start().map_err(GenerateError::Grammar)?;
                Some(Form::new(constraint, vocab))
            }
            None => None,
        };
        let cancel = Cancel::default();
        let job = Job {
            prompt,
            tokens,
            budget: wanted.min(room),
            cut_by_context: wanted > room || request.max_tokens.is_none(),
            ignore_eos: request.ignore_eos,
            keep: request.keep,
            sampler: Sampler::new(request.sampling, vocab)?,
            stops: StopStrings::new(&request.stop)?,
            stop_texts: request.stop,
            events: Outlet::new(sink, cancel.clone()),
            cancel: cancel.clone(),
            submitted,
            salt: request.salt,
            min_tokens: request.min_tokens,
            form,
            pool: None,
        };
        self.send(Command::Run(Box::new(job)))?;
        Ok(Handle {
            cancel,
            prompt_tokens: prompt,
        })
    }

    /// How texts are pooled when `wanted` is asked for, and what the user should know about that.
    #[must_use]
    pub fn pooling(&self, wanted: Option<Pooling>) -> (Pooling, Option<String>) {
        let recipe = &self.0.model.recipe;
        let (pooling, name) = (wanted.or(recipe.pooling), &recipe.name);
        let pooling = pooling.unwrap_or(Pooling::Last);
        let note = match recipe.pooling {
            None => format!(
                "'{name}' is no embedding model: its vectors ({pooling} pooling) are of little use for \
                 search"
            ),
            Some(trained) if trained != pooling => {
                format!("'{name}' was trained for {trained} pooling, not {pooling}")
            }
            Some(_) => return (pooling, None),
        };
        (pooling, Some(note))
    }

    /// Starts to make a vector of a text. Requests run together, and beside answers.
    ///
    /// # Errors
    /// When the input cannot be encoded, or does not fit the context and must not be cut, or the
    /// engine has stopped.
    pub fn embed(&self, request: &EmbedRequest) -> Result<PendingEmbedding, GenerateError> {
        let (sender, result) = channel();
        let then = Box::new(move |result| drop(sender.send(result)));
        let handle = self.embed_into(request, then)?;
        Ok(PendingEmbedding {
            cancel: handle.cancel,
            result,
        })
    }

    /// Starts to make a vector of a text, which `then` is given on the engine's thread: it must not wait for
    /// anything. Unlike that of [`embed`](Self::embed), it is made unless the handle cancels it.
    ///
    /// # Errors
    /// As for that.
    pub fn embed_into(
        &self,
        request: &EmbedRequest,
        then: Box<dyn FnOnce(Result<Embedding, GenerateError>) + Send>,
    ) -> Result<Handle, GenerateError> {
        let (submitted, context) = (Instant::now(), self.info().context);
        let model = &self.0.model;
        let (pooling, _) = self.pooling(request.pooling);
        let (tokens, cut) = embed::tokens(model, request, pooling, context)?;
        let (prompt, width) = (tokens.len(), model.recipe.hidden);
        let (sink, vector) = embed::outlets(then, prompt, cut);
        let cancel = Cancel::default();
        let job = Job {
            prompt,
            tokens,
            budget: 0,
            cut_by_context: false,
            ignore_eos: true,
            keep: false,
            sampler: Sampler::new(Sampling::greedy(), model.tokenizer.vocab_size())?,
            stops: StopStrings::new::<String>(&[])?,
            stop_texts: Vec::new(),
            events: Outlet::new(sink, cancel.clone()),
            cancel: cancel.clone(),
            submitted,
            salt: 0,
            min_tokens: 0,
            form: None,
            pool: Some((Pool::new(pooling, request.normalize, width), vector)),
        };
        self.send(Command::Run(Box::new(job)))?;
        Ok(Handle {
            cancel,
            prompt_tokens: prompt,
        })
    }

    /// [`switch_kernel`](Self::switch_kernel) without a look at the progress.
    ///
    /// # Errors
    /// As for that.
    pub fn set_kernel(&self, kernel: Arc<dyn Kernel>) -> Result<(), LoadError> {
        self.switch_kernel(kernel, &mut |_| true).map(drop)
    }

    /// Goes on with another kernel from the next token on, in the middle of running answers too.
    /// Returns when that is done, with what the user should know.
    ///
    /// A kernel of the same layout takes over at once. For one of another layout the weights are
    /// packed first, on this thread and others, while answers go on with the old kernel;
    /// `progress` is called meanwhile, and when it returns `false`, the old kernel stays. One switch
    /// is done at a time.
    ///
    /// # Errors
    /// When the kernel does not take the model, both ways of packing together exceed the memory
    /// limit, or `progress` ended it ([`LoadError::Cancelled`]); the old kernel then stays.
    pub fn switch_kernel(
        &self,
        kernel: Arc<dyn Kernel>,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, LoadError> {
        let inner = &*self.0;
        let _one = inner
            .switching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let packing = self.ask(|answer| Command::PackingFor(Arc::clone(&kernel), answer))??;
        let mut repacked = None;
        if let Some(mut packing) = packing {
            if inner.gauges.is_busy() {
                // Half of the threads, so that answers go on.
                packing.threads = (packing.threads / 2).max(1);
            }
            repacked = Some(packing.run(&*kernel, progress)?);
        }
        let notices = repacked
            .as_mut()
            .map(|new| std::mem::take(&mut new.notices));
        let name = kernel.facts().name.clone();
        let old = self.ask(|answer| Command::SetKernel(kernel, repacked, answer))??;
        *inner.kernel.lock().unwrap_or_else(PoisonError::into_inner) = name;
        drop(old);
        Ok(notices.unwrap_or_default())
    }

    /// Sends a command and waits for what the engine thread answers.
    pub(crate) fn ask<T>(
        &self,
        command: impl FnOnce(Sender<T>) -> Command,
    ) -> Result<T, LoadError> {
        let (answer, wait) = channel();
        let gone = || LoadError::Recipe {
            model: self.0.model.source.clone(),
            what: "the engine has stopped".to_owned(),
        };
        self.send(command(answer)).map_err(|_| gone())?;
        wait.recv().map_err(|_| gone())
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), GenerateError> {
        self.0
            .commands
            .send(command)
            .map_err(|_| GenerateError::Stopped)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.info())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Event {
    /// Whether this is the last event of a request.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Failed(_))
    }
}
