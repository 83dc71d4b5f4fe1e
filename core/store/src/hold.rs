//! Who holds a session: one process at a time.
//!
//! A lock on a file says so, not a row with a time in it: the system lets go of it the moment its owner
//! dies, so that an answer that was cut off can be gone on with at once, and keeps it while the owner is
//! stopped with Ctrl+Z, however long.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::StoreError;
use crate::open::{Store, failed, private_directory};
use crate::session::SessionId;

/// The directory of the locks, beside the store.
const DIRECTORY: &str = "open";

/// A session that no other process can hold; let go when it is dropped.
#[derive(Debug)]
pub struct Held {
    id: SessionId,
    path: PathBuf,
    // Closed last.
    _file: File,
}

impl Held {
    /// The session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is still locked: whoever opened it meanwhile sees that it is no longer there.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Holds a session: as long as the result lives, no other process can.
    ///
    /// # Errors
    /// When another one does, or the lock cannot be made.
    pub fn hold(&self, id: SessionId) -> Result<Held, StoreError> {
        let directory = self.path.with_file_name(DIRECTORY);
        private_directory(&directory)?;
        let path = directory.join(id.to_string());
        let mut tries = 0;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options
                .open(&path)
                .map_err(|source| failed("open", &path, source))?;
            match file.try_lock() {
                // Perhaps somebody only looks whether it is held.
                Err(TryLockError::WouldBlock) if tries < 3 => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let _ = file.take(32).read_to_string(&mut text);
                    return Err(StoreError::OpenElsewhere {
                        id,
                        process: text.trim().parse().ok(),
                    });
                }
                // File systems without locks protect nobody, and stop nobody.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if is_there(&file, &path) {
                let _ = file.set_len(0);
                let _ = write!(file, "{}", std::process::id());
                return Ok(Held {
                    id,
                    path,
                    _file: file,
                });
            }
        }
    }
}

impl Store {
    /// Whether some process holds a session, this one included.
    #[must_use]
    pub fn is_held(&self, id: SessionId) -> bool {
        let path = self.path.with_file_name(DIRECTORY).join(id.to_string());
        let file = File::open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// Whether `path` is still the file that was opened: its last owner takes it away.
#[cfg(unix)]
fn is_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(opened), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (opened.dev(), opened.ino()) == (there.dev(), there.ino())
}

/// Elsewhere a file that is open is not taken away.
#[cfg(not(unix))]
fn is_there(_: &File, path: &Path) -> bool {
    path.exists()
}
