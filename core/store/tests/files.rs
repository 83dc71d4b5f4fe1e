//! The file itself: older and newer ones, damaged ones, ones that cannot be written, searches.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;
use tritone_store::{Access, Details, Filter, Message, State, Store, StoreError, markdown};

/// The tables of format 1 as they were released, with a session in them.
const FORMAT_1: &str = include_str!("format1.sql");

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("deep/er/sessions.db");
    (directory, path)
}

fn titled(title: &str) -> Details {
    Details {
        title: title.to_owned(),
        ..Details::default()
    }
}

fn said(store: &mut Store, title: &str, text: &str) -> i64 {
    let id = store.create(&titled(title)).unwrap();
    store.add(id, &Message::user(1, None, text)).unwrap();
    id
}

#[test]
fn a_new_file_is_private() {
    let (_directory, path) = place();
    let opened = Store::open(&path).unwrap();
    assert!(opened.notices.is_empty());
    let store = opened.store;
    let id = store.hold(1).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path.with_file_name("sessions.db-wal")), 0o600);
        assert_eq!(mode(&path.with_file_name("open/1")), 0o600);
    }
    drop(id);
    assert!(!path.with_file_name("open/1").exists());
}

#[test]
fn a_file_of_the_first_format_becomes_one_of_the_newest() {
    let (_directory, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(FORMAT_1)
        .unwrap();

    let mut store = Store::open(&path).unwrap().store;
    let all = store.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].details.title.as_str(), all[0].messages),
        ("Old sums", 3)
    );
    assert_eq!(all[0].details.tags, ["maths"]);
    let tree = store.tree(1).unwrap();
    assert_eq!(tree.path(), [1, 3]);
    assert_eq!(tree.place(3), (2, 2));
    // What was said before there was an index is found, and the index goes on.
    assert_eq!(store.find("twel", 9).unwrap().len(), 1);
    store
        .add(1, &Message::user(4, Some(3), "and eighteen?"))
        .unwrap();
    assert_eq!(store.find("eighteen", 9).unwrap()[0].message, Some(4));
    drop(store);
    let version: i64 = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let (_directory, path) = place();
    said(&mut Store::open(&path).unwrap().store, "t", "text");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("use the newer version"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_set_aside_and_said() {
    // One that is none at all, one with a broken page, and somebody else's.
    for kind in 0..3 {
        let (_directory, path) = place();
        let mut store = Store::open(&path).unwrap().store;
        for number in 0..200 {
            said(
                &mut store,
                "many",
                &format!("{number} {}", "words ".repeat(50)),
            );
        }
        drop(store);
        match kind {
            0 => fs::write(&path, "this is no database, and never was one".repeat(40)).unwrap(),
            1 => {
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle..middle + 8192].fill(0x5a);
                fs::write(&path, bytes).unwrap();
            }
            _ => {
                fs::remove_file(&path).unwrap();
                let other = Connection::open(&path).unwrap();
                other.execute_batch("CREATE TABLE theirs(x)").unwrap();
            }
        }
        let damaged = fs::read(&path).unwrap();
        let opened = Store::open(&path).unwrap();
        assert_eq!(opened.notices.len(), 1, "{kind}");
        assert!(
            opened.notices[0].contains("it is kept as"),
            "{:?}",
            opened.notices
        );
        assert!(opened.store.list(&Filter::default()).unwrap().is_empty());
        let kept = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().contains(".damaged-"))
            .unwrap();
        assert_eq!(fs::read(kept).unwrap(), damaged);
        drop(opened);
        assert!(Store::open(&path).unwrap().notices.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_written_is_said_and_can_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, path) = place();
    said(
        &mut Store::open(&path).unwrap().store,
        "kept",
        "a needle in here",
    );
    let directory = path.parent().unwrap().to_owned();
    let set = |directory_mode, file_mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(directory_mode)).unwrap();
    };
    set(0o500, 0o400);
    // Nothing is read-only for the superuser.
    let superuser = fs::write(directory.join("probe"), "").is_ok();
    if !superuser {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        let opened = Store::open_existing(&path).unwrap().unwrap();
        assert_eq!(opened.store.access(), Access::Read);
        assert_eq!(opened.store.find("needle", 9).unwrap().len(), 1);
        assert!(opened.store.hold(1).is_err());
    }
    set(0o700, 0o600);
    let opened = Store::open_existing(&path).unwrap().unwrap();
    assert_eq!(opened.store.access(), Access::Write);
    assert!(
        Store::open_existing(&directory.join("other.db"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_file_in_the_way_of_the_directory_is_an_error_with_its_name() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("sessions.db"))
        .unwrap_err()
        .to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}

#[test]
fn search_finds_words_titles_and_scripts_without_spaces() {
    let (_directory, path) = place();
    let mut store = Store::open(&path).unwrap().store;
    let peru = said(&mut store, "Capitals", "What is the capital of Perú?");
    let tokyo = said(&mut store, "Travel", "我想去東京旅行");
    let code = said(&mut store, "Code", "fn f() -> u8 { 100% }");
    let ids = |store: &Store, text: &str| -> Vec<i64> {
        let hits = store.find(text, 9).unwrap();
        hits.iter().map(|hit| hit.session.id).collect()
    };
    assert_eq!(ids(&store, "peru"), [peru]);
    assert_eq!(ids(&store, "CAPI per"), [peru]);
    assert_eq!(ids(&store, "capital of Chile"), [] as [i64; 0]);
    assert_eq!(ids(&store, "東京"), [tokyo]);
    assert_eq!(ids(&store, "->"), [code]);
    assert_eq!(ids(&store, "100%"), [code]);
    assert_eq!(ids(&store, "-> fn"), [code]);
    assert_eq!(ids(&store, "travel"), [tokyo]);
    let hit = &store.find("peru", 9).unwrap()[0];
    let found: Vec<&str> = hit
        .snippet
        .iter()
        .filter(|p| p.found)
        .map(|p| p.text.as_str())
        .collect();
    assert_eq!(found, ["Perú"]);

    // What is being written is found once it is finished; what is deleted is not found.
    store.add(peru, &Message::answer(2, Some(1))).unwrap();
    store.extend(peru, 2, "It is Lima.").unwrap();
    assert!(ids(&store, "lima").is_empty());
    store.finish(peru, 2, State::Complete, None).unwrap();
    assert_eq!(ids(&store, "lima"), [peru]);
    store.delete_branch(peru, 2).unwrap();
    assert!(ids(&store, "lima").is_empty());
    store.restore_branch(peru, 2).unwrap();
    assert_eq!(ids(&store, "lima"), [peru]);
    store.rename(peru, "Andes").unwrap();
    assert_eq!(
        (ids(&store, "andes"), ids(&store, "capitals").len()),
        (vec![peru], 0)
    );
    store.delete(peru).unwrap();
    assert!(ids(&store, "lima").is_empty() && ids(&store, "andes").is_empty());
    store.restore(peru).unwrap();
    assert_eq!(ids(&store, "lima"), [peru]);
    // Deleted for good, nothing is left of it in the index either.
    store.delete(peru).unwrap();
    store.delete_branch(tokyo, 1).unwrap();
    assert_eq!(store.purge(0).unwrap(), 1);
    assert!(store.session(peru).is_err() && store.tree(tokyo).unwrap().is_empty());
    drop(store);
    let connection = Connection::open(&path).unwrap();
    for table in ["messages_fts", "sessions_fts"] {
        let check = format!("INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)");
        connection.execute_batch(&check).unwrap();
    }
}

#[test]
fn lists_are_filtered_and_names_are_found() {
    let (_directory, path) = place();
    let mut store = Store::open(&path).unwrap().store;
    let tiny = Details {
        model: Some("Tritone Tiny".to_owned()),
        tags: vec!["work".to_owned()],
        ..titled("Plan the move")
    };
    let first = store.create(&tiny).unwrap();
    let second = store.create(&titled("Plan a party")).unwrap();
    let third = store.create(&titled("Recipes 100%")).unwrap();
    store.delete(third).unwrap();
    let ids = |filter: Filter| -> Vec<i64> {
        store
            .list(&filter)
            .unwrap()
            .iter()
            .map(|session| session.id)
            .collect()
    };
    assert_eq!(ids(Filter::default()), [second, first]);
    assert_eq!(
        ids(Filter {
            most: 1,
            ..Filter::default()
        }),
        [second]
    );
    assert_eq!(
        ids(Filter {
            tag: Some("#WORK".to_owned()),
            ..Filter::default()
        }),
        [first]
    );
    assert_eq!(
        ids(Filter {
            model: Some("tiny".to_owned()),
            ..Filter::default()
        }),
        [first]
    );
    assert_eq!(
        ids(Filter {
            model: Some("t_ny".to_owned()),
            ..Filter::default()
        }),
        [] as [i64; 0]
    );
    assert_eq!(
        ids(Filter {
            deleted: true,
            ..Filter::default()
        }),
        [third]
    );
    let named = |name: &str| store.named(name, false).map(|session| session.id);
    assert_eq!(named(&second.to_string()).unwrap(), second);
    assert_eq!(named("plan THE move").unwrap(), first);
    assert_eq!(named("party").unwrap(), second);
    assert!(matches!(named("plan"), Err(StoreError::Ambiguous { .. })));
    assert!(matches!(named("recipes"), Err(StoreError::NoSession(_))));
    assert!(matches!(named(""), Err(StoreError::NoSession(_))));
    assert_eq!(store.named("recipes", true).unwrap().id, third);
    store
        .set_tags(first, &["home".to_owned(), "Work".to_owned()])
        .unwrap();
    assert_eq!(store.session(first).unwrap().details.tags, ["home", "Work"]);
    assert!(store.rename(99, "x").is_err() && store.delete(99).is_err());
    assert!(store.set_tags(99, &[]).is_err() && store.restore(99).is_err());
}

#[test]
fn markdown_is_what_is_seen() {
    let (_directory, path) = place();
    let mut store = Store::open(&path).unwrap().store;
    let id = said(&mut store, "Sums", "What is 7 + 5?");
    for (number, text, state) in [(2, "11", State::Complete), (3, "```\n12", State::Stopped)] {
        let answer = Message {
            model: Some("Tiny".to_owned()),
            ..Message::answer(number, Some(1))
        };
        store.add(id, &answer).unwrap();
        store.extend(id, number, text).unwrap();
        store.finish(id, number, state, None).unwrap();
    }
    let text = markdown(
        &store.session(id).unwrap(),
        &store.tree(id).unwrap(),
        "2026-11-26",
    );
    assert_eq!(
        text,
        "# Sums\n\n- Date: 2026-11-26\n- On other branches: 1 messages, which the JSON has\n\n\
         ## You\n\nWhat is 7 + 5?\n\n## Tiny\n\n```\n12\n```\n\n*(stopped)*\n"
    );
}
