//! Answers that were given before. Only what is the same every time is kept: seeded or greedy requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use tritone_engine::{Event, Request};

/// What an answer depends on, as a digest.
pub(super) type Key = [u8; 32];

/// A request whose answer is the same every time. Whoever makes one says so.
#[derive(Clone, Copy, Debug)]
pub struct Repeatable<'a> {
    /// Model and version of what answers.
    pub fingerprint: &'a str,
    /// The form of the answer, as it was asked for; empty for any.
    pub format: &'a str,
}

impl Repeatable<'_> {
    /// The digest of everything that the answer to `request` depends on. Its salt is part of it: from the time an
    /// answer takes nobody learns what another asked.
    pub(super) fn key(&self, request: &Request) -> Key {
        let all = format!(
            "{}\0{}\0{:?}",
            self.fingerprint,
            self.format,
            (
                &request.input,
                &request.sampling,
                request.max_tokens,
                request.min_tokens,
                &request.stop,
                request.ignore_eos,
                request.thinking,
                request.continue_last,
                request.salt,
            )
        );
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, all.as_bytes()).as_ref());
        key
    }
}

/// How the cache does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Requests that could have been in it.
    pub queries: u64,
    /// Those that were.
    pub hits: u64,
    /// Answers in it.
    pub entries: usize,
    /// Bytes they take, about.
    pub bytes: usize,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Key, (Arc<[Event]>, usize)>,
    /// Least recently used first.
    order: VecDeque<Key>,
    status: CacheStatus,
}

/// Kept answers, as many as fit.
pub(super) struct Cache {
    most: usize,
    kept: Mutex<Kept>,
}

impl Cache {
    /// Keeps at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.most > 0
    }

    pub(super) fn status(&self) -> CacheStatus {
        self.lock().status
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer under `key`.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<[Event]>> {
        let mut kept = self.lock();
        kept.status.queries += 1;
        let (events, _) = kept.answers.get(key)?;
        let events = Arc::clone(events);
        kept.status.hits += 1;
        if let Some(at) = kept.order.iter().position(|other| other == key) {
            kept.order.remove(at);
        }
        kept.order.push_back(*key);
        Some(events)
    }

    /// Keeps an answer of about `bytes` bytes, and gives up others for it.
    fn put(&self, key: Key, events: Vec<Event>, bytes: usize) {
        // One answer is not to push out all others.
        if bytes > self.most / 4 {
            return;
        }
        let mut kept = self.lock();
        if kept.answers.contains_key(&key) {
            return;
        }
        while kept.status.bytes + bytes > self.most {
            let Some(oldest) = kept.order.pop_front() else {
                return;
            };
            if let Some((_, bytes)) = kept.answers.remove(&oldest) {
                kept.status.bytes -= bytes;
            }
        }
        kept.answers.insert(key, (events.into(), bytes));
        kept.order.push_back(key);
        kept.status.bytes += bytes;
        kept.status.entries = kept.answers.len();
    }
}

/// Listens to an answer that may be kept.
pub(super) struct Recorder {
    cache: Arc<Cache>,
    key: Key,
    events: Vec<Event>,
    bytes: usize,
}

impl Recorder {
    pub(super) fn new(cache: Arc<Cache>, key: Key) -> Self {
        Self {
            cache,
            key,
            events: Vec::new(),
            bytes: 128,
        }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        let bytes = match event {
            Event::Prefill { .. } | Event::Failed(_) => return,
            Event::Text {
                text, likelihood, ..
            } => {
                let top = likelihood
                    .as_ref()
                    .map_or(0, |likelihood| 32 + 8 * likelihood.top.len());
                size_of::<Event>() + text.len() + top
            }
            Event::Finished(_) => size_of::<Event>(),
        };
        self.bytes += bytes;
        // What would not be kept anyway need not be remembered.
        if self.bytes <= self.cache.most / 4 {
            self.events.push(event.clone());
        }
    }

    /// The answer ended by itself.
    pub(super) fn keep(self) {
        self.cache.put(self.key, self.events, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Event {
        Event::Text {
            text: text.to_owned(),
            token: 1,
            likelihood: None,
            timings: tritone_engine::Timings::default(),
        }
    }

    fn keep(cache: &Arc<Cache>, key: u8, length: usize) {
        let mut recorder = Recorder::new(Arc::clone(cache), [key; 32]);
        recorder.hear(&text(&"x".repeat(length)));
        recorder.keep();
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_bound_holds() {
        let cache = Arc::new(Cache::new(10_000));
        for key in 0..4 {
            keep(&cache, key, 2000);
        }
        assert!(cache.get(&[0; 32]).is_some(), "used again");
        keep(&cache, 4, 2000);
        assert!(cache.get(&[1; 32]).is_none(), "gave way");
        assert!(cache.get(&[0; 32]).is_some() && cache.get(&[4; 32]).is_some());
        keep(&cache, 5, 9000);
        assert!(cache.get(&[5; 32]).is_none(), "too large to be kept");
        let status = cache.status();
        assert!(status.bytes <= 10_000 && status.entries == 4);
        assert_eq!((status.queries, status.hits), (5, 3));
    }

    #[test]
    fn a_key_holds_everything_that_decides_the_answer() {
        let request = Request::new(tritone_engine::Input::Tokens(vec![1, 2]));
        let mark = Repeatable {
            fingerprint: "m",
            format: "",
        };
        let key = mark.key(&request);
        assert_eq!(key, mark.key(&request.clone()));
        let others = [
            Request {
                salt: 1,
                ..request.clone()
            },
            Request {
                max_tokens: Some(1),
                ..request.clone()
            },
            Request {
                min_tokens: 1,
                ..request.clone()
            },
            Request {
                stop: vec!["x".to_owned()],
                ..request.clone()
            },
            Request {
                ignore_eos: true,
                ..request.clone()
            },
            Request::new(tritone_engine::Input::Tokens(vec![1])),
        ];
        for other in others {
            assert_ne!(key, mark.key(&other), "{other:?}");
        }
        let formed = Repeatable {
            format: "{}",
            ..mark
        };
        assert_ne!(key, formed.key(&request));
    }
}
