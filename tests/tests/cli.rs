//! The command line, as a script meets it: the real binary, its streams and its exit codes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/answers.rs"]
mod answers;
#[path = "cli/batch.rs"]
mod batch;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/convert.rs"]
mod convert;
#[path = "cli/direct.rs"]
mod direct;
#[path = "cli/directories.rs"]
mod directories;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/embed.rs"]
mod embed;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/failures.rs"]
mod failures;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/health.rs"]
mod health;
#[path = "cli/hub.rs"]
mod hub;
#[path = "cli/inspect.rs"]
mod inspect;
#[path = "cli/kernels.rs"]
mod kernels;
#[path = "cli/limits.rs"]
mod limits;
#[path = "cli/logging.rs"]
mod logging;
#[path = "cli/memory.rs"]
mod memory;
#[path = "cli/models.rs"]
mod models;
#[path = "cli/monitor.rs"]
mod monitor;
#[path = "cli/plain.rs"]
mod plain;
#[path = "cli/profile.rs"]
mod profile;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/pull.rs"]
mod pull;
#[path = "cli/safetensors.rs"]
mod safetensors;
#[path = "cli/sessions.rs"]
mod sessions;
#[path = "cli/shells.rs"]
mod shells;
#[path = "cli/split.rs"]
mod split;
#[path = "cli/strategies.rs"]
mod strategies;
#[path = "cli/tune.rs"]
mod tune;
