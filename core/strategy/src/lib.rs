//! Deployment strategies: ways to run a model behind one trait, [`Strategy`].
//!
//! [`Native`] runs it with the engine of this process; [`BitnetCpp`] and [`Transformers`] start other programs, which a
//! [`Guard`] ends with this one; [`Remote`] asks a server that speaks OpenAI's API. All
//! answer the same [`Request`](tritone_engine::Request) with the same stream of
//! [`Event`](tritone_engine::Event)s, so that whoever shows an answer need not know who wrote it, and all are tried with
//! the same [trial](Trial), so that they can be compared.
//!
//! Calls block; none may be made from within an asynchronous runtime. What has to speak to a server does so on a
//! runtime of its own.
#![forbid(unsafe_code)]

mod answer;
pub mod bitnet_cpp;
mod capability;
mod child;
mod config;
mod deployment;
mod environment;
mod error;
mod health;
mod ledger;
mod manager;
mod native;
mod registry;
mod remote;
mod runtime;
mod strategy;
pub mod transformers;
mod trial;

pub use answer::{Answer, UNKNOWN_TOKEN};
pub use bitnet_cpp::BitnetCpp;
pub use capability::Capabilities;
pub use child::{Guard, guard_child};
pub use config::{Config, KeyPlace, ORDER, Server};
pub use deployment::{Deployed, Deployment, ModelRef};
pub use environment::{Environment, Finding};
pub use error::{Fault, StrategyError};
pub use health::{Health, State};
pub use ledger::Performance;
pub use manager::{Manager, NoneRuns, Rejected, Running, Selection, deploy_one};
pub use native::{Loader, Native};
pub use registry::{Entry, Kind, Registry};
pub use remote::{Dialect, Endpoint, Remote};
pub use strategy::Strategy;
pub use transformers::Transformers;
pub use trial::{Trial, Tried};
