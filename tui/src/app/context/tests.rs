use crossterm::event::KeyCode;
use proptest::prelude::*;
use tritone_engine::text::Role;
use tritone_engine::{FinishReason, Input};

use super::super::backend::Counted;
use super::super::headless::Headless;
use super::super::msg::Msg;
use super::*;

/// Answers questions for counts: a token a byte, 2 around each message, 5 around all.
fn count(session: &mut Headless) {
    for _ in 0..5 {
        for (keys, texts) in std::mem::take(&mut session.counts) {
            let counted = Counted {
                tokens: texts.iter().map(String::len).collect(),
                fixed: 5,
                each: 2,
            };
            session.send(Msg::Counted {
                keys,
                result: Ok(counted),
            });
        }
    }
}

/// Three turns of 200 tokens each, in a context of 1024 of which 256 are for an answer.
fn talk() -> Headless {
    let mut session = Headless::loaded(80, 24);
    count(&mut session);
    for _ in 0..3 {
        session.say(&"q".repeat(96));
        session
            .tokens(&[&"a".repeat(100)])
            .finish(100, FinishReason::EndOfTurn);
        count(&mut session);
    }
    session
}

fn plan(session: &Headless) -> Plan {
    session.state.plan.clone().unwrap()
}

#[test]
fn the_gauge_counts_what_is_written_and_says_what_will_be_left_out() {
    let mut session = talk();
    assert_eq!((plan(&session).used, plan(&session).left_out), (605, 0));
    assert!(plan(&session).exact);
    session.send(Msg::Paste("x".repeat(300)));
    count(&mut session);
    let now = plan(&session);
    assert_eq!(
        (now.used, now.left_out, now.turns, now.tokens),
        (707, 2, 1, 200)
    );
    let gauge = "ctx 405/1024 +302 (69 %)";
    assert!(session.screen().contains(gauge), "{}", session.screen());
    let screen = session.screen();
    assert!(
        screen.contains("leaves out the oldest turn, 200 tokens"),
        "{screen}"
    );
    assert_eq!(outside(&session.state), 2);
    session.key(KeyCode::Enter);
    let request = session.take_request();
    let Input::Chat(messages) = request.input else {
        panic!("no chat")
    };
    let lengths: Vec<_> = messages.iter().map(|m| m.content.len()).collect();
    assert_eq!(lengths, [96, 100, 96, 100, 300]);
    let notes: Vec<_> = session
        .state
        .transcript
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Note)
        .map(|entry| entry.text.clone())
        .collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("left out of the context: the oldest turn, 200")),
        "{notes:?}"
    );
}

#[test]
fn keep_refuses_instead_and_the_message_stays() {
    let mut session = talk();
    session.say("/keep on");
    let text = "x".repeat(300);
    session.send(Msg::Paste(text.clone()));
    count(&mut session);
    session.key(KeyCode::Enter);
    assert_eq!(session.state.composer.text(), text);
    assert!(session.state.run.is_none());
    session.wait(9_000).send(Msg::Tick);
    session.ctrl('u').say("/keep off");
    session.send(Msg::Paste(text)).key(KeyCode::Enter);
    assert!(session.state.run.is_some());
}

#[test]
fn a_message_that_is_too_long_by_itself_stays_with_the_numbers() {
    let mut session = talk();
    session.send(Msg::Paste("word ".repeat(300)));
    count(&mut session);
    session.key(KeyCode::Enter);
    assert!(session.state.run.is_none());
    assert!(!session.state.composer.is_blank());
    let flash = session.state.flash.as_ref().map(|(text, _)| text.clone());
    let flash = flash.unwrap();
    assert!(
        flash.contains("it stays here: 1506 tokens") && flash.contains("1024"),
        "{flash}"
    );
}

fn conversations() -> impl Strategy<Value = Vec<(Role, usize)>> {
    proptest::collection::vec((0_usize..300, 0_usize..300, any::<bool>()), 0..12).prop_map(
        |turns| {
            let mut said = Vec::new();
            for (question, answer, answered) in turns {
                said.push((Role::User, question));
                if answered {
                    said.push((Role::Assistant, answer));
                }
            }
            said.push((Role::User, 10));
            said
        },
    )
}

proptest! {
    /// What is kept fits, or is the last message alone; nothing is left out that would have fit; a
    /// turn is never torn apart.
    #[test]
    fn the_newest_whole_turns_that_fit_are_kept(
        turns in conversations(), fixed in 0_usize..100, budget in 0_usize..3000,
    ) {
        let first = choose(&turns, fixed, budget);
        let sum = |turns: &[(Role, usize)]| fixed + turns.iter().map(|(_, n)| n).sum::<usize>();
        prop_assert!(first < turns.len(), "the last message is kept");
        prop_assert_eq!(turns[first].0, Role::User);
        let alone = turns[first + 1..].iter().all(|(role, _)| *role != Role::User);
        prop_assert!(sum(&turns[first..]) <= budget || alone);
        if first > 0 {
            let before = turns[..first].iter().rposition(|(role, _)| *role == Role::User);
            prop_assert!(sum(&turns[before.unwrap()..]) > budget, "one more turn would have fit");
        }
    }
}
