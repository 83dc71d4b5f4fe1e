//! A plugin file that is opened once and that only its owner can change.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::reason::RefusedReason;
use crate::search::Candidate;

/// Longest plugin file, in bytes. It is read into memory for checking; a kernel with all its
/// debug information is a tenth of it.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// A file whose kind, owner and permissions were checked through `file`.
pub(crate) struct CheckedFile {
    /// Path without symbolic links.
    pub(crate) path: PathBuf,
    /// The open file.
    pub(crate) file: File,
    /// What `file` is.
    pub(crate) metadata: Metadata,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> RefusedReason {
    move |source| RefusedReason::Io { action, source }
}

/// Resolves symbolic links.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, RefusedReason> {
    fs::canonicalize(path).map_err(|source| match fs::read_link(path) {
        Ok(target) if source.kind() == io::ErrorKind::NotFound => {
            RefusedReason::DanglingLink { target }
        }
        _ => failed("resolve the path")(source),
    })
}

impl CheckedFile {
    /// Opens and reads the file `path` that `candidate` resolved to.
    pub(crate) fn open(candidate: &Candidate, path: PathBuf) -> Result<Self, RefusedReason> {
        let searched = resolve(&candidate.directory)?;
        for directory in [Some(searched.as_path()), path.parent()]
            .into_iter()
            .flatten()
        {
            let metadata = fs::metadata(directory).map_err(failed("look at the directory"))?;
            check_trust(directory, &metadata)?;
        }
        // Looked at before opening too, because opening a device can have effects.
        check_kind(&fs::symlink_metadata(&path).map_err(failed("look at the file"))?)?;
        let file = open_plain(&path).map_err(failed("open the file"))?;
        let metadata = file.metadata().map_err(failed("look at the file"))?;
        check_kind(&metadata)?;
        check_trust(&path, &metadata)?;
        let too_large = |bytes| RefusedReason::TooLarge {
            bytes,
            limit: MAX_FILE_BYTES,
        };
        if metadata.len() > MAX_FILE_BYTES {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::new();
        let read = (&file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(failed("read the file"))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(Self {
            path,
            file,
            metadata,
            bytes,
        })
    }
}

/// Opens without following a link and without waiting for the other end of a pipe, should one
/// have taken the file's place.
fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

fn check_kind(metadata: &Metadata) -> Result<(), RefusedReason> {
    let kind = metadata.file_type();
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(RefusedReason::NotAFile("directory"))
    } else if kind.is_symlink() {
        Err(RefusedReason::NotAFile("symbolic link"))
    } else {
        Err(RefusedReason::NotAFile("pipe, socket or device"))
    }
}

#[cfg(unix)]
fn check_trust(path: &Path, metadata: &Metadata) -> Result<(), RefusedReason> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    check_owner_and_mode(path, metadata.uid(), metadata.mode(), user)
}

/// Permissions of other systems have no owner and mode; their plugin directories are trusted.
#[cfg(not(unix))]
fn check_trust(_: &Path, _: &Metadata) -> Result<(), RefusedReason> {
    Ok(())
}

#[cfg(unix)]
fn check_owner_and_mode(
    path: &Path,
    owner: u32,
    mode: u32,
    user: u32,
) -> Result<(), RefusedReason> {
    let path = || path.to_owned();
    let who = match mode & 0o022 {
        0 => None,
        0o020 => Some("its group"),
        _ => Some("others"),
    };
    if let Some(who) = who {
        return Err(RefusedReason::Writable {
            path: path(),
            who,
            mode: mode & 0o7777,
        });
    }
    if owner != 0 && owner != user {
        return Err(RefusedReason::ForeignOwner {
            path: path(),
            owner,
            user,
        });
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn verdict(owner: u32, mode: u32, user: u32) -> String {
        match check_owner_and_mode(Path::new("/p"), owner, mode, user) {
            Ok(()) => "fine".into(),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn owner_and_mode_decide() {
        assert_eq!(verdict(1000, 0o100_755, 1000), "fine");
        assert_eq!(verdict(0, 0o100_644, 1000), "fine");
        assert_eq!(
            verdict(1001, 0o100_755, 1000),
            "\"/p\" belongs to user 1001, not to you (user 1000) or root"
        );
        assert_eq!(
            verdict(1000, 0o100_755, 0),
            "\"/p\" belongs to user 1000, not to you (user 0) or root"
        );
        let open = "if you trust it, run `chmod go-w` on it";
        assert_eq!(
            verdict(0, 0o100_664, 0),
            format!("\"/p\" can be written by its group (mode 664); {open}")
        );
        assert_eq!(
            verdict(0, 0o041_777, 0),
            format!("\"/p\" can be written by others (mode 1777); {open}")
        );
    }
}
