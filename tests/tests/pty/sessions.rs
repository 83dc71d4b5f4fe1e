//! Conversations that are kept: killed programs, branches, several programs at once.

use std::fs;
use std::path::Path;

use tritone_store::{Filter, Role, State, Store, Tree};

use super::{CTRL_D, ENTER, ESC, LONG};
use crate::terminal::{ENDLESS, Terminal, used};

const ALT_UP: &str = "\x1b[1;3A";
const LEFT: &str = "\x1b[D";
const RIGHT: &str = "\x1b[C";
const F7: &str = "\x1b[18~";

fn ready(home: &Path, args: &[&str]) -> Terminal {
    let mut terminal = Terminal::open_at(home, args);
    terminal.wait_for("ctx 0/");
    terminal
}

fn store(home: &Path) -> Option<Store> {
    let path = home.join("data/tritone/sessions.db");
    Store::open_existing(&path)
        .unwrap()
        .map(|opened| opened.store)
}

/// The conversation that was used last.
fn last(home: &Path) -> Option<Tree> {
    let store = store(home)?;
    let id = store.list(&Filter::default()).unwrap().first()?.id;
    Some(store.tree(id).unwrap())
}

/// What the model says first is the same every time, with the temperature at 0.
fn ask(terminal: &mut Terminal, question: &str, answer: &str) {
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send(question);
    terminal.send(ENTER);
    terminal.wait_for(answer);
    terminal.wait_idle();
}

fn quit(mut terminal: Terminal) {
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn a_program_that_is_killed_in_the_middle_of_an_answer_loses_nothing() {
    let home = used();
    let mut terminal = ready(home.path(), &ENDLESS);
    terminal.send(LONG);
    terminal.send(ENTER);
    let text = |home: &Path| last(home).and_then(|tree| Some(tree.get(2)?.text.clone()));
    terminal.wait_until("some of the answer on disk", |_| {
        text(home.path()).is_some_and(|text| text.len() > 40)
    });
    terminal.signal("KILL");
    drop(terminal);
    let tree = last(home.path()).unwrap();
    assert_eq!(tree.get(2).unwrap().state, State::Partial);
    let written = tree.get(2).unwrap().text.clone();

    // A new chat says that there is something to go on with.
    let mut terminal = Terminal::open_at(home.path(), &[]);
    terminal.wait_for("the one cut off");
    terminal.send(CTRL_D);
    terminal.end();

    let again = [&ENDLESS[..], &["--continue"]].concat();
    let mut terminal = Terminal::open_at(home.path(), &again);
    terminal.wait_for("(interrupted");
    terminal.send("\x1b[1;5H");
    terminal.wait_for("Tell me a story about a fox.");
    let tree = last(home.path()).unwrap();
    let answer = tree.get(2).unwrap();
    assert_eq!((answer.state, &answer.text), (State::Interrupted, &written));

    // And it does go on.
    terminal.wait_for("model");
    terminal.wait_for("> write a message");
    terminal.send("/continue\r");
    terminal.wait_until("more of the answer", |_| {
        text(home.path()).is_some_and(|text| text.len() > written.len())
    });
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    quit(terminal);
    assert!(text(home.path()).unwrap().starts_with(&written));
}

#[test]
fn an_earlier_message_is_edited_and_both_branches_stay() {
    let home = used();
    let mut terminal = ready(home.path(), &[]);
    ask(&mut terminal, "What is the capital of Peru?", "Lima");
    terminal.send(ALT_UP);
    terminal.wait_for("message 2 of 2");
    terminal.send(ALT_UP);
    terminal.wait_for("message 1 of 2");
    terminal.send("e");
    terminal.wait_for("editing");
    for _ in "Peru?".chars() {
        terminal.send("\x7f");
    }
    terminal.send("France?\r");
    terminal.wait_for("Paris");
    terminal.wait_for("2/2");
    assert!(!terminal.screen().contains("Lima"));
    // Back to the first version, with its answer.
    terminal.send(ALT_UP);
    terminal.wait_for("message 2 of 2");
    terminal.send("k");
    terminal.wait_for("version 2 of 2");
    terminal.send(LEFT);
    terminal.wait_for("Lima");
    terminal.wait_gone("Paris");
    terminal.send(ESC);
    terminal.wait_gone("version 1 of 2");
    quit(terminal);

    let tree = last(home.path()).unwrap();
    let texts: Vec<&str> = tree
        .messages()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts.len(), 4);
    assert_eq!(tree.path(), [1, 2]);
    let mut again = Terminal::open_at(home.path(), &["chat", "--resume", "capital of Peru"]);
    again.wait_for("Lima");
    assert!(again.screen().contains("1/2"), "{}", again.screen());
    again.wait_for("> write a message");
    quit(again);
}

#[test]
fn answers_are_made_again_picked_and_deleted() {
    let home = used();
    let mut terminal = ready(home.path(), &[]);
    ask(&mut terminal, "What is the capital of Peru?", "Lima");
    terminal.send("/temp 100\r");
    terminal.wait_for("the temperature is 100 now");
    terminal.send("\x12");
    terminal.wait_for("2/2");
    terminal.wait_until("the second answer", |_| {
        let tree = last(home.path());
        let state = tree.and_then(|tree| Some(tree.get(3)?.state));
        state.is_some_and(|state| state != State::Partial)
    });
    terminal.wait_idle();
    terminal.send(ALT_UP);
    terminal.wait_for("version 2 of 2");
    terminal.send(LEFT);
    terminal.wait_for("Lima");
    terminal.send(RIGHT);
    terminal.wait_for("version 2 of 2");
    terminal.send("d");
    terminal.wait_for("Lima");
    terminal.wait_gone("/2");
    terminal.send("u");
    terminal.wait_for("version 2 of 2");
    terminal.send(ESC);
    terminal.wait_gone("version 2 of 2");
    quit(terminal);
    let tree = last(home.path()).unwrap();
    let roles: Vec<Role> = tree.messages().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Assistant]);
    assert_eq!(tree.active(), Some(3));
}

#[test]
fn two_programs_at_once_do_not_get_into_each_others_way() {
    let home = used();
    let mut first = ready(home.path(), &[]);
    ask(&mut first, "What is the capital of Peru?", "Lima");
    let mut second = Terminal::open_at(home.path(), &["chat", "--resume", "1"]);
    second.wait_for("this is a copy of it");
    second.wait_for("> write a message");
    for terminal in [&mut first, &mut second] {
        ask(terminal, "What is the capital of France?", "Paris");
    }
    quit(first);
    quit(second);
    let store = store(home.path()).unwrap();
    let all = store.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 2);
    for session in all {
        assert_eq!(store.tree(session.id).unwrap().path().len(), 4);
        assert!(!session.unfinished && !store.is_held(session.id));
    }
}

#[test]
fn sessions_are_searched_looked_at_and_opened() {
    let home = used();
    let mut terminal = ready(home.path(), &[]);
    ask(&mut terminal, "What is the capital of Peru?", "Lima");
    terminal.send("/rename Andes\r");
    terminal.wait_for("the title is \"Andes\" now");
    terminal.send("/clear\r");
    terminal.wait_for("Enter sends it");
    ask(&mut terminal, "What is the capital of France?", "Paris");
    terminal.send(F7);
    terminal.wait_for("Andes");
    terminal.wait_for("What is the capital of France?");
    terminal.send("/lima");
    terminal.wait_gone("What is the capital of France?");
    terminal.send(ENTER);
    terminal.wait_for("back in \"Andes\"");
    terminal.wait_for("Lima");
    assert!(!terminal.screen().contains("Paris"));
    // Deleting asks, and can be undone.
    terminal.send(F7);
    terminal.wait_for("2 msgs");
    terminal.send("d");
    terminal.wait_for("Delete \"");
    terminal.send("y");
    terminal.wait_for("deleted; u");
    terminal.wait_until("one session", |_| {
        store(home.path())
            .unwrap()
            .list(&Filter::default())
            .unwrap()
            .len()
            == 1
    });
    terminal.send("u");
    terminal.wait_for("it is back");
    terminal.send(ESC);
    terminal.wait_for("write a message");
    quit(terminal);
    assert_eq!(
        store(home.path())
            .unwrap()
            .list(&Filter::default())
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn where_nothing_can_be_kept_the_chat_goes_on_and_says_so() {
    let home = used();
    fs::write(home.path().join("data"), "a file in the way").unwrap();
    let mut terminal = ready(home.path(), &[]);
    terminal.wait_for("this chat is not saved from here on");
    ask(&mut terminal, "What is the capital of Peru?", "Lima");
    quit(terminal);
}

#[test]
fn a_private_chat_leaves_nothing() {
    let home = used();
    let mut terminal = ready(home.path(), &["chat", "--no-save"]);
    terminal.wait_for("nothing of this chat is kept");
    ask(&mut terminal, "What is the capital of Peru?", "Lima");
    quit(terminal);
    assert!(!home.path().join("data").exists());
}
