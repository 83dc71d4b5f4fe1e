//! What a client is told about its limits, in the headers that OpenAI's clients know.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// One of a client's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How much a minute.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// When all of it is there again, if nothing is asked for until then.
    pub reset: Duration,
}

/// A client's limits; `None` for what is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests.
    pub requests: Option<Share>,
    /// Tokens, of prompts and answers.
    pub tokens: Option<Share>,
}

impl Quota {
    /// Adds `x-ratelimit-*` to an answer.
    pub fn put(&self, headers: &mut HeaderMap) {
        let requests = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        let tokens = [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        for (share, [limit, remaining, reset]) in [(self.requests, requests), (self.tokens, tokens)]
        {
            let Some(share) = share else { continue };
            headers.insert(
                HeaderName::from_static(limit),
                HeaderValue::from(share.limit),
            );
            headers.insert(
                HeaderName::from_static(remaining),
                HeaderValue::from(share.remaining),
            );
            if let Ok(value) = HeaderValue::try_from(span(share.reset)) {
                headers.insert(HeaderName::from_static(reset), value);
            }
        }
    }
}

/// A span of time in OpenAI's way: `0s`, `120ms`, `7s`, `1m0s`.
fn span(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    if time.is_zero() {
        "0s".into()
    } else if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis().max(1))
    } else if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (ms, text) in [
            (0, "0s"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_001, "2s"),
            (59_001, "1m0s"),
            (64_000, "1m4s"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        assert_eq!(span(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn only_what_is_limited_is_named() {
        let mut headers = HeaderMap::new();
        Quota::default().put(&mut headers);
        assert!(headers.is_empty());
        let share = Share {
            limit: 60,
            remaining: 59,
            reset: Duration::from_secs(4),
        };
        Quota {
            requests: Some(share),
            tokens: None,
        }
        .put(&mut headers);
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "4s");
    }
}
