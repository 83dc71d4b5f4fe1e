//! Reading: copying from the transcript, searching it, showing it as it came.

use crossterm::event::{KeyCode, KeyEvent};

use super::msg::Effect;
use super::state::State;
use crate::chat::transcript::{Hit, Kind, Transcript};

/// A search of the transcript.
#[derive(Clone, Debug)]
pub(crate) struct Find {
    /// What is looked for.
    pub(crate) text: String,
    /// What was found last.
    at: Option<Hit>,
}

/// `/copy`, `/copy code [N]`, `/copy all`.
pub(super) fn copy(state: &mut State, argument: &str) -> Vec<Effect> {
    let (what, number) = argument.split_once(' ').unwrap_or((argument, ""));
    let copied = match (what, number.trim()) {
        ("", "") => state
            .transcript
            .last_answer()
            .map(|text| (text.to_owned(), "the answer".to_owned()))
            .ok_or("there is no answer to copy yet".to_owned()),
        ("all", "") => match everything(state) {
            text if text.is_empty() => Err("there is nothing to copy yet".to_owned()),
            text => Ok((text, "the chat".to_owned())),
        },
        ("code", number) => code(state, number),
        _ => Err("it is /copy, /copy code, /copy code 2 or /copy all".to_owned()),
    };
    let (text, name) = match copied {
        Ok(copied) => copied,
        Err(why) => {
            state.remark(why);
            return Vec::new();
        }
    };
    let characters = text.chars().count();
    state.remark(format!("copying {name}: {characters} characters"));
    vec![Effect::Copy(text)]
}

/// A code block of the last answer that has any.
fn code(state: &State, number: &str) -> Result<(String, String), String> {
    let codes = state.transcript.last_codes();
    let count = codes.len();
    let wanted = match number {
        "" => count,
        number => number.parse().unwrap_or(0),
    };
    let code = wanted.checked_sub(1).and_then(|at| codes.get(at));
    match code {
        Some(code) => {
            let text = code.text.strip_suffix('\n').unwrap_or(&code.text);
            Ok((text.to_owned(), format!("code {wanted}")))
        }
        None if count == 0 => Err("there is no code block to copy yet".to_owned()),
        None if count == 1 => Err("there is one code block: /copy code 1".to_owned()),
        None => Err(format!("the code blocks are numbered from 1 to {count}")),
    }
}

/// What was said, for people.
fn everything(state: &State) -> String {
    let mut text = String::new();
    for entry in state.transcript.entries() {
        let name = match entry.kind {
            Kind::User => "You",
            Kind::Answer(_) if !entry.text.is_empty() => "Answer",
            Kind::Answer(_) | Kind::Note | Kind::Error | Kind::Race => continue,
        };
        text.push_str(&format!("## {name}\n\n{}\n\n", entry.text.trim_end()));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Shows answers as they came, or as Markdown again.
pub(super) fn raw(state: &mut State) {
    let raw = !state.transcript.is_raw();
    let anchor = state.anchor();
    state.transcript.set_raw(raw);
    state.hold(anchor);
    state.remark(if raw {
        "answers are shown as they came; /raw shows them as Markdown again"
    } else {
        "answers are shown as Markdown"
    });
}

/// `/find TEXT`: begins a search with the last place it is found at.
pub(super) fn find(state: &mut State, argument: &str) {
    if argument.is_empty() {
        state.find = None;
        state.remark("it is /find TEXT");
        return;
    }
    state.find = Some(Find {
        text: argument.to_owned(),
        at: None,
    });
    go(state, false);
}

/// Keys of a search, while the input is empty: `n`, `N`, Esc. Anything else ends it.
pub(super) fn key(state: &mut State, event: KeyEvent) -> bool {
    if state.find.is_none() || !state.composer.text().is_empty() {
        return false;
    }
    match event.code {
        KeyCode::Char('n') => go(state, true),
        KeyCode::Char('N') => go(state, false),
        KeyCode::Esc => {
            state.find = None;
            state.flash = None;
        }
        KeyCode::Char(_) | KeyCode::Enter => {
            state.find = None;
            return false;
        }
        _ => return false,
    }
    true
}

/// Goes to the next hit or the one before.
fn go(state: &mut State, forward: bool) {
    let Some(find) = &state.find else { return };
    let hits = state.transcript.find(&find.text);
    let after = |at: Hit| hits.partition_point(|&hit| hit <= at);
    let before = |at: Hit| hits.partition_point(|&hit| hit < at);
    let count = hits.len();
    let at = match (find.at, forward) {
        (None, _) => count.checked_sub(1),
        (Some(at), true) => Some(if after(at) < count { after(at) } else { 0 }),
        (Some(at), false) => before(at).checked_sub(1).or(count.checked_sub(1)),
    };
    let Some((at, hit)) = at.and_then(|at| Some((at, *hits.get(at)?))) else {
        let text = crate::chat::glyph::fit(&find.text, 30).to_owned();
        state.find = None;
        state.remark(format!("{text} is not in this chat"));
        return;
    };
    if let Some(find) = &mut state.find {
        find.at = Some(hit);
    }
    let seen = state.lines_seen();
    let line = state.transcript.reach(Transcript::place_of(hit), seen);
    state.scroll_to(line.saturating_sub(seen / 3));
    let place = at + 1;
    state.remark(format!("{place} of {count}: n next, N back, Esc ends"));
}
