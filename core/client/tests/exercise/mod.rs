//! One input for the reader of event streams, for the fuzz target and the replay of its corpus.

use super::{SseEvent, SseParser};

/// Reads a stream in one piece and in pieces of the size its first byte says: the events are the same.
pub(crate) fn exercise(input: &[u8]) -> Vec<SseEvent> {
    let (first, stream) = input.split_first().unwrap_or((&0, &[]));
    let whole = SseParser::new().push(stream).unwrap_or_default();
    let mut parser = SseParser::new();
    let mut pieces = Vec::new();
    for piece in stream.chunks(usize::from(*first).max(1)) {
        pieces.extend(parser.push(piece).unwrap_or_default());
    }
    assert_eq!(pieces, whole);
    whole
}
