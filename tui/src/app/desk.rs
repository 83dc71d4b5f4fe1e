//! What the screen wants of files: what was sent before, texts to attach, names of files, system
//! prompts. Each question is answered by a [`Told`] of its own.

use crate::chat::composer::draft::Draft;

/// Something to be done with files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Keep what was sent.
    Remember(Draft),
    /// Read the file of this path to attach it; it comes in place of `typed`, if that still stands
    /// in the input.
    Attach {
        /// The path as it was written.
        path: String,
        /// What the chip replaces, if anything.
        typed: Option<String>,
    },
    /// Names of files whose path begins like this.
    Paths(String),
    /// The system prompts that were saved.
    Prompts,
    /// Use this system prompt.
    LoadPrompt(String),
    /// Save a system prompt.
    SavePrompt {
        /// Its name.
        name: String,
        /// What it says.
        text: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What earlier sessions sent, oldest first.
    History(Vec<Draft>),
    /// A file, or why it cannot be attached.
    Attached {
        /// What the chip replaces, if anything.
        typed: Option<String>,
        /// The name for the model, and the content.
        result: Result<(String, String), String>,
    },
    /// Paths that begin with `typed`; directories end with a slash.
    Paths {
        /// What was asked for.
        typed: String,
        /// The paths, in order.
        found: Vec<String>,
    },
    /// Names of the system prompts that were saved, and the beginning of each.
    Prompts(Vec<(String, String)>),
    /// A system prompt and its name, or why there is none.
    Prompt(Result<(String, String), String>),
    /// A system prompt is saved: where, or why not.
    Saved(Result<String, String>),
    /// Something does not work that nobody asked for just now.
    Trouble(String),
}
