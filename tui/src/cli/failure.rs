//! Errors as the user sees them, and the exit codes.

use std::io;
use std::process::ExitCode;

use tritone_engine::{GenerateError, LoadError};
use tritone_loader::SelectError;
use tritone_profile::ProfileError;
use tritone_strategy::{Fault, NoneRuns, StrategyError};

use super::console::Console;
use super::profile;

/// Something failed, or a check found a fault.
pub(crate) const FAILED: u8 = 1;
/// Wrong arguments or settings; clap uses the same number.
pub(crate) const USAGE: u8 = 2;
/// The model cannot be loaded.
pub(crate) const MODEL: u8 = 3;
/// The request is not possible.
pub(crate) const REQUEST: u8 = 4;
/// A check of the model's health failed.
pub(crate) const UNHEALTHY: u8 = 5;
/// What the command needs is not to be had, such as a port (`EX_UNAVAILABLE` of sysexits.h).
pub(crate) const UNAVAILABLE: u8 = 69;
/// The configuration has to be changed first (`EX_CONFIG` of sysexits.h); a supervisor need not try again.
pub(crate) const CONFIG: u8 = 78;
/// Cancelled: 128 and the number of SIGINT, as shells have it.
pub(crate) const CANCELLED: u8 = 130;

/// Wrong arguments, beyond what clap finds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A request that cannot be carried out, beyond what the engine finds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadRequest(pub(crate) String);

/// Something the command needs and cannot have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadConfig(pub(crate) String);

/// Prints `error` and says how the program ends. A reader who left is no error: what it did not
/// want is not missing.
pub(crate) fn report(error: &anyhow::Error, console: &Console) -> ExitCode {
    let Some(code) = exit_code(error) else {
        return ExitCode::SUCCESS;
    };
    let profile = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<ProfileError>());
    match profile {
        Some(profile) => profile::report(profile, console),
        None => console.error(&message(error)),
    }
    ExitCode::from(code)
}

/// The exit code for an error; `None` for a reader who left.
fn exit_code(error: &anyhow::Error) -> Option<u8> {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<LoadError>() {
            let cancelled = matches!(error, LoadError::Cancelled);
            return Some(if cancelled { CANCELLED } else { MODEL });
        }
        if let Some(error) = cause.downcast_ref::<GenerateError>() {
            return Some(match error {
                GenerateError::Cancelled => CANCELLED,
                GenerateError::Step(_) | GenerateError::Stopped => FAILED,
                _ => REQUEST,
            });
        }
        if let Some(error) = cause.downcast_ref::<StrategyError>() {
            return Some(match error.fault {
                Fault::Cancelled => CANCELLED,
                Fault::Model | Fault::Memory => MODEL,
                Fault::Refused | Fault::Unsupported => REQUEST,
                Fault::NotDeployed | Fault::Other => FAILED,
                _ => UNAVAILABLE,
            });
        }
        if let Some(none) = cause.downcast_ref::<NoneRuns>() {
            return Some(if none.cancelled {
                CANCELLED
            } else {
                UNAVAILABLE
            });
        }
        if cause.is::<Usage>() || cause.is::<ProfileError>() || cause.is::<SelectError>() {
            return Some(USAGE);
        }
        if cause.is::<BadRequest>() {
            return Some(REQUEST);
        }
        if cause.is::<Unavailable>() {
            return Some(UNAVAILABLE);
        }
        if cause.is::<BadConfig>() {
            return Some(CONFIG);
        }
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return None;
        }
    }
    Some(FAILED)
}

/// The error and its causes in one line; causes that an outer message already quotes are left out.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn codes_follow_the_cause_through_any_context() {
        let code = |error: anyhow::Error| exit_code(&error.context("while doing it"));
        assert_eq!(code(anyhow::anyhow!("odd")), Some(FAILED));
        assert_eq!(code(Usage("--x".to_owned()).into()), Some(USAGE));
        assert_eq!(
            code(
                SelectError::Disabled {
                    name: "a".to_owned()
                }
                .into()
            ),
            Some(USAGE)
        );
        assert_eq!(code(LoadError::Cancelled.into()), Some(CANCELLED));
        let open = LoadError::Open {
            path: "m".into(),
            source: io::ErrorKind::NotFound.into(),
        };
        assert_eq!(code(open.into()), Some(MODEL));
        assert_eq!(code(GenerateError::EmptyPrompt.into()), Some(REQUEST));
        assert_eq!(code(GenerateError::Stopped.into()), Some(FAILED));
        assert_eq!(code(GenerateError::Cancelled.into()), Some(CANCELLED));
        assert_eq!(code(BadRequest("no".to_owned()).into()), Some(REQUEST));
        assert_eq!(code(Unavailable("no".to_owned()).into()), Some(UNAVAILABLE));
        assert_eq!(code(BadConfig("no".to_owned()).into()), Some(CONFIG));
        let strategy = |fault| code(StrategyError::new(fault, "no").into());
        assert_eq!(strategy(Fault::Unreachable), Some(UNAVAILABLE));
        assert_eq!(strategy(Fault::Model), Some(MODEL));
        assert_eq!(strategy(Fault::Cancelled), Some(CANCELLED));
        assert_eq!(
            code(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            None
        );
        assert_eq!(
            code(io::Error::from(io::ErrorKind::NotFound).into()),
            Some(FAILED)
        );
    }

    #[test]
    fn causes_are_named_once() {
        let inner = io::Error::other("disk on fire");
        let error = Err::<(), _>(inner).context("cannot write x").unwrap_err();
        assert_eq!(message(&error), "cannot write x: disk on fire");
        let quoting = LoadError::Open {
            path: "m".into(),
            source: io::Error::other("gone"),
        };
        assert_eq!(message(&quoting.into()), "cannot open model m: gone");
    }
}
