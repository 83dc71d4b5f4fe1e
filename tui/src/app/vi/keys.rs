//! Which keys are orders, and what they mean beyond the input.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Mode, Stroke, Vi, Wish};
use crate::app::chord::Chord;
use crate::app::commands::Action;
use crate::app::keymap::VI_REDO;
use crate::app::keys::Meaning;
use crate::app::msg::Effect;
use crate::app::palette;
use crate::app::state::{Load, State};
use crate::app::update;
use crate::chat::composer::Move;

/// Gives a key to vi; `None` if it means what it always does.
pub(crate) fn key(state: &mut State, event: KeyEvent, meaning: Meaning) -> Option<Vec<Effect>> {
    let vi = state.vi.as_mut()?;
    let composer = &mut state.composer;
    let chord = Chord::of(event);
    let bare = chord.modifiers == KeyModifiers::NONE;
    if chord.code == KeyCode::Esc && bare {
        // One Esc too many is a habit: it ends no program whose model is still being loaded.
        let loading = matches!(state.load, Load::Running(_)) && !state.waiting;
        return (vi.escape(composer) || loading).then(Vec::new);
    }
    // Esc and a key behind it that come together look like Alt and the key.
    if let (KeyCode::Char(c), KeyModifiers::ALT) = (chord.code, chord.modifiers)
        && !matches!(meaning, Meaning::Run(_))
    {
        vi.escape(composer);
        let wish = vi.order(composer, c);
        return Some(grant(state, wish));
    }
    let mode = vi.mode(composer);
    let redo = chord == VI_REDO && !matches!(meaning, Meaning::Run(_));
    if mode == Mode::Insert {
        if std::mem::take(&mut vi.wants_register) {
            if let KeyCode::Char(name) = chord.code {
                let held = vi.registers.get(Some(name)).cloned();
                if let Some(held) = held {
                    let stroke = Stroke::Put(held.draft);
                    stroke.apply(composer);
                    vi.note(stroke);
                }
            }
            return Some(Vec::new());
        }
        vi.wants_register = redo;
        return redo.then(Vec::new);
    }
    let ctrl = chord.modifiers == KeyModifiers::CONTROL;
    let empty = composer.text().is_empty();
    let c = match (chord.code, meaning) {
        (KeyCode::Enter, _) if bare && vi.keys.wants_character() => '\n',
        _ if redo => VI_REDO_ORDER,
        (KeyCode::Char('j'), Meaning::Run(Action::Newline)) if ctrl => 'j',
        (_, Meaning::Run(Action::Newline)) => return Some(Vec::new()),
        (_, Meaning::Run(_)) => return None,
        (KeyCode::Char('f'), _) if ctrl => return Some(update::run(state, Action::PageDown, "")),
        (KeyCode::Char('b'), _) if ctrl => return Some(update::run(state, Action::PageUp, "")),
        (KeyCode::Char('e'), _) if ctrl => return Some(scrolled(state, 1)),
        (KeyCode::Char('y'), _) if ctrl => return Some(scrolled(state, -1)),
        (KeyCode::Char('n'), _) if ctrl => 'j',
        (KeyCode::Char('h'), _) if ctrl => '\u{8}',
        (KeyCode::Char(_), _) if !chord.writes() => return Some(Vec::new()),
        (KeyCode::Char(c), _) => c,
        (KeyCode::Backspace, _) => '\u{8}',
        (KeyCode::Delete, _) => 'x',
        (KeyCode::Left, _) if bare => 'h',
        (KeyCode::Right, _) if bare => 'l',
        (KeyCode::Left, _) => 'b',
        (KeyCode::Right, _) => 'w',
        (KeyCode::Home, _) if !empty => '0',
        (KeyCode::End, _) if !empty => '$',
        (KeyCode::Up | KeyCode::Down, _) => {
            vi.keys = super::Keys::default();
            let wish = vi.row(composer, chord.code == KeyCode::Down, 1);
            return Some(grant(state, wish));
        }
        _ => return Some(Vec::new()),
    };
    let wish = vi.order(composer, c);
    Some(grant(state, wish))
}

/// How Ctrl+R is written among the orders.
const VI_REDO_ORDER: char = '\u{12}';

fn scrolled(state: &mut State, lines: i64) -> Vec<Effect> {
    state.scroll_by(lines);
    Vec::new()
}

/// Does what an order wants beyond the input.
fn grant(state: &mut State, wish: Wish) -> Vec<Effect> {
    match wish {
        Wish::Nothing => {}
        Wish::Older => {
            state.composer.recall_older();
        }
        Wish::Newer => {
            state.composer.recall_newer();
        }
        Wish::Search => palette::history(state),
        Wish::Commands => palette::open(state),
        Wish::Remark(text) => state.remark(text),
        Wish::Copy(text) => return vec![Effect::Copy(text)],
    }
    Vec::new()
}

/// A key did in the input what it always does, in insert mode.
pub(crate) fn typed(state: &mut State, meaning: Meaning) {
    let Some(vi) = &mut state.vi else { return };
    match meaning {
        Meaning::Insert(c) => vi.note(Stroke::Write(c.to_string())),
        Meaning::Run(Action::Newline) => vi.note(Stroke::Write("\n".to_owned())),
        Meaning::Delete { back } => vi.note(Stroke::Delete { back }),
        Meaning::DeleteTo(to) => vi.note(Stroke::DeleteTo(to)),
        Meaning::Go(_) | Meaning::Select(_) | Meaning::Recall { .. } | Meaning::Run(_) => {
            vi.note_move();
        }
        Meaning::Nothing => {}
    }
}

/// The text or the cursor is another one, and no key of the input did it.
pub(crate) fn moved(state: &mut State) {
    if let Some(vi) = &mut state.vi {
        vi.note_move();
    }
}

/// Text was pasted.
pub(crate) fn pasted(state: &mut State, text: &str) {
    let Some(vi) = &mut state.vi else { return };
    vi.note(Stroke::Paste(text.to_owned()));
    vi.keys = super::Keys::default();
    if vi.inserting.is_none() {
        // The cursor stays on the last character, as after `p`.
        state.composer.go(Move::Left);
    }
}

/// What was in the input is sent: the next message is written at once.
pub(crate) fn sent(state: &mut State) {
    let Some(vi) = &mut state.vi else { return };
    if state.composer.text().is_empty() {
        vi.insert(&mut state.composer, None);
    }
}

/// After every message: in normal mode the cursor stands on something.
pub(crate) fn settle(state: &mut State) {
    let Some(vi) = &mut state.vi else { return };
    let composer = &mut state.composer;
    if vi.mode(composer) == Mode::Normal {
        composer.deselect();
        composer.stand_in_line();
    }
}

/// `/composer vi` and `/composer emacs`.
pub(crate) fn switch(state: &mut State, argument: &str) {
    let text = match (argument, &state.vi) {
        ("vi", None) => {
            state.vi = Some(Vi::new(&mut state.composer));
            "vi keys edit the input: Esc, and i to write again; F1 lists them"
        }
        ("emacs", Some(_)) => {
            state.vi = None;
            state.composer.end_step();
            state.composer.deselect();
            "emacs keys edit the input"
        }
        ("vi", Some(_)) => "vi keys edit the input already",
        ("emacs", None) => "emacs keys edit the input already",
        ("", Some(_)) => "vi keys edit the input; /composer emacs changes that",
        ("", None) => "emacs keys edit the input; /composer vi changes that",
        _ => "it is /composer vi or /composer emacs",
    };
    state.setting.keymap.set_vi(state.vi.is_some());
    state.remark(text);
}
