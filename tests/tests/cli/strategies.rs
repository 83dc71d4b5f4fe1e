//! `tritone strategies`, and answers by other strategies: against a real `tritone serve`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Run, command, fed, finish};

/// A port that nobody listens at: it was given out and given back.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(home: &Path) -> Self {
        let mut command = command(&["serve", "--port", "0", "--threads", "1"]);
        homes(&mut command, home);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn homes(command: &mut std::process::Command, home: &Path) {
    for name in ["CONFIG", "DATA", "CACHE", "STATE"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name));
    }
    command.env("PATH", "/nowhere").env_remove("HOME");
}

fn run(home: &Path, args: &[&str]) -> Run {
    let mut command = command(args);
    homes(&mut command, home);
    finish(command.stdin(Stdio::null()))
}

/// A directory with settings that name a server `studio`.
fn home(url: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("CONFIG/tritone");
    fs::create_dir_all(&directory).unwrap();
    let text = format!("[strategies.remote.studio]\nurl = \"{url}\"\n");
    fs::write(directory.join("config.toml"), text).unwrap();
    home
}

#[test]
fn native_and_a_server_are_tested_compared_and_recommended() {
    let place = TempDir::new().unwrap();
    let server = Server::start(place.path());
    let home = home(&server.url);
    let list: Value =
        serde_json::from_str(&run(home.path(), &["strategies", "list", "--json"]).ok()).unwrap();
    let usable = |name: &str| {
        let strategies = list["strategies"].as_array().unwrap().iter();
        let found = strategies.clone().find(|one| one["name"] == name);
        found.unwrap()["usable"].as_bool().unwrap()
    };
    assert!(
        usable("native") && usable("studio") && !usable("bitnet.cpp"),
        "{list}"
    );
    assert_eq!(list["auto"]["chosen"], "native");

    let nothing = run(home.path(), &["strategies", "recommend"]).ok();
    assert!(
        nothing.contains("nothing was measured here yet"),
        "{nothing}"
    );

    let tested = run(home.path(), &["strategies", "test", "--json"]);
    assert!(
        tested.err.contains("bitnet.cpp is left out"),
        "{}",
        tested.err
    );
    let tested: Value = serde_json::from_str(&tested.ok()).unwrap();
    let [native, studio] = tested["measured"].as_array().unwrap().as_slice() else {
        panic!("two: {tested}")
    };
    assert_eq!(
        (&native["name"], &studio["name"]),
        (&"native".into(), &"studio".into())
    );
    for one in [native, studio] {
        assert_eq!(one["works"], true, "{tested}");
        assert_eq!(one["one_answer"], true);
        assert!(one["decode_rate"].as_f64().unwrap() > 0.0);
    }
    // The same model, so the same text, whoever runs it.
    assert_eq!(studio["same_text"], true, "{tested}");

    let advice = run(home.path(), &["strategies", "recommend", "mobile"]).ok();
    assert!(advice.contains("mobile: native"), "{advice}");
    assert!(
        advice.contains("not studio: what memory it takes is not known"),
        "{advice}"
    );
    let list = run(home.path(), &["strategies", "list"]).ok();
    assert!(list.contains("last test: "), "{list}");
}

#[test]
fn one_answer_comes_from_a_server_and_is_the_same() {
    let place = TempDir::new().unwrap();
    let server = Server::start(place.path());
    let home = home(&server.url);
    let args = [
        "run",
        "--greedy",
        "-n",
        "12",
        "What is the capital of Peru?",
    ];
    let own = run(home.path(), &args).ok();
    let with = |name: &str| {
        let all: Vec<&str> = args.iter().copied().chain(["--strategy", name]).collect();
        run(home.path(), &all)
    };
    assert_eq!(with("studio").ok(), own);
    assert_eq!(with("native").ok(), own);
    assert_eq!(with("auto").ok(), own);
    // The chat, where it is preferred; another model is one of this program.
    run(home.path(), &["strategies", "use", "studio"]).ok();
    let mut chat = command(&["--plain", "--no-save", "--temp", "0"]);
    homes(&mut chat, home.path());
    let said =
        b"What is the capital of Peru?\n/model tritone-tiny\nHello\n/strategy nobody\n/quit\n";
    let chat = fed(&mut chat, said);
    assert_eq!(chat.code, Some(0), "{}", chat.err);
    assert!(
        chat.out.contains("via studio") && chat.out.contains("Lima"),
        "{}",
        chat.out
    );
    assert!(chat.err.contains("native runs it"), "{}", chat.err);
    assert!(
        chat.err.contains("there is no strategy 'nobody'"),
        "{}",
        chat.err
    );
    let unknown = with("nobody");
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("choose one of: native, bitnet.cpp"),
        "{}",
        unknown.err
    );
}

#[test]
fn a_server_that_is_missing_is_said_and_the_next_is_taken_where_none_was_named() {
    let home = home(&format!("http://127.0.0.1:{}", free_port()));
    // An order is an order.
    let named = run(home.path(), &["run", "--strategy", "studio", "hello"]);
    assert_eq!(named.code, Some(69));
    assert!(
        named.err.contains("check that the server runs"),
        "{}",
        named.err
    );
    let tested = run(home.path(), &["strategies", "test", "native", "studio"]);
    assert_eq!(tested.code, Some(1));
    assert!(tested.out.contains("studio: "), "{}", tested.out);

    // A preference is not: both are said.
    let used = run(home.path(), &["strategies", "use", "studio"]).ok();
    assert!(used.contains("it cannot be used now"), "{used}");
    let mut chat = command(&["--plain", "--no-save", "--greedy", "-n", "12"]);
    homes(&mut chat, home.path());
    let chat = fed(&mut chat, b"What is the capital of Peru?\n/quit\n");
    assert_eq!(chat.code, Some(0), "{}", chat.err);
    assert!(chat.err.contains("studio: a server at"), "{}", chat.err);
    assert!(chat.err.contains("native is used instead"), "{}", chat.err);
    assert!(chat.out.contains("Lima"), "{}", chat.out);

    // The order of the settings, too.
    let path = home.path().join("CONFIG/tritone/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("[strategies]\norder = [\"studio\", \"native\"]\n{text}"),
    )
    .unwrap();
    run(home.path(), &["strategies", "use", "auto"]).ok();
    let auto = run(
        home.path(),
        &["run", "--strategy", "auto", "-n", "4", "hello"],
    );
    assert_eq!(auto.code, Some(0), "{}", auto.err);
    assert!(auto.err.contains("native is used instead"), "{}", auto.err);
    let unknown = run(home.path(), &["strategies", "use", "nobody"]);
    assert_eq!(unknown.code, Some(2));
}
