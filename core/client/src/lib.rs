//! A small typed client for OpenAI-compatible servers: chat and completions, whole or streamed, and what
//! Tritone's own server says about itself. For the terminal's attach mode, for `tritone load` and for tests.
//!
//! It follows no redirects and speaks to one server only, the one of its [`Address`]. Everything a server
//! sends is bounded: bodies, lines of a stream, and the time between two of them.
//!
//! ```no_run
//! # async fn f() -> Result<(), tritone_client::ClientError> {
//! use tritone_client::{Address, ChatRequest, Client, Message, Update};
//!
//! let client = Client::new("http://127.0.0.1:8080".parse::<Address>()?);
//! let request = ChatRequest::new(vec![Message::user("What is the capital of Peru?")]);
//! let mut stream = client.chat_stream(&request).await?;
//! while let Some(update) = stream.next().await? {
//!     if let Update::Text { text, .. } = update {
//!         print!("{text}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod address;
mod chat;
mod client;
mod connection;
mod error;
mod retry;
mod sse;
mod types;

pub use address::Address;
pub use chat::{ChatStream, Update};
pub use client::{Client, Times};
pub use connection::Reply;
pub use error::{ClientError, Fault};
pub use retry::Retries;
pub use sse::{SseEvent, SseParser};
pub use types::{ChatRequest, Completion, Finish, Message, ModelEntry, ModelMeta, Usage};
