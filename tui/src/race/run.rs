//! Running a race.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tritone_abi::{Kernel, PAGE_TOKENS};
use tritone_engine::sample::Sampling;
use tritone_engine::{Engine, Event, GenerateError, Input, Recipe, Request, Timings};

use super::{Entry, Standing, State};

/// Times that every kernel is measured, with the others in between. Its fastest counts: what else the
/// machine does only makes them slower.
const ROUNDS: u32 = 3;
/// A kernel that takes this many times as long as the leader is not measured again.
const HOPELESS: f64 = 3.0;
/// Longest prompt and longest answer of one request, when there is room for it.
const MOST_TOKENS: usize = 512;

/// What reading memory allows a kernel now, in bytes a second; `None` when it cannot be measured.
pub(crate) type Limit<'a> = &'a dyn Fn(&dyn Kernel) -> Option<f64>;

/// Packed bits of a weight of this model, all ternary matrices together; 0 for a kernel that does not
/// take it.
pub(crate) fn bits(recipe: &Recipe, kernel: &dyn Kernel) -> f64 {
    let mut sums = (0u64, 0u64);
    for (_, rows, cols) in recipe.all_matrices() {
        sums.0 += kernel.packed_bytes(rows, cols).unwrap_or(0) as u64;
        sums.1 += rows as u64 * cols as u64;
    }
    sums.0 as f64 * 8.0 / sums.1 as f64
}

fn rate((tokens, time): (usize, Duration)) -> Option<f64> {
    (tokens > 0 && !time.is_zero()).then(|| tokens as f64 / time.as_secs_f64())
}

/// How a race is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long it takes, about.
    pub(crate) budget: Duration,
    /// Use only pages of the KV cache that are free, so that a chat need not be read again; without
    /// any the race is over at once.
    pub(crate) keep_pages: bool,
}

/// Tokens a second of what a request has written so far.
fn written(timings: &Timings) -> Option<f64> {
    rate((timings.generated_tokens.saturating_sub(1), timings.decode))
}

/// Races `kernels`, the one in use among them (kernels that are slow at everything take longer than
/// was asked for: each gets at least two tokens), and tells `report` how it stands, which ends it by
/// returning `false`. Afterwards the engine runs on the kernel it had before.
///
/// Kernels of one layout are measured in turn; another layout, whose weights must be packed first, comes
/// after them.
pub(crate) fn race(
    engine: &Engine,
    kernels: &[Arc<dyn Kernel>],
    terms: Terms,
    limit: Option<Limit<'_>>,
    report: &mut dyn FnMut(&Standing) -> bool,
) -> Standing {
    let before = engine.kernel_name();
    let mut race = Race::new(engine, kernels, terms, limit);
    let went_on = race.most_tokens > 0 && race.all(&mut *report);
    race.standing.finished = true;
    race.standing.cancelled = !went_on;
    let old = kernels.iter().find(|kernel| kernel.facts().name == before);
    if let Some(old) = old.filter(|_| engine.kernel_name() != before) {
        // It took the model before; were it to fail now, the engine would go on with the last one.
        if let Err(error) = engine.set_kernel(Arc::clone(old)) {
            tracing::warn!(%error, kernel = before, "the kernel from before the race");
        }
    }
    report(&race.standing);
    race.standing
}

struct Race<'a> {
    engine: &'a Engine,
    kernels: Vec<Arc<dyn Kernel>>,
    standing: Standing,
    /// Time of one turn of one kernel.
    slot: Duration,
    /// Longest prompt and longest answer of one request.
    most_tokens: usize,
    limit: Option<Limit<'a>>,
    /// What a token a second is of the read bandwidth as it was measured last.
    share: Option<f64>,
    /// Requests so far; each has other tokens.
    requests: usize,
}

impl<'a> Race<'a> {
    fn new(
        engine: &'a Engine,
        kernels: &[Arc<dyn Kernel>],
        terms: Terms,
        limit: Option<Limit<'a>>,
    ) -> Self {
        // The layout that is loaded comes first.
        let now = engine.kernel_name();
        let loaded = kernels.iter().find(|kernel| kernel.facts().name == now);
        let loaded = loaded.map(|kernel| kernel.facts().layout);
        let mut kernels = kernels.to_vec();
        kernels.sort_by_key(|kernel| {
            let layout = kernel.facts().layout;
            (Some(layout) != loaded, layout)
        });
        let entry = |kernel: &Arc<dyn Kernel>| Entry {
            name: kernel.facts().name.clone(),
            build_id: kernel.facts().build_id.clone(),
            rank: kernel.score().rank,
            bits: bits(engine.model().recipe(), &**kernel),
            first: None,
            decode: None,
            prefill: None,
            share_of_read: None,
            state: State::Waiting,
        };
        let turns = ROUNDS * u32::try_from(kernels.len().max(1)).unwrap_or(u32::MAX);
        let context = engine.info().context;
        let status = engine.status();
        let free = status.kv_pages.saturating_sub(status.kv_pages_used);
        // Prompt and answer share the free pages. Who asked for a race gets one without any, too.
        let most_tokens = match free * PAGE_TOKENS / 2 {
            few if few < PAGE_TOKENS && !terms.keep_pages => MOST_TOKENS,
            enough => enough,
        };
        Self {
            engine,
            standing: Standing {
                entries: kernels.iter().map(entry).collect(),
                ..Standing::default()
            },
            kernels,
            slot: terms.budget / turns,
            most_tokens: most_tokens
                .min(MOST_TOKENS)
                .min(context.saturating_sub(1) / 2),
            limit,
            share: None,
            requests: 0,
        }
    }

    /// All rounds of all layouts; `false` when `report` said so.
    fn all(&mut self, report: &mut dyn FnMut(&Standing) -> bool) -> bool {
        let mut start = 0;
        while start < self.kernels.len() {
            let layout = self.kernels[start].facts().layout;
            let same = self.kernels[start..]
                .iter()
                .take_while(|kernel| kernel.facts().layout == layout)
                .count();
            for round in 0..ROUNDS {
                for at in start..start + same {
                    if !self.turn(at, round, report) {
                        return false;
                    }
                }
                self.drop_hopeless();
            }
            start += same;
        }
        true
    }

    fn turn(&mut self, at: usize, round: u32, report: &mut dyn FnMut(&Standing) -> bool) -> bool {
        if matches!(self.standing.entries[at].state, State::Out(_)) {
            return true;
        }
        self.standing.entries[at].state = State::Running;
        if !report(&self.standing) {
            return false;
        }
        let went_on = match self.measure(at, round, report) {
            Ok(went_on) => went_on,
            Err(why) => {
                self.standing.entries[at].state = State::Out(why);
                return report(&self.standing);
            }
        };
        let entry = &mut self.standing.entries[at];
        entry.state = match entry.turn() {
            Some(_) => State::Measured,
            None => State::Waiting,
        };
        went_on && report(&self.standing)
    }

    /// One request, after a probe in the first round; `Ok(false)` when the race is to end.
    fn measure(
        &mut self,
        at: usize,
        round: u32,
        report: &mut dyn FnMut(&Standing) -> bool,
    ) -> Result<bool, String> {
        let kernel = Arc::clone(&self.kernels[at]);
        let before = self.engine.kernel_name();
        if before != kernel.facts().name {
            let mut kernels = self.kernels.iter();
            let before = kernels.find(|known| known.facts().name == before);
            if before.is_none_or(|before| before.facts().layout != kernel.facts().layout) {
                self.standing.entries[at].state = State::Packing;
                if !report(&self.standing) {
                    return Ok(false);
                }
            }
            let switched = self.engine.set_kernel(Arc::clone(&kernel));
            switched.map_err(|error| error.to_string())?;
            self.standing.entries[at].state = State::Running;
        }
        let read = self.limit.and_then(|limit| limit(&*kernel));
        self.share = read.map(|read| {
            let plan = &self.engine.info().plan;
            let weights = self.engine.model().recipe().ternary_macs() as f64;
            let bytes = weights * self.standing.entries[at].bits / 8.0 + plan.head_read as f64;
            bytes / read
        });
        let mut pace = self.standing.entries[at].prefill;
        if round == 0 {
            let (timings, went_on) = self.request(at, 1, 2, Instant::now(), report)?;
            if !went_on {
                return Ok(false);
            }
            self.standing.entries[at].first = Some(timings.first_token);
            pace = rate((1, timings.decode));
            if timings.decode >= self.slot {
                // So slow that its turn is over: the first request has to do.
                self.add(at, &timings);
                return Ok(true);
            }
        }
        let pace = pace.unwrap_or(1.0);
        // Two fifths of the turn go into the prompt.
        let prompt = (pace * self.slot.as_secs_f64() * 0.4) as usize;
        let prompt = prompt.max(2).min(self.most_tokens);
        let end = Instant::now() + self.slot;
        let (timings, went_on) = self.request(at, prompt, self.most_tokens, end, report)?;
        self.add(at, &timings);
        Ok(went_on)
    }

    /// Takes a request in if it is the kernel's fastest.
    fn add(&mut self, at: usize, timings: &Timings) {
        let read = timings.prompt_tokens - timings.cached_tokens;
        let (Some(prefill), Some(decode)) = (rate((read, timings.prefill)), written(timings))
        else {
            return;
        };
        let Some(turn) = super::turn(decode, prefill) else {
            return;
        };
        if self.standing.entries[at]
            .turn()
            .is_none_or(|best| turn < best)
        {
            self.standing.entries[at].prefill = Some(prefill);
            self.show(at, decode);
        }
    }

    fn show(&mut self, at: usize, decode: f64) {
        let entry = &mut self.standing.entries[at];
        entry.decode = Some(decode);
        entry.share_of_read = self.share.map(|share| decode * share);
    }

    /// Runs one request until `end`, but to at least two tokens; its timings, and `false` when the race
    /// is to end.
    fn request(
        &mut self,
        at: usize,
        prompt: usize,
        tokens: usize,
        end: Instant,
        report: &mut dyn FnMut(&Standing) -> bool,
    ) -> Result<(Timings, bool), String> {
        self.requests += 1;
        let vocab = self.engine.model().tokenizer().vocab_size().max(1);
        // Knuth's multiplicative hash: tokens from all over the vocabulary.
        let token = |i: usize| {
            let mixed = (i as u64 + 1).wrapping_mul(2_654_435_761) >> 7;
            (mixed % vocab as u64) as u32
        };
        let first = self.requests * MOST_TOKENS;
        let mut request = Request::new(Input::Tokens((first..first + prompt).map(token).collect()));
        request.sampling = Sampling::greedy();
        request.ignore_eos = true;
        request.keep = false;
        request.max_tokens = Some(tokens);
        let failed = |error: GenerateError| error.to_string();
        let generation = self.engine.generate(request).map_err(failed)?;
        let cancel = generation.cancel_handle();
        let mut went_on = true;
        let mut shown = Instant::now();
        while let Some(event) = generation.next_event() {
            let timings = match event {
                Event::Prefill { .. } => None,
                Event::Text { timings, .. } => Some(timings),
                Event::Finished(finished) => return Ok((finished.timings, went_on)),
                Event::Failed(error) => return Err(failed(error)),
            };
            let decode = timings.as_ref().and_then(written);
            let now = Instant::now();
            if decode.is_some() && now >= end {
                cancel.cancel();
            }
            if now - shown >= Duration::from_millis(100) && went_on {
                shown = now;
                // Until there is a result, how it goes.
                if let Some(decode) = decode.filter(|_| tokens > 2)
                    && self.standing.entries[at].prefill.is_none()
                {
                    self.show(at, decode);
                }
                if !report(&self.standing) {
                    went_on = false;
                    cancel.cancel();
                }
            }
        }
        Err(GenerateError::Stopped.to_string())
    }

    /// Leaves out who cannot win any more.
    fn drop_hopeless(&mut self) {
        let Some((leader, best)) = self
            .standing
            .leader()
            .and_then(|leader| Some((leader.name.clone(), leader.turn()?)))
        else {
            return;
        };
        for entry in &mut self.standing.entries {
            if let Some(turn) = entry.turn().filter(|turn| *turn > best * HOPELESS)
                && entry.state == State::Measured
            {
                entry.state = State::Out(format!("{leader} is {:.1} times as fast", turn / best));
            }
        }
    }
}
