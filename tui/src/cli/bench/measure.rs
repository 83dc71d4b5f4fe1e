//! The measurements of one number of threads.

use std::sync::Arc;
use std::time::Instant;

use tritone_abi::Kernel;
use tritone_engine::{Model, RunnerOptions};

use super::BenchArgs;
use super::limits::{Int8Peak, PREFETCH, ReadBuffer};
use super::report::{Decode, Measured, Prefill, Results};
use super::subject::{Subject, kv_bytes, ternary_macs};
use crate::cli::console::Progress;
use crate::cli::interrupt::Interrupt;
use crate::cli::run::loading;

/// Everything a measurement needs.
pub(super) struct Bench<'a> {
    pub(super) kernel: &'a dyn Kernel,
    pub(super) model: &'a Arc<Model>,
    pub(super) args: &'a BenchArgs,
    pub(super) contexts: &'a [usize],
    pub(super) buffer: &'a ReadBuffer,
    pub(super) int8: Result<Int8Peak, String>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) line: Progress,
}

/// The samples of one number of threads, one a repetition.
#[derive(Default)]
struct Samples {
    read: Vec<f64>,
    prefetch: Vec<usize>,
    int8: Vec<f64>,
    prefill: Vec<f64>,
    decode: Vec<Vec<f64>>,
    /// Why a limit cannot be measured.
    no_read: Option<String>,
    no_int8: Option<String>,
}

impl Bench<'_> {
    /// Loads the model with `options.threads` threads and measures all there is.
    pub(super) fn measure(
        &mut self,
        options: RunnerOptions,
        chunk: usize,
    ) -> anyhow::Result<Results> {
        let threads = options.threads;
        let (interrupt, line) = (self.interrupt, &mut self.line);
        let begin = Instant::now();
        let mut subject = Subject::load(self.model, options, chunk, &mut |progress| {
            line.show(|| loading(&progress));
            !interrupt.is_pressed()
        })?;
        let load_seconds = begin.elapsed().as_secs_f64();

        let mut samples = Samples {
            decode: vec![Vec::new(); self.contexts.len()],
            no_int8: self.int8.as_ref().err().cloned(),
            ..Samples::default()
        };
        if self.warm_up(&mut subject, threads)? {
            for repetition in 1..=self.args.repeat {
                let title = format!("{threads} threads, {repetition} of {}", self.args.repeat);
                if !self.repeat(&mut subject, threads, &title, &mut samples)? {
                    break;
                }
            }
        }
        Ok(self.results(&subject, threads, load_seconds, samples))
    }

    /// Computes every position once, so that what is decoded later has all its past in the cache
    /// and no page is touched for the first time; `false` when interrupted.
    fn warm_up(&mut self, subject: &mut Subject, threads: usize) -> anyhow::Result<bool> {
        let (interrupt, line) = (self.interrupt, &mut self.line);
        let deepest = self.contexts.iter().copied().max().unwrap_or(0);
        let count = deepest.max(self.args.prompt as usize);
        let done = subject.prefill(count, |done| {
            line.show(|| format!("{threads} threads, warming up: {done} of {count} tokens"));
            !interrupt.is_pressed()
        })?;
        Ok(done.is_some() && subject.decode(deepest, 1, |_| true)?.is_some())
    }

    /// One sample of everything, each limit next to what it limits; `false` when interrupted.
    fn repeat(
        &mut self,
        subject: &mut Subject,
        threads: usize,
        title: &str,
        samples: &mut Samples,
    ) -> anyhow::Result<bool> {
        let kernel = self.kernel;
        let (interrupt, line) = (self.interrupt, &mut self.line);
        let mut go_on = |what: &str, done: usize, of: usize| {
            line.show(|| format!("{title}: {what} {done} of {of}"));
            !interrupt.is_pressed()
        };

        if let Ok(int8) = &self.int8 {
            if !go_on("int8 peak", 0, 1) {
                return Ok(false);
            }
            match int8.measure(kernel, threads) {
                Ok(rate) => samples.int8.push(rate / 1e9),
                Err(error) => samples.no_int8 = Some(error.to_string()),
            }
        }
        let count = self.args.prompt as usize;
        match subject.prefill(count, |done| go_on("prefill", done, count))? {
            Some(time) => samples.prefill.push(count as f64 / time.as_secs_f64()),
            None => return Ok(false),
        }

        let mut best: Option<(f64, usize)> = None;
        for (done, &prefetch) in PREFETCH.iter().enumerate() {
            if samples.no_read.is_some() {
                break;
            }
            if !go_on("read", done, PREFETCH.len()) {
                return Ok(false);
            }
            match self.buffer.read(kernel, threads, prefetch) {
                Ok(rate) if best.is_none_or(|(best, _)| rate > best) => {
                    best = Some((rate, prefetch));
                }
                Ok(_) => {}
                Err(error) => samples.no_read = Some(error.to_string()),
            }
        }
        if let Some((rate, prefetch)) = best {
            samples.read.push(rate / 1e9);
            samples.prefetch.push(prefetch);
        }
        let count = self.args.generate as usize;
        for (&context, samples) in self.contexts.iter().zip(&mut samples.decode) {
            match subject.decode(context, count, |done| go_on("decode", done, count))? {
                Some(time) => samples.push(count as f64 / time.as_secs_f64()),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn results(
        &self,
        subject: &Subject,
        threads: usize,
        load_seconds: f64,
        samples: Samples,
    ) -> Results {
        let limit = |samples, missing: Option<String>| match missing {
            Some(why) => Measured::missing(why),
            None => Measured::new(samples),
        };
        let read = limit(samples.read, samples.no_read);
        let int8 = limit(samples.int8, samples.no_int8);
        let recipe = self.model.recipe();
        let plan = subject.plan();

        let rate = Measured::new(samples.prefill);
        let gmacs = rate.scaled(ternary_macs(recipe) as f64 / 1e9);
        let prefill = Prefill {
            tokens: self.args.prompt as usize,
            share_of_int8: gmacs.share_of(&int8),
            tokens_per_s: rate,
            gmac_per_s: gmacs,
        };
        let tokens = self.args.generate as usize;
        let decode = self
            .contexts
            .iter()
            .zip(samples.decode)
            .map(|(&context, samples)| {
                let kv = kv_bytes(recipe, context, tokens);
                let bytes = (plan.weights + plan.head) as f64 + kv;
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
        Results {
            threads,
            load_seconds,
            read_gb_per_s: read,
            best_prefetch_bytes: samples.prefetch,
            int8_gmac_per_s: int8,
            prefill,
            decode,
        }
    }
}
