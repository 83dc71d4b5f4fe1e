//! End-to-end tests of the program: what they share.
//!
//! The tests run the real binary, as a user would.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The program, built like this test: same profile, same target directory. Cargo is asked once a
/// process, and does nothing when the binary is fresh.
///
/// # Panics
/// When the program cannot be built or is not where it should be.
#[must_use]
pub fn tritone() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(build).clone()
}

fn build() -> PathBuf {
    // target/PROFILE/deps/TEST
    let test = env::current_exe().unwrap_or_default();
    let Some(out) = test.parent().and_then(Path::parent) else {
        panic!("{} is not in a target directory", test.display());
    };
    let directory = out.file_name().unwrap_or_default();
    let profile = if directory == "debug" {
        "dev".as_ref()
    } else {
        directory
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(repository())
        .args(["build", "--quiet", "--package", "tritone", "--bin"]);
    cargo.arg("tritone").arg("--profile").arg(profile);
    // Under --target there is one more directory.
    let above = out.parent().unwrap_or(out);
    let target = match above.file_name().and_then(|name| name.to_str()) {
        Some(triple)
            if triple.split('-').count() >= 3 && above.join("../CACHEDIR.TAG").exists() =>
        {
            cargo.args(["--target", triple]);
            above.parent().unwrap_or(above)
        }
        _ => above,
    };
    cargo.arg("--target-dir").arg(target);
    match cargo.status() {
        Ok(status) if status.success() => {}
        other => panic!("{cargo:?} failed: {other:?}"),
    }
    let program = out.join(format!("tritone{}", env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} was not built", program.display());
    program
}
