//! What can go wrong, in sentences for people.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::session::SessionId;
use crate::tree::TreeError;

/// Why something was not stored or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer version of the program.
    #[error(
        "{path} has format {found}, but this version of the program knows formats up to {known}: \
         use the newer version (nothing was changed)"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is not what it should be.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The file or its directory cannot be written.
    #[error("{path} cannot be written: it, its directory or the file system is read-only")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There is no room.
    #[error("there is no room left on the disk for {path}")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another process kept the file locked for too long.
    #[error("{path} is being written by another process; try again")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A directory or file could not be made or read.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Anything else that SQLite says.
    #[error("{path}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// There is no such session.
    #[error("there is no session '{0}'; `tritone sessions list` shows what there is")]
    NoSession(String),
    /// Several sessions could be meant.
    #[error("'{wanted}' could be any of these sessions, name one by its number:{list}")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The candidates, a line each.
        list: String,
    },
    /// Another process holds the session.
    #[error("session {id} is open in another process{}", by(*.process))]
    OpenElsewhere {
        /// The session.
        id: SessionId,
        /// The process, if it is known.
        process: Option<u32>,
    },
    /// A change of a conversation makes no sense.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A title, tag or imported text is not acceptable.
    #[error("{0}")]
    Refused(String),
}

fn by(process: Option<u32>) -> String {
    process.map(|id| format!(" ({id})")).unwrap_or_default()
}

impl StoreError {
    /// What SQLite said about the file at `path`.
    pub(crate) fn sql(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let code = source.sqlite_error_code();
        match code {
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged {
                path,
                why: source.to_string(),
            },
            _ => Self::Sql { path, source },
        }
    }
}
