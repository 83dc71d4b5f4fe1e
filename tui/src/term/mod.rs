//! The terminal: its modes, its input, its signals, and the loop that ties them to the state.
//!
//! Only this module touches the terminal. [`run`] takes the screen, loads the model while the
//! input is already open, and gives the terminal back on every way out.

mod background;
mod clipboard;
mod effects;
mod escaped;
mod frames;
mod guard;
mod highlight;
mod inline;
mod input;
mod journal;
mod manners;
mod panics;
pub(crate) mod sampler;
mod session;
mod signals;
pub(crate) mod steady;

pub use manners::{Clipboard, Manners, Screen, Theme};

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tritone_engine::sample::Sampling;
use tritone_machine::Machine;

use crate::app::host::Host;
use crate::app::keymap::Keymap;
use crate::app::state::Setting;
use crate::keep::Start;
pub use tritone_probe::Watch;

use crate::view::theme::{Background, Look};

/// What a session in the terminal begins with.
pub struct Setup {
    /// Name of the profile, for the status.
    pub profile: String,
    /// The machine, for the status: how many CPUs there are and how many may be used.
    pub machine: Machine,
    /// How tokens are chosen at first.
    pub sampling: Sampling,
    /// The system prompt at first.
    pub system: Option<String>,
    /// Most tokens of an answer; `None` for what fits.
    pub max_tokens: Option<usize>,
    /// Whether colours may be used; see [`color_wanted`].
    pub color: bool,
    /// How to behave at the terminal.
    pub manners: Manners,
    /// The keys in force.
    pub(crate) keymap: Keymap,
    /// The person's own ways to choose tokens, by name.
    pub presets: Vec<(String, Sampling)>,
    /// What the user should know from the start, such as a thread count that was lowered.
    pub notes: Vec<String>,
    /// How often and where to what is measured.
    pub monitor: Watch,
    /// Where what is said is kept; `None` if it is not.
    pub keep: Option<Start>,
    /// Begin with the earlier sessions on the screen.
    pub browse: bool,
    /// Loads models.
    pub host: Arc<dyn Host>,
}

impl Setup {
    fn setting(&self) -> Setting {
        let machine = &self.machine;
        let limit = if machine.usable_threads < machine.allowed_cpus {
            Some("quota")
        } else if machine.allowed_cpus < machine.logical_cpus {
            Some("cpuset")
        } else {
            None
        };
        Setting {
            profile: self.profile.clone(),
            cpus: machine.logical_cpus,
            usable: machine.usable_threads,
            limit,
            max_tokens: self.max_tokens,
            keymap: self.keymap.clone(),
            vi: self.manners.vi,
            animations: self.manners.animations,
            presets: self.presets.clone(),
            look: Look {
                color: self.color,
                background: match self.manners.theme {
                    Theme::Dark => Background::Dark,
                    Theme::Light => Background::Light,
                    Theme::Auto => {
                        background::from_environment(&tritone_profile::process_environment)
                    }
                    Theme::None => Background::Unknown,
                },
                ascii: self.manners.ascii,
            },
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user left.
    Quit,
    /// This signal ended it.
    Signal(i32),
}

impl Outcome {
    /// The exit status that says so: 0, or 128 and the number of the signal.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Quit => 0,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        }
    }
}

/// Why a session could not be held or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum TermError {
    /// Input or output is a file or a pipe.
    #[error("the chat needs a terminal, but {0} is not one")]
    NotATerminal(&'static str),
    /// The user left a session that never had a model.
    #[error("{0}")]
    Load(String),
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Io(#[from] io::Error),
}

/// Whether the environment wants colours: `NO_COLOR` is not set to anything, `TERM` is not `dumb`.
#[must_use]
pub fn color_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Holds a session and returns how it ended, with the terminal as it was before.
///
/// Must not be called from within an asynchronous runtime; it brings its own.
///
/// # Errors
/// If standard input or output is not a terminal, the terminal fails, or the user left because
/// the model could not be loaded.
pub fn run(setup: Setup) -> Result<Outcome, TermError> {
    if !io::stdin().is_terminal() {
        return Err(TermError::NotATerminal("standard input"));
    }
    if !io::stdout().is_terminal() {
        return Err(TermError::NotATerminal("standard output"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(session::hold(setup));
    // Threads that still wait for the engine are not waited for.
    runtime.shutdown_background();
    outcome
}
