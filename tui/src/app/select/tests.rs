use crossterm::event::{KeyCode, KeyModifiers};
use proptest::prelude::*;
use tritone_engine::text::Role as Speaker;
use tritone_engine::{FinishReason, Input};
use tritone_store::{Message, State as End, Tree};

use crate::app::headless::Headless;
use crate::app::keep::{Chat, Keep, Kept, Which};
use crate::app::msg::{Effect, Msg};
use crate::chat::transcript::Kind;

fn session() -> Headless {
    let mut session = Headless::loaded(80, 24);
    session.state.keeping = true;
    session.state.saving = true;
    session
}

/// The messages on the screen, with the marks under them.
fn shown(session: &Headless) -> Vec<String> {
    let entries = session.state.transcript.entries().iter();
    entries
        .filter(|entry| entry.node.is_some())
        .map(|entry| format!("{}{}", entry.text, entry.mark().unwrap_or_default()))
        .collect()
}

fn answered(session: &mut Headless, question: &str, answer: &str) {
    session.say(question).tokens(&[answer]);
    session.finish(1, FinishReason::EndOfTurn);
}

fn up(session: &mut Headless) {
    session.press(KeyCode::Up, KeyModifiers::ALT);
}

/// What the model is asked to go on from.
fn heard(session: &mut Headless) -> Vec<String> {
    match session.take_request().input {
        Input::Chat(turns) => turns.into_iter().map(|turn| turn.content).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn regenerating_keeps_the_old_answer_beside_the_new_one() {
    let mut session = session();
    answered(&mut session, "one", "bad");
    session.ctrl('r');
    let second = session.take_request();
    session
        .tokens(&["better"])
        .finish(1, FinishReason::EndOfTurn);
    assert_eq!(shown(&session), ["one", "better2/2"]);
    // Every answer to a message has a seed of its own, also after one was deleted.
    session.ctrl('r');
    assert_eq!(
        session.take_request().sampling.seed,
        second.sampling.seed + 1
    );
    session.tokens(&["best"]).finish(1, FinishReason::EndOfTurn);
    up(&mut session);
    session.key(KeyCode::Left).key(KeyCode::Left);
    assert_eq!(shown(&session), ["one", "bad1/3"]);
    session.key(KeyCode::Left);
    assert!(
        session
            .state
            .flash
            .as_ref()
            .unwrap()
            .0
            .contains("version 1 of 3")
    );
    session.key(KeyCode::Esc).say("two");
    assert_eq!(heard(&mut session), ["one", "bad", "two"]);
}

#[test]
fn an_earlier_message_is_edited_into_a_branch() {
    let mut session = session();
    answered(&mut session, "one", "first");
    answered(&mut session, "two", "second");
    for _ in 0..4 {
        up(&mut session);
    }
    session.write("e");
    assert_eq!(session.state.composer.text(), "one");
    assert_eq!(session.state.select, None);
    session.say(" more");
    assert_eq!(heard(&mut session), ["one more"]);
    session
        .tokens(&["other"])
        .finish(1, FinishReason::EndOfTurn);
    assert_eq!(shown(&session), ["one more2/2", "other"]);
    up(&mut session);
    up(&mut session);
    session.key(KeyCode::Left);
    assert_eq!(shown(&session), ["one1/2", "first", "two", "second"]);
    // Esc leaves the old version as it was.
    session.write("e").key(KeyCode::Esc);
    assert_eq!(session.state.composer.text(), "");
    assert_eq!(shown(&session).len(), 4);
    // The model's words are its own.
    up(&mut session);
    session.write("e");
    assert_eq!(session.state.composer.text(), "");
}

#[test]
fn what_is_deleted_can_be_brought_back() {
    let mut session = session();
    answered(&mut session, "one", "first");
    answered(&mut session, "two", "second");
    up(&mut session);
    up(&mut session);
    session.write("d");
    assert_eq!(shown(&session), ["one", "first"]);
    assert_eq!(session.state.select, Some(2));
    session.write("u");
    assert_eq!(shown(&session), ["one", "first", "two", "second"]);
    session.key(KeyCode::Esc).say("/undo");
    assert!(
        session
            .state
            .flash
            .as_ref()
            .unwrap()
            .0
            .contains("nothing was deleted")
    );
}

#[test]
fn an_answer_goes_on_where_it_was_stopped() {
    let mut session = session();
    session.say("/continue");
    assert!(session.take_effects().is_empty());
    session.say("tell").tokens(&["Once "]).key(KeyCode::Esc);
    session.finish(1, FinishReason::Cancelled);
    session.take_effects();
    session.say("/continue");
    let request = session.take_request();
    assert!(request.continue_last);
    assert!(matches!(request.input, Input::Chat(turns)
        if turns.len() == 2 && turns[1].role == Speaker::Assistant && turns[1].content == "Once "));
    session.tokens(&["upon"]).finish(1, FinishReason::EndOfTurn);
    assert_eq!(shown(&session), ["tell", "Once upon"]);
    let tree = &session.state.conversation.tree;
    assert_eq!(tree.get(2).unwrap().state, End::Complete);
}

#[test]
fn an_earlier_chat_comes_back_with_what_it_was_held_under() {
    let mut session = session();
    answered(&mut session, "now", "here");
    let mut tree = Tree::default();
    tree.add(Message::user(1, None, "then")).unwrap();
    let mut answer = Message::answer(2, Some(1));
    answer.text = "cut".to_owned();
    answer.state = End::Interrupted;
    tree.add(answer).unwrap();
    session.kept.clear();
    session.say("/resume old");
    let wanted = Which::Named("old".to_owned());
    let opens = |keep: &Keep| matches!(keep, Keep::Open(which) if *which == wanted);
    assert!(session.kept.iter().any(opens), "{:?}", session.kept);
    let mut chat = chat(7, "Old");
    chat.session.details.system = Some("be brief".to_owned());
    chat.session.details.sampling = Some(serde_json::json!({"temperature": 0, "seed": 9}));
    chat.session.details.model = Some("Another".to_owned());
    chat.tree = tree;
    session.send(Msg::Kept(Kept::Opened(Box::new(chat))));
    assert_eq!(
        shown(&session),
        ["then", "cut(interrupted: /continue goes on)"]
    );
    assert!(
        session
            .screen()
            .contains("held with Another; Tritone Tiny answers now")
    );
    session.say("more");
    let request = session.take_request();
    assert_eq!(
        (request.sampling.temperature, request.sampling.seed),
        (0.0, 9)
    );
    assert!(matches!(request.input, Input::Chat(turns)
        if turns.len() == 4 && turns[0].role == Speaker::System));
}

fn chat(id: i64, title: &str) -> Chat {
    let details = tritone_store::Details {
        title: title.to_owned(),
        ..tritone_store::Details::default()
    };
    Chat {
        session: tritone_store::Session {
            id,
            details,
            created: 1,
            updated: 2,
            messages: 2,
            deleted: None,
            unfinished: false,
        },
        tree: Tree::default(),
        notes: Vec::new(),
    }
}

#[test]
fn when_saving_fails_it_is_said_and_the_chat_goes_on() {
    let mut session = session();
    session.send(Msg::Kept(Kept::Lost("there is no room left".to_owned())));
    answered(&mut session, "one", "first");
    assert!(
        session
            .screen()
            .contains("this chat is not saved from here on: there is no room")
    );
    assert_eq!(shown(&session), ["one", "first"]);
    session.say("/rename x");
    assert!(
        session
            .state
            .flash
            .as_ref()
            .unwrap()
            .0
            .contains("not saved")
    );
}

#[derive(Clone, Debug)]
enum Step {
    Say(&'static str),
    Tokens,
    Finish(FinishReason),
    Key(KeyCode),
    Up,
    Ctrl(char),
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop::sample::select(vec!["hello", "/continue", "/undo", "/regen", "more\nlines"]);
    let ends = prop::sample::select(vec![
        FinishReason::EndOfTurn,
        FinishReason::Cancelled,
        FinishReason::MaxTokens,
    ]);
    let keys = prop::sample::select(vec![
        KeyCode::Char('e'),
        KeyCode::Char('r'),
        KeyCode::Char('c'),
        KeyCode::Char('d'),
        KeyCode::Char('u'),
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Esc,
        KeyCode::Enter,
    ]);
    prop_oneof![
        4 => said.prop_map(Step::Say),
        4 => Just(Step::Tokens),
        4 => ends.prop_map(Step::Finish),
        8 => keys.prop_map(Step::Key),
        3 => Just(Step::Up),
        1 => Just(Step::Ctrl('r')),
    ]
}

/// What the orders make of a tree: what is on disk.
fn carry_out(tree: &mut Tree, keep: Keep) {
    match keep {
        Keep::Add { message, .. } => tree.add(*message),
        Keep::Extend { number, text } => tree.extend(number, &text),
        Keep::Finish {
            number,
            state,
            timings,
        } => tree.finish(number, state, timings),
        Keep::Reopen(number) => tree.reopen(number),
        Keep::Remove(number) => tree.remove(number),
        Keep::Active(number) => tree.set_active(number),
        Keep::DeleteBranch(number) => tree.delete(number),
        Keep::RestoreBranch(number) => tree.restore(number),
        Keep::Close => {
            *tree = Tree::default();
            Ok(())
        }
        // What completes a command is only read.
        Keep::List { .. } => Ok(()),
        other => panic!("{other:?}"),
    }
    .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_kept_is_what_is_there_and_what_is_there_is_seen(
        steps in prop::collection::vec(step(), 1..50)
    ) {
        let mut session = session();
        let mut disk = Tree::default();
        for step in steps {
            match step {
                Step::Say(text) => { session.say(text); }
                Step::Tokens if session.state.run.is_some() => { session.tokens(&["word "]); }
                Step::Finish(reason) if session.state.run.is_some() => { session.finish(1, reason); }
                Step::Tokens | Step::Finish(_) => {}
                Step::Key(code) => { session.key(code); }
                Step::Up => up(&mut session),
                Step::Ctrl(c) => { session.ctrl(c); }
            }
            for keep in std::mem::take(&mut session.kept) {
                carry_out(&mut disk, keep);
            }
            let state = &session.state;
            prop_assert_eq!(&disk, &state.conversation.tree);
            let entries = state.transcript.entries().iter();
            let seen: Vec<u32> = entries.clone().filter_map(|entry| entry.node).collect();
            prop_assert_eq!(seen, state.conversation.tree.path());
            for entry in entries {
                if let Some(message) = entry.node.and_then(|n| state.conversation.tree.get(n)) {
                    prop_assert_eq!(&message.text, &entry.text);
                    let open = entry.kind == Kind::Answer(crate::chat::transcript::AnswerState::Running);
                    prop_assert_eq!(open, message.state == End::Partial);
                }
            }
            let running = state.run.as_ref().map(|run| run.node);
            let partial = state.conversation.tree.messages().find(|m| m.state == End::Partial);
            prop_assert_eq!(running, partial.map(|m| m.number));
            let lost = session.take_effects().iter().any(|effect| matches!(effect, Effect::Quit));
            prop_assert!(!lost);
        }
    }
}
