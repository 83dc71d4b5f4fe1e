//! The engine on which points are tried.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tritone_engine::{
    Engine, EngineOptions, GenerateError, Generation, Input, LoadError, Request, human_bytes,
};
use tritone_machine::{EnergyMeter, NoEnergy, resident_bytes};

use super::point::{Point, Round};
use crate::cli::args::CommonArgs;
use crate::cli::interrupt::Interrupt;
use crate::cli::setup::Setup;

/// What a point came down to.
pub(super) struct Ready {
    /// Threads, kernel, head, KV cache, chunk.
    pub(super) runs: String,
    /// Bytes of its memory plan.
    pub(super) planned: u64,
}

/// Why a point is not tried.
pub(super) enum Refused {
    /// It cannot be run here.
    Skip(String),
    /// Ctrl+C.
    Stopped,
    /// The engine failed.
    Failed(anyhow::Error),
}

/// A loaded model that goes from point to point.
pub(super) struct Bed<'a> {
    engine: Engine,
    common: &'a CommonArgs,
    interrupt: &'a Interrupt,
    prompt: usize,
    generate: usize,
    energy: Result<EnergyMeter, NoEnergy>,
    /// Prompts that were asked; no two begin alike.
    asked: u32,
    /// The point the engine is at.
    at: Option<String>,
}

impl<'a> Bed<'a> {
    pub(super) fn new(
        engine: Engine,
        common: &'a CommonArgs,
        interrupt: &'a Interrupt,
        prompt: usize,
        generate: usize,
    ) -> Self {
        Self {
            engine,
            common,
            interrupt,
            prompt,
            generate,
            energy: EnergyMeter::open(),
            asked: 0,
            at: None,
        }
    }

    /// Why the machine does not say what energy it takes, if so.
    pub(super) fn no_energy(&self) -> Option<String> {
        self.energy.as_ref().err().map(ToString::to_string)
    }

    /// Energy since the last look, where the machine tells.
    fn joules(&mut self) -> Option<f64> {
        self.energy.as_mut().ok()?.joules()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What a point's profile and settings say.
    pub(super) fn setup(&self, point: &Point) -> Result<Setup, String> {
        let common = CommonArgs {
            profile: Some(point.profile.clone()),
            // Other flags are bounds of the whole search.
            ..self.common.clone()
        };
        Setup::with_settings(&common, &point.settings).map_err(|error| format!("{error:#}"))
    }

    /// The options of a point, if its memory plan fits.
    pub(super) fn options(&self, point: &Point) -> Result<(EngineOptions, u64), String> {
        let setup = self.setup(point)?;
        let (mut options, _) = setup.options(self.engine.model(), point.batch);
        // A round has to fit, whatever else the profile has room for.
        let needed = self.prompt + self.generate + 1;
        let context = options.context.unwrap_or(needed);
        if context < needed {
            return Err(format!(
                "a round of {needed} tokens does not fit its context of {context}"
            ));
        }
        options.mlock = false;
        let plan = options
            .plan(self.engine.model())
            .ok_or("the kernel does not take the model")?;
        if !plan.fits() {
            let limit = plan.limit.unwrap_or(0);
            return Err(format!(
                "needs {} of a limit of {}",
                human_bytes(plan.total()),
                human_bytes(limit)
            ));
        }
        Ok((options, plan.total()))
    }

    /// Goes to a point.
    pub(super) fn apply(&mut self, point: &Point) -> Result<Ready, Refused> {
        let (options, planned) = self.options(point).map_err(Refused::Skip)?;
        let key = point.key();
        if self.at.as_ref() != Some(&key) {
            self.at = None;
            let go_on = |_| !self.interrupt.is_pressed();
            let refused = |error: LoadError| match error {
                LoadError::Cancelled => Refused::Stopped,
                error => Refused::Skip(error.to_string()),
            };
            self.engine
                .reconfigure(&options, &mut { go_on })
                .map_err(refused)?;
            let wanted = options.kernel.facts().name.clone();
            if wanted != self.engine.kernel_name() {
                self.engine
                    .switch_kernel(Arc::clone(&options.kernel), &mut { go_on })
                    .map_err(refused)?;
            }
            self.at = Some(key);
        }
        let forms = options.forms;
        Ok(Ready {
            runs: format!(
                "{} x {}, head {}, kv {}, chunk {}",
                self.engine.kernel_name(),
                options.threads,
                forms.head,
                tritone_engine::kv_name(forms.kv),
                options.prefill_chunk
            ),
            planned,
        })
    }

    /// A prompt that begins as no other did.
    fn request(&mut self, reuse: bool) -> Request {
        self.asked = self.asked.wrapping_add(1);
        // Some ids at the ends of vocabularies stand for nothing.
        let vocab = self.engine.info().vocab.saturating_sub(512).max(64);
        let first = self.asked as usize * 7919;
        let tokens = (0..self.prompt).map(|i| {
            let id = (first + i * 104_729) % vocab;
            u32::try_from(id).unwrap_or(0)
        });
        Request {
            max_tokens: Some(self.generate),
            ignore_eos: true,
            keep: reuse,
            ..Request::new(Input::Tokens(tokens.collect()))
        }
    }

    fn ask(&self, request: Request) -> anyhow::Result<Generation> {
        let generation = self.engine.generate(request)?;
        self.interrupt.cancels(generation.cancel_handle());
        Ok(generation)
    }

    /// One round at the point the engine is at.
    pub(super) fn round(&mut self, point: &Point) -> Result<Round, Refused> {
        let failed = |error: anyhow::Error| match error.downcast_ref::<GenerateError>() {
            Some(GenerateError::Cancelled) => Refused::Stopped,
            _ => Refused::Failed(error.context(format!("point {}", point.name))),
        };
        let requests: Vec<Request> = (0..point.batch)
            .map(|_| self.request(point.reuse))
            .collect();
        let again = Request {
            max_tokens: Some(1),
            ..requests[0].clone()
        };
        self.joules();
        let begin = Instant::now();
        let mut running = Vec::with_capacity(requests.len());
        for request in requests {
            running.push(self.ask(request).map_err(failed)?);
        }
        let mut all = Vec::with_capacity(running.len());
        for generation in running {
            let waited = generation.wait().context("an answer failed");
            all.push(waited.map_err(failed)?.1.timings);
        }
        let wall = begin.elapsed().as_secs_f64();
        let joules = self.joules();
        if self.interrupt.is_pressed() {
            return Err(Refused::Stopped);
        }
        let mean = |number: &dyn Fn(&tritone_engine::Timings) -> f64| {
            all.iter().map(number).sum::<f64>() / all.len().max(1) as f64
        };
        let generated: usize = all.iter().map(|timings| timings.generated_tokens).sum();
        let read: usize = all
            .iter()
            .map(|timings| timings.prompt_tokens - timings.cached_tokens)
            .sum();
        let longest = all.iter().map(|timings| timings.first_token.as_secs_f64());
        let prefill = read as f64 / longest.fold(f64::MIN_POSITIVE, f64::max);
        let (decode, first_token_s) = (
            mean(&tritone_engine::Timings::decode_rate),
            mean(&|timings| timings.first_token.as_secs_f64()),
        );
        let again = self.ask(again).map_err(failed)?;
        let again = again.wait().context("an answer failed").map_err(failed)?.1;
        Ok(Round {
            decode,
            together: generated as f64 / wall,
            prefill,
            first_token_s,
            again_s: again.timings.first_token.as_secs_f64(),
            per_minute: all.len() as f64 * 60.0 / wall,
            resident: resident_bytes().unwrap_or(0),
            joules_per_token: joules.map(|joules| joules / generated.max(1) as f64),
        })
    }
}
