//! Deployment profiles: how much of the machine to use, what for, and where each value came from.
//!
//! A [`Profile`] is put together from layers, each overriding the one before: a preset, profiles of
//! the user's own that stand on it (and on each other), the user's file, the project's file, the
//! environment, and flags of the command line. [`resolve`] does so and keeps, for every value, its
//! [`Origin`] and what it replaced. [`select`] picks a preset for a [`Situation`] when nobody named
//! one, and explains itself.
//!
//! Profiles are TOML; [`KEYS`] lists every setting with its range, its environment variable and what
//! it is for; [`json_schema`] is made of it. Any input that is not a profile is refused with all its
//! mistakes: the line, what was found and what is possible.
//!
//! ```
//! use tritone_profile::{Layers, resolve};
//!
//! let resolved = resolve(Some("edge"), &Layers::none().with_flag("--threads", "threads", "6"))?;
//! assert_eq!(resolved.profile().threads, 6);
//! assert_eq!(resolved.profile().memory_mb, 1024);
//! let threads = &resolved.origin_of("threads").unwrap();
//! assert_eq!(threads.origin.to_string(), "flag --threads");
//! # Ok::<(), tritone_profile::ProfileError>(())
//! ```
#![forbid(unsafe_code)]

mod advice;
mod bottom;
mod change;
mod error;
mod json;
mod keys;
mod mistake;
mod nearest;
mod origin;
mod parse;
mod preset;
mod resolve;
mod schema;
mod select;
mod source;
mod stack;
mod user;
mod write;

pub use change::{Change, changes};
pub use error::{Mistakes, ProfileError, WrongValue};
pub use json::json_schema;
pub use keys::{Applies, KEYS, Key, Kind};
pub use mistake::{Mistake, harmless};
pub use nearest::nearest;
pub use origin::{FileKind, Origin};
pub use preset::{DEFAULT_PRESET, PRESETS, Preset};
pub use resolve::{AUTO, Entry, FlagSetting, Layers, Resolved, check, check_text, resolve};
pub use schema::{Admission, Alerts, Head, KvType, Monitor, Priority, Profile, default_batch};
pub use select::{Battery, Fact, Selection, Situation, Vectors, select};
pub use source::{
    MAX_FILE_BYTES, process_environment, profiles_dir_path, project_file_path, user_file_path,
};
pub use user::{UserProfile, name_fault, user_profiles};
