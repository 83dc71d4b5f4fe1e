//! Strategies that run other people's programs: the real guard, real processes, servers that misbehave.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod harness;
mod life;
mod quirks;
mod transformers;
