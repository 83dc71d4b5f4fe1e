//! What a request is called, in its answer and in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The header it comes and goes in.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

/// The client's name of a request where it is fit to be repeated, or one of ours. An unchecked one could
/// carry anything into headers and logs.
pub(crate) fn of(headers: &HeaderMap) -> String {
    headers
        .get(HEADER)
        .and_then(|id| id.to_str().ok())
        .filter(|id| is_fit(id))
        .map_or_else(|| made("req_"), str::to_owned)
}

fn is_fit(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
}

/// Twelve bytes nobody else has.
fn random() -> [u8; 12] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 12];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Without random numbers they are at least unique in this process.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        bytes[4..].copy_from_slice(&count.to_be_bytes());
    }
    bytes
}

/// A number to draw other numbers from, where nobody named one.
pub(crate) fn number() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = random();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A name nobody else has.
pub(crate) fn made(prefix: &str) -> String {
    let bytes = random();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    prefix.chars().chain(digits).collect()
}

/// Puts it into an answer.
pub(crate) fn put(id: &str, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_names_are_kept_and_others_replaced() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(id).unwrap());
            super::of(&headers)
        };
        assert_eq!(of(b"a-B_c.9"), "a-B_c.9");
        let long = "x".repeat(128);
        assert_eq!(of(long.as_bytes()), long);
        for odd in [
            "",
            "a b",
            "a\tb",
            "\u{e9}",
            "a/b",
            &"x".repeat(129),
            &"x".repeat(10_240),
        ] {
            let id = of(odd.as_bytes());
            assert!(id.starts_with("req_") && id.len() == 28, "{id}");
        }
        assert_ne!(made("a"), made("a"));
    }
}
