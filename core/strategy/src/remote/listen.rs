//! What a server says, as events.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tritone_client::{ChatRequest, Client, Finish, Update, Usage};
use tritone_engine::{Cancel, Event, FinishReason, Finished, GenerateError, Timings};

use crate::answer::UNKNOWN_TOKEN;
use crate::error::{Fault, StrategyError};

/// How often it is looked at whether the answer is still wanted.
const POLL: Duration = Duration::from_millis(20);

/// Counts and times of one answer, as they are seen from here.
struct Clock {
    started: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
    tokens: usize,
    usage: Usage,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            first: None,
            last: None,
            tokens: 0,
            usage: Usage::default(),
        }
    }

    /// Text came; servers send one token an event.
    fn token(&mut self) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.tokens += 1;
    }

    fn timings(&self) -> Timings {
        let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let prompt = whole(self.usage.prompt_tokens);
        let first = self.first.unwrap_or_else(Instant::now);
        let first_token = first.saturating_duration_since(self.started);
        let last = self.last.unwrap_or(first);
        Timings {
            prompt_tokens: prompt,
            cached_tokens: whole(self.usage.cached_tokens()).min(prompt),
            generated_tokens: match self.usage.completion_tokens {
                0 => self.tokens,
                counted => whole(counted),
            },
            queued: Duration::ZERO,
            // The server does not say how long it waited; from here, reading the prompt is all of it.
            prefill: first_token,
            decode: last.saturating_duration_since(first),
            first_token,
        }
    }
}

/// Asks, and says what comes, until the answer ends or is not wanted any more.
pub(super) async fn listen(
    client: Client,
    body: ChatRequest,
    cancel: Cancel,
    events: Sender<Event>,
) {
    let mut clock = Clock::start();
    let ended = tokio::select! {
        biased;
        () = unwanted(&cancel, &events) => Event::Finished(Finished {
            reason: FinishReason::Cancelled,
            timings: clock.timings(),
        }),
        ended = answer(&client, &body, &events, &mut clock) => match ended {
            Ok(reason) => Event::Finished(Finished { reason, timings: clock.timings() }),
            Err(error) => Event::Failed(GenerateError::from(error)),
        },
    };
    // Dropping the stream has closed the connection, which ends the answer at the server.
    let _ = events.send(ended).await;
}

/// Returns when the answer is not wanted any more.
async fn unwanted(cancel: &Cancel, events: &Sender<Event>) {
    loop {
        tokio::select! {
            () = events.closed() => return,
            () = tokio::time::sleep(POLL) => {}
        }
        if cancel.is_cancelled() {
            return;
        }
    }
}

async fn answer(
    client: &Client,
    body: &ChatRequest,
    events: &Sender<Event>,
    clock: &mut Clock,
) -> Result<FinishReason, StrategyError> {
    let mut stream = client.chat_stream(body).await?;
    let mut reason = FinishReason::EndOfTurn;
    while let Some(update) = stream.next().await? {
        match update {
            Update::Text { choice: 0, text } => {
                if text.is_empty() {
                    continue;
                }
                clock.token();
                let event = Event::Text {
                    text,
                    token: UNKNOWN_TOKEN,
                    likelihood: None,
                    timings: clock.timings(),
                };
                if events.send(event).await.is_err() {
                    return Ok(FinishReason::Cancelled);
                }
            }
            Update::Finished { choice: 0, finish } => {
                reason = match finish {
                    Finish::Length => FinishReason::MaxTokens,
                    Finish::ContentFilter => {
                        let text = "a rule of the server ended the answer (content_filter)";
                        return Err(StrategyError::new(Fault::Refused, text));
                    }
                    Finish::Stop | Finish::Other(_) => FinishReason::EndOfTurn,
                }
            }
            Update::Usage(usage) => clock.usage = usage,
            Update::Text { .. } | Update::Finished { .. } | Update::Alive => {}
        }
    }
    Ok(reason)
}
