//! `tritone run`: one answer.

mod strategy;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tritone_engine::api::{Message, Role};
use tritone_engine::{
    Event, FinishReason, Finished, GenerateError, Input, LoadedFrom, PartReport, Request, Timings,
};

use tritone_strategy::Native;

use super::args::{CommonArgs, RunArgs};
use super::console::{Console, Progress, visible};
use super::failure::{BadRequest, CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::setup::{Ready, Setup};
use crate::app::backend::EventSource;

/// The longest input that is read; no context holds that much text.
const MAX_INPUT: u64 = 64 << 20;

/// Runs the command.
pub(crate) fn run(
    args: &RunArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let sampling = args.sampling.sampling(common)?;
    if args.max_tokens == Some(0) {
        return Err(GenerateError::NothingWanted.into());
    }
    let setup = Setup::new(common)?;
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let prompt = prompt(args.prompt.as_deref())?;
    let request = Request {
        sampling,
        max_tokens: args.max_tokens,
        stop: args.stop.clone(),
        ignore_eos: args.ignore_eos,
        thinking: match (args.think, args.no_think) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        continue_last: args.prefill.is_some(),
        ..Request::new(input(args, prompt))
    };
    let seed = request.sampling.seed;
    let strategy = args.strategy.strategy.as_deref();
    if let Some(name) = strategy.filter(|name| *name != Native::NAME) {
        return strategy::run(args, common, console, name, request, &interrupt);
    }

    let mut line = console.progress();
    let ready = setup.load(&mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    line.clear();
    for notice in &ready.notes {
        console.note(notice);
    }
    let engine = &ready.engine;
    let switch = request
        .thinking
        .filter(|_| !engine.info().asks_for_thinking);
    if let Some(is_on) = switch {
        let flag = if is_on { "--think" } else { "--no-think" };
        console.note(&format!(
            "{flag} changes nothing: the model's chat template does not ask whether to think"
        ));
    }

    let mut answer = Answer::new(!args.json);
    let finished = answer.take(&mut engine.generate(request)?, &interrupt, &mut line)?;
    if args.json {
        let mut object = report(&ready, &answer.text, &finished);
        object["seed"] = json!(seed);
        object["profile"] = json!(setup.profile().name);
        object["notices"] = json!(setup.notes.iter().chain(&ready.notes).collect::<Vec<_>>());
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    if args.stats {
        let timings = &finished.timings;
        let summary = summary(timings, &ready);
        writeln!(io::stderr(), "{summary}")?;
    }
    let written = engine.wait_for_packs(&mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    });
    line.clear();
    for notice in &written {
        console.note(notice);
    }
    let cancelled = finished.reason == FinishReason::Cancelled;
    Ok(if cancelled {
        ExitCode::from(CANCELLED)
    } else {
        ExitCode::SUCCESS
    })
}

/// The prompt from the argument and from standard input.
fn prompt(argument: Option<&str>) -> anyhow::Result<String> {
    let argument = argument
        .filter(|text| *text != "-")
        .map(str::to_owned)
        .ok_or(argument);
    let text = match argument {
        Ok(text) if io::stdin().is_terminal() => text,
        Ok(text) => match piped()? {
            piped if piped.trim().is_empty() => text,
            piped => format!("{text}\n\n{piped}"),
        },
        Err(None) if io::stdin().is_terminal() => {
            let why = "no prompt: give one (`tritone run \"What is 7 + 5?\"`), or pipe it in";
            return Err(Usage(why.to_owned()).into());
        }
        Err(_) => piped()?,
    };
    if text.trim().is_empty() {
        return Err(GenerateError::EmptyPrompt.into());
    }
    Ok(text)
}

/// All of standard input, without its last line break.
pub(super) fn piped() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    if bytes.len() as u64 > MAX_INPUT {
        let why = format!("standard input is longer than {} MiB", MAX_INPUT >> 20);
        return Err(BadRequest(why).into());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        BadRequest(format!(
            "standard input is not UTF-8 text: byte {at} is not part of a character"
        ))
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn input(args: &RunArgs, prompt: String) -> Input {
    if args.raw {
        return Input::Text(prompt);
    }
    let message = |role, content| Message { role, content };
    let system = args.system.clone().map(|text| message(Role::System, text));
    let prefill = args.prefill.clone();
    let begun = prefill.map(|text| message(Role::Assistant, text));
    let messages = system.into_iter().chain([message(Role::User, prompt)]);
    Input::Chat(messages.chain(begun).collect())
}

/// The text of an answer while it comes.
struct Answer {
    text: String,
    /// Whether it is written out at once.
    stream: bool,
    /// Whether a person sees it.
    terminal: bool,
}

impl Answer {
    fn new(stream: bool) -> Self {
        Self {
            text: String::new(),
            stream,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Asks and listens to the end. An answer that fails on the way keeps what was written.
    fn take(
        &mut self,
        generation: &mut dyn EventSource,
        interrupt: &Interrupt,
        line: &mut Progress,
    ) -> anyhow::Result<Finished> {
        interrupt.cancels(generation.cancel_handle());
        let end = loop {
            match generation.next_event() {
                Some(Event::Prefill { done, total }) => {
                    line.show(|| format!("reading the prompt: {done} of {total} tokens"));
                }
                Some(Event::Text { text, .. }) => {
                    line.clear();
                    self.push(&text)?;
                }
                Some(Event::Finished(finished)) => break Ok(finished),
                Some(Event::Failed(error)) => break Err(error),
                None => break Err(GenerateError::Stopped),
            }
        };
        line.clear();
        if self.stream && !self.text.is_empty() && !self.text.ends_with('\n') {
            writeln!(io::stdout())?;
        }
        Ok(end?)
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        if !self.stream || text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.terminal {
            out.write_all(visible(text).as_bytes())?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }
}

fn milliseconds(time: Duration) -> Value {
    json!((time.as_secs_f64() * 1e6).round() / 1e3)
}

fn rate(tokens_per_second: f64) -> Value {
    json!((tokens_per_second * 100.0).round() / 100.0)
}

/// The JSON object of an answer.
fn report(ready: &Ready, text: &str, finished: &Finished) -> Value {
    let Finished { reason, timings } = finished;
    let engine = &ready.engine;
    let info = engine.info();
    let part = |part: &PartReport| {
        let (from, pack) = match &part.from {
            LoadedFrom::Model => ("model", None),
            LoadedFrom::Packed => ("packed", None),
            LoadedFrom::Cache(path) => ("cache", Some(path)),
        };
        json!({
            "bytes": part.bytes,
            "ms": milliseconds(part.took),
            "from": from,
            "pack": pack,
        })
    };
    let stop_string = match reason {
        FinishReason::StopString(text) => Some(text),
        _ => None,
    };
    json!({
        "text": text,
        "finish_reason": reason.name(),
        "stop_string": stop_string,
        "usage": {
            "prompt_tokens": timings.prompt_tokens,
            "cached_tokens": timings.cached_tokens,
            "completion_tokens": timings.generated_tokens,
        },
        "timings": {
            "load_ms": milliseconds(ready.load),
            "open_ms": milliseconds(ready.open),
            "queued_ms": milliseconds(timings.queued),
            "prefill_ms": milliseconds(timings.prefill),
            "first_token_ms": milliseconds(timings.first_token),
            "decode_ms": milliseconds(timings.decode),
            "prefill_tokens_per_second": rate(timings.prefill_rate()),
            "decode_tokens_per_second": rate(timings.decode_rate()),
        },
        "load": {
            "weights": part(&info.load.weights),
            "head": part(&info.load.head),
        },
        "model": {
            "name": info.name,
            "source": info.source,
            "architecture": info.architecture,
            "parameters": info.parameters,
            "context": info.context,
        },
        "kernel": engine.kernel_name(),
        "threads": engine.threads(),
    })
}

fn summary(timings: &Timings, ready: &Ready) -> String {
    format!(
        "{} prompt tokens at {:.1}/s, {} generated at {:.1}/s, first after {:.0} ms; {}; kernel {}, \
         {} threads",
        timings.prompt_tokens,
        timings.prefill_rate(),
        timings.generated_tokens,
        timings.decode_rate(),
        timings.first_token.as_secs_f64() * 1e3,
        ready.sentence(),
        ready.engine.kernel_name(),
        ready.engine.threads(),
    )
}
