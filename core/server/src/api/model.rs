//! `/v1/models`.

use serde_json::{Value, json};

/// What is said of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// Its name in requests.
    pub id: String,
    /// Seconds since 1970: when it was loaded.
    pub created: u64,
    /// Positions of one conversation here.
    pub context: usize,
    /// Positions it was trained for.
    pub trained_context: usize,
    /// Weights.
    pub parameters: u64,
    /// Tokens of its vocabulary.
    pub vocab: usize,
    /// Width of its vectors.
    pub width: usize,
    /// Bytes of its file.
    pub bytes: u64,
    /// Whether its chat template asks if it is to think.
    pub asks_for_thinking: bool,
}

/// The entry of a model. Names of two families of servers, so that either's clients find the context.
#[must_use]
pub fn model(card: &ModelCard) -> Value {
    json!({
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": "tritone",
        "max_model_len": card.context,
        "meta": {
            "n_ctx": card.context,
            "n_ctx_train": card.trained_context,
            "n_params": card.parameters,
            "n_vocab": card.vocab,
            "n_embd": card.width,
            "size": card.bytes,
            "asks_for_thinking": card.asks_for_thinking,
        },
    })
}

/// The list of all models.
#[must_use]
pub fn models(cards: &[ModelCard]) -> Value {
    json!({"object": "list", "data": cards.iter().map(model).collect::<Vec<_>>()})
}
