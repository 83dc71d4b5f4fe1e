//! Opening the file: created private, brought up to date, set aside when it is damaged.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::clock;
use crate::error::StoreError;
use crate::schema;

/// How long a change waits for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Files up to this size are read through for damage when they are opened; larger ones would take
/// a noticeable time.
const CHECKED_BYTES: u64 = 32 << 20;

/// What the file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing.
    Write,
    /// Reading only: it, its directory or the file system cannot be written.
    Read,
}

/// The sessions of a user, in one SQLite file.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    access: Access,
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What the user should know, such as that a damaged file was set aside.
    pub notices: Vec<String>,
}

impl Store {
    /// Opens the file at `path` to read and write, and creates it, for this user alone, if it is not
    /// there. A file that is damaged is kept under another name, and a new one begun.
    ///
    /// # Errors
    /// When the file cannot be made, read or written, or is of a newer version.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        create(path)?;
        let mut notices = Vec::new();
        let store = match Self::prepared(path) {
            Err(StoreError::Damaged { why, .. }) => {
                notices.extend(set_aside(path, &why)?);
                create(path)?;
                Self::prepared(path)?
            }
            other => other?,
        };
        Ok(Opened { store, notices })
    }

    /// Opens the file to read and, where that is possible, to write. `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or is of a newer version.
    pub fn open_existing(path: &Path) -> Result<Option<Opened>, StoreError> {
        if !path.try_exists().unwrap_or(true) {
            return Ok(None);
        }
        match Self::open(path) {
            Err(StoreError::ReadOnly { .. }) => {}
            other => return other.map(Some),
        }
        // Beside a file that is open elsewhere SQLite wants to write down who reads. Where nothing can be
        // written nobody else writes either, and the file is read as it stands.
        let plain = path.to_string_lossy().into_owned();
        let escaped = plain
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        let standing = format!("file:{escaped}?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let ways = [
            (plain, flags),
            (standing, flags | OpenFlags::SQLITE_OPEN_URI),
        ];
        let mut last = None;
        for (name, flags) in ways {
            let opened = Connection::open_with_flags(&name, flags)
                .and_then(|connection| Ok((schema::version(&connection)?, connection)));
            match opened {
                Ok((version, connection)) if version == schema::newest() => {
                    connection
                        .busy_timeout(PATIENCE)
                        .map_err(|error| StoreError::sql(path, error))?;
                    let store = Self {
                        connection,
                        path: path.to_owned(),
                        access: Access::Read,
                    };
                    let notice = format!("{} can be read only", path.display());
                    return Ok(Some(Opened {
                        store,
                        notices: vec![notice],
                    }));
                }
                Ok((version, _)) => last = Some(unsuitable(path, version)),
                Err(error) => last = Some(StoreError::sql(path, error)),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::ReadOnly {
            path: path.to_owned(),
        }))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file may be used for.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Turns what SQLite says into our words.
    pub(crate) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::sql(&self.path, error))
    }

    fn prepared(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = |error| StoreError::sql(path, error);
        let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
        connection.busy_timeout(PATIENCE).map_err(sql)?;
        let version = schema::version(&connection).map_err(sql)?;
        if version > schema::newest() || version < 0 {
            return Err(unsuitable(path, version));
        }
        let small = fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES);
        check(&connection, path, small && version > 0)?;
        // Readers and a writer at the same time, and no wait for the disk at every change: a process that
        // is killed loses nothing, a machine without power the last moments.
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .map_err(sql)?;
        connection
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(sql)?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(sql)?;
        schema::migrate(&mut connection).map_err(sql)?;
        // A file that cannot be written is found out now, not at the first message.
        connection
            .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .map_err(sql)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            access: Access::Write,
        })
    }
}

fn unsuitable(path: &Path, found: i64) -> StoreError {
    let path = path.to_owned();
    if found < 0 {
        let why = format!("it says that its format is {found}");
        return StoreError::Damaged { path, why };
    }
    StoreError::Newer {
        path,
        found,
        known: schema::newest(),
    }
}

/// Finds damage: a file that is none of ours always, a broken page if the file is to be read through.
fn check(connection: &Connection, path: &Path, thoroughly: bool) -> Result<(), StoreError> {
    let sql = |error| StoreError::sql(path, error);
    let damaged = |why| StoreError::Damaged {
        path: path.to_owned(),
        why,
    };
    let version = schema::version(connection).map_err(sql)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql)?;
    if (version == 0) != (tables == 0) {
        // Or another process is making the tables just now.
        let again: i64 = schema::version(connection).map_err(sql)?;
        if again == version {
            return Err(damaged("it holds something else than sessions".to_owned()));
        }
    }
    if thoroughly {
        let found: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(sql)?;
        if found != "ok" {
            return Err(damaged(found));
        }
    }
    Ok(())
}

/// Makes the directory and the file, both for this user alone.
fn create(path: &Path) -> Result<(), StoreError> {
    if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
        private_directory(directory)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|source| failed("open", path, source))
}

/// Makes a directory that only this user can enter, unless it is there.
pub(crate) fn private_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|source| failed("make the directory", path, source))
}

pub(crate) fn failed(what: &'static str, path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { path }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
        _ => StoreError::Io { what, path, source },
    }
}

/// Gives a damaged file another name, with what SQLite keeps beside it, and says so; nothing if another
/// process was faster.
fn set_aside(path: &Path, why: &str) -> Result<Option<String>, StoreError> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let lock = beside(".repair");
    let guard = File::create(&lock).map_err(|source| failed("make", &lock, source))?;
    // Where files cannot be locked, two that find the damage at the same moment are on their own.
    let _ = guard.lock();
    let still = matches!(Store::prepared(path), Err(StoreError::Damaged { .. }));
    let mut notice = None;
    if still {
        let stamp = clock::now();
        for end in ["", "-wal", "-shm"] {
            let (from, to) = (beside(end), beside(&format!(".damaged-{stamp}{end}")));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !end.is_empty() => {}
                other => other.map_err(|source| failed("rename", &from, source))?,
            }
        }
        let kept = beside(&format!(".damaged-{stamp}"));
        notice = Some(format!(
            "{} is damaged ({why}); it is kept as {}, and a new one is begun",
            path.display(),
            kept.display()
        ));
    }
    let _ = fs::remove_file(&lock);
    Ok(notice)
}
