//! `tritone sessions`: list, search, change, export and import without a screen.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tritone_store::{Details, Message, State, Store};

/// Runs the program with its data in `home`.
fn sessions(home: &Path, args: &[&str]) -> Output {
    Command::new(tritone_tests::tritone())
        .arg("sessions")
        .args(args)
        .env("XDG_DATA_HOME", home)
        .output()
        .unwrap()
}

#[track_caller]
fn out(home: &Path, args: &[&str]) -> String {
    let output = sessions(home, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(home: &Path, args: &[&str], code: i32, expected: &str) {
    let output = sessions(home, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.contains(expected), "{args:?}: {error}");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Two chats, the first with two answers to one question.
fn filled() -> TempDir {
    let home = TempDir::new().unwrap();
    let path = home.path().join("tritone/sessions.db");
    let mut store = Store::open(&path).unwrap().store;
    let details = |title: &str| Details {
        title: title.to_owned(),
        model: Some("Tritone Tiny".to_owned()),
        ..Details::default()
    };
    let sums = store.create(&details("Sums")).unwrap();
    store
        .add(sums, &Message::user(1, None, "What is 7 + 5?"))
        .unwrap();
    for (number, text) in [(2, "eleven"), (3, "twelve\u{1b}[2J")] {
        store.add(sums, &Message::answer(number, Some(1))).unwrap();
        store.extend(sums, number, text).unwrap();
        store.finish(sums, number, State::Complete, None).unwrap();
    }
    let towns = store.create(&details("Towns of Peru")).unwrap();
    store
        .add(towns, &Message::user(1, None, "Which towns are there?"))
        .unwrap();
    home
}

#[test]
fn without_any_chat_there_is_nothing_and_nothing_is_made() {
    let home = TempDir::new().unwrap();
    assert_eq!(out(home.path(), &[]), "");
    assert_eq!(
        json(&out(home.path(), &["list", "--json"]))["sessions"],
        Value::Array(vec![])
    );
    assert_eq!(out(home.path(), &["search", "x"]), "");
    fails(home.path(), &["show", "1"], 4, "there is no session '1'");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn chats_are_listed_shown_and_found() {
    let home = filled();
    let home = home.path();
    let list = out(home, &["list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("Towns of Peru") && lines[1].contains("Sums"),
        "{list}"
    );
    assert!(
        lines[1].contains("3 msgs") && lines[1].contains("Tritone Tiny"),
        "{list}"
    );
    let shown = out(home, &["show", "sums"]);
    assert!(shown.contains("## You\n\nWhat is 7 + 5?\n"), "{shown}");
    assert!(
        shown.contains("twelve[2J") && !shown.contains("eleven"),
        "{shown}"
    );
    let shown = json(&out(home, &["show", "1", "--json"]));
    assert_eq!(shown["messages"][1]["text"], "twelve\u{1b}[2J");
    assert_eq!(shown["session"]["title"], "Sums");
    // Words of other branches, too, and nothing is syntax.
    assert!(out(home, &["search", "elev"]).contains("[eleven]"));
    let hits = json(&out(home, &["search", "--json", "peru"]));
    assert_eq!(hits["hits"][0]["session"]["id"], 2);
    assert_eq!(out(home, &["search", "\"NEAR(", "AND*"]), "");
    fails(home, &["show", "chess"], 4, "there is no session 'chess'");
    fails(home, &["search"], 2, "required");
}

#[test]
fn chats_are_renamed_tagged_deleted_and_restored() {
    let home = filled();
    let home = home.path();
    out(home, &["rename", "sums", "Adding up"]);
    out(home, &["tag", "adding up", "maths", "#School"]);
    assert!(out(home, &["list", "--tag", "school"]).contains("Adding up"));
    assert_eq!(out(home, &["list", "--tag", "music"]), "");
    assert!(out(home, &["list", "--with-model", "tiny"]).lines().count() == 2);
    fails(home, &["rename", "1", " "], 4, "at least one character");
    fails(home, &["tag", "1", &"x".repeat(50)], 4, "is no tag");
    // All of them or none.
    fails(home, &["delete", "1", "9"], 4, "there is no session '9'");
    assert_eq!(out(home, &["list"]).lines().count(), 2);
    out(home, &["delete", "1"]);
    assert!(!out(home, &["list"]).contains("Adding up"));
    assert_eq!(out(home, &["search", "twelve"]), "");
    assert!(out(home, &["list", "--deleted"]).contains("Adding up"));
    out(home, &["restore", "adding"]);
    assert!(out(home, &["search", "twelve"]).contains("Adding up"));
}

#[test]
fn exports_come_in_again_with_all_branches() {
    let home = filled();
    let file = home.path().join("out.json");
    let path = file.to_str().unwrap();
    out(home.path(), &["export", "--all", "--output", path]);
    fails(
        home.path(),
        &["export", "--all", "--output", path],
        1,
        "cannot write",
    );
    let markdown = out(home.path(), &["export", "1", "--format", "md"]);
    assert!(markdown.starts_with("# Sums\n"), "{markdown}");

    let other = TempDir::new().unwrap();
    let imported = json(&out(other.path(), &["import", path, "--json"]));
    assert_eq!(imported["imported"].as_array().unwrap().len(), 2);
    assert_eq!(out(other.path(), &["search", "eleven"]).lines().count(), 2);
    let (then, now) = (
        out(home.path(), &["export", "sums"]),
        out(other.path(), &["export", "sums"]),
    );
    assert_eq!(then, now);
    // A second time they are there twice, under other numbers.
    out(other.path(), &["import", path]);
    assert_eq!(out(other.path(), &["list"]).lines().count(), 4);
    fails(other.path(), &["show", "sums"], 4, "name one by its number");

    let bad = home.path().join("bad.json");
    for text in [
        "{",
        "{\"format\": \"other\", \"sessions\": []}",
        "\u{0}\u{1}",
    ] {
        fs::write(&bad, text).unwrap();
        fails(
            home.path(),
            &["import", bad.to_str().unwrap()],
            4,
            "bad.json",
        );
    }
    assert_eq!(out(home.path(), &["list"]).lines().count(), 2);
}

#[test]
fn a_newer_file_is_refused_and_a_damaged_one_kept() {
    let home = filled();
    let path = home.path().join("tritone/sessions.db");
    let mut bytes = fs::read(&path).unwrap();
    // The format is a number in the header.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(home.path().join(format!("tritone/sessions.db{end}")));
    }
    fs::write(&path, &bytes).unwrap();
    fails(home.path(), &["list"], 1, "use the newer version");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::write(&path, "no database".repeat(500)).unwrap();
    let output = sessions(home.path(), &["list"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("is damaged") && said.contains("it is kept as"),
        "{said}"
    );
}

#[test]
fn a_chat_that_keeps_nothing_does_not_go_on_with_an_earlier_one() {
    let home = filled();
    let run = |args: &[&str]| {
        let output = Command::new(tritone_tests::tritone())
            .args(args)
            .env("XDG_DATA_HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        said
    };
    let said = run(&["chat", "--resume", "1", "--no-save"]);
    assert!(said.contains("cannot be used with"), "{said}");
}
