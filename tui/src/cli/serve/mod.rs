//! `tritone serve`: an OpenAI-compatible server.

mod args;
mod control;
mod signals;

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::runtime::Runtime;
use tritone_engine::{Capacity, Engine, Input, LoadError, Model, ModelSource, Request};
use tritone_profile::process_environment;
use tritone_server::Grammars;
use tritone_server::guard::{Guard, InstallSecret, KeySources};
use tritone_server::serve::{Live, Server};

pub(crate) use args::ServeArgs;
use signals::Stop;

use super::args::CommonArgs;
use super::console::Console;
use super::failure::{BadConfig, Unavailable};
use super::paths;
use super::setup::Setup;

/// Bytes that connections, bodies and answers take.
const SERVER: u64 = 32 << 20;

/// Threads that talk to clients. They have little to do; all others are the engine's.
const TALKERS: usize = 2;

/// Threads that parse and tokenise long requests, so that talking goes on meanwhile.
const READERS: usize = 4;

/// Runs the command.
pub(crate) fn run(
    args: &ServeArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let mut setup = Setup::new(common)?;
    setup.beside = SERVER;
    let config = args.config(setup.profile());
    let address = args.address()?;
    let (guard, notes) = guard(args, address)?;
    for note in setup.notes.iter().chain(&notes) {
        console.note(note);
    }

    let runtime = runtime()?;
    let entered = runtime.enter();
    // The socket comes before the model: who cannot listen need not load.
    let socket = bind(address)?;
    let slots = config.schedule.slots;
    let (server, life) = Server::start(socket, config, guard).context("cannot listen")?;
    let life = runtime.spawn(life);
    let stop = signals::listen(reload(&server, console))?;
    if let Some(live) = load(args, common, setup, slots, &stop, console)? {
        let model = live.model.clone();
        server.ready(live);
        let notes = console.clone();
        server.watch(args.monitor.watch(), move |text| notes.note(text));
        say_ready(&server, &model)?;
        runtime.block_on(stop.asked());
        let open = server.open_requests();
        if open > 0 {
            console.note(&format!(
                "ending: {open} requests are finished first; the same signal again ends at once"
            ));
        }
    }
    runtime.block_on(async {
        server.drain().await;
        let _ = life.await;
    });
    drop(entered);
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

fn guard(args: &ServeArgs, address: SocketAddr) -> anyhow::Result<(Guard, Vec<String>)> {
    let config = args.guard()?;
    let sources =
        KeySources::with_environment(config.key_file.clone(), config.admin_key_file.clone());
    let mut notes = Vec::new();
    let secret = match paths::state(&process_environment) {
        Some(directory) => InstallSecret::open(&directory).map(|(secret, note)| {
            notes.extend(note);
            secret
        }),
        None => InstallSecret::ephemeral(),
    };
    // Only what clients are called depends on it: a server without a place for it serves nevertheless.
    let secret = secret.or_else(|why| {
        notes.push(format!(
            "clients have other ids after the next start: {why}"
        ));
        InstallSecret::ephemeral()
    });
    let secret = secret.map_err(|error| BadConfig(error.to_string()))?;
    let guard = Guard::new(&config, address.ip(), sources, secret);
    let (guard, more) = guard.map_err(|error| BadConfig(error.to_string()))?;
    notes.extend(more);
    Ok((guard, notes))
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(TALKERS)
        .max_blocking_threads(READERS)
        .thread_name("tritone-http")
        .enable_all()
        .build()
        .context("cannot start the threads of the server")
}

fn bind(address: SocketAddr) -> Result<TcpListener, Unavailable> {
    TcpListener::bind(address).map_err(|error| {
        Unavailable(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "{address} is in use by another program: end that one, or choose another port \
                 (`--port N`; 0 takes a free one)"
            ),
            _ => format!("cannot listen at {address}: {error}"),
        })
    })
}

/// What SIGHUP does.
fn reload(server: &Server, console: &Console) -> impl Fn() + Send + Sync + 'static {
    let (server, console) = (server.clone(), console.clone());
    move || {
        match server.reload() {
            Ok(read) => {
                for notice in &read.notices {
                    console.note(notice);
                }
                let (api, admin) = (read.api, read.admin);
                console.note(&format!(
                    "keys were read again: {api} for the API, {admin} for admins"
                ));
            }
            Err(why) => console.error(&format!("the keys stay as they were: {why}")),
        }
        match server.reload_rules() {
            Ok(0) => {}
            Ok(count) => console.note(&format!("rules were read again: {count}")),
            Err(why) => console.error(&format!("the rules stay as they were: {why}")),
        }
    }
}

/// Loads the model and lets it answer once; `None` when the server is to end before that is done.
fn load(
    args: &ServeArgs,
    common: &CommonArgs,
    setup: Setup,
    slots: usize,
    stop: &Stop,
    console: &Console,
) -> anyhow::Result<Option<Live>> {
    let mut line = console.progress();
    let mut progress = |progress| {
        line.loading(&progress);
        !stop.is_asked()
    };
    let started = start(&setup, slots, &mut progress);
    line.clear();
    let (engine, slots, notes) = match started {
        Err(LoadError::Cancelled) if stop.is_asked() => return Ok(None),
        started => started?,
    };
    for note in &notes {
        console.note(note);
    }
    warm_up(&engine)?;
    let mut live = live(engine, slots, common, setup);
    if let Some(name) = &args.model_name {
        live.model.clone_from(name);
    }
    Ok(Some(live))
}

/// A model that is loaded, called by the name of its file.
pub(in crate::cli) fn live(
    engine: Engine,
    slots: usize,
    common: &CommonArgs,
    setup: Setup,
) -> Live {
    Live {
        grammars: Grammars::new(engine.shared_model()),
        slots,
        model: name(&setup.source),
        content: engine.model().content_id(),
        control: Box::new(control::Live::new(engine.clone(), common, slots, setup)),
        engine,
    }
}

/// The engine, how many answers it writes at once, and what there is to say.
pub(in crate::cli) fn start(
    setup: &Setup,
    wanted: usize,
    progress: &mut dyn FnMut(tritone_engine::LoadProgress) -> bool,
) -> Result<(Engine, usize, Vec<String>), LoadError> {
    let (model, mut notes) = setup.open(progress)?;
    let model = Arc::new(model);
    let slots = slots(setup, &model, wanted);
    if slots < wanted {
        notes.push(format!(
            "{slots} instead of {wanted} answers are written at once: the memory limit holds no more \
             (`--memory` raises it, `--ctx` or `--kv q8` makes answers smaller)"
        ));
    }
    let (options, more) = setup.options(&model, slots);
    notes.extend(more);
    let engine = Engine::start(model, &options, progress)?;
    notes.extend(engine.info().notices.iter().cloned());
    Ok((engine, slots, notes))
}

/// As many answers at once as wanted, or as fit the memory limit.
fn slots(setup: &Setup, model: &Model, wanted: usize) -> usize {
    let fits = |slots: usize| {
        let chunk = setup.profile().prefill_chunk;
        let capacity = Capacity::new(setup.context(model), slots, chunk).beside(setup.beside);
        setup
            .plan(model, capacity)
            .plan
            .is_some_and(|plan| plan.fits())
    };
    if wanted <= 1 || fits(wanted) {
        return wanted.max(1);
    }
    // The most that fit: `low` does, or is one; `high` does not.
    let (mut low, mut high) = (1, wanted);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The first answer takes longer than all others: pages are touched, threads started. Nobody waits for it.
fn warm_up(engine: &Engine) -> anyhow::Result<()> {
    let request = Request {
        max_tokens: Some(2),
        keep: false,
        // Not every model has a chat template.
        ..Request::new(Input::Text("Hello".to_owned()))
    };
    engine.generate(request)?.wait()?;
    Ok(())
}

/// What requests call a model.
fn name(source: &ModelSource) -> String {
    let whole = source.name();
    let path = Path::new(&whole);
    let stem = match source {
        ModelSource::File(_) if path.extension().is_some_and(|end| end == "gguf") => {
            path.file_stem()
        }
        _ => path.file_name(),
    };
    stem.map_or(whole.clone(), |stem| stem.to_string_lossy().into_owned())
}

/// The one line that programs read. Nobody has to: a standard output that is closed is no error.
fn say_ready(server: &Server, model: &str) -> io::Result<()> {
    let address = server.address();
    let line = json!({
        "event": "ready",
        "url": format!("http://{address}"),
        "model": model,
        "pid": std::process::id(),
    });
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
