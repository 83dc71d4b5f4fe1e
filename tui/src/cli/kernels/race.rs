//! Which kernel is the fastest here: a race on the model.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tritone_abi::Kernel;
use tritone_loader::Found;
use tritone_profile::process_environment;

use crate::cli::args::{CommonArgs, KernelsArgs};
use crate::cli::bench::ReadBuffer;
use crate::cli::console::{Console, visible};
use crate::cli::date;
use crate::cli::failure::CANCELLED;
use crate::cli::interrupt::Interrupt;
use crate::cli::setup::Setup;
use crate::race::{run, store, table};

/// Most bytes of memory that are read to know the bandwidth: a race is short.
const READ_BYTES: usize = 256 << 20;

/// Races the usable kernels.
pub(super) fn run(
    args: &KernelsArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common)?;
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let mut line = console.progress();
    let ready = setup.load(&mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    line.clear();
    for notice in &ready.notes {
        console.note(notice);
    }
    let engine = ready.engine;
    let kernels: Vec<Arc<dyn Kernel>> = (setup.registry.kernels().iter())
        .filter_map(Found::kernel)
        .cloned()
        .collect();
    let threads = engine.threads();
    let size = ReadBuffer::size(&setup.machine).min(READ_BYTES);
    let buffer = ReadBuffer::new(size, threads);
    let limit = |kernel: &dyn Kernel| {
        let best = buffer.as_ref()?.best(kernel, threads, None, |_| true);
        Some(best.ok()??.0)
    };
    let mut block = console.block();
    let width = block.width();
    let terms = run::Terms {
        budget: Duration::from_secs_f64(args.seconds),
        keep_pages: false,
    };
    let standing = run::race(&engine, &kernels, terms, Some(&limit), &mut |standing| {
        block.show(|| table::lines(standing, width));
        !interrupt.is_pressed()
    });
    block.clear();

    let model = engine.model();
    let recorded = match setup.races_path() {
        Some(path) if standing.is_complete() => {
            let key = setup.race_key(model);
            let stamped = setup.candidates.stamped(&standing);
            match store::record(path, &key, date::now(), &stamped) {
                Ok(_) => Some(path),
                Err(error) => {
                    console.note(&format!("the result is not kept: {path:?}: {error}"));
                    None
                }
            }
        }
        _ => None,
    };
    let mut out = io::stdout().lock();
    if args.json {
        let mut object = table::object(&standing);
        object["model"] = json!(engine.info().name);
        object["content_id"] = json!(model.content_id());
        object["machine"] = json!(setup.machine.cpu);
        object["threads"] = json!(threads);
        object["date"] = json!(date::date(date::now()));
        object["kept_in"] = json!(recorded.map(|path| path.display().to_string()));
        writeln!(out, "{object:#}")?;
    } else {
        let s = if threads == 1 { "" } else { "s" };
        let name = &engine.info().name;
        writeln!(out, "{}, {threads} thread{s}\n", visible(name))?;
        for line in table::lines(&standing, usize::MAX) {
            writeln!(out, "{}", visible(&line))?;
        }
        writeln!(out, "\n{}", visible(&table::verdict(&standing)))?;
        if let Some(path) = recorded {
            let path = path.display().to_string();
            writeln!(out, "kept in {}", visible(&path))?;
        }
    }
    Ok(if standing.cancelled {
        ExitCode::from(CANCELLED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Forgets all races.
pub(super) fn forget(args: &KernelsArgs) -> anyhow::Result<ExitCode> {
    let path = store::path(&process_environment);
    let forgotten = match &path {
        Some(path) => store::forget(path).map_err(|error| {
            anyhow::Error::new(error).context(format!("cannot remove {path:?}"))
        })?,
        None => None,
    };
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "forgotten": forgotten.unwrap_or(0) }))?;
        return Ok(ExitCode::SUCCESS);
    }
    match (forgotten, &path) {
        (Some(races), Some(path)) => {
            let s = if races == 1 { "" } else { "s" };
            writeln!(out, "forgot {races} race{s} in {path:?}")?;
        }
        _ => writeln!(out, "there is nothing to forget")?,
    }
    Ok(ExitCode::SUCCESS)
}
