//! One input for what the server reads, for the fuzz targets and the replay of their corpora.
#![allow(dead_code, reason = "every target uses its own")]

use std::sync::Arc;

use serde_json::Value;
use tritone_engine::sample::Sampling;
use tritone_server::api::{
    ChatRequest, CompletionRequest, DetokenizeRequest, EmbeddingsRequest, TokenizeRequest,
};
use tritone_server::guard::{Content, InputConfig, SecurityCounts, parse_rules};
use tritone_server::{ApiError, Limits};

/// Reads a body as each of the requests it may be. Returns how many of them it is.
pub(crate) fn request(input: &[u8]) -> usize {
    let Ok(body) = serde_json::from_slice::<Value>(input) else {
        return 0;
    };
    let limits = Limits::default();
    let default = Sampling::default();
    let read = [
        said(ChatRequest::parse(&body, &limits, &default)),
        said(CompletionRequest::parse(&body, &limits, &default)),
        said(EmbeddingsRequest::parse(&body, &limits)),
        said(TokenizeRequest::parse(&body, &limits)),
        said(DetokenizeRequest::parse(&body, 2048)),
    ];
    read.into_iter().filter(|read| *read).count()
}

/// Whether it was read; why it was not has to be the client's fault and in words.
fn said<T>(read: Result<T, ApiError>) -> bool {
    if let Err(error) = &read {
        assert!(!format!("{error:?}").is_empty());
    }
    read.is_ok()
}

/// Reads rules and, behind a NUL, a text, and applies them to it: as a prompt, as an answer in one piece
/// and as one that comes character by character. Returns whether they were rules.
pub(crate) fn rules(input: &[u8]) -> bool {
    let cut = input.iter().position(|byte| *byte == 0);
    let (rules, text) = input.split_at(cut.unwrap_or(input.len()));
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\0');
    let Ok(rules) = std::str::from_utf8(rules).map(parse_rules) else {
        return false;
    };
    let Ok(rules) = rules else {
        return false;
    };
    let counts = Arc::new(SecurityCounts::default());
    let content = Content::new(rules, 64, InputConfig::default(), counts);
    let _ = content.prompt("prompt", text);
    let apply = |pieces: &mut dyn Iterator<Item = &str>| {
        let mut filter = content.stream()?;
        let mut shown = String::new();
        let mut refused = None;
        for piece in pieces {
            let out = filter.push(piece);
            shown.push_str(&out.text);
            refused = refused.or(out.refused);
        }
        let out = filter.finish();
        shown.push_str(&out.text);
        Some((shown, refused.or(out.refused)))
    };
    let whole = apply(&mut std::iter::once(text));
    let pieces = apply(&mut text.split_inclusive(|_: char| true));
    assert_eq!(whole, pieces);
    true
}
