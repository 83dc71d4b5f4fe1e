//! `tritone batch`: a file of requests in, a file of answers out, without a server.

mod args;
mod line;
mod output;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tritone_engine::LoadError;
use tritone_server::serve::{Config, Local};
use tritone_server::{Limits, Schedule};

pub(crate) use args::BatchArgs;

use super::args::CommonArgs;
use super::console::Console;
use super::failure::CANCELLED;
use super::interrupt::Interrupt;
use super::serve;
use super::setup::Setup;
use output::Output;

/// An answer may take as long as it takes: nobody waits for one line.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// Runs the command.
pub(crate) fn run(
    args: &BatchArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let lines = line::Lines::open(&args.input)?;
    let output = Output::open(args)?;
    for note in output.notes() {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let setup = Setup::new(common)?;
    for note in &setup.notes {
        console.note(note);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads of the batch")?;
    let entered = runtime.enter();
    let mut line = console.progress();
    let started = load(args, common, setup, &mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    });
    line.clear();
    let (local, notes) = match started {
        Err(error)
            if error
                .downcast_ref::<LoadError>()
                .is_some_and(|e| matches!(e, LoadError::Cancelled)) =>
        {
            return Ok(ExitCode::from(CANCELLED));
        }
        started => started?,
    };
    for note in &notes {
        console.note(note);
    }
    let done = runtime.block_on(work::all(args, local, lines, output, console, &interrupt))?;
    drop(entered);
    runtime.shutdown_timeout(Duration::from_secs(1));
    console.note(&done.summary());
    if done.interrupted {
        if args.output.as_os_str() != "-" {
            console.note(if args.force {
                "the same command without --force goes on from here"
            } else {
                "the same command goes on from here"
            });
        }
        return Ok(ExitCode::from(CANCELLED));
    }
    Ok(ExitCode::SUCCESS)
}

fn load(
    args: &BatchArgs,
    common: &CommonArgs,
    setup: Setup,
    progress: &mut dyn FnMut(tritone_engine::LoadProgress) -> bool,
) -> anyhow::Result<(Local, Vec<String>)> {
    let wanted = args.parallel.unwrap_or(setup.profile().batch).max(1);
    let (engine, slots, notes) = serve::start(&setup, wanted, progress)?;
    let config = Config {
        limits: Limits {
            body_bytes: line::MOST_BYTES,
            // What is asked for is what whoever runs the command wants; the context bounds it.
            output_tokens: engine.info().context,
            ..Limits::default()
        },
        schedule: Schedule {
            queue_time: FOR_EVER,
            total_time: FOR_EVER,
            unread_time: FOR_EVER,
            ..Schedule::default()
        },
        ..Config::default()
    };
    let live = serve::live(engine, slots, common, setup);
    let local = Local::new(config, live).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok((local, notes))
}
