use std::sync::mpsc::{Receiver, channel};

use tempfile::TempDir;
use tritone_store::{Details, Message, State, Store};

use super::*;

struct Session {
    keeper: Option<Keeper>,
    heard: Receiver<Kept>,
}

impl Session {
    fn start(path: PathBuf, open: Option<i64>) -> Self {
        let (said, heard) = channel();
        let start = Start {
            path,
            open,
            named: Named::default(),
            notes: Vec::new(),
        };
        let keeper = Keeper::start(start, Box::new(move |kept| drop(said.send(kept))));
        Self {
            keeper: Some(keeper),
            heard,
        }
    }

    fn order(&self, keep: Keep) -> &Self {
        self.keeper.as_ref().unwrap().order(keep);
        self
    }

    fn say(&self, message: Message) -> &Self {
        let details = Details {
            title: "sums".to_owned(),
            ..Details::default()
        };
        self.order(Keep::Add {
            details: Box::new(details),
            message: Box::new(message),
        })
    }

    fn next(&self) -> Kept {
        self.heard.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Everything that was said until the end.
    fn end(&mut self) -> Vec<Kept> {
        self.keeper = None;
        self.heard.iter().collect()
    }
}

fn extend(text: &str) -> Keep {
    Keep::Extend {
        number: 2,
        text: text.to_owned(),
    }
}

#[test]
fn an_answer_is_on_disk_before_it_ends_and_is_marked_when_the_program_does() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("sessions.db");
    let mut session = Session::start(path.clone(), None);
    session.say(Message::user(1, None, "What is 7 + 5?"));
    let Kept::Began(id, title) = session.next() else {
        panic!("no session began")
    };
    assert_eq!(title, "sums");
    session.say(Message::answer(2, Some(1)));
    session.order(extend("It ")).order(extend("is "));
    let store = Store::open(&path).unwrap().store;
    let written = |text: &str| {
        let start = std::time::Instant::now();
        while store
            .tree(id)
            .unwrap()
            .get(2)
            .is_none_or(|answer| answer.text != text)
        {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{text} never came"
            );
            thread::sleep(Duration::from_millis(10));
        }
    };
    written("It is ");
    session.order(extend("twelve"));
    written("It is twelve");
    assert!(store.is_held(id));
    assert!(session.end().is_empty());
    assert!(!store.is_held(id));
    assert_eq!(
        store.tree(id).unwrap().get(2).unwrap().state,
        State::Interrupted
    );

    // The next start knows, and goes on.
    let next = Session::start(path.clone(), None);
    let Kept::Last(last) = next.next() else {
        panic!("nothing to go on with")
    };
    assert_eq!(last.id, id);
    drop(next);
    let next = Session::start(path, Some(id));
    let Kept::Opened(chat) = next.next() else {
        panic!("not opened")
    };
    assert_eq!(chat.tree.path(), [1, 2]);
    assert!(chat.notes.is_empty());
    next.order(Keep::Reopen(2))
        .order(extend("!"))
        .order(Keep::Finish {
            number: 2,
            state: State::Complete,
            timings: None,
        });
    drop(next);
    assert_eq!(
        store.tree(id).unwrap().get(2).unwrap().text,
        "It is twelve!"
    );
}

#[test]
fn what_another_process_holds_is_opened_as_a_copy() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("sessions.db");
    let mut store = Store::open(&path).unwrap().store;
    let details = Details {
        title: "shared".to_owned(),
        ..Details::default()
    };
    let id = store.create(&details).unwrap();
    store.add(id, &Message::user(1, None, "hello")).unwrap();
    let held = store.hold(id).unwrap();
    let mut session = Session::start(path, Some(id));
    let Kept::Opened(chat) = session.next() else {
        panic!("not opened")
    };
    assert_ne!(chat.session.id, id);
    assert_eq!(chat.session.details.title, "shared (copy)");
    assert!(
        chat.notes[0].contains("open in another process"),
        "{:?}",
        chat.notes
    );
    // Nor is it deleted under its hands.
    session.order(Keep::Delete(id));
    assert!(matches!(session.next(), Kept::Failed(why) if why.contains("another process")));
    drop(held);
    session.order(Keep::Delete(id));
    assert!(matches!(session.next(), Kept::Changed(None, _)));
    session.end();
}

#[test]
fn where_nothing_can_be_kept_it_is_said_once() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut session = Session::start(file.join("sessions.db"), None);
    session.say(Message::user(1, None, "hello"));
    session.say(Message::answer(2, Some(1))).order(extend("x"));
    session.order(Keep::List {
        text: String::new(),
        turn: 1,
    });
    let said = session.end();
    assert!(
        matches!(&said[..], [Kept::Lost(_), Kept::Listed { .. }]),
        "{said:?}"
    );
}

#[test]
fn a_store_that_fails_under_way_is_said_once_and_the_rest_goes_on() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("sessions.db");
    let mut session = Session::start(path.clone(), None);
    session.say(Message::user(1, None, "hello"));
    assert!(matches!(session.next(), Kept::Began(..)));
    // Somebody takes the tables away.
    let mut other = Store::open(&path).unwrap().store;
    let id = other.list(&tritone_store::Filter::default()).unwrap()[0].id;
    other.delete(id).unwrap();
    other.purge(0).unwrap();
    session.say(Message::answer(2, Some(1)));
    session.order(extend("a")).order(extend("b"));
    session.say(Message::user(3, Some(2), "more"));
    let said = session.end();
    assert!(matches!(&said[..], [Kept::Lost(_)]), "{said:?}");
}

#[test]
fn a_message_that_is_taken_back_leaves_no_empty_session() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("sessions.db");
    let mut session = Session::start(path.clone(), None);
    session
        .say(Message::user(1, None, "hello"))
        .order(Keep::Remove(1));
    session.say(Message::user(1, None, "hello again"));
    session.end();
    let store = Store::open(&path).unwrap().store;
    let all = store.list(&tritone_store::Filter::default()).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        store.tree(all[0].id).unwrap().get(1).unwrap().text,
        "hello again"
    );
}

#[test]
fn exports_never_replace_a_file() {
    let home = TempDir::new().unwrap();
    let mut session = Session::start(home.path().join("sessions.db"), None);
    session.say(Message::user(1, None, "hello"));
    assert!(matches!(session.next(), Kept::Began(..)));
    let out = |name: &str| home.path().join(name).display().to_string();
    for name in ["a.md", "a.json"] {
        session.order(Keep::Export(None, out(name)));
        assert!(matches!(session.next(), Kept::Done(said) if said.contains(name)));
    }
    assert!(
        std::fs::read_to_string(out("a.md"))
            .unwrap()
            .contains("## You\n\nhello")
    );
    let text = std::fs::read_to_string(out("a.json")).unwrap();
    assert_eq!(
        tritone_store::read_documents(&text).unwrap()[0]
            .messages
            .len(),
        1
    );
    session.order(Keep::Export(None, out("a.md")));
    assert!(matches!(session.next(), Kept::Failed(why) if why.contains("is there already")));
    session.end();
}

#[test]
fn what_the_command_line_names_comes_before_what_was_kept() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("sessions.db");
    let mut store = Store::open(&path).unwrap().store;
    let details = Details {
        title: "sums".to_owned(),
        system: Some("be brief".to_owned()),
        sampling: Some(serde_json::json!({ "temperature": 0.5, "max_tokens": 9 })),
        ..Details::default()
    };
    let id = store.create(&details).unwrap();
    store.add(id, &Message::user(1, None, "hello")).unwrap();
    let opened = |named: Named| {
        let (said, heard) = channel();
        let start = Start {
            path: path.clone(),
            open: Some(id),
            named,
            notes: Vec::new(),
        };
        drop(Keeper::start(
            start,
            Box::new(move |kept| drop(said.send(kept))),
        ));
        match heard.recv().unwrap() {
            Kept::Opened(chat) => chat.session.details,
            other => panic!("{other:?}"),
        }
    };
    let kept = opened(Named::default());
    assert_eq!(
        (&kept.system, &kept.sampling),
        (&details.system, &details.sampling)
    );
    let other = opened(Named {
        max_tokens: true,
        ..Named::default()
    });
    assert_eq!(
        other.sampling,
        Some(serde_json::json!({ "temperature": 0.5 }))
    );
    let named = opened(Named {
        sampling: true,
        max_tokens: true,
        system: Some("be kind".to_owned()),
    });
    assert_eq!(
        (named.system.as_deref(), named.sampling),
        (Some("be kind"), None)
    );
}
