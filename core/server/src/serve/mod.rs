//! The server itself: connections, routes, the way of a request, and the life of it all.
//!
//! [`Server::start`] listens at once, so that supervisors can ask; [`Server::ready`] hands it the model;
//! [`Server::drain`] ends it in order.

mod action;
mod app;
mod body;
mod charge;
mod control;
mod listener;
mod local;
mod monitor;
mod pass;
mod phase;
mod process;
mod record;
mod request_id;
mod route;
mod server;
mod stream;
mod watched;

pub use app::{Config, Live};
pub use control::{Control, KernelEntry};
pub use local::{Local, LocalReply};
pub use phase::Phase;
pub use route::{Action, ROUTES, Route, Verb};
pub use server::Server;
pub use tritone_probe::{Bounds, Watch};
