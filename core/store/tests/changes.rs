//! Random changes of a store against the same changes of a tree in memory, and files in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use tempfile::TempDir;
use tritone_store::{
    Details, Message, Role, State, Store, Timings, Tree, read_documents, write_documents,
};

#[derive(Clone, Debug)]
enum Change {
    User(u32, String),
    Answer(u32),
    Extend(u32, String),
    Finish(u32, State),
    Reopen(u32),
    Remove(u32),
    SetActive(u32),
    Delete(u32),
    Restore(u32),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z ]{1,20}",
        any::<String>(),
        Just("a \"quote\", 'another' and \0 nothing".to_owned()),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let number = 0_u32..14;
    let states = prop_oneof![
        Just(State::Complete),
        Just(State::Stopped),
        Just(State::Length),
        Just(State::Failed),
        Just(State::Partial)
    ];
    prop_oneof![
        3 => (number.clone(), text()).prop_map(|(n, t)| Change::User(n, t)),
        3 => number.clone().prop_map(Change::Answer),
        4 => (number.clone(), text()).prop_map(|(n, t)| Change::Extend(n, t)),
        2 => (number.clone(), states).prop_map(|(n, s)| Change::Finish(n, s)),
        1 => number.clone().prop_map(Change::Reopen),
        1 => number.clone().prop_map(Change::Remove),
        1 => number.clone().prop_map(Change::SetActive),
        2 => number.clone().prop_map(Change::Delete),
        2 => number.prop_map(Change::Restore),
    ]
}

/// The parent 0 is none.
fn parent(number: u32) -> Option<u32> {
    Some(number).filter(|&number| number > 0)
}

/// Makes the change to both; both have to think the same of it.
fn apply(store: &mut Store, session: i64, tree: &mut Tree, change: Change) {
    let next = tree.next_number();
    let stamped = |message: Message| Message {
        created: u64::from(next) * 1000,
        ..message
    };
    let timings = Timings {
        generated_tokens: u64::from(next),
        ..Timings::default()
    };
    let (in_tree, in_store) = match change {
        Change::User(under, text) => {
            let message = stamped(Message::user(next, parent(under), text));
            (
                tree.add(message.clone()).is_ok(),
                store.add(session, &message).is_ok(),
            )
        }
        Change::Answer(under) => {
            let message = stamped(Message {
                model: Some("tiny".to_owned()),
                kernel: Some("scalar".to_owned()),
                seed: Some(u64::MAX - u64::from(next)),
                ..Message::answer(next, parent(under))
            });
            (
                tree.add(message.clone()).is_ok(),
                store.add(session, &message).is_ok(),
            )
        }
        Change::Extend(number, text) => (
            tree.extend(number, &text).is_ok(),
            store.extend(session, number, &text).is_ok(),
        ),
        Change::Finish(number, state) => (
            tree.finish(number, state, Some(timings)).is_ok(),
            store.finish(session, number, state, Some(timings)).is_ok(),
        ),
        Change::Reopen(number) => (
            tree.reopen(number).is_ok(),
            store.reopen(session, number).is_ok(),
        ),
        Change::Remove(number) => (
            tree.remove(number).is_ok(),
            store.remove(session, number).is_ok(),
        ),
        Change::SetActive(number) => (
            tree.set_active(number).is_ok(),
            store.set_active(session, number).is_ok(),
        ),
        Change::Delete(number) => (
            tree.delete(number).is_ok(),
            store.delete_branch(session, number).is_ok(),
        ),
        Change::Restore(number) => (
            tree.restore(number).is_ok(),
            store.restore_branch(session, number).is_ok(),
        ),
    };
    assert_eq!(in_tree, in_store);
}

/// What must hold of every tree.
fn check(tree: &Tree) {
    let path = tree.path();
    assert_eq!(path.is_empty(), tree.is_empty(), "something said is seen");
    assert_eq!(path.last().copied(), tree.active());
    for pair in path.windows(2) {
        assert_eq!(tree.get(pair[1]).unwrap().parent, Some(pair[0]));
    }
    for message in tree.messages() {
        let (at, count) = tree.place(message.number);
        assert!(1 <= at && at <= count);
        assert_eq!(tree.sibling(message.number, 0), Some(message.number));
        if let Some(parent) = message.parent {
            assert!(tree.get(parent).is_some(), "an orphan");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn store_and_tree_agree(changes in prop::collection::vec(change(), 1..40)) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("sessions.db");
        let mut store = Store::open(&path).unwrap().store;
        let details = Details {
            title: "random".to_owned(),
            model: Some("tiny".to_owned()),
            profile: Some("edge".to_owned()),
            system: Some("be brief".to_owned()),
            sampling: Some(serde_json::json!({ "temperature": 0.6, "seed": u64::MAX })),
            tags: vec!["one".to_owned(), "two".to_owned()],
        };
        let session = store.create(&details).unwrap();
        let mut tree = Tree::default();
        for change in changes {
            apply(&mut store, session, &mut tree, change);
            check(&tree);
            prop_assert_eq!(&store.tree(session).unwrap(), &tree);
        }
        // Every word that is in the index is found and nothing else is.
        for message in tree.messages().filter(|message| message.state != State::Partial) {
            let word = message.text.split_whitespace().find(|word| {
                word.len() > 3 && word.chars().all(|c| c.is_ascii_lowercase())
            });
            if let Some(word) = word {
                prop_assert!(!store.find(word, 10).unwrap().is_empty(), "{}", word);
            }
        }

        // Out and in again: the same but for the numbers, which have no gaps then.
        let document = store.document(session).unwrap();
        let text = write_documents(std::slice::from_ref(&document)).unwrap();
        let read = read_documents(&text).unwrap();
        prop_assert_eq!(&read, std::slice::from_ref(&document));
        let copy = store.import(&read[0]).unwrap();
        let again = store.document(copy).unwrap();
        prop_assert_eq!(&again.details, &document.details);
        prop_assert_eq!(
            (again.created, again.updated, again.messages.len()),
            (document.created, document.updated, document.messages.len())
        );
        for (new, old) in again.messages.iter().zip(&document.messages) {
            let state = if old.state == State::Partial { State::Interrupted } else { old.state };
            prop_assert_eq!(new.state, state);
            prop_assert_eq!((new.role, &new.text, new.seed, new.timings), (old.role, &old.text, old.seed, old.timings));
            prop_assert_eq!((&new.model, &new.kernel, new.created), (&old.model, &old.kernel, old.created));
        }
        let texts = |tree: &Tree| -> Vec<(Role, String)> {
            let path = tree.path();
            path.iter().map(|&n| tree.get(n).unwrap()).map(|m| (m.role, m.text.clone())).collect()
        };
        prop_assert_eq!(texts(&store.tree(copy).unwrap()), texts(&tree));
        // A second time nothing changes any more.
        let third = store.import(&again).unwrap();
        let mut third = store.document(third).unwrap();
        third.updated = again.updated;
        prop_assert_eq!(third, again);
    }

    #[test]
    fn no_search_is_an_error(text in any::<String>(), other in "[\"'*(){}:^+-]{0,8}(AND|OR|NOT|NEAR)?[ \"*]{0,3}") {
        let directory = TempDir::new().unwrap();
        let mut store = Store::open(&directory.path().join("sessions.db")).unwrap().store;
        let session = store.create(&Details { title: "t".to_owned(), ..Details::default() }).unwrap();
        store.add(session, &Message::user(1, None, text.clone())).unwrap();
        store.find(&text, 10).unwrap();
        store.find(&other, 10).unwrap();
    }

    #[test]
    fn hostile_files_are_refused_or_read(text in any::<String>(), cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>()) {
        let directory = TempDir::new().unwrap();
        let mut store = Store::open(&directory.path().join("sessions.db")).unwrap().store;
        let _ = read_documents(&text);
        let good = sample();
        let mut bytes = good.clone().into_bytes();
        let last = bytes.len() - 1;
        bytes[at.min(last)] = byte;
        for text in [good[..cut.min(last)].to_owned(), String::from_utf8_lossy(&bytes).into_owned()] {
            if let Ok(documents) = read_documents(&text) {
                for document in documents {
                    let id = store.import(&document).unwrap();
                    check(&store.tree(id).unwrap());
                }
            }
        }
    }
}

fn sample() -> String {
    let mut answer = Message::answer(7, Some(3));
    answer.text = "twelve".to_owned();
    answer.state = State::Complete;
    let document = tritone_store::Document {
        details: Details {
            title: "sums".to_owned(),
            tags: vec!["maths".to_owned()],
            ..Details::default()
        },
        created: 1,
        updated: 2,
        active: Some(7),
        messages: vec![Message::user(3, None, "What is 7 + 5?"), answer],
    };
    write_documents(&[document]).unwrap()
}

#[test]
fn files_that_cannot_be_are_refused_with_the_reason() {
    let good: serde_json::Value = serde_json::from_str(&sample()).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = good.clone();
        change(&mut value);
        read_documents(&value.to_string()).unwrap_err().to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let cases: [(Change<'_>, &str); 8] = [
        (
            &|v| v["format"] = "tritone-sessions/9".into(),
            "found tritone-sessions/9",
        ),
        (
            &|v| v["sessions"][0]["messages"][0]["parent"] = 7.into(),
            "does not stand before it",
        ),
        (
            &|v| v["sessions"][0]["messages"][1]["parent"] = 99.into(),
            "follows message 99",
        ),
        (
            &|v| v["sessions"][0]["messages"][1]["number"] = 3.into(),
            "number 3",
        ),
        (
            &|v| v["sessions"][0]["messages"][1]["role"] = "system".into(),
            "unknown variant `system`",
        ),
        (
            &|v| v["sessions"][0]["messages"][1]["number"] = (-1).into(),
            "invalid value",
        ),
        (&|v| v["sessions"][0]["active"] = 4.into(), "no message 4"),
        (
            &|v| v["sessions"][0]["tags"][0] = "two words".into(),
            "is no tag",
        ),
    ];
    for (change, expected) in cases {
        let why = refused(change);
        assert!(why.contains(expected), "{why}");
    }
    for text in ["", "[]", "{", "{\"format\": 1}", &"[".repeat(100_000)] {
        assert!(read_documents(text).is_err());
    }
}
