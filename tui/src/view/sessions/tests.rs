use crossterm::event::{KeyCode, KeyModifiers};
use tritone_engine::FinishReason;
use tritone_store::{Details, Hit, Message, Piece, Session, Tree};

use crate::app::headless::Headless;
use crate::app::keep::{Keep, Kept, Row};
use crate::app::msg::Msg;

/// Plays `script` at every size and compares the screens with those on record.
fn at_all_sizes(name: &str, script: impl Fn(&mut Headless)) {
    for (columns, rows) in [(40, 12), (80, 24), (120, 40)] {
        let mut session = Headless::loaded(columns, rows);
        session.state.keeping = true;
        session.state.saving = true;
        script(&mut session);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), session.screen());
    }
}

fn row(id: i64, title: &str, tags: &[&str], when: &str) -> Row {
    let details = Details {
        title: title.to_owned(),
        model: Some("bitnet-b1.58-2B-4T".to_owned()),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..Details::default()
    };
    let session = Session {
        id,
        details,
        created: 0,
        updated: 0,
        messages: id.unsigned_abs() * 2,
        deleted: None,
        unfinished: id == 3,
    };
    Row {
        session,
        when: when.to_owned(),
        hit: None,
        elsewhere: id == 2,
    }
}

fn rows() -> Vec<Row> {
    vec![
        row(4, "What is the capital of Peru?", &["travel"], "now"),
        row(3, "A story about a fox", &[], "5 min ago"),
        row(2, "東京旅行の計画", &["travel", "work"], "3 h ago"),
        row(
            1,
            "Review this change, and say what could go wrong with it",
            &[],
            "2026-11-09",
        ),
    ]
}

/// Answers the last order as the thread that keeps would.
fn list(session: &mut Headless, rows: Vec<Row>) {
    let turn = session.kept.iter().rev().find_map(|keep| match keep {
        Keep::List { turn, .. } => Some(*turn),
        _ => None,
    });
    let turn = turn.unwrap();
    session.send(Msg::Kept(Kept::Listed { turn, rows }));
    let wanted = session.kept.iter().rev().find_map(|keep| match keep {
        Keep::Preview(id) => Some(*id),
        _ => None,
    });
    if let Some(id) = wanted {
        let mut tree = Tree::default();
        tree.add(Message::user(1, None, "What is the capital of Peru?"))
            .unwrap();
        let answer = "The capital of Peru is Lima. It lies at the coast of the Pacific, in the \
                      valleys of three rivers.";
        let mut message = Message::answer(2, Some(1));
        message.text = answer.to_owned();
        tree.add(message).unwrap();
        session.send(Msg::Kept(Kept::Preview(id, Box::new(tree))));
    }
}

#[test]
fn earlier_chats() {
    at_all_sizes("list", |session| {
        session.key(KeyCode::F(7));
        list(session, rows());
        session.key(KeyCode::Down);
        list(session, rows());
    });
}

#[test]
fn found() {
    at_all_sizes("found", |session| {
        session.key(KeyCode::F(7));
        list(session, rows());
        session.write("/lima");
        let piece = |text: &str, found| Piece {
            text: text.to_owned(),
            found,
        };
        let mut row = rows().remove(0);
        row.hit = Some(Hit {
            session: row.session.clone(),
            message: Some(2),
            snippet: vec![
                piece("The capital of Peru is ", false),
                piece("Lima", true),
                piece(". It lies at the …", false),
            ],
        });
        list(session, vec![row]);
    });
}

#[test]
fn nothing_found_and_nothing_there() {
    at_all_sizes("nothing_found", |session| {
        session.key(KeyCode::F(7));
        session.write("/xyz");
        list(session, Vec::new());
    });
    at_all_sizes("none", |session| {
        session.key(KeyCode::F(7));
        list(session, Vec::new());
    });
}

#[test]
fn a_title_is_written_and_a_deletion_confirmed() {
    at_all_sizes("title", |session| {
        session.key(KeyCode::F(7));
        list(session, rows());
        session.write("n, and of Chile");
    });
    at_all_sizes("delete", |session| {
        session.key(KeyCode::F(7));
        list(session, rows());
        session.write("d");
    });
}

#[test]
fn a_message_is_selected() {
    at_all_sizes("selected", |session| {
        session
            .say("What is the capital of Peru?")
            .tokens(&["Lima."]);
        session.finish(1, FinishReason::EndOfTurn);
        session.ctrl('r').tokens(&["The capital", " is Lima."]);
        session.finish(2, FinishReason::MaxTokens);
        session.press(KeyCode::Up, KeyModifiers::ALT);
    });
}

#[test]
fn there_is_something_to_go_on_with() {
    at_all_sizes("resumable", |session| {
        let mut last = rows().remove(1).session;
        last.unfinished = true;
        session.send(Msg::Kept(Kept::Last(Box::new(last))));
    });
}

#[test]
fn keys_do_what_the_line_says() {
    let mut session = Headless::loaded(80, 24);
    session.state.keeping = true;
    session.key(KeyCode::F(7));
    list(&mut session, rows());
    session.kept.clear();
    session.write("tone two").key(KeyCode::Enter);
    session.write("x").key(KeyCode::Enter);
    session.write("dy");
    session.write("u");
    session.write("dn");
    session.key(KeyCode::Enter);
    let kept: Vec<String> = session
        .kept
        .iter()
        .map(|keep| format!("{keep:?}"))
        .collect();
    assert_eq!(
        kept,
        [
            r#"Tag(Some(4), "travelone two")"#,
            r#"Export(Some(4), "what-is-the-capital-of-peru.md")"#,
            "Delete(4)",
            "Restore(4)",
            "Open(Id(4))",
        ]
    );
}
