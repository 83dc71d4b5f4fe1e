//! Opens a checked plugin for ever.
#![expect(
    unsafe_code,
    reason = "opening a library and calling through its table is what a loader does"
)]

use std::error::Error as _;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use libloading::Library;
use tracing::debug;
use tritone_abi::host::{HeaderError, TableKernel};
use tritone_abi::table::KernelTable;

use crate::file::CheckedFile;
use crate::inspect::{HEADER_BYTES, Inspected};
use crate::reason::RefusedReason;

/// Wraps a table that is linked into this program.
pub(crate) fn built_in(table: &'static KernelTable) -> Result<TableKernel, HeaderError> {
    // SAFETY: the caller of `Registry::discover` hands over tables that `export_kernel!` made and
    // that are linked statically, as its documentation demands.
    unsafe { TableKernel::new(table) }
}

/// A library this process has open.
struct Opened {
    identity: Identity,
    /// Its table, unless the library in memory turned out not to be the file that was checked.
    table: Option<&'static KernelTable>,
    /// Keeps the descriptor's number taken: the dynamic linker remembers the library as
    /// `/proc/self/fd/N` and would answer with it when another plugin came along under that name.
    /// An open file also keeps its inode number, so `identity` stays unique.
    _file: File,
}

/// Which file a library came from, and in which state it was.
#[derive(PartialEq, Eq)]
struct Identity {
    node: (u64, u64),
    len: u64,
    modified: Option<SystemTime>,
}

static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

/// Opens the library, or finds it among those that are open, and wraps its table.
pub(crate) fn open(
    checked: CheckedFile,
    inspected: &Inspected,
) -> Result<TableKernel, RefusedReason> {
    let table = table(checked, inspected)?;
    // SAFETY: the table lies in a library that is never closed. That its functions keep the
    // contract is the promise of its author, made by exporting a table of this ABI version.
    Ok(unsafe { TableKernel::new(table) }?)
}

fn table(
    checked: CheckedFile,
    inspected: &Inspected,
) -> Result<&'static KernelTable, RefusedReason> {
    let identity = identity(&checked);
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |t: &&KernelTable| header_bytes(t) == inspected.bytes;
    if let Some(known) = opened.iter().find(|o| is_file(o, &identity)) {
        debug!(path = ?checked.path, "plugin is already open");
        let table = known.table.filter(|_| known.identity == identity);
        return table.filter(same).ok_or(RefusedReason::Changed);
    }
    // Never unloaded: threads of the engine and pointers in tables live as long as the process.
    let library = ManuallyDrop::new(dlopen(&checked)?);
    let table = exported(&library, &inspected.symbol).filter(same);
    opened.push(Opened {
        identity,
        table,
        _file: checked.file,
    });
    table.ok_or(RefusedReason::Changed)
}

/// The table behind `symbol`, a name that passed [`inspect_file`](crate::inspect_file).
fn exported(library: &ManuallyDrop<Library>, symbol: &str) -> Option<&'static KernelTable> {
    // SAFETY: only the address is taken here; nothing is read through it.
    let address = *unsafe { library.get::<*const KernelTable>(symbol) }.ok()?;
    if address.is_null() || !address.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned. The symbol was found in the checked file, where it is a data
    // symbol of at least `TABLE_BYTES` bytes inside one mapped segment, which stays mapped
    // because the library is never closed. All bit patterns the linker can leave there are
    // valid: integers, and null or relocated functions.
    Some(unsafe { &*address })
}

/// The dynamic linker's own words, without the name under which it knows the file.
fn failed(error: libloading::Error) -> RefusedReason {
    let text = error.source().map_or(error.to_string(), |e| e.to_string());
    let text = match text.split_once(": ") {
        Some((file, rest)) if file.starts_with("/proc/self/fd/") => rest,
        _ => &text,
    };
    // The message quotes names out of the plugin.
    RefusedReason::Open(text.escape_debug().to_string())
}

/// The header as bytes, for comparing it with the file.
fn header_bytes(table: &KernelTable) -> [u8; HEADER_BYTES] {
    // SAFETY: `Header` is plain data of `HEADER_BYTES` bytes without padding.
    unsafe {
        std::ptr::from_ref(&table.header)
            .cast::<[u8; HEADER_BYTES]>()
            .read()
    }
}

/// Whether `opened` is the file of `identity`, changed or not.
fn is_file(opened: &Opened, identity: &Identity) -> bool {
    cfg!(unix) && opened.identity.node == identity.node
}

fn identity(checked: &CheckedFile) -> Identity {
    #[cfg(unix)]
    let node = {
        use std::os::unix::fs::MetadataExt;
        (checked.metadata.dev(), checked.metadata.ino())
    };
    // Unused: other systems count how often a library is opened, by its path.
    #[cfg(not(unix))]
    let node = (0, 0);
    Identity {
        node,
        len: checked.metadata.len(),
        modified: checked.metadata.modified().ok(),
    }
}

#[cfg(unix)]
fn dlopen(checked: &CheckedFile) -> Result<Library, RefusedReason> {
    use libloading::os::unix;
    #[cfg(target_os = "linux")]
    let path = {
        use std::os::fd::AsRawFd;
        // The very file that was checked, whatever lies at its path by now.
        std::path::PathBuf::from(format!("/proc/self/fd/{}", checked.file.as_raw_fd()))
    };
    #[cfg(not(target_os = "linux"))]
    let path = &checked.path;
    // SAFETY: this runs the initialisers of a library that is complete, is for this machine,
    // exports a kernel table of this ABI version, and that only the user or root can have put
    // there. Its destructors run at the end of the process, as for every linked library.
    unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }
        .map(Library::from)
        .map_err(failed)
}

#[cfg(not(unix))]
fn dlopen(checked: &CheckedFile) -> Result<Library, RefusedReason> {
    // SAFETY: as on Unix; the path is absolute, so no search path is consulted.
    unsafe { Library::new(&checked.path) }.map_err(failed)
}
