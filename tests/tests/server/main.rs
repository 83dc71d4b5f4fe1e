//! The server, as a client meets it: the real program, real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod attach;
mod cancel;
mod connections;
mod content;
mod harness;
#[cfg(target_os = "linux")]
mod hostile;
mod keys;
mod life;
mod log;
mod monitor;
mod routes;
#[cfg(target_os = "linux")]
mod secrets;
mod together;
