//! What a server says, as events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tritone_client::{ChatRequest, Client, Finish, Update, Usage};
use tritone_engine::{Cancel, Event, FinishReason, Finished, GenerateError, Timings};

use crate::answer::UNKNOWN_TOKEN;
use crate::error::{Fault, StrategyError};

/// Tokens that come sooner after each other came together.
const TOGETHER: Duration = Duration::from_micros(200);

/// How often it is looked at whether the answer is still wanted.
const POLL: Duration = Duration::from_millis(20);

/// Makes more of an error than the connection tells: whether the program behind it has ended. May take a moment.
pub(crate) type Explain = Arc<dyn Fn(StrategyError) -> StrategyError + Send + Sync>;

/// One answer that is asked for.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) body: ChatRequest,
    /// As many answers as the server writes at once; the others wait here.
    pub(super) seats: Option<Arc<Semaphore>>,
    pub(super) explain: Option<Explain>,
    /// Counts it as long as it is there.
    pub(super) _asked: Arc<()>,
}

/// Counts and times of one answer, as they are seen from here.
struct Clock {
    started: Instant,
    /// When the server was asked.
    asked: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    tokens: usize,
    /// How often tokens came, one or several together.
    arrivals: usize,
    usage: Usage,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            asked: None,
            first: None,
            last: None,
            tokens: 0,
            arrivals: 0,
            usage: Usage::default(),
        }
    }

    /// Text came; servers send one token an event.
    fn token(&mut self) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        let last = self.last.replace(now);
        if last.is_none_or(|last| now - last > TOGETHER) {
            self.arrivals += 1;
        }
        self.tokens += 1;
    }

    fn timings(&self) -> Timings {
        let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let prompt = whole(self.usage.prompt_tokens);
        let first = self.first.unwrap_or_else(Instant::now);
        let first_token = first.saturating_duration_since(self.started);
        let last = self.last.unwrap_or(first);
        let asked = self.asked.unwrap_or(self.started);
        let queued = asked.saturating_duration_since(self.started);
        // Where most of an answer comes at once, nothing is known of the time between its tokens, and the time of
        // the whole answer is taken.
        let begin = match self.arrivals.saturating_mul(4) < self.tokens {
            true => asked,
            false => first,
        };
        let decode = last.saturating_duration_since(begin);
        Timings {
            prompt_tokens: prompt,
            cached_tokens: whole(self.usage.cached_tokens()).min(prompt),
            generated_tokens: match self.usage.completion_tokens {
                0 => self.tokens,
                counted => whole(counted),
            },
            queued,
            // The server does not say how long it waited; from here, reading the prompt is all of it.
            prefill: first_token.saturating_sub(queued),
            decode,
            first_token,
        }
    }
}

/// Asks, and says what comes, until the answer ends or is not wanted any more.
pub(super) async fn listen(call: Call, cancel: Cancel, events: Sender<Event>) {
    let mut clock = Clock::start();
    let ended = tokio::select! {
        biased;
        () = unwanted(&cancel, &events) => Event::Finished(Finished {
            reason: FinishReason::Cancelled,
            timings: clock.timings(),
        }),
        ended = answer(&call, &events, &mut clock) => match ended {
            Ok(reason) => Event::Finished(Finished { reason, timings: clock.timings() }),
            Err(error) => Event::Failed(GenerateError::from(explained(error, call.explain.clone()).await)),
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

async fn explained(error: StrategyError, explain: Option<Explain>) -> StrategyError {
    let Some(explain) = explain else {
        return error;
    };
    let plain = error.clone();
    let explained = tokio::task::spawn_blocking(move || explain(error)).await;
    explained.unwrap_or(plain)
}

async fn answer(
    call: &Call,
    events: &Sender<Event>,
    clock: &mut Clock,
) -> Result<FinishReason, StrategyError> {
    let _seat = match &call.seats {
        // Nobody closes it.
        Some(seats) => seats.acquire().await.ok(),
        None => None,
    };
    clock.asked = Some(Instant::now());
    let mut stream = call.client.chat_stream(&call.body).await?;
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
