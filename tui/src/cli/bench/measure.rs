//! Measuring: everything once a repetition, one way to run the model after the other.

use std::sync::Arc;

use tritone_engine::{MemoryPlan, Model};

use super::limits::{Int8Peak, ReadBuffer};
use super::pin::Pins;
use super::pool::{Case, Pool};
use super::report::{Batch, Decode, Gaps, Mixed, Prefill, Results};
use super::stats::{Measured, quantile};
use super::subject::{hold, kv_bytes};
use crate::cli::console::Progress;
use crate::cli::interrupt::Interrupt;

/// What is measured of every case.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Tokens of the prompt, and of each piece it is read in.
    pub(super) prompt: usize,
    pub(super) chunk: usize,
    /// Tokens to generate.
    pub(super) generate: usize,
    /// Tokens in the cache before them.
    pub(super) contexts: Vec<usize>,
    /// Sequences decoded together.
    pub(super) batches: Vec<usize>,
    /// Sequences decoded while a prompt is read.
    pub(super) mixed: Option<usize>,
    pub(super) repeat: usize,
}

/// Everything a measurement needs.
pub(super) struct Bench<'a> {
    pub(super) model: &'a Arc<Model>,
    pub(super) wanted: Wanted,
    /// With the int8 loop of each case's kernel.
    pub(super) cases: Vec<(Case, Result<Int8Peak, String>)>,
    pub(super) pool: Pool<'a>,
    pub(super) buffer: &'a ReadBuffer,
    pub(super) pins: Option<&'a Pins>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) line: Progress,
}

/// The samples of one case, one a repetition.
#[derive(Default)]
struct Samples {
    load_seconds: f64,
    /// What the model takes, once it was loaded.
    plan: Option<MemoryPlan>,
    read: Vec<f64>,
    prefetch: Vec<usize>,
    int8: Vec<f64>,
    prefill: Vec<f64>,
    decode: Vec<Vec<f64>>,
    batch: Vec<Vec<f64>>,
    gaps: [Vec<Vec<f64>>; 2],
    /// Why a limit cannot be measured.
    no_read: Option<String>,
    no_int8: Option<String>,
}

impl Bench<'_> {
    /// Measures all cases in turn, once a repetition. The order moves on with every repetition, so that
    /// no case always follows the same other.
    pub(super) fn measure(&mut self) -> anyhow::Result<Vec<Results>> {
        let mut all: Vec<Samples> = self.cases.iter().map(|case| self.empty(case)).collect();
        let (cases, repeat) = (self.cases.len(), self.wanted.repeat);
        'all: for repetition in 0..=repeat {
            for turn in 0..cases {
                let at = (turn + repetition) % cases;
                if !self.turn(at, repetition, &mut all[at])? {
                    break 'all;
                }
            }
        }
        self.line.clear();
        let results = all.into_iter().enumerate();
        Ok(results
            .map(|(at, samples)| self.results(at, samples))
            .collect())
    }

    fn empty(&self, case: &(Case, Result<Int8Peak, String>)) -> Samples {
        Samples {
            decode: vec![Vec::new(); self.wanted.contexts.len()],
            batch: vec![Vec::new(); self.wanted.batches.len()],
            no_int8: case.1.as_ref().err().cloned(),
            ..Samples::default()
        }
    }

    /// One repetition of one case, each limit next to what it limits; `false` when interrupted.
    /// Repetition 0 warms up: it loads, runs one step of every kind and keeps no time.
    fn turn(
        &mut self,
        at: usize,
        repetition: usize,
        samples: &mut Samples,
    ) -> anyhow::Result<bool> {
        let (case, int8) = &self.cases[at];
        let (wanted, interrupt, line) = (&self.wanted, self.interrupt, &mut self.line);
        let (kernel, threads, pins) = (&*case.kernel, case.threads, self.pins);
        let taken = self.pool.take(case, pins, &mut |progress| {
            line.loading(&progress);
            !interrupt.is_pressed()
        });
        let (subject, seconds) = match taken {
            Err(error) if super::subject::is_cancelled(&error) => return Ok(false),
            taken => taken?,
        };
        samples.load_seconds = seconds;
        samples.plan = Some(subject.plan().clone());

        let warm_up = repetition == 0;
        let title = || {
            let name = &kernel.facts().name;
            let head = case.head.0;
            let repeat = wanted.repeat;
            let s = if threads == 1 { "" } else { "s" };
            format!("{name}, {head} head, {threads} thread{s}, {repetition} of {repeat}")
        };
        let mut go_on = |what: &str, done: usize, of: usize| {
            line.show(|| format!("{}: {what} {done} of {of}", title()));
            !interrupt.is_pressed()
        };

        if let (Ok(int8), false) = (int8, warm_up) {
            if !go_on("int8 peak", 0, 1) {
                return Ok(false);
            }
            match int8.measure(kernel, threads, pins) {
                Ok(rate) => samples.int8.push(rate / 1e9),
                Err(error) => samples.no_int8 = Some(error.to_string()),
            }
        }
        let place = hold(pins);
        let count = if warm_up {
            wanted.prompt.min(wanted.chunk)
        } else {
            wanted.prompt
        };
        if count > 0 {
            match subject.prefill(count, |done| go_on("prefill", done, count))? {
                Some(time) if !warm_up => samples.prefill.push(count as f64 / time.as_secs_f64()),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        drop(place);

        if samples.no_read.is_none() && !warm_up {
            let of = super::limits::PREFETCH.len();
            let best = (self.buffer).best(kernel, threads, pins, |done| go_on("read", done, of));
            match best {
                Ok(Some((rate, prefetch))) => {
                    samples.read.push(rate / 1e9);
                    samples.prefetch.push(prefetch);
                }
                Ok(None) => return Ok(false),
                Err(error) => samples.no_read = Some(error.to_string()),
            }
        }
        let _place = hold(pins);
        let count = if warm_up { 1 } else { wanted.generate };
        for (&context, samples) in wanted.contexts.iter().zip(&mut samples.decode) {
            match subject.decode(1, context, count, |done| go_on("decode", done, count))? {
                Some(time) if !warm_up => samples.push(count as f64 / time.as_secs_f64()),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        let shallow = wanted.contexts.first().copied().unwrap_or(0);
        for (&batch, samples) in wanted.batches.iter().zip(&mut samples.batch) {
            let title = format!("decode of {batch}");
            match subject.decode(batch, shallow, count, |done| go_on(&title, done, count))? {
                Some(time) if !warm_up => {
                    samples.push((batch * count) as f64 / time.as_secs_f64());
                }
                Some(_) => {}
                None => return Ok(false),
            }
        }
        if let Some(decoders) = wanted.mixed.filter(|_| !warm_up) {
            let title = "decode with a prompt";
            let prompt = wanted.prompt;
            let chunks = count + prompt.div_ceil(wanted.chunk);
            match subject.mixed(decoders, shallow, count, prompt, |done| {
                go_on(title, done, chunks)
            })? {
                Some(times) => {
                    for (gaps, times) in samples.gaps.iter_mut().zip(times) {
                        gaps.push(times.iter().map(|time| time * 1e3).collect());
                    }
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn results(&self, at: usize, samples: Samples) -> Results {
        let (case, wanted, recipe) = (&self.cases[at].0, &self.wanted, self.model.recipe());
        let limit = |samples, missing: Option<String>| match missing {
            Some(why) => Measured::missing(why),
            None => Measured::new(samples),
        };
        let read = limit(samples.read, samples.no_read);
        let int8 = limit(samples.int8, samples.no_int8);
        let macs = recipe.ternary_macs() as f64 / 1e9;
        let (weights, head) =
            (samples.plan.as_ref()).map_or((0, 0), |plan| (plan.weights_read(1), plan.head_read));
        let streamed = |context: usize, sequences: usize| {
            let plan = samples.plan.as_ref();
            let kv = plan.map_or(0.0, |plan| kv_bytes(plan, context, wanted.generate));
            // A recurrent state is read and written.
            let state = 2.0 * recipe.state_bytes() as f64;
            let weights = plan.map_or(0, |plan| plan.weights_read(sequences));
            (weights + head) as f64 + sequences as f64 * (kv + state)
        };

        let prefill = (wanted.prompt > 0).then(|| {
            let rate = Measured::new(samples.prefill);
            let gmacs = rate.scaled(macs);
            Prefill {
                tokens: wanted.prompt,
                share_of_int8: gmacs.share_of(&int8),
                tokens_per_s: rate,
                gmac_per_s: gmacs,
            }
        });
        let tokens = wanted.generate;
        let decode = wanted.contexts.iter().zip(samples.decode);
        let decode = decode.map(|(&context, samples)| {
            let bytes = streamed(context, 1);
            let rate = Measured::new(samples);
            let gigabytes = rate.scaled(bytes / 1e9);
            Decode {
                context,
                tokens,
                bytes_per_token: bytes,
                share_of_read: gigabytes.share_of(&read),
                tokens_per_s: rate,
                gb_per_s: gigabytes,
            }
        });
        let decode = decode.collect();

        let context = wanted.contexts.first().copied().unwrap_or(0);
        let batches: Vec<_> = wanted.batches.iter().zip(samples.batch).collect();
        let one = batches.iter().find(|(batch, _)| **batch == 1);
        let one = one.map_or_else(
            || Measured::missing("no batch of one was measured"),
            |(_, samples)| Measured::new(samples.clone()),
        );
        let batch = batches.into_iter().map(|(&sequences, samples)| {
            let rate = Measured::new(samples);
            let each = rate.scaled(1.0 / sequences as f64);
            let bytes = streamed(context, sequences);
            Batch {
                sequences,
                context,
                times_one: rate.share_of(&one),
                share_of_int8: rate.scaled(macs).share_of(&int8),
                share_of_read: each.scaled(bytes / 1e9).share_of(&read),
                tokens_per_s: rate,
                tokens_per_s_each: each,
            }
        });
        let batch = batch.collect();
        let [alone, reading] = samples.gaps.map(gaps);
        let mixed = wanted.mixed.map(|decoders| Mixed {
            decoders,
            context,
            prompt: wanted.prompt,
            chunk: wanted.chunk,
            alone,
            reading,
        });
        Results {
            kernel: case.kernel.facts().name.clone(),
            head: case.head.0.to_owned(),
            threads: case.threads,
            load_seconds: samples.load_seconds,
            weights_bytes: weights,
            head_bytes: head,
            read_gb_per_s: read,
            best_prefetch_bytes: samples.prefetch,
            int8_gmac_per_s: int8,
            prefill,
            decode,
            batch,
            mixed,
        }
    }
}

fn gaps(repetitions: Vec<Vec<f64>>) -> Gaps {
    let part = |q| {
        let of = |gaps: &Vec<f64>| quantile(gaps, q);
        Measured::new(repetitions.iter().filter_map(of).collect())
    };
    Gaps {
        p50_ms: part(0.5),
        p95_ms: part(0.95),
        ms: repetitions,
    }
}
