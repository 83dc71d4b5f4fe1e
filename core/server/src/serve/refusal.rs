//! What the engine refuses, as clients are told.

use tritone_engine::GenerateError;

use crate::{ApiError, ErrorKind};

/// The refusal for a request that the engine does not take or complete. What would fail again is a 400, so that
/// nobody tries again.
pub(super) fn refusal(error: &GenerateError) -> ApiError {
    let text = error.to_string();
    match error {
        GenerateError::PromptTooLong { prompt, context } => ApiError::new(
            ErrorKind::Invalid,
            format!(
                "the prompt has {prompt} tokens, the context holds {context}: shorten the conversation"
            ),
        )
        .code("context_length_exceeded"),
        GenerateError::EmptyPrompt
        | GenerateError::NothingWanted
        | GenerateError::BadToken { .. }
        | GenerateError::Text(_)
        | GenerateError::Grammar(_)
        | GenerateError::Sample(_) => ApiError::new(ErrorKind::Invalid, text),
        GenerateError::Step(_) => {
            tracing::error!(%error, "a step failed");
            ApiError::new(ErrorKind::Internal, text)
        }
        GenerateError::Cancelled | GenerateError::Stopped => {
            ApiError::new(ErrorKind::Unavailable, text).code("stopped")
        }
    }
}
