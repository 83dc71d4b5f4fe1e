//! One answer by another strategy than this program's own engine.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::json;
use tritone_engine::{FinishReason, Finished, Request};
use tritone_strategy::{Running, deploy_one};

use super::{Answer, milliseconds, rate};
use crate::cli::args::{CommonArgs, RunArgs};
use crate::cli::config::Settings;
use crate::cli::console::Console;
use crate::cli::failure::{CANCELLED, Usage};
use crate::cli::interrupt::Interrupt;
use crate::cli::strategies::{self, AUTO};

/// Runs the model with the strategy `name`, or with the first that runs it, and prints the answer. A strategy that was
/// named is an order: where it fails, no other is taken.
pub(super) fn run(
    args: &RunArgs,
    common: &CommonArgs,
    console: &Console,
    name: &str,
    request: Request,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(common);
    for note in &settings.notes {
        console.note(note);
    }
    let manager = strategies::manager(common, &settings)?;
    let deployment = strategies::deployment(common)?;
    let mut line = console.progress();
    let mut progress = |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    };
    let running = if name == AUTO {
        manager.deploy(None, &deployment, &mut progress)?
    } else {
        let entry = manager.get(name);
        let entry = entry.map_err(|error| Usage(error.to_string()))?;
        Running {
            deployed: deploy_one(&*entry.strategy, &deployment, &mut progress)?,
            entry: entry.clone(),
            rejected: Vec::new(),
        }
    };
    line.clear();
    let strategy = &running.entry.strategy;
    let name = strategy.name();
    let mut notices: Vec<String> = running.rejected.iter().map(ToString::to_string).collect();
    if !notices.is_empty() {
        notices.push(format!("{name} is used instead"));
    }
    notices.extend(running.deployed.notices.iter().cloned());
    for notice in &notices {
        console.note(notice);
    }
    let seed = request.sampling.seed;
    let mut answer = Answer::new(!args.json);
    let began = strategy.generate(request);
    let finished = match began {
        Ok(mut generation) => answer.take(&mut generation, interrupt, &mut line),
        Err(error) => Err(error.into()),
    };
    let finished = finished.inspect_err(|_| {
        if let Some(other) = manager.suggest(name) {
            console.note(&format!("`--strategy {other}` would run it otherwise"));
        }
    });
    strategy.shutdown();
    let Finished { reason, timings } = finished?;
    if args.json {
        let object = json!({
            "text": answer.text,
            "finish_reason": reason.name(),
            "usage": {
                "prompt_tokens": timings.prompt_tokens,
                "cached_tokens": timings.cached_tokens,
                "completion_tokens": timings.generated_tokens,
            },
            "timings": {
                "first_token_ms": milliseconds(timings.first_token),
                "decode_ms": milliseconds(timings.decode),
                "decode_tokens_per_second": rate(timings.decode_rate()),
            },
            "strategy": name,
            "model": running.deployed,
            "seed": seed,
            "notices": notices,
        });
        writeln!(io::stdout().lock(), "{object:#}")?;
    }
    if args.stats {
        writeln!(
            io::stderr(),
            "{} prompt tokens, {} generated at {:.1}/s, first after {:.0} ms; {name}: {}",
            timings.prompt_tokens,
            timings.generated_tokens,
            timings.decode_rate(),
            timings.first_token.as_secs_f64() * 1e3,
            running.deployed.runs_on,
        )?;
    }
    Ok(match reason {
        FinishReason::Cancelled => ExitCode::from(CANCELLED),
        _ => ExitCode::SUCCESS,
    })
}
