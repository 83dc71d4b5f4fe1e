//! The wire: requests out of JSON, answers into JSON, as OpenAI's clients know them.
//!
//! Reading is lenient where clients differ (`null` is absent, unknown fields are accepted, a number may come as
//! `1.0`) and exact where a value decides something: whatever is out of range is refused with the field's name.

mod answer;
mod chat;
mod completion;
mod embedding;
mod field;
mod format;
mod likelihood;
mod messages;
mod model;
mod openapi;
mod responses;
mod settings;
pub mod sse;
mod tokens;

pub use answer::{Answered, Finish, Kind, Reply, Tokens};
pub use chat::ChatRequest;
pub use completion::{CompletionRequest, Prompt};
pub use embedding::{EmbeddingsRequest, Encoding, embeddings};
pub use field::{FIELDS, Field, Fields, Kind as FieldKind, Routes};
pub use format::Format;
pub use likelihood::TokenLikelihood;
pub use model::{ModelCard, model, models};
pub use openapi::openapi;
pub use responses::{Echo, Event, ResponseReply, ResponsesRequest};
pub use settings::{Settings, Stream};
pub use tokens::{DetokenizeRequest, TokenizeRequest, detokenized, tokenized};
