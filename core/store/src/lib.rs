//! Conversations with branches, kept in SQLite: autosave, search, export.
#![forbid(unsafe_code)]
