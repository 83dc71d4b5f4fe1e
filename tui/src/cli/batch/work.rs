//! Requests to the engine, answers to the output.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tritone_server::serve::Local;

use super::args::BatchArgs;
use super::line::{Fault, Lines, Request};
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

/// Answers everything.
pub(super) async fn all(
    args: &BatchArgs,
    local: Local,
    mut lines: Lines,
    mut output: Output,
    console: &Console,
    interrupt: &Interrupt,
) -> anyhow::Result<Done> {
    let mut progress = console.progress();
    let (start, total) = (Instant::now(), lines.count);
    let mut done = Done::default();
    let mut seen = HashSet::new();
    let mut running: JoinSet<Answer> = JoinSet::new();
    // In order: answers that wait for an earlier one, and the lines that are under way.
    let mut waiting = BTreeMap::new();
    let mut order = std::collections::VecDeque::new();
    let mut more = true;
    let most = local.slots();
    loop {
        if interrupt.is_pressed() {
            done.interrupted = more || !running.is_empty();
            break;
        }
        while more && running.len() < most && waiting.len() < 64 * most {
            let Some((number, request)) = lines.next().context("cannot read the requests")? else {
                more = false;
                break;
            };
            let id = match &request {
                Ok(request) => Some(request.custom_id.clone()),
                Err(fault) => fault.custom_id.clone(),
            };
            // Before a line that has the same name: that one is answered with an error.
            let again = id.as_ref().is_some_and(|id| !seen.insert(id.clone()));
            if !again && output.is_done(id.as_deref(), number) {
                done.skipped += 1;
                continue;
            }
            order.push_back(number);
            match request {
                Ok(request) if again => {
                    let message = format!("'{}' is the name of an earlier line", request.custom_id);
                    let fault = Fault {
                        // Without it the line could be taken for the earlier one's.
                        custom_id: None,
                        code: "duplicate_custom_id",
                        message,
                    };
                    if output.is_done(None, number) {
                        order.pop_back();
                        done.skipped += 1;
                    } else {
                        waiting.insert(number, (false, fault_line(number, &fault)));
                    }
                }
                Ok(request) => {
                    let local = local.clone();
                    running.spawn(async move { answer(&local, number, request).await });
                }
                Err(fault) => {
                    waiting.insert(number, (false, fault_line(number, &fault)));
                }
            }
        }
        while let Some(number) = next(&waiting, &order, args.ordered) {
            order.retain(|other| *other != number);
            if let Some((good, text)) = waiting.remove(&number) {
                output.write(&text).context("cannot write the answers")?;
                if good {
                    done.answered += 1;
                } else {
                    done.refused += 1;
                }
            }
        }
        if running.is_empty() {
            if more {
                continue;
            }
            break;
        }
        tokio::select! {
            Some(answer) = running.join_next() => {
                let (number, good, text) = answer.context("a request failed")?;
                waiting.insert(number, (good, text));
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        progress.show(|| {
            let over = done.answered + done.refused;
            let rate = over as f64 / start.elapsed().as_secs_f64().max(1e-3);
            match total.map(|total| total.saturating_sub(over + done.skipped)) {
                Some(left) if rate > 0.0 => {
                    let eta = left as f64 / rate;
                    format!("{over} requests answered, {rate:.1} a second, {left} left, {eta:.0} s to go")
                }
                _ => format!("{over} requests answered, {rate:.1} a second"),
            }
        });
    }
    progress.clear();
    running.abort_all();
    output.sync().context("cannot write the answers")?;
    done.took = start.elapsed();
    Ok(done)
}

/// The line that is written next, if it is there.
fn next<T>(
    waiting: &BTreeMap<usize, T>,
    order: &std::collections::VecDeque<usize>,
    ordered: bool,
) -> Option<usize> {
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
