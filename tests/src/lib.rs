//! End-to-end tests of the program: what they share.
//!
//! The tests run the real binary, as a user would.

use std::env;
use std::path::{Path, PathBuf};

/// The directory of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new(".."))
}

/// The directory of the embedded model's files.
#[must_use]
pub fn tiny() -> PathBuf {
    repository().join("models/tritone-tiny")
}

/// The program. Cargo builds it for the tests of its package and says where it is; anything else
/// (an example) takes the one in the same target directory.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn tritone() -> PathBuf {
    let built = env::var_os("CARGO_BIN_EXE_tritone").map(PathBuf::from);
    let program = built.unwrap_or_else(|| {
        // target/PROFILE/examples/EXAMPLE
        let this = env::current_exe().unwrap_or_default();
        let out = this
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        out.join(format!("tritone{}", env::consts::EXE_SUFFIX))
    });
    assert!(
        program.is_file(),
        "{} is not there: run `cargo build -p tritone` (with the same profile) first",
        program.display()
    );
    program
}
