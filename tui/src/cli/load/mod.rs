//! `tritone load`: how a server does when many ask at once.

mod args;
mod picture;
mod plan;
mod report;
mod send;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tritone_client::{Address, Client};

pub(crate) use args::LoadArgs;

use super::console::Console;
use super::interrupt::Interrupt;
use plan::Plan;
use report::Report;
use send::Sender;

/// Runs the command.
pub(crate) fn run(args: &LoadArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let plan = Plan::new(args)?;
    let address: Address = args.url.parse()?;
    let mut client = Client::new(address);
    if let Some(key) = args.key()? {
        client = client.with_key(&key)?;
    }
    let interrupt = Interrupt::listen()?;
    // The server may run on the same cores: two threads for all clients together.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime for the clients")?;
    let report = runtime.block_on(measure(args, plan, client, console, &interrupt))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(path) = &args.plot {
        fs::write(path, picture::picture(&report))
            .with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    let json = || serde_json::to_string_pretty(&report).map(|text| text + "\n");
    match &args.json {
        Some(Some(path)) => {
            fs::write(path, json()?)
                .with_context(|| format!("cannot write '{}'", path.display()))?;
            console.raw(&report.table());
        }
        Some(None) => console.raw(&json()?),
        None => console.raw(&report.table()),
    }
    Ok(if report.faults() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(
    args: &LoadArgs,
    plan: Plan,
    client: Client,
    console: &Console,
    interrupt: &Interrupt,
) -> anyhow::Result<Report> {
    let models = client
        .models()
        .await
        .context("the server does not say which models it has")?;
    let model = models
        .first()
        .map(|model| model.id.clone())
        .unwrap_or_default();
    let sender = Sender::new(client, args, model.clone());
    let mut line = console.progress();
    let start = Instant::now();
    let mut running = tokio::spawn(send::all(sender.clone(), plan, start));
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended.is_ok(),
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        if interrupt.is_pressed() {
            running.abort();
            sender.give_up();
            break false;
        }
        line.show(|| {
            let (sent, over, busy) = sender.so_far();
            let seconds = start.elapsed().as_secs_f64();
            format!("{seconds:.0} s: {sent} sent, {over} over, {busy} of them refused as busy")
        });
    };
    line.clear();
    let took = start.elapsed();
    Ok(Report::new(args, model, sender.outcomes(), took, !ended))
}
