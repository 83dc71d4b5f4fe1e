//! Lets the loader loose on broken plugins, and on files that are none.
#![allow(
    unsafe_code,
    reason = "the built-in kernel of these tests exports a table"
)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod base;
mod cage;
mod files;
mod mutations;
mod plugins;
