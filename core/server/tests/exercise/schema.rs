//! One schema for the server's grammars, for the fuzz target and the replay of its corpus.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tritone_engine::sample::{Sampling, TokenMask};
use tritone_engine::{Engine, EngineOptions, ModelSource};
use tritone_server::api::ChatRequest;
use tritone_server::{Grammars, Limits};

/// Most tokens of an answer.
const TOKENS: usize = 40;

/// The grammars of the built-in model, and its vocabulary.
fn grammars() -> &'static (Grammars, u32) {
    static GRAMMARS: OnceLock<(Grammars, u32)> = OnceLock::new();
    GRAMMARS.get_or_init(|| {
        let options = EngineOptions::new(Arc::new(tritone_scalar::Scalar));
        let tiny = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
        );
        let source = ModelSource::File(tiny.into());
        let engine = match Engine::load(&source, &options, &mut |_| true) {
            Ok(engine) => engine,
            Err(error) => panic!("{error}"),
        };
        let model = engine.shared_model();
        let vocab = u32::try_from(model.tokenizer().vocab_size()).unwrap_or(u32::MAX);
        (Grammars::new(model), vocab)
    })
}

/// Reads a schema and, behind a NUL, which of the tokens that may come does: each that may can. Returns
/// whether there is a grammar for it.
pub(crate) fn exercise(input: &[u8]) -> bool {
    let cut = input.iter().position(|byte| *byte == 0);
    let (schema, choices) = input.split_at(cut.unwrap_or(input.len()));
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else {
        return false;
    };
    // As it comes: within the bounds of a request.
    let body = json!({
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    });
    if ChatRequest::parse(&body, &Limits::default(), &Sampling::default()).is_err() {
        return false;
    }
    let (grammars, vocab) = grammars();
    let Ok(grammar) = grammars.schema(&schema) else {
        return false;
    };
    let Ok(mut constraint) = grammar.start() else {
        return false;
    };
    let mut mask = TokenMask::none(*vocab as usize);
    for choice in choices.iter().cycle().take(TOKENS) {
        mask.clear();
        if constraint.allow(&mut mask).is_err() {
            // It has become too large to follow, which ends the answer.
            break;
        }
        let allowed: Vec<u32> = (0..*vocab).filter(|token| mask.allows(*token)).collect();
        let Some(token) = allowed.get(usize::from(*choice) * 7 % allowed.len().max(1)) else {
            break;
        };
        assert_eq!(constraint.take(*token), Ok(()), "token {token} was allowed");
        constraint.may_end();
    }
    true
}
