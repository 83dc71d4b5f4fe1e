//! Requests to the engine, answers to the output.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tritone_server::serve::Local;

use super::args::BatchArgs;
use super::line::{Fault, Lines, Numbered, Request};
use super::output::{Output, line_id};
use crate::cli::console::Console;
use crate::cli::interrupt::Interrupt;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) skipped: usize,
    pub(super) interrupted: bool,
    took: Duration,
}

impl Done {
    pub(super) fn summary(&self) -> String {
        let seconds = self.took.as_secs_f64();
        let all = self.answered + self.refused;
        let mut text = format!(
            "{all} requests in {seconds:.1} s: {} answered",
            self.answered
        );
        if self.refused > 0 {
            text += &format!(", {} refused (their lines say why)", self.refused);
        }
        if self.skipped > 0 {
            text += &format!("; {} had been answered before", self.skipped);
        }
        if self.interrupted {
            text += "; interrupted";
        }
        text
    }
}

/// A line of the output, and whether it is an answer.
type Answer = (usize, bool, String);

/// Lines on their way.
struct Work<'a> {
    local: Local,
    output: &'a mut Output,
    ordered: bool,
    done: Done,
    /// Names of the lines so far.
    seen: HashSet<String>,
    running: JoinSet<Answer>,
    /// Lines of the output that are not written yet.
    waiting: BTreeMap<usize, (bool, String)>,
    /// Lines that are not written yet, in their order.
    order: VecDeque<usize>,
}

impl Work<'_> {
    /// Begins a line.
    fn begin(&mut self, (number, request): Numbered) {
        let id = match &request {
            Ok(request) => Some(request.custom_id.clone()),
            Err(fault) => fault.custom_id.clone(),
        };
        let again = id.as_ref().is_some_and(|id| !self.seen.insert(id.clone()));
        // Without its name, a line could not be taken for the earlier one of that name.
        let named = id.as_deref().filter(|_| !again);
        if self.output.is_done(named, number) {
            self.done.skipped += 1;
            return;
        }
        self.order.push_back(number);
        let fault = match request {
            Ok(request) if again => Fault {
                custom_id: None,
                code: "duplicate_custom_id",
                message: format!("'{}' is the name of an earlier line", request.custom_id),
            },
            Ok(request) => {
                let local = self.local.clone();
                self.running
                    .spawn(async move { answer(&local, number, request).await });
                return;
            }
            Err(fault) => fault,
        };
        self.waiting
            .insert(number, (false, fault_line(number, &fault)));
    }

    /// Writes what is there, as far as the order allows.
    fn write(&mut self) -> anyhow::Result<()> {
        while let Some(answer) = self.running.try_join_next() {
            self.take(answer)?;
        }
        while let Some(number) = next(&self.waiting, &self.order, self.ordered) {
            self.order.retain(|other| *other != number);
            if let Some((good, text)) = self.waiting.remove(&number) {
                self.output
                    .write(&text)
                    .context("cannot write the answers")?;
                if good {
                    self.done.answered += 1;
                } else {
                    self.done.refused += 1;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, answer: Result<Answer, JoinError>) -> anyhow::Result<()> {
        let (number, good, text) = answer.context("a request failed")?;
        self.waiting.insert(number, (good, text));
        Ok(())
    }
}

/// Answers everything.
pub(super) async fn all(
    args: &BatchArgs,
    local: Local,
    lines: Lines,
    mut output: Output,
    console: &Console,
    interrupt: &Interrupt,
) -> anyhow::Result<Done> {
    let mut progress = console.progress();
    let (start, total, most) = (Instant::now(), lines.count, local.slots());
    let mut lines = Some(lines.ahead());
    let mut work = Work {
        local,
        output: &mut output,
        ordered: args.ordered,
        done: Done::default(),
        seen: HashSet::new(),
        running: JoinSet::new(),
        waiting: BTreeMap::new(),
        order: VecDeque::new(),
    };
    loop {
        work.write()?;
        if lines.is_none() && work.running.is_empty() {
            break;
        }
        if interrupt.is_pressed() {
            work.done.interrupted = true;
            break;
        }
        let room = work.running.len() < most && work.waiting.len() < 64 * most;
        let wanted = lines.as_mut().filter(|_| room);
        tokio::select! {
            Some(answer) = work.running.join_next() => work.take(answer)?,
            line = line_of(wanted) => match line {
                Some(line) => work.begin(line.context("cannot read the requests")?),
                None => lines = None,
            },
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        progress.show(|| {
            let over = work.done.answered + work.done.refused;
            let rate = over as f64 / start.elapsed().as_secs_f64().max(1e-3);
            match total.map(|total| total.saturating_sub(over + work.done.skipped)) {
                Some(left) if rate > 0.0 => {
                    let eta = left as f64 / rate;
                    format!(
                        "{over} requests answered, {rate:.1} a second, {left} left, {eta:.0} s to go"
                    )
                }
                _ => format!("{over} requests answered, {rate:.1} a second"),
            }
        });
    }
    progress.clear();
    work.running.abort_all();
    let mut done = work.done;
    output.sync().context("cannot write the answers")?;
    done.took = start.elapsed();
    Ok(done)
}

/// The next line; never, when none is wanted now.
async fn line_of(
    lines: Option<&mut Receiver<io::Result<Numbered>>>,
) -> Option<io::Result<Numbered>> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// The line that is written next, if it is there.
fn next<T>(waiting: &BTreeMap<usize, T>, order: &VecDeque<usize>, ordered: bool) -> Option<usize> {
    if ordered {
        order
            .front()
            .copied()
            .filter(|number| waiting.contains_key(number))
    } else {
        waiting.keys().next().copied()
    }
}

async fn answer(local: &Local, number: usize, request: Request) -> Answer {
    let reply = local.post(&request.url, request.body).await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = json!({
        "id": line_id(number),
        "custom_id": request.custom_id,
        "response": {"status_code": reply.status, "request_id": reply.request_id, "body": body},
        "error": null,
    });
    (number, reply.status == 200, text.to_string())
}

fn fault_line(number: usize, fault: &Fault) -> String {
    let text = json!({
        "id": line_id(number),
        "custom_id": fault.custom_id,
        "response": null,
        "error": {"code": fault.code, "message": fault.message, "line": number},
    });
    text.to_string()
}
