//! Answers that have to keep to a form, such as JSON of a schema.
//!
//! The engine asks before every token what may come next, and tells what came. What a form is, and how it
//! is worked out, is not the engine's business.

use std::fmt::Debug;

use crate::sample::TokenMask;

/// A form that answers can be held to. Every answer begins its own [`Constraint`].
pub trait Grammar: Debug + Send + Sync {
    /// The form at the beginning of an answer.
    ///
    /// # Errors
    /// When it cannot be worked out; the request then fails.
    fn start(&self) -> Result<Box<dyn Constraint>, String>;
}

/// How far an answer has come in its form. Called on the engine's thread, between two steps: everybody else
/// waits as long as it takes.
///
/// What it says decides the answer together with the logits, so it must depend on the tokens taken alone.
pub trait Constraint: Send {
    /// Adds the tokens that may come next to an empty mask. Tokens that end an answer are the engine's own
    /// affair.
    ///
    /// # Errors
    /// When the form cannot be worked out any further; the request then fails.
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), String>;

    /// Takes the token that was chosen.
    ///
    /// # Errors
    /// As for [`allow`](Self::allow).
    fn take(&mut self, token: u32) -> Result<(), String>;

    /// Whether the answer may end here. If nothing else may come, it does.
    fn may_end(&mut self) -> bool;
}
