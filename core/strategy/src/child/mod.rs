//! Servers that are programs: started, watched, started again when they end by themselves, and never left behind.
//!
//! A program gets a free port of this machine, a random key in its environment, an environment without anything that is
//! not its business, and a process group of its own, led by a [`Guard`] that ends it when this process is gone.

mod contact;
mod group;
mod guard;
mod hosted;
mod launch;
mod log;
mod patience;
mod plan;
mod process;
mod program;
mod server;

use std::time::Duration;

pub use guard::{Guard, guard_child};
pub(crate) use hosted::{Card, Hosted};
pub(crate) use launch::Launch;
pub(crate) use log::Log;
pub(crate) use plan::{Plan, of_command};
pub(crate) use program::{asked, find};

/// How long programs have to end by themselves when they are asked to.
const GRACE: Duration = Duration::from_secs(2);
