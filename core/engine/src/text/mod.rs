//! Text in, tokens out, and back.
//!
//! - [`Tokenizer`]: BPE over the vocabulary of a model file, of bytes or of SentencePiece's pieces.
//! - [`ChatTemplate`]: the model's own prompt layout, rendered under limits.
//! - [`TokenStream`]: tokens of an answer back to text, never splitting a character.
//! - [`StopSet`] and [`StopStrings`]: where an answer ends.
//!
//! Text that a user typed can never become a control token. [`Tokenizer::encode`] with
//! [`Specials::Plain`] does not look for them at all, and a rendered chat keeps the difference
//! between what the template wrote and what a message contained: see [`Rendered`].

mod bpe;
mod error;
mod hash;
mod layouts;
mod lookup;
mod merges;
mod names;
mod python;
mod scores;
mod shield;
mod spec;
mod split;
mod stop;
mod stream;
mod template;
mod tojson;
mod tokenizer;
mod tokens;
mod vocabulary;

pub use error::TextError;
pub use shield::Rendered;
pub use spec::{SpacePrefix, TokenizerSpec};
pub use stop::{StopSet, StopStrings, StopText};
pub use stream::{TokenStream, Utf8Stream};
pub use template::{ChatTemplate, Message, RenderOptions, Role};
pub use tokenizer::{Specials, Tokenizer};
