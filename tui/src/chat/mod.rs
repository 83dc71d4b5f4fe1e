//! The conversation as text on a grid: glyphs, wrapping, transcript, composer.
//!
//! Nothing here knows a terminal or the engine. All text is kept as it came; what a terminal must
//! not get (control characters, line breaks) is translated when it is measured and drawn, by
//! [`glyph`].

mod body;
pub(crate) mod composer;
mod entries;
pub(crate) mod find;
pub(crate) mod glyph;
pub(crate) mod markdown;
pub(crate) mod transcript;
pub(crate) mod wrap;
