//! Conversations with branches, kept in SQLite: autosave, search, export.
//!
//! A session is a [`Tree`] of messages and what it was held under. The tree itself is plain data with
//! the rules of branching; [`Store`] keeps sessions in a file, change by change, so that a program that
//! dies loses at most what it had not said yet. Within a session messages have numbers that whoever
//! holds the session gives out: [`Store::hold`] lets only one process at a time hold it.
#![forbid(unsafe_code)]

mod clock;
mod document;
mod error;
mod find;
mod hold;
mod list;
mod markdown;
mod message;
mod open;
mod query;
mod schema;
mod session;
mod tree;
mod write;

pub use document::{Document, FORMAT, MOST_BYTES, read_documents, write_documents};
pub use error::StoreError;
pub use find::{Hit, Piece};
pub use hold::Held;
pub use list::Filter;
pub use markdown::markdown;
pub use message::{Message, Number, Role, State, Timings};
pub use open::{Access, Opened, Store};
pub use session::{Details, MOST_TAG, MOST_TAGS, MOST_TITLE, Session, SessionId, title_of};
pub use tree::{Tree, TreeError};
