//! Sessions as JSON: the whole tree, to keep elsewhere and to bring back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::StoreError;
use crate::message::{Message, Number};
use crate::open::Store;
use crate::session::{Details, MOST_TITLE, SessionId, checked_tags, checked_title, title_of};
use crate::tree::Tree;

/// What the file is called inside; the number grows when the meaning of a field changes.
pub const FORMAT: &str = "tritone-sessions/1";

/// Longest file that is read.
pub const MOST_BYTES: u64 = 256 << 20;

/// Most sessions of a file, and most messages of a session.
const MOST_SESSIONS: usize = 100_000;
const MOST_MESSAGES: usize = 1_000_000;

/// A session as it stands in a file; numbers of messages count within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it is held under.
    #[serde(flatten)]
    pub details: Details,
    /// When it began, in milliseconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// When something was last said.
    #[serde(default)]
    pub updated: u64,
    /// The last message of the conversation that is seen.
    #[serde(default)]
    pub active: Option<Number>,
    /// All messages; parents stand before what follows them.
    pub messages: Vec<Message>,
}

#[derive(Serialize)]
struct FileOut<'a> {
    format: &'a str,
    sessions: &'a [Document],
}

#[derive(Deserialize)]
struct Format {
    format: Option<String>,
}

#[derive(Deserialize)]
struct FileIn {
    sessions: Vec<Document>,
}

/// The text of a file with these sessions.
///
/// # Errors
/// When a session cannot be written as JSON.
pub fn write_documents(documents: &[Document]) -> Result<String, StoreError> {
    let file = FileOut {
        format: FORMAT,
        sessions: documents,
    };
    serde_json::to_string_pretty(&file)
        .map_err(|error| StoreError::Refused(format!("cannot write JSON: {error}")))
}

/// Reads and checks what such a file says.
///
/// # Errors
/// When it is no such file, or says something that cannot be.
pub fn read_documents(text: &str) -> Result<Vec<Document>, StoreError> {
    let refused = |why: String| Err(StoreError::Refused(why));
    if text.len() as u64 > MOST_BYTES {
        return refused(format!("longer than {} MiB", MOST_BYTES >> 20));
    }
    // The format first: what another one looks like is not known.
    let format: Format = match serde_json::from_str(text) {
        Ok(format) => format,
        Err(error) => return refused(format!("not a JSON object: {error}")),
    };
    if format.format.as_deref() != Some(FORMAT) {
        let found = format.format.unwrap_or_else(|| "none".to_owned());
        let found: String = found.chars().take(40).collect();
        return refused(format!(
            "expected a file of `tritone sessions export` with \"format\": \"{FORMAT}\", found {found}"
        ));
    }
    let file: FileIn = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            return refused(format!(
                "not as `tritone sessions export` writes it: {error}"
            ));
        }
    };
    if file.sessions.len() > MOST_SESSIONS {
        return refused(format!(
            "{} sessions; at most {MOST_SESSIONS} are read",
            file.sessions.len()
        ));
    }
    for (at, document) in file.sessions.iter().enumerate() {
        if let Err(error) = checked(document) {
            return refused(format!("session {} of the file: {error}", at + 1));
        }
    }
    Ok(file.sessions)
}

/// The details and the tree that a document stands for, with the numbers counted anew from 1 on.
fn checked(document: &Document) -> Result<(Details, Tree), StoreError> {
    if document.messages.len() > MOST_MESSAGES {
        return Err(StoreError::Refused(format!(
            "{} messages; at most {MOST_MESSAGES} are read",
            document.messages.len()
        )));
    }
    let first = document.messages.first();
    let mut details = document.details.clone();
    if details.title.trim().is_empty() {
        details.title = title_of(first.map_or("", |message| &message.text));
    }
    details.title = details.title.chars().take(MOST_TITLE).collect();
    details.title = checked_title(&details.title)?;
    details.tags = checked_tags(details.tags.iter().map(String::as_str))?;
    let mut numbers: BTreeMap<Number, Number> = BTreeMap::new();
    let mut tree = Tree::default();
    for (message, number) in document.messages.iter().zip(1..) {
        let known = |parent: Number| {
            numbers.get(&parent).copied().ok_or_else(|| {
                StoreError::Refused(format!(
                    "message {} follows message {parent}, which does not stand before it",
                    message.number
                ))
            })
        };
        let parent = message.parent.map(known).transpose()?;
        if numbers.insert(message.number, number).is_some() {
            return Err(StoreError::Refused(format!(
                "two messages have the number {}",
                message.number
            )));
        }
        let message = Message {
            number,
            parent,
            ..message.clone()
        };
        tree.add(message)?;
    }
    // Whoever was writing it is not here.
    tree.interrupt();
    let active = match document.active {
        None => document.messages.last().map(|message| message.number),
        given => given,
    };
    if let Some(active) = active {
        let number = numbers.get(&active).copied();
        let number = number.ok_or_else(|| {
            StoreError::Refused(format!("there is no message {active} that could be active"))
        })?;
        tree.set_active(number)?;
    }
    Ok((details, tree))
}

impl Store {
    /// A session for a file, without deleted branches.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be read.
    pub fn document(&self, session: SessionId) -> Result<Document, StoreError> {
        let known = self.session(session)?;
        let tree = self.tree(session)?;
        Ok(Document {
            details: known.details,
            created: known.created,
            updated: known.updated,
            active: tree.active(),
            messages: tree.messages().cloned().collect(),
        })
    }

    /// Adds a session of a file under a number of its own.
    ///
    /// # Errors
    /// When it says something that cannot be, or the file cannot be written.
    pub fn import(&mut self, document: &Document) -> Result<SessionId, StoreError> {
        let (details, tree) = checked(document)?;
        let now = clock::now();
        let or_now = |time| if time == 0 { now } else { time };
        let (created, updated) = (or_now(document.created), or_now(document.updated));
        self.insert(&details, &tree, created, updated)
    }
}
