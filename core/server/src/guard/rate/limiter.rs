//! The counts of all clients, of which only so many are kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::quota::{Quota, Share};
use super::window::Window;
use crate::guard::client::ClientId;

/// A limit of requests and one of tokens for each client, in each sixty seconds.
#[derive(Debug)]
pub struct RateLimiter {
    requests: Option<u64>,
    tokens: Option<u64>,
    kept: usize,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    by_id: HashMap<ClientId, Client>,
    /// The clients from the one that was idle longest to the newest.
    by_age: BTreeMap<u64, ClientId>,
    age: u64,
}

#[derive(Debug, Default)]
struct Client {
    age: u64,
    requests: Window,
    tokens: Window,
}

/// Tokens that a client has been charged for, to be settled when it is known how many they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settle it when the answer has ended"]
pub struct Charge {
    client: ClientId,
    tokens: u64,
    cell: u64,
}

/// Too much for now, or too much at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it would pass.
    pub wait: Duration,
    /// Whether it is over the limit even if nothing else was asked for.
    pub never: bool,
    /// The client's limits.
    pub quota: Quota,
}

impl RateLimiter {
    /// Limits a minute, `None` for no limit. At most `kept` clients are remembered: the one that was idle
    /// longest is forgotten first, so many addresses cost no memory.
    #[must_use]
    pub fn new(requests: Option<u64>, tokens: Option<u64>, kept: usize) -> Self {
        Self {
            requests,
            tokens,
            kept: kept.max(1),
            clients: Mutex::default(),
        }
    }

    /// Counts a request. `now` is the time since some moment that stays the same.
    ///
    /// # Errors
    ///
    /// When the client has had its requests of the minute; then nothing is counted.
    pub fn request(&self, client: ClientId, now: Duration) -> Result<Quota, Refused> {
        if self.requests.is_none() && self.tokens.is_none() {
            return Ok(Quota::default());
        }
        self.with(client, now, |known| {
            if let Some(limit) = self.requests {
                let wait = known.requests.wait(now, 1, limit);
                if !wait.is_zero() {
                    return Err(self.refused(known, now, wait, limit == 0));
                }
                known.requests.add(1);
            }
            Ok(self.quota(known, now))
        })
    }

    /// Counts the tokens that a request may need at most.
    ///
    /// # Errors
    ///
    /// When the client has had its tokens of the minute, or the request alone needs more.
    pub fn tokens(
        &self,
        client: ClientId,
        tokens: u64,
        now: Duration,
    ) -> Result<(Charge, Quota), Refused> {
        let charge = |cell| Charge {
            client,
            tokens,
            cell,
        };
        let Some(limit) = self.tokens else {
            return Ok((charge(0), Quota::default()));
        };
        self.with(client, now, |known| {
            let wait = known.tokens.wait(now, tokens, limit);
            if !wait.is_zero() {
                return Err(self.refused(known, now, wait, tokens > limit));
            }
            let cell = known.tokens.advance(now);
            known.tokens.add(tokens);
            Ok((charge(cell), self.quota(known, now)))
        })
    }

    /// Says how many tokens it were in the end: what was not used is given back, what was used beyond the
    /// charge is counted now.
    pub fn settle(&self, charge: Charge, used: u64, now: Duration) {
        if self.tokens.is_none() {
            return;
        }
        self.with(charge.client, now, |known| {
            known
                .tokens
                .take_back(charge.cell, charge.tokens.saturating_sub(used));
            known.tokens.add(used.saturating_sub(charge.tokens));
        });
    }

    /// How many clients are remembered.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.lock().by_id.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Clients> {
        // A count that a panic left half done is off by one at most.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, client: ClientId, now: Duration, what: impl FnOnce(&mut Client) -> T) -> T {
        let mut clients = self.lock();
        let Clients { by_id, by_age, age } = &mut *clients;
        *age += 1;
        if !by_id.contains_key(&client)
            && by_id.len() >= self.kept
            && let Some((_, oldest)) = by_age.pop_first()
        {
            by_id.remove(&oldest);
        }
        let known = by_id.entry(client).or_default();
        by_age.remove(&known.age);
        known.age = *age;
        by_age.insert(*age, client);
        known.requests.advance(now);
        known.tokens.advance(now);
        what(known)
    }

    fn refused(&self, known: &Client, now: Duration, wait: Duration, never: bool) -> Refused {
        Refused {
            wait,
            never,
            quota: self.quota(known, now),
        }
    }

    fn quota(&self, known: &Client, now: Duration) -> Quota {
        let share = |window: &Window, limit: Option<u64>| {
            limit.map(|limit| Share {
                limit,
                remaining: limit.saturating_sub(window.sum()),
                reset: window.wait(now, limit, limit),
            })
        };
        Quota {
            requests: share(&known.requests, self.requests),
            tokens: share(&known.tokens, self.tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    #[test]
    fn each_client_has_a_limit_of_its_own_and_waiting_as_told_helps() {
        let limiter = RateLimiter::new(Some(3), None, 100);
        let mut now = Duration::from_millis(1_234);
        for left in [2, 1, 0] {
            let quota = limiter.request(client(1), now).unwrap();
            assert_eq!(quota.requests.unwrap().remaining, left);
            assert_eq!(quota.tokens, None);
        }
        let refused = limiter.request(client(1), now).unwrap_err();
        assert!(
            !refused.never && refused.wait <= MINUTE + Duration::from_secs(4),
            "{refused:?}"
        );
        assert!(limiter.request(client(2), now).is_ok());
        now += refused.wait;
        assert!(
            limiter
                .request(client(1), now - Duration::from_millis(1))
                .is_err()
        );
        assert!(limiter.request(client(1), now).is_ok());
    }

    #[test]
    fn tokens_that_were_not_used_come_back() {
        let limiter = RateLimiter::new(None, Some(100), 100);
        let now = Duration::ZERO;
        let (charge, quota) = limiter.tokens(client(1), 80, now).unwrap();
        assert_eq!(quota.tokens.unwrap().remaining, 20);
        assert!(!limiter.tokens(client(1), 30, now).unwrap_err().never);
        assert!(limiter.tokens(client(1), 101, now).unwrap_err().never);
        limiter.settle(charge, 10, now);
        let (charge, quota) = limiter.tokens(client(1), 30, now).unwrap();
        assert_eq!(quota.tokens.unwrap().remaining, 60);
        limiter.settle(charge, 95, now);
        assert_eq!(
            limiter
                .request(client(1), now)
                .unwrap()
                .tokens
                .unwrap()
                .remaining,
            0
        );
    }

    #[test]
    fn many_addresses_cost_no_memory_and_the_longest_idle_goes_first() {
        let limiter = RateLimiter::new(Some(1), None, 3);
        let now = Duration::ZERO;
        for number in 0..3 {
            assert!(limiter.request(client(number), now).is_ok());
        }
        assert!(
            limiter.request(client(0), now).is_err(),
            "seen again, so the youngest now"
        );
        assert!(limiter.request(client(3), now).is_ok());
        assert!(limiter.request(client(0), now).is_err(), "kept");
        assert!(limiter.request(client(1), now).is_ok(), "forgotten");
        for number in 0..=255 {
            let _ = limiter.request(client(number), now);
            assert!(limiter.clients() <= 3);
            let aged = limiter.lock().by_age.len();
            assert_eq!(aged, limiter.clients());
        }
    }

    #[test]
    fn nothing_limited_nothing_kept() {
        let limiter = RateLimiter::new(None, None, 10);
        assert_eq!(
            limiter.request(client(1), Duration::ZERO),
            Ok(Quota::default())
        );
        assert!(limiter.tokens(client(1), u64::MAX, Duration::ZERO).is_ok());
        assert_eq!(limiter.clients(), 0);
        assert!(
            RateLimiter::new(Some(0), None, 10)
                .request(client(1), Duration::ZERO)
                .unwrap_err()
                .never
        );
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_limit(
            limit in 1_u64..20,
            asked in proptest::collection::vec((0_u64..20_000, 1_u64..8), 1..200),
        ) {
            let limiter = RateLimiter::new(Some(limit), Some(limit), 10);
            let mut now = Duration::ZERO;
            let (mut requests, mut tokens) = (Vec::new(), Vec::new());
            for (pause, amount) in asked {
                now += Duration::from_millis(pause);
                let last_minute = |passed: &[(Duration, u64)]| -> u64 {
                    passed.iter().filter(|(at, _)| now - *at < MINUTE).map(|(_, amount)| amount).sum()
                };
                if limiter.request(client(1), now).is_ok() { requests.push((now, 1)); }
                if limiter.tokens(client(1), amount, now).is_ok() { tokens.push((now, amount)); }
                prop_assert!(last_minute(&requests) <= limit);
                prop_assert!(last_minute(&tokens) <= limit);
            }
        }

        #[test]
        fn whoever_keeps_to_the_limit_is_never_refused(limit in 1_u64..50) {
            let limiter = RateLimiter::new(Some(limit), None, 10);
            let pause = Duration::from_millis(64_000_u64.div_ceil(limit));
            for step in 0..200 {
                prop_assert!(limiter.request(client(1), pause * step).is_ok(), "{}", step);
            }
        }
    }
}
