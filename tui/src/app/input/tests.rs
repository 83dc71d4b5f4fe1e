use crossterm::event::{KeyCode, KeyModifiers};
use tritone_engine::text::Role;
use tritone_engine::{FinishReason, Input};

use super::super::headless::{Headless, loaded};
use super::super::msg::Msg;
use super::*;

fn session() -> Headless {
    Headless::loaded(80, 24)
}

fn asks(session: &mut Headless) -> Vec<Ask> {
    std::mem::take(&mut session.asks)
}

fn flash(session: &Headless) -> &str {
    let flash = session.state.flash.as_ref();
    flash.map_or("", |(text, _)| text.as_str())
}

fn last_message(session: &mut Headless) -> String {
    match session.take_request().input {
        Input::Chat(messages) => {
            let last = messages.into_iter().next_back().unwrap();
            assert_eq!(last.role, Role::User);
            last.content
        }
        other => panic!("{other:?}"),
    }
}

fn file(name: &str, content: &str) -> Msg {
    Msg::Desk(Told::Attached {
        typed: None,
        result: Ok((name.to_owned(), content.to_owned())),
    })
}

#[test]
fn a_large_paste_is_a_chip_and_is_sent_as_a_whole() {
    let mut session = session();
    let text = "0123456789abcde\n".repeat(6_400);
    session.write("see ").send(Msg::Paste(text.clone()));
    assert_eq!(
        session.state.composer.text(),
        "see [pasted 100 KiB, 6,400 lines, ~26k tokens]"
    );
    // It does not fit the context of 1024 tokens: it is said, and it stays.
    session.key(KeyCode::Enter);
    assert!(
        flash(&session).contains("it stays here: "),
        "{}",
        flash(&session)
    );
    assert!(!session.state.composer.is_blank());
    session.key(KeyCode::Backspace);
    assert_eq!(session.state.composer.text(), "see ");
    let short = "word ".repeat(450);
    session.send(Msg::Paste(short.clone())).key(KeyCode::Enter);
    assert_eq!(
        last_message(&mut session),
        format!("see {}", short.trim_end())
    );
}

#[test]
fn files_are_attached_and_wrapped() {
    let mut session = session();
    session.say("/attach notes.txt");
    let ask = Ask::Attach {
        path: "notes.txt".to_owned(),
        typed: None,
    };
    assert!(asks(&mut session).contains(&ask));
    session.send(file("notes.txt", "remember this\n"));
    session.send(file("other.rs", "fn main() {}"));
    session.say("/attach third");
    let third = Ask::Attach {
        path: "third".to_owned(),
        typed: None,
    };
    assert_eq!(
        asks(&mut session).pop(),
        Some(third),
        "a command behind files is one"
    );
    session.write("what is this?");
    assert_eq!(
        session.state.composer.text(),
        "[notes.txt 14 B, ~3 tokens] [other.rs 12 B, ~3 tokens] what is this?"
    );
    session.key(KeyCode::Enter);
    assert_eq!(
        last_message(&mut session),
        "<file name=\"notes.txt\">\nremember this\n</file>\n \n\
         <file name=\"other.rs\">\nfn main() {}\n</file>\n what is this?"
    );
    session.send(Msg::Desk(Told::Attached {
        typed: None,
        result: Err("cannot attach x: it is empty".to_owned()),
    }));
    assert!(session.screen().contains("cannot attach x"));
}

#[test]
fn a_path_in_a_message_is_replaced_where_it_stands() {
    let mut session = session();
    session.write("say @no please");
    session.send(Msg::Desk(Told::Attached {
        typed: Some("@no".to_owned()),
        result: Ok(("notes".to_owned(), "x".to_owned())),
    }));
    assert_eq!(
        session.state.composer.text(),
        "say [notes 1 B, ~1 tokens]  please"
    );
    session.key(KeyCode::End);
    // Not taken, it is text.
    session.ctrl('u').say("@no is text");
    assert_eq!(last_message(&mut session), "@no is text");
}

#[test]
fn messages_wait_their_turn_and_go_out_in_order() {
    let mut session = session();
    session.say("one").tokens(&["w"]);
    session.take_effects();
    session.say("two").say("three");
    assert!(session.state.composer.is_blank());
    assert_eq!(session.state.queue.waiting().len(), 2);
    assert!(session.screen().contains("two") && session.screen().contains("three"));
    let kept = asks(&mut session);
    assert!(
        kept.contains(&Ask::Remember(Draft::plain("two"))),
        "{kept:?}"
    );
    session.finish(1, FinishReason::EndOfTurn);
    assert_eq!(last_message(&mut session), "two");
    // Stopping an answer keeps what waits where it is seen.
    session.tokens(&["x"]).key(KeyCode::Esc).take_effects();
    session.finish(1, FinishReason::Cancelled);
    assert!(session.state.run.is_none());
    assert_eq!(session.state.queue.waiting().len(), 1);
    assert!(queue::is_held(&session.state));
    assert!(session.screen().contains("three"));
    session.key(KeyCode::Enter);
    assert_eq!(last_message(&mut session), "three");
}

#[test]
fn what_waits_can_be_edited_and_taken_back() {
    let mut session = session();
    session.say("one").tokens(&["w"]);
    session.say("two").say("three");
    session.press(KeyCode::Char('q'), KeyModifiers::ALT);
    assert_eq!(session.state.composer.text(), "three");
    session.write(" and more");
    session.press(KeyCode::Char('q'), KeyModifiers::ALT);
    assert_eq!(flash(&session), "send or delete what is in the input first");
    session.key(KeyCode::Enter);
    let waiting: Vec<_> = session
        .state
        .queue
        .waiting()
        .iter()
        .map(|d| d.text.clone())
        .collect();
    assert_eq!(waiting, ["two", "three and more"]);
    session.say("/queue").key(KeyCode::Enter);
    assert_eq!(session.state.composer.text(), "two");
    session.ctrl('u').say("/queue clear");
    assert!(session.state.queue.waiting().is_empty());
    session.key(KeyCode::Up).key(KeyCode::Up);
    assert_eq!(session.state.composer.text(), "/queue");
}

#[test]
fn messages_before_the_model_is_there_wait_as_well() {
    let mut session = Headless::new(80, 24);
    session.say("one").say("two");
    assert_eq!(session.state.queue.waiting().len(), 1);
    session.take_effects();
    session.send(Msg::Loaded(Box::new(loaded(&[]))));
    assert_eq!(last_message(&mut session), "one");
    session.tokens(&["x"]).finish(1, FinishReason::EndOfTurn);
    assert_eq!(last_message(&mut session), "two");
}

#[test]
fn leaving_keeps_what_was_not_sent() {
    let mut session = session();
    session.write("half a thought").ctrl('c').ctrl('c');
    let kept = asks(&mut session);
    assert!(kept.contains(&Ask::Remember(Draft::plain("half a thought"))));
}

#[test]
fn earlier_sessions_are_recalled() {
    let mut session = session();
    session.send(Msg::Desk(Told::History(vec![Draft::plain("long ago")])));
    session.key(KeyCode::Up);
    assert_eq!(session.state.composer.text(), "long ago");
}

#[test]
fn the_editor_gets_everything_written_out_and_gives_it_back() {
    let mut session = session();
    session.write("a ").send(file("f", "x")).ctrl('o');
    let effects = session.take_effects();
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::EditText(text) => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(sent, Some("a \n<file name=\"f\">\nx\n</file>\n "));
    session.send(Msg::Edited(Err("cannot run ed".to_owned())));
    assert!(
        session.state.composer.text().contains("[f 1 B"),
        "nothing is lost"
    );
    session.send(Msg::Edited(Ok("all new".to_owned())));
    assert_eq!(session.state.composer.text(), "all new");
    session.press(KeyCode::Char('z'), KeyModifiers::ALT);
    session.press(KeyCode::Char('z'), KeyModifiers::ALT);
    assert!(session.state.composer.text().contains("[f 1 B"));
}

#[test]
fn system_prompts_have_names() {
    let mut session = session();
    session.say("/system save x");
    assert!(
        session
            .screen()
            .contains("there is no system prompt to save")
    );
    session.say("/system Be  brief.").say("/system save terse");
    let save = Ask::SavePrompt {
        name: "terse".to_owned(),
        text: "Be  brief.".to_owned(),
    };
    assert!(asks(&mut session).contains(&save));
    session.say("/system load");
    assert!(asks(&mut session).contains(&Ask::Prompts));
    let prompt = ("kind".to_owned(), "Be kind.".to_owned());
    session.send(Msg::Desk(Told::Prompts(vec![prompt.clone()])));
    session.key(KeyCode::Enter);
    assert!(asks(&mut session).contains(&Ask::LoadPrompt("kind".to_owned())));
    session.send(Msg::Desk(Told::Prompt(Ok(prompt))));
    assert_eq!(session.state.system.as_deref(), Some("Be kind."));
    session.say("/system load what you can carry");
    assert_eq!(
        session.state.system.as_deref(),
        Some("load what you can carry"),
        "more than a name is a prompt"
    );
}

#[test]
fn shift_selects_and_edits_are_taken_back() {
    let mut session = session();
    session.write("one two");
    session.press(KeyCode::Left, KeyModifiers::SHIFT | KeyModifiers::CONTROL);
    session.write("x");
    assert_eq!(session.state.composer.text(), "one x");
    session.press(KeyCode::Home, KeyModifiers::SHIFT);
    session.key(KeyCode::Delete);
    assert_eq!(session.state.composer.text(), "");
    session.ctrl('7');
    assert_eq!(session.state.composer.text(), "one x");
    session.press(KeyCode::Char('y'), KeyModifiers::ALT);
    session.press(KeyCode::Char('y'), KeyModifiers::ALT);
    assert_eq!(session.state.composer.text(), "");
    assert_eq!(flash(&session), "nothing was taken back");
}
