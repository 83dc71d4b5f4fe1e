//! The server, as a client meets it: the real program, real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod connections;
mod harness;
mod life;
mod routes;
