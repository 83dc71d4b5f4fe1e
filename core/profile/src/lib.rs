//! Deployment profiles: how much of the machine to use, what for, and where each value came from.
//!
//! A [`Profile`] is put together from layers, each overriding the one before: a preset (or a profile
//! file on top of a preset), the user's file, the project's file, the environment, and flags of the
//! command line. [`resolve`] does so and keeps, for every value, its [`Origin`] and what it
//! replaced. [`auto_select`] picks a preset for a machine when nobody named one.
//!
//! Profiles are TOML; [`KEYS`] lists every setting with its range and its environment variable.
//! Any input that is not a profile is refused with the line, what was found and what is possible.
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

mod error;
mod keys;
mod nearest;
mod origin;
mod parse;
mod preset;
mod resolve;
mod schema;
mod source;
mod stack;

pub use error::ProfileError;
pub use keys::{KEYS, Key, Kind};
pub use nearest::nearest;
pub use origin::{FileKind, Origin};
pub use preset::{DEFAULT_PRESET, PRESETS, Preset, auto_select};
pub use resolve::{Entry, FlagSetting, Layers, Resolved, resolve};
pub use schema::{Admission, Alerts, Head, KvType, Priority, Profile, default_batch};
pub use source::{MAX_FILE_BYTES, process_environment, project_file_path, user_file_path};
