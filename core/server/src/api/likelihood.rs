//! How likely tokens were, as the two routes tell it.

use serde_json::{Map, Value, json};
use tritone_engine::Likelihood;
use tritone_engine::text::Tokenizer;

/// A token and how likely it was, spelled out.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLikelihood {
    chosen: Spelled,
    top: Vec<Spelled>,
}

#[derive(Clone, Debug, PartialEq)]
struct Spelled {
    /// Bytes; a token may be a part of a character.
    bytes: Vec<u8>,
    logprob: f32,
}

/// OpenAI's number for a token that cannot come.
const NEVER: f32 = -9999.0;

impl Spelled {
    fn new(tokenizer: &Tokenizer, token: u32, logprob: f32) -> Self {
        // Control tokens have no text of their own; their names tell them apart.
        let bytes = match tokenizer.decode_bytes(token) {
            [] => tokenizer.token_text(token).unwrap_or_default().into_bytes(),
            bytes => bytes.to_vec(),
        };
        // JSON has no infinity.
        let logprob = if logprob.is_finite() { logprob } else { NEVER };
        Self { bytes, logprob }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("token".to_owned(), json!(self.text()));
        object.insert("logprob".to_owned(), json!(self.logprob));
        object.insert("bytes".to_owned(), json!(self.bytes));
        object
    }
}

impl TokenLikelihood {
    /// Spells out what the engine says of `token`.
    #[must_use]
    pub fn new(tokenizer: &Tokenizer, token: u32, likelihood: &Likelihood) -> Self {
        let top = likelihood.top.iter();
        Self {
            chosen: Spelled::new(tokenizer, token, likelihood.logprob),
            top: top
                .map(|(token, logprob)| Spelled::new(tokenizer, *token, *logprob))
                .collect(),
        }
    }
}

/// `logprobs` of a chat's choice.
pub(super) fn of_chat(tokens: &[TokenLikelihood]) -> Value {
    let content = tokens.iter().map(|token| {
        let mut object = token.chosen.object();
        let top: Vec<_> = token.top.iter().map(Spelled::object).collect();
        object.insert("top_logprobs".to_owned(), json!(top));
        object
    });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}

/// `logprobs` of a completion's choice, whose text so far has `offset` characters.
pub(super) fn of_text(tokens: &[TokenLikelihood], offset: usize) -> Value {
    let mut at = offset;
    let mut offsets = Vec::new();
    for token in tokens {
        offsets.push(at);
        at += token.chosen.text().chars().count();
    }
    let top = tokens.iter().map(|token| {
        let top = token
            .top
            .iter()
            .map(|other| (other.text(), json!(other.logprob)));
        Value::Object(top.collect())
    });
    json!({
        "tokens": tokens.iter().map(|token| token.chosen.text()).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.chosen.logprob).collect::<Vec<_>>(),
        "top_logprobs": top.collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}
