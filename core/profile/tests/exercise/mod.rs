//! One input for the reader of profiles, for the fuzz target and the replay of its corpus.

use std::path::Path;

use tritone_profile::{Layers, check_text};

/// Reads a profile; `Err` is why it is refused, as it is shown.
pub(crate) fn exercise(input: &[u8]) -> Result<(), String> {
    let refused = match check_text(Path::new("fuzz.toml"), input, &Layers::none()) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    // The text with the line at fault is made from the input, too.
    let shown = format!("{refused}\n{refused:?}");
    assert!(!shown.trim().is_empty());
    Err(shown)
}
