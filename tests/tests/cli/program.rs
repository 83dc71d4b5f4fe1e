//! Running the program.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use tritone_tests::tritone;

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Run {
    /// Standard output of a run that has to succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "standard error: {}", self.err);
        self.out
    }

    /// Standard output as JSON, of a run that has to succeed.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}"))
    }

    /// Checks that the run failed with `code`, printed nothing, and said all of `words`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "standard error: {}", self.err);
        assert_eq!(self.out, "");
        assert!(self.err.contains("error: "), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in: {}", self.err);
        }
    }
}

/// The program with arguments, without the settings of whoever runs the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(tritone());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRITONE_") {
            command.env_remove(name);
        }
    }
    let nowhere = std::env::temp_dir().join("tritone-tests-no-such-directory");
    command
        .env("XDG_CONFIG_HOME", &nowhere)
        .env("XDG_DATA_HOME", &nowhere)
        .env("XDG_CACHE_HOME", &nowhere)
        .env("XDG_STATE_HOME", &nowhere);
    command.current_dir(tritone_tests::tiny()).args(args);
    command
}

/// Runs it with nothing on standard input.
pub(crate) fn run(args: &[&str]) -> Run {
    finish(command(args).stdin(Stdio::null()))
}

/// Runs it with `input` on standard input.
pub(crate) fn pipe(input: &[u8], args: &[&str]) -> Run {
    fed(&mut command(args), input)
}

/// Runs a prepared command with `input` on standard input.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Run {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    result(child.wait_with_output().unwrap())
}

/// Runs a prepared command.
pub(crate) fn finish(command: &mut Command) -> Run {
    result(command.output().unwrap())
}

fn result(output: Output) -> Run {
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}
