//! Programs of this machine: where they are, and what they say of themselves.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest that a program may take to say something of itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// As much of it is read.
const MOST_BYTES: u64 = 64 << 10;

/// The program `name`: a path, or a name that is looked for in the directories of `PATH` and then in `others`. Directories
/// are looked at only where they are named from the root: what the current directory holds is not meant.
pub(crate) fn find(name: &Path, others: &[PathBuf]) -> Option<PathBuf> {
    if name.components().count() > 1 {
        let path = std::path::absolute(name).ok()?;
        return is_program(&path).then_some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let listed = std::env::split_paths(&path);
    listed
        .chain(others.iter().cloned())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let Ok(facts) = path.metadata() else {
        return false;
    };
    #[cfg(unix)]
    let may_run = {
        use std::os::unix::fs::PermissionsExt as _;
        facts.permissions().mode() & 0o111 != 0
    };
    #[cfg(not(unix))]
    let may_run = true;
    facts.is_file() && may_run
}

/// What `program` says when it is called with `arguments`, both to its output and its errors; `None` if it says nothing
/// within ten seconds, or ends with a fault.
pub(crate) fn asked<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(super::launch::kept())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let (output, errors) = (child.stdout.take()?, child.stderr.take()?);
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = from.by_ref().take(MOST_BYTES).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (output, errors) = (read(Box::new(output)), read(Box::new(errors)));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    if !status?.success() {
        return None;
    }
    // Whatever it started may hold the pipes.
    while !(output.is_finished() && errors.is_finished()) {
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let said = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Some(said(output) + &said(errors))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_path_and_name() {
        let shell = find(Path::new("sh"), &[]).unwrap();
        assert!(shell.is_absolute());
        assert_eq!(find(&shell, &[]).as_ref(), Some(&shell));
        assert_eq!(find(Path::new("no-such-program-here"), &[]), None);
        let directory = shell.parent().unwrap();
        let other = [PathBuf::from("relative"), directory.to_owned()];
        assert!(find(Path::new("sh"), &other).is_some());
        // A directory is no program.
        assert_eq!(find(directory, &[]), None);
        let said = asked(&shell, &["-c", "echo one; echo two >&2"]).unwrap();
        assert!(said.contains("one") && said.contains("two"), "{said}");
        assert_eq!(asked(&shell, &["-c", "exit 3"]), None);
    }
}
