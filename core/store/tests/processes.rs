//! Several processes at once, and processes that are killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "children speak to their parent")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;
use tritone_store::{Details, Filter, Message, State, Store, StoreError};

const PATH: &str = "TRITONE_STORE_TEST";

/// Runs one of the tests below that are for children only.
fn child(test: &str, path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn wait_for(output: &mut BufReader<ChildStdout>, word: &str) -> String {
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The test harness writes on the same line.
        if let Some(at) = line.find(word) {
            return line[at..].trim().to_owned();
        }
        line.clear();
    }
    panic!("the child never said {word}");
}

/// The store of a child; nothing in a run of all tests, where there is no parent.
fn store_of_child() -> Option<Store> {
    let path = env::var_os(PATH)?;
    Some(Store::open(Path::new(&path)).unwrap().store)
}

#[test]
#[ignore = "for a child process"]
fn writes_until_killed() {
    let Some(mut store) = store_of_child() else {
        return;
    };
    let session = store
        .create(&Details {
            title: "cut off".to_owned(),
            ..Details::default()
        })
        .unwrap();
    let _held = store.hold(session).unwrap();
    store
        .add(session, &Message::user(1, None, "count"))
        .unwrap();
    store.add(session, &Message::answer(2, Some(1))).unwrap();
    for number in 0.. {
        store.extend(session, 2, &format!("{number} ")).unwrap();
        println!("wrote {number}");
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_stored() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions.db");
    for round in 1..=4 {
        let (mut process, mut output) = child("writes_until_killed", &path);
        let mut last = 0;
        for _ in 0..round * 20 {
            let line = wait_for(&mut output, "wrote ");
            last = line["wrote ".len()..].parse::<u32>().unwrap();
        }
        // It is held, whoever asks.
        let mut store = Store::open(&path).unwrap().store;
        let session = store.list(&Filter::default()).unwrap()[0].id;
        match store.hold(session) {
            Err(StoreError::OpenElsewhere {
                process: Some(id), ..
            }) => assert_eq!(id, process.id()),
            other => panic!("{other:?}"),
        }
        process.kill().unwrap();
        process.wait().unwrap();

        let held = store.hold(session).unwrap();
        assert!(store.session(session).unwrap().unfinished);
        assert_eq!(store.interrupt(session).unwrap(), 1);
        let tree = store.tree(session).unwrap();
        let answer = tree.get(2).unwrap();
        assert_eq!(answer.state, State::Interrupted);
        let words: Vec<u32> = answer
            .text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        assert!(words.len() > last as usize, "{} of {last}", words.len());
        assert!(words.iter().copied().eq(0..words.len() as u32), "no gap");
        drop(held);
        drop(store);
        assert!(Store::open(&path).unwrap().notices.is_empty());
    }
}

#[test]
#[ignore = "for a child process"]
fn writes_a_hundred() {
    let Some(mut store) = store_of_child() else {
        return;
    };
    println!("ready");
    for at in 0..25 {
        let title = format!("{} {at}", std::process::id());
        let session = store
            .create(&Details {
                title,
                ..Details::default()
            })
            .unwrap();
        let _held = store.hold(session).unwrap();
        store
            .add(session, &Message::user(1, None, "together"))
            .unwrap();
        store.add(session, &Message::answer(2, Some(1))).unwrap();
        for _ in 0..4 {
            store.extend(session, 2, "word ").unwrap();
        }
        store.finish(session, 2, State::Complete, None).unwrap();
    }
}

#[test]
fn processes_write_at_the_same_time() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions.db");
    // All of them also make the file.
    let children: Vec<_> = (0..4).map(|_| child("writes_a_hundred", &path)).collect();
    for (mut process, mut output) in children {
        wait_for(&mut output, "ready");
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        assert!(process.wait().unwrap().success());
    }
    let opened = Store::open(&path).unwrap();
    assert!(opened.notices.is_empty(), "{:?}", opened.notices);
    let all = opened.store.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 100);
    for session in all {
        let tree = opened.store.tree(session.id).unwrap();
        assert_eq!(tree.get(2).unwrap().text, "word word word word ");
    }
    assert_eq!(opened.store.find("together", 1000).unwrap().len(), 100);
}

#[test]
#[ignore = "for a child process"]
fn opens_what_is_damaged() {
    let Some(path) = env::var_os(PATH) else {
        return;
    };
    let opened = Store::open(Path::new(&path)).unwrap();
    let mut store = opened.store;
    store
        .create(&Details {
            title: "after".to_owned(),
            ..Details::default()
        })
        .unwrap();
    println!("notices {}", opened.notices.len());
}

#[test]
fn a_damaged_file_is_set_aside_once_even_if_several_find_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions.db");
    std::fs::write(&path, "no database ".repeat(1000)).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| child("opens_what_is_damaged", &path))
        .collect();
    let mut notices = 0;
    for (mut process, mut output) in children {
        notices += wait_for(&mut output, "notices ")["notices ".len()..]
            .parse::<u32>()
            .unwrap();
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(notices, 1);
    let store = Store::open(&path).unwrap().store;
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 4);
}

#[test]
fn one_session_is_held_once() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(&directory.path().join("sessions.db"))
        .unwrap()
        .store;
    let other = Store::open(store.path()).unwrap().store;
    let held = store.hold(7).unwrap();
    assert_eq!(held.id(), 7);
    assert!(matches!(
        other.hold(7),
        Err(StoreError::OpenElsewhere { id: 7, .. })
    ));
    drop(other.hold(8).unwrap());
    drop(held);
    drop(other.hold(7).unwrap());
}
