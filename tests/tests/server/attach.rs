//! A chat in lines that is attached to a server.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use tritone_tests::tritone;

use crate::harness::Server;

const KEY: &str = "sk-user-0123456789abcdef";
const TALK: &str = "What is the capital of Peru?\nTell me a story about a fox.\n";

/// A conversation with `flags`; the key of the server, if any, is in the environment.
fn talk(flags: &[&str], key: Option<&str>) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(tritone());
    for name in ["CONFIG", "DATA", "CACHE", "STATE"] {
        command.env(format!("XDG_{name}_HOME"), home.path().join(name));
    }
    for name in ["TRITONE_MODEL", "TRITONE_API_KEY", "TRITONE_ADMIN_KEY"] {
        command.env_remove(name);
    }
    command.args(["--plain", "--no-save", "--max-tokens", "24"]);
    command.args(flags);
    command.envs(key.map(|key| ("TRITONE_API_KEY", key)));
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(TALK.as_bytes()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

/// What was said, without the first line, which says what answers.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn answers_are_those_of_this_process() {
    let server = Server::start_with(&["--slots", "1"], &[("TRITONE_API_KEY", KEY)]);
    let url = format!("http://{}", server.address);
    let bias = ["--temp", "0", "--logit-bias", "2033=-inf"];
    let chance = ["--temp", "1.5", "--top-k", "50", "--seed"];
    // The last seed has the highest bit, which is a sign for the server.
    for (flags, seed) in [
        (&["--temp", "0"][..], None),
        (&bias, None),
        (&chance, Some("7")),
        (&chance, Some("18446744073709551615")),
    ] {
        let flags: Vec<&str> = flags.iter().copied().chain(seed).collect();
        let own = said(&talk(&flags, None));
        assert!(own.contains("tritone: "), "{own}");
        let flags = [&flags[..], &["--attach", &url]].concat();
        assert_eq!(said(&talk(&flags, Some(KEY))), own, "{flags:?}");
    }
    let refused = talk(&["--attach", &url], None);
    assert!(!refused.status.success());
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        error.contains("401") && error.contains("TRITONE_API_KEY"),
        "{error}"
    );
}
