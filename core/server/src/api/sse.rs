//! Frames of an event stream. JSON has no line feeds outside of escapes, so one line holds any value.

use bytes::Bytes;
use serde_json::Value;

use crate::ApiError;

/// The end of a stream.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// A sign of life that clients leave out.
pub const COMMENT: Bytes = Bytes::from_static(b": still here\n\n");

/// A value.
#[must_use]
pub fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// A named event with a value, as the responses route has them.
#[must_use]
pub fn event(name: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}

/// A failure after the answer has begun. Clients raise what has `error` at the top.
#[must_use]
pub fn error(error: &ApiError) -> Bytes {
    data(&error.body())
}
