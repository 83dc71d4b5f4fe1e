//! Why a plugin file is refused, and why a kernel cannot be selected.

use std::io;
use std::path::PathBuf;

use tritone_abi::host::HeaderError;

/// Why a plugin was not taken into the registry. The text says what to do where something can be
/// done. Text from the file system and from plugins is escaped, so that it can go to a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedReason {
    /// The operating system said no.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A symbolic link whose target does not exist.
    #[error("dangling symbolic link to {target:?}")]
    DanglingLink {
        /// What the link says.
        target: PathBuf,
    },
    /// A directory, socket or device.
    #[error("not a regular file but a {0}")]
    NotAFile(&'static str),
    /// Somebody else could exchange the plugin.
    #[error(
        "{path:?} can be written by {who} (mode {mode:03o}); if you trust it, run `chmod go-w` on it"
    )]
    Writable {
        /// The file, or its directory.
        path: PathBuf,
        /// `others`, or `its group`.
        who: &'static str,
        /// Permission bits.
        mode: u32,
    },
    /// The file or its directory belongs to somebody else.
    #[error("{path:?} belongs to user {owner}, not to you (user {user}) or root")]
    ForeignOwner {
        /// The file, or its directory.
        path: PathBuf,
        /// Owner's user id.
        owner: u32,
        /// Effective user id of this process.
        user: u32,
    },
    /// The file is longer than [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
    #[error("{bytes} bytes long, a plugin has at most {limit}")]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file starts like no binary at all.
    #[error("not a shared library")]
    NotALibrary,
    /// A binary of another platform, or not a library.
    #[error("not a shared library of this platform: expected {expected}, found {found}")]
    WrongFormat {
        /// What the file is.
        found: String,
        /// What this program opens.
        expected: String,
    },
    /// Built for another processor.
    #[error("built for another processor: expected {expected}, found {found}")]
    WrongArchitecture {
        /// Processor the file is for.
        found: String,
        /// Processor of this program.
        expected: String,
    },
    /// The file contradicts itself or is cut off.
    #[error("damaged or truncated shared library: {0}")]
    Damaged(String),
    /// A library, but not a kernel plugin.
    #[error("exports no data symbol `tritone_kernel_*`; is it a kernel plugin?")]
    NoSymbol,
    /// More than one kernel in one file.
    #[error("exports several kernels ({}), expected one", .0.join(", "))]
    ManySymbols(Vec<String>),
    /// The symbol does not lead to a whole table in the file's data.
    #[error("symbol `{symbol}` is no kernel table: {problem}")]
    NoTable {
        /// Name of the symbol.
        symbol: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The table's header, or its functions, break a rule of the ABI.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The table is exported under another kernel's name.
    #[error("the table says its name is `{name}`, but it is exported as `{symbol}`")]
    NameMismatch {
        /// Name in the header.
        name: String,
        /// Name of the symbol.
        symbol: String,
    },
    /// No operation that this program knows.
    #[error("implements no operation that this version knows")]
    NoOperation,
    /// The dynamic linker refused the library.
    #[error("cannot be opened: {0}")]
    Open(String),
    /// The library in memory is not the file that was checked.
    #[error("changed while in use; restart the program to take the new file")]
    Changed,
}

/// Why a kernel cannot be handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// Nobody has heard of this name.
    #[error("no kernel is called {name:?}; available: {}", list(.available))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that would work, best first.
        available: Vec<String>,
    },
    /// The kernel is there but cannot run on this machine.
    #[error("kernel `{name}` cannot run here: {reason}; available: {}", list(.available))]
    CannotRun {
        /// The name asked for.
        name: String,
        /// The kernel's own words.
        reason: String,
        /// Names that would work, best first.
        available: Vec<String>,
    },
    /// The kernel was switched off by [`Options::disable`](crate::Options::disable).
    #[error("kernel `{name}` is disabled; remove it from the list of disabled kernels to use it")]
    Disabled {
        /// The name asked for.
        name: String,
    },
    /// A plugin of this name was found and refused.
    #[error("kernel `{name}` was refused: {path:?}: {reason}")]
    Refused {
        /// The name asked for.
        name: String,
        /// The plugin.
        path: PathBuf,
        /// Text of the [`RefusedReason`].
        reason: String,
    },
    /// Nothing can run.
    #[error("no kernel can run here: {}", list(.reasons))]
    Nothing {
        /// One sentence for each kernel and each refused plugin.
        reasons: Vec<String>,
    },
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        "none was found".to_owned()
    } else {
        items.join(", ")
    }
}
