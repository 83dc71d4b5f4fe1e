//! A small typed client for OpenAI-compatible servers: chat and completions, whole or streamed, and what
//! Tritone's own server says about itself. For the terminal's attach mode, for `tritone load` and for tests.
#![forbid(unsafe_code)]
