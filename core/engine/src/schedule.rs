//! Which sequences run in the next step.
//!
//! Continuous batching: a step holds the next token of every running sequence and then as much
//! of the oldest unread prompt as a chunk, and the time the others may be kept waiting, allow. Pages are reserved at admission for the whole
//! answer, so a running sequence never has to stop for memory. Pages of finished sequences are
//! kept as long as nobody needs them; a request that continues one reads only what is new. Prompts of a batch that begin alike are read
//! once (`share`).

mod share;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{Cancel, Event, FinishReason, Finished, Likelihood, Timings};
use crate::embed::Pool;
use crate::error::{GenerateError, LoadError, StepError};
use crate::exec::step::{Slice, Want};
use crate::kept::{Memory, Prefixes};
use crate::model::Model;
use crate::outlet::{Form, Outlet, hand_over};
use crate::pace::Pace;
use crate::reshape::Target;
use crate::runner::Runner;
use crate::sample::{Sampler, Within};
use crate::serve::Reshaped;
use crate::tally::{SequenceStatus, Tally};
use crate::text::{StopStrings, TokenStream};
use crate::weights::OtherHead;

/// A request on its way through the engine.
pub(crate) struct Job {
    /// Prompt, then what was generated.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt: usize,
    /// Most tokens to generate, context allowed for.
    pub(crate) budget: usize,
    /// Whether `budget` was cut by the context rather than by the request.
    pub(crate) cut_by_context: bool,
    pub(crate) ignore_eos: bool,
    /// Use kept pages, and keep them.
    pub(crate) keep: bool,
    pub(crate) sampler: Sampler,
    pub(crate) stops: StopStrings,
    pub(crate) stop_texts: Vec<String>,
    pub(crate) events: Outlet,
    pub(crate) cancel: Cancel,
    pub(crate) submitted: Instant,
    /// Of the kept pages that may be used, and of those that are kept.
    pub(crate) salt: u64,
    /// Tokens before the answer may end.
    pub(crate) min_tokens: usize,
    pub(crate) form: Option<Form>,
    /// A vector is wanted instead of an answer; where it goes.
    pub(crate) pool: Option<(Pool, VectorSink)>,
}

/// Takes a vector, on the engine's thread.
pub(crate) type VectorSink = Box<dyn FnMut(Vec<f32>) + Send>;

/// A job with pages.
struct Active {
    job: Job,
    memory: Memory,
    /// Positions in the cache.
    computed: usize,
    stream: TokenStream,
    timings: Timings,
    first_token: Option<Instant>,
}

/// How a sequence ends.
enum End {
    /// All states of a text have come.
    Embedded,
    Reason(FinishReason),
    Failed(GenerateError),
}

impl Active {
    /// Chooses the next token from `logits` and says it; the end, if this is one.
    fn choose(&mut self, model: &Model, logits: &mut [f32]) -> Option<End> {
        let logits = &mut logits[..model.tokenizer.vocab_size()];
        let position = self.job.tokens.len() as u64;
        let early = self.timings.generated_tokens < self.job.min_tokens;
        let stops = model.stop_tokens();
        let Job {
            form,
            sampler,
            tokens,
            ..
        } = &mut self.job;
        let formed = form.is_some();
        let allowed = match form.as_mut().map(|form| form.next(stops, early)) {
            None => None,
            Some(Ok(Some(mask))) => Some(mask),
            Some(Ok(None)) => return Some(End::Reason(FinishReason::EndOfTurn)),
            Some(Err(why)) => return Some(End::Failed(GenerateError::Grammar(why))),
        };
        let within = Within {
            allowed,
            banned: if early { stops } else { &[] },
        };
        let choice = match sampler.next_within(within, logits, position, tokens) {
            Ok(choice) => choice,
            Err(error) => return Some(End::Failed(error.into())),
        };
        let token = choice.token;
        let likelihood = choice.logprob.map(|logprob| {
            let top = sampler.likeliest().to_vec();
            Box::new(Likelihood { logprob, top })
        });
        let now = Instant::now();
        let first = *self.first_token.get_or_insert(now);
        self.timings.decode = now - first;
        self.timings.first_token = first - self.job.submitted;
        if (!self.job.ignore_eos || formed) && model.stops.contains(token) {
            return Some(End::Reason(FinishReason::EndOfTurn));
        }
        if let Some(form) = &mut self.job.form
            && let Err(why) = form.take(token)
        {
            return Some(End::Failed(GenerateError::Grammar(why)));
        }
        self.job.tokens.push(token);
        self.timings.generated_tokens += 1;
        let piece = self.stream.push(&model.tokenizer, token);
        let released = self.job.stops.push(&piece);
        self.say(released.text, token, likelihood);
        if let Some(stop) = released.stopped {
            let text = self.job.stop_texts.get(stop).cloned().unwrap_or_default();
            return Some(End::Reason(FinishReason::StopString(text)));
        }
        if self.timings.generated_tokens < self.job.budget {
            return None;
        }
        Some(End::Reason(if self.job.cut_by_context {
            FinishReason::ContextFull
        } else {
            FinishReason::MaxTokens
        }))
    }

    /// Releases text that was held back, when the answer ends without a stop string.
    fn flush(&mut self, reason: &FinishReason) {
        if matches!(reason, FinishReason::StopString(_)) {
            return;
        }
        let rest = self.stream.finish();
        let released = self.job.stops.push(&rest);
        let text = if released.stopped.is_some() {
            released.text
        } else {
            released.text + &self.job.stops.finish()
        };
        if let Some(token) = self.job.tokens.last().copied().filter(|_| !text.is_empty()) {
            self.say(text, token, None);
        }
    }

    fn say(&mut self, text: String, token: u32, likelihood: Option<Box<Likelihood>>) {
        self.job.events.send(Event::Text {
            text,
            token,
            likelihood,
            timings: self.timings,
        });
    }
}

/// Queue, batch and kept prefixes over a runner.
pub(crate) struct Scheduler {
    runner: Runner,
    queue: VecDeque<Job>,
    active: Vec<Active>,
    kept: Prefixes,
    prefill_chunk: usize,
    pace: Pace,
    tally: Arc<Tally>,
    /// Nothing new begins.
    held: bool,
}

/// Finished sequences whose pages are kept, beyond the size of a batch.
const KEPT_EXTRA: usize = 2;

/// Tokens before the end of a prompt where its recurrent state is copied: templates end a prompt with
/// some that the next prompt of the conversation has not.
const COPY_BEFORE: usize = 8;

impl Scheduler {
    pub(crate) fn new(
        runner: Runner,
        prefill_chunk: usize,
        target: Option<Duration>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            kept: Prefixes::new(runner.capacity().batch + KEPT_EXTRA),
            runner,
            queue: VecDeque::new(),
            active: Vec::new(),
            prefill_chunk: prefill_chunk.max(1),
            pace: Pace::new(target),
            tally,
            held: false,
        }
    }

    pub(crate) fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// Lets nothing new begin, or lets it again.
    pub(crate) fn hold(&mut self, hold: bool) {
        self.held = hold;
    }

    /// Runs on with other sizes and forms; see [`Runner::reshape`]. What is kept of finished sequences is
    /// lost with the cache, and waiting requests get what the new context has room for.
    ///
    /// # Errors
    /// As for that, and everything then stays as it is.
    pub(crate) fn reshape(
        &mut self,
        target: &Target,
        head: Option<OtherHead>,
    ) -> Result<Reshaped, LoadError> {
        let work = self.runner.work_for(target)?;
        let (old_head, notices) = self.runner.reshape(target, head)?;
        let capacity = self.runner.capacity();
        if work.loses_cache {
            self.kept = Prefixes::new(capacity.batch + KEPT_EXTRA);
        }
        if self.pace.target() != target.inter_token_target {
            self.pace = Pace::new(target.inter_token_target);
        }
        self.prefill_chunk = target.prefill_chunk.max(1);
        for job in &mut self.queue {
            let room = capacity.context.saturating_sub(job.prompt);
            if job.budget > room {
                (job.budget, job.cut_by_context) = (room, true);
            }
        }
        let (_, pages, page_bytes) = self.pages_in_use();
        Ok(Reshaped {
            plan: self.runner.plan().clone(),
            kv: (pages, page_bytes),
            old_head,
            notices,
        })
    }

    pub(crate) fn submit(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.active.is_empty()
    }

    pub(crate) fn active(&self) -> usize {
        self.active.len()
    }

    /// The running batch.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = SequenceStatus> + '_ {
        self.active.iter().map(|active| SequenceStatus {
            positions: active.computed,
            most: active.job.prompt + active.job.budget,
            prompt: active.job.prompt,
            generated: active.timings.generated_tokens,
        })
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// One round: drop what was cancelled, admit what fits, run a step, hand out tokens.
    ///
    /// # Errors
    /// When the team is lost; every request has then been told.
    pub(crate) fn round(&mut self) -> Result<(), StepError> {
        self.drop_cancelled();
        self.admit();
        if self.active.is_empty() {
            return Ok(());
        }
        self.share();
        self.copy_states();
        let started = Instant::now();
        let plan = self.plan();
        let batch: Vec<Slice<'_>> = plan
            .iter()
            .map(|(i, count, want)| {
                let a = &self.active[*i];
                let tokens = &a.job.tokens[a.computed..a.computed + count];
                Slice {
                    tokens,
                    start: a.computed,
                    pages: &a.memory.pages,
                    want: *want,
                }
            })
            .collect();
        if let Err(error) = self.runner.step(&batch) {
            for mut active in self.active.drain(..) {
                self.tally.failed.add(1);
                active.memory.release(self.runner.cache());
                active.job.events.send(Event::Failed(error.into()));
            }
            return if error == StepError::Panicked {
                Err(error)
            } else {
                Ok(())
            };
        }
        let took = started.elapsed();
        let decoding = self.decoding();
        let rows: usize = plan.iter().map(|(_, count, _)| count).sum();
        self.pace.learn(decoding, rows - decoding, took);
        self.count_step(&plan, took);
        let (mut row, mut state) = (0, 0);
        let mut done = Vec::new();
        for (i, count, want) in plan {
            let active = &mut self.active[i];
            let reading = active.job.tokens.len() == active.job.prompt;
            active.computed += count;
            if reading {
                active.timings.prefill += took;
                let (done, total) = (active.computed, active.job.prompt);
                active.job.events.send(Event::Prefill { done, total });
            }
            if let Some((pool, _)) = &mut active.job.pool {
                let states = match want {
                    Want::State => 1,
                    Want::States => count,
                    Want::Nothing | Want::Last | Want::All => 0,
                };
                for _ in 0..states {
                    pool.add(self.runner.state(state));
                    state += 1;
                }
                if active.computed == active.job.prompt {
                    done.push((i, End::Embedded));
                }
            } else if want == Want::Last {
                let model = self.runner.model().clone();
                let (first, before) = (active.first_token, active.timings.generated_tokens);
                let end = active.choose(&model, self.runner.logits(row));
                if first.is_none() && active.first_token.is_some() {
                    self.tally.first_token(active.timings.first_token);
                }
                let more = active.timings.generated_tokens - before;
                self.tally.decoded_tokens.add(more);
                done.extend(end.map(|end| (i, end)));
                row += 1;
            }
        }
        for (i, end) in done.into_iter().rev() {
            self.finish(i, end);
        }
        let sampling = started.elapsed().saturating_sub(took);
        self.tally.sampling_time.add_time(sampling);
        Ok(())
    }

    /// Counts a step; its sequences are still as they were before it.
    fn count_step(&self, plan: &[(usize, usize, Want)], took: Duration) {
        let tally = &self.tally;
        tally.steps.add(1);
        let is_read = |a: &Active| a.computed < a.job.prompt;
        let read = plan.iter().filter(|(i, ..)| is_read(&self.active[*i]));
        let (sequences, tokens) =
            read.fold((0, 0), |sum, (_, count, _)| (sum.0 + 1, sum.1 + count));
        tally.prompt_tokens.add(tokens);
        if sequences > 0 {
            tally.prefill_time.add_time(took);
        }
        if sequences < plan.len() {
            tally.decode_time.add_time(took);
        }
    }

    /// Sequences that have one token to compute: those that write, and prompts at their end.
    fn decoding(&self) -> usize {
        let last = |a: &&Active| a.job.tokens.len() - a.computed == 1;
        self.active.iter().filter(last).count()
    }

    /// Sequence, tokens and wanted logits of the next step.
    fn plan(&self) -> Vec<(usize, usize, Want)> {
        let mut plan = Vec::with_capacity(self.active.len());
        // A chunk is no longer than the context: that is what the rows of a step are made for.
        let capacity = self.runner.capacity();
        let most = capacity.rows.saturating_sub(capacity.batch - 1).max(1);
        let most = self.prefill_chunk.min(most);
        let mut chunk = self.pace.chunk(self.decoding(), most);
        for (i, active) in self.active.iter().enumerate() {
            let left = active.job.tokens.len() - active.computed;
            let most = chunk.min(self.before_copy(active));
            let count = if left == 1 { 1 } else { left.min(most) };
            if count == 0 || self.waits(i) {
                continue;
            }
            if left > 1 {
                chunk -= count;
            }
            let want = match &active.job.pool {
                Some((pool, _)) => pool.want(active.computed == 0, count == left),
                None if count == left => Want::Last,
                None => Want::Nothing,
            };
            plan.push((i, count, want));
        }
        plan
    }

    /// Where the state of a sequence is copied, if it is.
    fn copy_at(&self, active: &Active) -> Option<usize> {
        let recurrent = self.runner.model().recipe().recurrent.is_some();
        let at = active.job.prompt.checked_sub(COPY_BEFORE)?;
        (recurrent && active.job.keep && at > 0).then_some(at)
    }

    /// Tokens until the state of a sequence is to be copied, if it still is.
    fn before_copy(&self, active: &Active) -> usize {
        let at = self.copy_at(active).filter(|at| *at > active.computed);
        at.map_or(usize::MAX, |at| at - active.computed)
    }

    /// Copies the states of sequences that are where a later one may have to go back to.
    fn copy_states(&mut self) {
        for i in 0..self.active.len() {
            let active = &self.active[i];
            if self.copy_at(active) != Some(active.computed) {
                continue;
            }
            let cache = self.runner.cache();
            if self.active[i].memory.snapshot.is_none() {
                self.kept.make_room_for_copy(cache);
            }
            self.active[i].memory.copy_state(cache);
        }
    }

    fn drop_cancelled(&mut self) {
        for i in (0..self.active.len()).rev() {
            if self.active[i].job.cancel.is_cancelled() {
                self.finish(i, End::Reason(FinishReason::Cancelled));
            }
        }
        self.queue.retain_mut(|job| {
            let cancelled = job.cancel.is_cancelled();
            if cancelled {
                self.tally.cancelled.add(1);
                let timings = Timings {
                    prompt_tokens: job.prompt,
                    ..Timings::default()
                };
                let reason = FinishReason::Cancelled;
                job.events
                    .send(Event::Finished(Finished { reason, timings }));
            }
            !cancelled
        });
    }

    fn admit(&mut self) {
        while !self.held && self.active.len() < self.runner.capacity().batch {
            let Some(job) = self.queue.front_mut() else {
                return;
            };
            let context = self.runner.capacity().context;
            if job.prompt > context || (job.prompt == context && job.pool.is_none()) {
                // The context was made smaller while it waited.
                let prompt = job.prompt;
                let error = GenerateError::PromptTooLong { prompt, context };
                self.tally.failed.add(1);
                job.events.send(Event::Failed(error));
                self.queue.pop_front();
                continue;
            }
            let positions = job.prompt + job.budget;
            let cache = self.runner.cache();
            let reuse = job.keep.then_some(job.salt);
            let begun = self.kept.begin(cache, &job.tokens, positions, reuse);
            let Some((memory, cached)) = begun else {
                return;
            };
            let Some(job) = self.queue.pop_front() else {
                return;
            };
            self.tally.started.add(1);
            self.tally.cached_tokens.add(cached);
            let timings = Timings {
                prompt_tokens: job.prompt,
                cached_tokens: cached,
                queued: job.submitted.elapsed(),
                ..Timings::default()
            };
            let last = job.tokens.last().copied();
            let stream = TokenStream::after(&self.runner.model().tokenizer, last);
            self.active.push(Active {
                job,
                memory,
                computed: cached,
                stream,
                timings,
                first_token: None,
            });
        }
    }

    fn finish(&mut self, i: usize, end: End) {
        let mut active = self.active.remove(i);
        active.job.tokens.truncate(active.computed);
        let memory = std::mem::take(&mut active.memory);
        let cache = self.runner.cache();
        if active.job.keep {
            let tokens = std::mem::take(&mut active.job.tokens);
            self.kept.put(cache, tokens, memory, active.job.salt);
        } else {
            memory.release(cache);
        }
        let count = match &end {
            End::Failed(_) => &self.tally.failed,
            End::Reason(FinishReason::Cancelled) => &self.tally.cancelled,
            End::Embedded | End::Reason(_) => &self.tally.finished,
        };
        count.add(1);
        let event = match end {
            End::Embedded => {
                if let Some((pool, vector)) = &mut active.job.pool {
                    hand_over(vector, pool.finish());
                }
                return;
            }
            End::Failed(error) => Event::Failed(error),
            End::Reason(reason) => {
                active.flush(&reason);
                Event::Finished(Finished {
                    reason,
                    timings: active.timings,
                })
            }
        };
        active.job.events.send(event);
    }

    /// Tells everybody that the engine is gone.
    pub(crate) fn abandon(&mut self, error: &GenerateError) {
        let active = self.active.drain(..).map(|a| a.job);
        for mut job in active.chain(self.queue.drain(..)) {
            self.tally.failed.add(1);
            job.events.send(Event::Failed(error.clone()));
        }
    }

    pub(crate) fn pages_in_use(&mut self) -> (usize, usize, usize) {
        let cache = self.runner.cache();
        (
            cache.pages() - cache.free_pages(),
            cache.pages(),
            cache.shape().page_bytes(),
        )
    }
}
