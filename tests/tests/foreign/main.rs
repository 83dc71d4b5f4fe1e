//! Real servers of other people, driven through their strategies: what `tests/strategies/run` has installed.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::print_stdout,
    reason = "what was measured is for whoever runs it"
)]

mod harness;
mod llama;
mod server;
mod transformers;
