//! Finds, checks, opens, scores and keeps kernel plugins.
//!
//! A plugin is a shared library that exports one [`KernelTable`](tritone_abi::table::KernelTable).
//! [`Registry::discover`] puts the kernels that are linked in and those in plugin files side by
//! side, says what each can do on this processor, and hands out the best one:
//!
//! ```
//! use tritone_loader::{Options, Registry, Search};
//!
//! let registry = Registry::discover(&[], &Search::default(), &Options::default());
//! // No built-in kernel and no directory to search: the reason is a sentence for people.
//! assert!(registry.best().is_err());
//! ```
//!
//! # What a plugin file must be
//!
//! Opening a library runs its initialisers, so everything that can be known without opening is
//! checked first, and a file that fails is listed in [`Registry::refused`] with the reason:
//!
//! 1. it lies in one of the directories of [`Search`] and is called `libtritone_*.so`;
//! 2. it, the directory it was found in and the directory it really lies in belong to the current
//!    user or to root, and nobody else can write them;
//! 3. it is a regular file of at most [`MAX_FILE_BYTES`];
//! 4. it is a complete shared library for this machine with one data symbol `tritone_kernel_*`;
//! 5. the table's header, read out of the file, passes
//!    [`check_header`](tritone_abi::host::check_header), and its name is the symbol's.
//!
//! The file is opened once: all checks and, on Linux, the dynamic linker work on that one open
//! file, so it cannot be exchanged in between. Elsewhere the linker is given the resolved path,
//! which only the user and root can change (rule 2).
//!
//! These rules stop accidents and other users of the machine. They do not stop the owner of the
//! directory, whose code runs with the program's rights as soon as the plugin is opened.
//!
//! # Never unload
//!
//! An opened library stays open until the process ends; a kernel is therefore valid for ever, and
//! the engine switches kernels by swapping an `Arc`. A second [`Registry::discover`] finds the
//! library that is already open instead of opening the file again.

mod file;
mod inspect;
mod layered;
mod open;
mod options;
mod reason;
mod registry;
mod search;
mod settle;
#[cfg(test)]
mod testing;

pub use file::MAX_FILE_BYTES;
pub use inspect::{Inspected, inspect_file};
pub use layered::Layered;
pub use options::{DISABLE_VARIABLE, Options};
pub use reason::{RefusedReason, SelectError};
pub use registry::{Found, Origin, Refused, Registry, State};
pub use search::Search;
