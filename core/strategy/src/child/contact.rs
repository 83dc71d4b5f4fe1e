//! How a server that was started is spoken to, and what is made of what goes wrong.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tritone_client::{Retries, Times};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{FinishReason, GenerateError, Input, LoadProgress, Request};

use super::hosted::Card;
use super::process::POLL;
use super::server::{Place, Server, Standing};
use crate::error::{Fault, StrategyError};
use crate::remote::{Endpoint, Explain, Remote};
use crate::strategy::Strategy as _;

/// How long the end of a program may be seen later than that of its connections.
const LATER: Duration = Duration::from_millis(500);

/// For so long it is looked whether a silent server computes; other programs may leave it little time.
const WATCHED: Duration = Duration::from_secs(2);

/// The processor time within that which one that only waits does not use.
const COMPUTES: Duration = Duration::from_millis(60);

/// The way to a server.
pub(super) fn endpoint(place: &Place, card: &Card, stream_options: bool) -> Endpoint {
    Endpoint {
        key: Some(place.key.clone()),
        times: Times {
            connect: Duration::from_secs(5),
            // The head comes with the first token at some servers: after the prompt has been read.
            answer: card.silence,
            silence: card.silence,
        },
        // It is ours alone: what does not go well the first time is not asked again.
        retries: Retries::NEVER,
        dialect: Some(card.dialect),
        stream_options,
        ..Endpoint::new(&card.deployed.runs_on, place.address.clone())
    }
}

/// One token, to see that the server answers and what it takes.
pub(super) fn probe(
    remote: &Remote,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<(), StrategyError> {
    let message = Message::new(Role::User, "Hi");
    let request = Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(1),
        ..Request::new(Input::Chat(vec![message]))
    };
    let answer = remote.generate(request)?;
    let cancel = answer.cancel_handle();
    let (_, finished) = thread::scope(|scope| {
        let waiting = scope.spawn(|| answer.wait(None));
        while !waiting.is_finished() {
            let go_on = progress(LoadProgress {
                stage: "waiting for a first token",
                done: 0,
                total: 0,
            });
            if !go_on {
                cancel.cancel();
            }
            thread::sleep(POLL);
        }
        let gone = |_| Err(GenerateError::Stopped);
        waiting.join().unwrap_or_else(gone)
    })?;
    match finished.reason {
        FinishReason::Cancelled => Err(StrategyError::new(
            Fault::Cancelled,
            "the start was given up before the first token",
        )),
        _ => Ok(()),
    }
}

/// A server that has ended, as an error.
pub(super) fn ended(server: &Server) -> StrategyError {
    match server.standing() {
        Standing::Down { why, again } => {
            StrategyError::new(Fault::Crashed, why).remedy(told(again))
        }
        Standing::Over { why } => StrategyError::new(Fault::Crashed, why)
            .remedy("deploy the model again, or use another strategy"),
        Standing::Ready(_) => {
            StrategyError::new(Fault::Busy, "the server has just been started").remedy("try again")
        }
    }
}

/// Whether a server uses the processor.
fn computes(server: &Server) -> bool {
    let Standing::Ready(place) = server.standing() else {
        return false;
    };
    let used = || tritone_machine::cpu_time_of(place.pid).unwrap_or_default();
    let (before, deadline) = (used(), Instant::now() + WATCHED);
    while Instant::now() < deadline {
        thread::sleep(POLL);
        if used().saturating_sub(before) >= COMPUTES {
            return true;
        }
    }
    false
}

/// Makes more of an error of the start `turn`: a connection that breaks is often the end of the program, and a server
/// that says nothing, and has nobody else to answer, hangs.
pub(super) fn explain(
    server: &Arc<Server>,
    turn: u64,
    seats: &Arc<Semaphore>,
    all: usize,
) -> Explain {
    let (server, seats) = (Arc::downgrade(server), Arc::clone(seats));
    Arc::new(move |error| {
        let Some(server) = server.upgrade() else {
            return error;
        };
        match error.fault {
            Fault::Unreachable => match server.standing_after(turn, LATER) {
                Standing::Ready(place) if place.turn == turn => error,
                _ => ended(&server),
            },
            // A long prompt takes its time, and to begin again would not shorten it.
            Fault::TimedOut if computes(&server) => error.remedy(
                "the server is still computing: raise silence_limit_s, or ask for less at once",
            ),
            // The answer that complains has given its seat back.
            Fault::TimedOut if seats.available_permits() == all => {
                server.restart(turn, format!("the server hangs: {}", error.what));
                StrategyError::new(Fault::TimedOut, error.what)
                    .remedy("the server hangs and is started again: try again in a moment")
            }
            _ => error,
        }
    })
}

/// When a server is started again.
pub(super) fn told(again: Instant) -> String {
    let left = again.saturating_duration_since(Instant::now());
    if left.is_zero() {
        "it is being started again".to_owned()
    } else {
        format!("it is started again in {:.0} s", left.as_secs_f64().ceil())
    }
}
