//! Whether a model does here what it should: it loads, answers within bounds, stays within its memory, and every kernel
//! says the same.

mod probe;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tritone_engine::{
    Engine, Event, Finished, GenerateError, Input, LoadError, Model, Request, human_bytes,
    sample::Sampling,
};

use report::Check;
pub(crate) use report::Report;

use crate::cli::setup::Setup;

/// What the probe continues; any text does.
const PROMPT: &str = "The capital of France is Paris. The capital of Italy is";
/// Tokens that the answer has.
const TOKENS: usize = 16;
/// An answer that takes longer is none.
const LONGEST: Duration = Duration::from_secs(120);

/// Bounds that somebody asked for; those of the profile's alerts warn only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Longest time to the first token.
    pub(crate) latency: Option<Duration>,
    /// Fewest tokens a second.
    pub(crate) speed: Option<f64>,
}

/// Says what is being done; `false` ends the check.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(&str) -> bool;

/// Checks the model of `setup`.
///
/// # Errors
/// [`LoadError::Cancelled`] when `watch` ended it. Every fault is part of the report.
pub(crate) fn check(setup: &Setup, bounds: &Bounds, watch: Watch<'_>) -> Result<Report, LoadError> {
    let mut report = Report::default();
    let begin = Instant::now();
    let model = match setup.open(&mut |progress| watch(progress.stage)) {
        Ok((model, _)) => Arc::new(model),
        Err(LoadError::Cancelled) => return Err(LoadError::Cancelled),
        Err(error) => {
            report.add(
                Check::fail("model", error)
                    .remedy("`tritone inspect FILE` says what is in a file; fetch it again, or name another with `--model`"),
            );
            return Ok(report);
        }
    };
    report.model = model.source().to_owned();
    let (options, _) = setup.options(&model, 1);
    report.kernel = options.kernel.facts().name.clone();
    report.threads = options.threads;
    let started = Engine::start(Arc::clone(&model), &options, &mut |progress| {
        watch(progress.stage)
    });
    let engine = match started {
        Ok(engine) => engine,
        Err(LoadError::Cancelled) => return Err(LoadError::Cancelled),
        Err(error) => {
            let memory = matches!(error, LoadError::Memory { .. });
            let remedy = match memory {
                true => {
                    "raise `--memory`, or take a smaller `--ctx`, `--head q6` or `--kv q8`; \
                     `tritone inspect` has the plan"
                }
                false => "`tritone inspect` and `tritone doctor` say what is missing",
            };
            let name = if memory { "memory" } else { "model" };
            report.add(Check::fail(name, error).remedy(remedy));
            return Ok(report);
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    report.add(Check::ok("model", format!("loaded in {seconds:.2} s")).number(seconds, "s"));
    let answered = answer(setup, bounds, &engine, &mut report, watch);
    if matches!(answered, Err(GenerateError::Cancelled)) {
        return Err(LoadError::Cancelled);
    }
    if let Err(error) = answered {
        report.add(Check::fail("answer", error).remedy(
            "try another kernel with `--kernel scalar`, and compare the file with its source",
        ));
    }
    memory(options.memory_limit, &mut report);
    drop(engine);
    kernels(setup, &model, &options, &mut report, watch)?;
    Ok(report)
}

/// One answer, and how long it took.
fn answer(
    setup: &Setup,
    bounds: &Bounds,
    engine: &Engine,
    report: &mut Report,
    watch: Watch<'_>,
) -> Result<(), GenerateError> {
    let mut request = Request::new(Input::Text(PROMPT.to_owned()));
    request.sampling = Sampling {
        logprobs: true,
        ..Sampling::greedy()
    };
    request.max_tokens = Some(TOKENS);
    request.ignore_eos = true;
    request.keep = false;
    let generation = engine.generate(request)?;
    let deadline = Instant::now() + LONGEST;
    let (mut tokens, mut finite) = (0_usize, true);
    let finished: Finished = loop {
        if !watch("answering") {
            return Err(GenerateError::Cancelled);
        }
        let soon = Instant::now() + Duration::from_millis(100);
        match generation.event_before(soon) {
            Some(Event::Text { likelihood, .. }) => {
                tokens += 1;
                finite &= likelihood.is_none_or(|likely| likely.logprob.is_finite());
            }
            Some(Event::Finished(finished)) => break finished,
            Some(Event::Failed(error)) => return Err(error),
            Some(Event::Prefill { .. }) => {}
            None if Instant::now() > deadline => {
                let text = format!("no answer within {} s", LONGEST.as_secs());
                report.add(Check::fail("answer", text).remedy(
                    "take a smaller model, or more threads; `tritone doctor` says what costs speed",
                ));
                return Ok(());
            }
            None => {}
        }
    };
    let timings = finished.timings;
    report.add(if timings.generated_tokens == 0 || tokens == 0 {
        Check::fail("answer", "the answer is empty").remedy("compare the file with its source")
    } else if !finite {
        Check::fail("answer", "a probability is not a finite number")
            .remedy("compare the file with its source, and try `--kernel scalar`")
    } else {
        let n = timings.generated_tokens;
        Check::ok("answer", format!("{n} tokens, all of finite probability"))
            .number(n as f64, "tokens")
    });
    let alerts = &setup.profile().alerts;
    let first = timings.first_token.as_secs_f64() * 1e3;
    let asked = bounds.latency.map(|most| most.as_secs_f64() * 1e3);
    let most = asked.unwrap_or(alerts.latency_ms as f64);
    report.add(
        Check::within(
            "first token",
            first <= most,
            asked.is_some(),
            format!("{first:.0} ms, bound {most:.0} ms"),
        )
        .number(first, "ms")
        .bound(most)
        .remedy_if_bad(
            "more `--threads`, another kernel (`tritone kernels --race`), or a wider bound",
        ),
    );
    let speed = timings.decode_rate();
    let least = bounds.speed.unwrap_or(alerts.min_tokens_per_second);
    report.add(
        Check::within(
            "speed",
            speed >= least,
            bounds.speed.is_some(),
            format!("{speed:.1} tokens/s, bound {least:.1}"),
        )
        .number(speed, "tokens/s")
        .bound(least)
        .remedy_if_bad("more `--threads`, a smaller `--head`, or close other programs; `tritone doctor` looks for causes"),
    );
    Ok(())
}

/// What the process takes, and what it may.
fn memory(limit: Option<u64>, report: &mut Report) {
    let Some(resident) = tritone_machine::resident_bytes() else {
        report.add(Check::warn(
            "memory",
            "the system does not tell what this process takes",
        ));
        return;
    };
    let limit = limit.unwrap_or(u64::MAX);
    let text = format!(
        "{} resident, limit {}",
        human_bytes(resident),
        human_bytes(limit)
    );
    report.add(
        Check::within("memory", resident <= limit, true, text)
            .number(resident as f64, "bytes")
            .bound(limit as f64)
            .remedy_if_bad("raise `--memory`, or take a smaller `--ctx`, `--head q6` or `--kv q8`"),
    );
}

/// Every kernel that can be used here says the same.
fn kernels(
    setup: &Setup,
    model: &Arc<Model>,
    options: &tritone_engine::EngineOptions,
    report: &mut Report,
    watch: Watch<'_>,
) -> Result<(), LoadError> {
    let tokens = match model.encode(&Input::Text(PROMPT.to_owned())) {
        Ok(tokens) => tokens,
        Err(error) => {
            report.add(Check::fail("kernels", error).remedy("compare the file with its source"));
            return Ok(());
        }
    };
    let mut first: Option<probe::Said> = None;
    let (mut same, mut other, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for found in setup.registry.kernels() {
        let Some(kernel) = found.kernel() else {
            continue;
        };
        let name = kernel.facts().name.clone();
        if !watch(&format!("asking kernel {name}")) {
            return Err(LoadError::Cancelled);
        }
        match probe::ask(model, kernel, options, &tokens, watch) {
            Ok(said) if first.is_none() => {
                report.logits = Some(said.logits.clone());
                first = Some(said);
                same.push(name);
            }
            Ok(said) if first.as_ref() == Some(&said) => same.push(name),
            Ok(_) => other.push(name),
            Err(LoadError::Cancelled) => return Err(LoadError::Cancelled),
            Err(error) => left.push(format!("{name} ({error})")),
        }
    }
    report.add(if !other.is_empty() {
        let text = format!("{} say something else than {}", other.join(", "), same.join(", "));
        Check::fail("kernels", text).remedy(
            "leave the one that differs from `scalar` out: TRITONE_DISABLE_KERNELS=NAME, and report it",
        )
    } else if same.is_empty() {
        Check::fail("kernels", format!("none answered: {}", left.join("; ")))
            .remedy("`tritone kernels` says why; raise `--memory` if that is what is missing")
    } else if !left.is_empty() {
        Check::warn("kernels", format!("{} agree; not asked: {}", same.join(", "), left.join("; ")))
            .remedy("raise `--memory` to ask all of them")
    } else {
        Check::ok("kernels", format!("{} agree: same tokens, same logits", same.join(", ")))
            .number(same.len() as f64, "kernels")
    });
    Ok(())
}
