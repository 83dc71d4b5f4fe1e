//! One input for the reader of sessions, for the fuzz target and the replay of its corpus.

use tritone_store::{Document, read_documents, write_documents};

/// Reads a file of sessions. What was read is written so that the same is read.
pub(crate) fn exercise(input: &[u8]) -> Option<Vec<Document>> {
    let documents = read_documents(std::str::from_utf8(input).ok()?).ok()?;
    let text = write_documents(&documents).unwrap_or_default();
    assert_eq!(read_documents(&text).ok().as_ref(), Some(&documents));
    Some(documents)
}
