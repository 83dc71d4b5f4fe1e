//! The clients.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tritone_client::{ChatRequest, Client, ClientError, Message, Update};

use super::args::LoadArgs;
use super::plan::{Draws, Pattern, Plan};

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// It was answered.
    Answered,
    /// The client left, as planned.
    Left,
    /// The server was busy: 429 or 503.
    Busy(u16),
    /// Anything else, in words.
    Failed(String),
}

/// One request, in times from when it was to be sent.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) fate: Fate,
    pub(super) first_token: Option<Duration>,
    /// Between two tokens.
    pub(super) gaps: Vec<Duration>,
    pub(super) took: Duration,
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) tokens: u64,
}

struct Shared {
    client: Client,
    model: String,
    prompt: String,
    cold: bool,
    generate: u32,
    disconnect: f64,
    seed: u64,
    sent: AtomicUsize,
    busy: AtomicUsize,
    over: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

/// Sends requests and keeps what becomes of them.
#[derive(Clone)]
pub(super) struct Sender(Arc<Shared>);

impl Sender {
    pub(super) fn new(client: Client, args: &LoadArgs, model: String) -> Self {
        // Short words are one token in the vocabularies of the models we know.
        let words = ["the", "a", "of", "and", "to", "in", "is", "it"];
        let words: Vec<_> = words
            .iter()
            .cycle()
            .take(args.prompt_tokens.max(1))
            .copied()
            .collect();
        Self(Arc::new(Shared {
            client,
            model,
            prompt: words.join(" "),
            cold: args.cold,
            generate: args.generate,
            disconnect: args.disconnect,
            seed: args.seed,
            sent: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            outcomes: Mutex::default(),
        }))
    }

    /// Requests sent, over, and refused as busy.
    pub(super) fn so_far(&self) -> (usize, usize, usize) {
        let shared = &self.0;
        let over = self.lock().len();
        (
            shared.sent.load(Ordering::Relaxed),
            over,
            shared.busy.load(Ordering::Relaxed),
        )
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.lock().clone()
    }

    /// Nothing more is sent.
    pub(super) fn give_up(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Outcome>> {
        self.0
            .outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request that was to be sent at `due`, and keeps what becomes of it.
    async fn send(&self, due: Instant) {
        let shared = &self.0;
        let number = shared.sent.fetch_add(1, Ordering::Relaxed);
        let mut draws =
            Draws::new(shared.seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
        // Those who leave do so after some part of the answer.
        let leaves = (draws.next() < shared.disconnect)
            .then(|| (draws.next() * f64::from(shared.generate)) as u64);
        let mut outcome = Outcome {
            fate: Fate::Answered,
            first_token: None,
            gaps: Vec::new(),
            took: Duration::ZERO,
            prompt_tokens: 0,
            cached_tokens: 0,
            tokens: 0,
        };
        let prompt = if shared.cold {
            format!("{number}: {}", shared.prompt)
        } else {
            shared.prompt.clone()
        };
        let request = ChatRequest {
            model: shared.model.clone(),
            max_tokens: Some(shared.generate),
            // Without a seed, so that the server has to write what it is asked for.
            temperature: Some(0.7),
            ignore_eos: Some(true),
            ..ChatRequest::new(vec![Message::user(prompt)])
        };
        if let Err(error) = listen(&shared.client, &request, leaves, due, &mut outcome).await {
            outcome.fate = fate(&error);
        }
        outcome.took = due.elapsed();
        if matches!(outcome.fate, Fate::Busy(_)) {
            shared.busy.fetch_add(1, Ordering::Relaxed);
        }
        self.lock().push(outcome);
    }
}

fn fate(error: &ClientError) -> Fate {
    match error {
        ClientError::Status {
            status: status @ (429 | 503),
            ..
        } => Fate::Busy(*status),
        other => Fate::Failed(other.to_string()),
    }
}

async fn listen(
    client: &Client,
    request: &ChatRequest,
    leaves: Option<u64>,
    due: Instant,
    outcome: &mut Outcome,
) -> Result<(), ClientError> {
    let mut stream = client.chat_stream(request).await?;
    let mut last: Option<Instant> = None;
    // The first chunk of a chat is empty: it says who speaks.
    let mut begun = false;
    while let Some(update) = stream.next().await? {
        match update {
            Update::Text { text, .. } if !begun && text.is_empty() => begun = true,
            Update::Text { .. } => {
                begun = true;
                let now = Instant::now();
                match last.replace(now) {
                    Some(last) => outcome.gaps.push(now - last),
                    None => outcome.first_token = Some(now - due),
                }
                outcome.tokens += 1;
                if leaves.is_some_and(|tokens| outcome.tokens > tokens) {
                    outcome.fate = Fate::Left;
                    return Ok(());
                }
            }
            Update::Usage(usage) => {
                outcome.prompt_tokens = usage.prompt_tokens;
                outcome.cached_tokens = usage.cached_tokens();
                outcome.tokens = usage.completion_tokens;
            }
            Update::Finished { .. } | Update::Alive => {}
        }
    }
    Ok(())
}

/// Sends everything that is planned, and waits for what becomes of it.
pub(super) async fn all(sender: Sender, plan: Plan, start: Instant) {
    let mut tasks = tokio::task::JoinSet::new();
    match plan.pattern {
        Pattern::Times(times) => {
            for at in times {
                tokio::time::sleep_until((start + at).into()).await;
                let sender = sender.clone();
                tasks.spawn(async move { sender.send(start + at).await });
                while tasks.try_join_next().is_some() {}
            }
        }
        Pattern::Users(users) => {
            let left = Arc::new(AtomicUsize::new(plan.requests));
            for _ in 0..users {
                let (sender, left) = (sender.clone(), Arc::clone(&left));
                tasks.spawn(async move {
                    let take = |left: usize| left.checked_sub(1);
                    while start.elapsed() < plan.duration
                        && !sender.0.over.load(Ordering::Relaxed)
                        && left
                            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                            .is_ok()
                    {
                        sender.send(Instant::now()).await;
                    }
                });
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}
