use crossterm::event::KeyCode;

use crate::app::headless::{Headless, loaded};
use crate::app::host::{ModelList, ModelRow, Order, Smaller};
use crate::app::msg::{Effect, Msg};

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (120, 40)];

fn row(name: &str, format: &str, bytes: u64) -> ModelRow {
    ModelRow {
        name: name.to_owned(),
        architecture: Some("bitnet-b1.58".to_owned()),
        format: format.to_owned(),
        parameters: Some(bytes * 4),
        bytes,
        place: "hugging-face".to_owned(),
        path: format!("/models/{name}.gguf"),
        memory: Some((bytes + (60 << 20), Some(1 << 30))),
        fits: bytes < 900 << 20,
        ..ModelRow::default()
    }
}

fn list() -> ModelList {
    let mut rows = vec![
        row("bitnet-b1.58-2b-4t-i2_s", "I2_S", 1187 << 20),
        row("bonsai-1.7b-q2_0", "Q2_0", 508 << 20),
        row("tritone-tiny", "I2_S", 2 << 20),
        row("llama-3-8b-instruct-q4_k_m", "Q4_K", 4 << 30),
    ];
    rows[0].smaller = Some(Smaller {
        settings: vec![("head".to_owned(), "q6".to_owned())],
        flags: "--head q6".to_owned(),
        total: 800 << 20,
    });
    rows[2].active = true;
    (rows[2].path, rows[2].place) = (String::new(), "built-in".to_owned());
    (rows[3].memory, rows[3].fits) = (None, false);
    rows[3].why_not = Some("not ternary".to_owned());
    let notes = Vec::new();
    ModelList { rows, notes }
}

fn shown(columns: u16, rows: u16) -> Headless {
    let mut session = Headless::loaded(columns, rows);
    session.key(KeyCode::F(6));
    assert!(matches!(session.effects.last(), Some(Effect::Look)));
    session.send(Msg::Models(Ok(list())));
    session.effects.clear();
    session
}

fn orders(session: &Headless) -> Vec<&Order> {
    fn order(effect: &Effect) -> Option<&Order> {
        match effect {
            Effect::Apply(order) => Some(order),
            _ => None,
        }
    }
    session.effects.iter().filter_map(order).collect()
}

#[test]
fn models_are_seen_at_all_sizes() {
    for (columns, rows) in SIZES {
        let mut session = shown(columns, rows);
        insta::assert_snapshot!(format!("models_{columns}x{rows}"), session.screen());
        session.key(KeyCode::Home).key(KeyCode::Enter);
        insta::assert_snapshot!(format!("models_large_{columns}x{rows}"), session.screen());
        session.write("/llama");
        insta::assert_snapshot!(format!("models_filter_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn looking_and_finding_nothing_is_said() {
    let (columns, rows) = (80, 24);
    let mut session = Headless::loaded(columns, rows);
    session.key(KeyCode::F(6));
    assert!(session.screen().contains("looking for models"));
    session.send(Msg::Looking { done: 3, of: 12 });
    assert!(session.screen().contains("looking at model 3 of 12"));
    session.key(KeyCode::Esc);
    assert!(matches!(session.effects.last(), Some(Effect::StopLooking)));
    session.send(Msg::Models(Err("the disk is gone".to_owned())));
    assert!(session.screen().contains("the disk is gone"));
    session.key(KeyCode::Char('r'));
    assert!(matches!(session.effects.last(), Some(Effect::Look)));
}

#[test]
fn enter_loads_what_runs_and_says_why_nothing_else() {
    let mut session = shown(80, 24);
    // The one in use is selected.
    session.key(KeyCode::Enter);
    assert!(session.screen().contains("tritone-tiny is in use"));
    session.key(KeyCode::Down).key(KeyCode::Enter);
    assert!(session.screen().contains("does not run: not ternary"));
    assert!(orders(&session).is_empty());
    // What does not fit is offered with what does, and then loaded so.
    session.key(KeyCode::Home).key(KeyCode::Enter);
    assert!(session.screen().contains("it fits with --head q6"));
    assert!(orders(&session).is_empty());
    session.key(KeyCode::Enter);
    let [order] = orders(&session)[..] else {
        panic!("{:?}", session.effects);
    };
    assert_eq!(
        order.model.as_deref(),
        Some("/models/bitnet-b1.58-2b-4t-i2_s.gguf")
    );
    assert_eq!(order.settings, [("head".to_owned(), "q6".to_owned())]);
}

#[test]
fn a_filter_narrows_the_list_and_enter_takes_from_it() {
    let mut session = shown(80, 24);
    session.write("/bonsai").key(KeyCode::Enter);
    assert!(session.screen().contains("1 of 4 models"));
    session.key(KeyCode::Enter);
    let names: Vec<_> = orders(&session)
        .iter()
        .map(|order| order.summary())
        .collect();
    assert_eq!(names, ["model bonsai-1.7b-q2_0.gguf"]);
    // When it is there, the list is made anew.
    session.effects.clear();
    session.send(Msg::Applied(Ok(Box::new(loaded(&[])))));
    assert!(
        session
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Look))
    );
}

#[test]
fn a_message_waits_for_another_model_and_not_for_a_profile() {
    let begins = |session: &Headless| {
        let generate = |effect: &&Effect| matches!(effect, Effect::Generate { .. });
        session.effects.iter().filter(generate).count()
    };
    let mut session = Headless::loaded(80, 24);
    session.write("/model other").key(KeyCode::Enter);
    assert_eq!(orders(&session).len(), 1);
    session.write("Hello").key(KeyCode::Enter);
    assert_eq!(begins(&session), 0);
    session.send(Msg::Applied(Err("there is no such model"
        .to_owned()
        .into())));
    assert_eq!(begins(&session), 1, "the old model answers");
    assert!(session.screen().contains("there is no such model"));
    // In the middle of an answer, a profile but no model.
    session.write("/model other").key(KeyCode::Enter);
    assert_eq!(orders(&session).len(), 1);
    session.write("/profile mobile").key(KeyCode::Enter);
    assert_eq!(orders(&session).len(), 2);
}
