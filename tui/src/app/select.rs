//! Messages are selected one by one, to change the tree of the conversation where they stand.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tritone_store::{Number, Role};

use super::answer;
use super::conversation;
use super::keys::{self, Meaning};
use super::msg::Effect;
use super::state::State;

/// What the keys do, for the line above the input.
pub(crate) const HELP: &str = "e edit r again c go on d delete y copy";

/// Selects the last message, or moves on from the one that is selected.
pub(super) fn enter(state: &mut State, down: bool) {
    if state.select.is_some() {
        go(state, if down { 1 } else { -1 });
        return;
    }
    state.select = state.conversation.tree.active();
    if state.select.is_none() {
        state.remark("there is no message to select yet");
    }
    bring_into_view(state);
}

/// Takes a key while messages are selected; `None` if it means what it always does.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let selected = state.select?;
    let meaning = keys::meaning(state, event);
    if matches!(meaning, Meaning::Run(action) if action.is_urgent()) {
        state.select = None;
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return None;
    }
    let effects = match event.code {
        KeyCode::Up | KeyCode::Char('k') => go(state, -1),
        KeyCode::Down | KeyCode::Char('j') => go(state, 1),
        KeyCode::Home => go(state, isize::MIN),
        KeyCode::End => go(state, isize::MAX),
        KeyCode::Esc | KeyCode::Char('q') => {
            state.select = None;
            Vec::new()
        }
        KeyCode::Char('y') => copy(state, selected),
        KeyCode::Char(_) | KeyCode::Left | KeyCode::Right | KeyCode::Delete
            if state.run.is_some() || state.waiting =>
        {
            state.remark("an answer is on its way: Esc leaves the selection, and then stops it");
            Vec::new()
        }
        KeyCode::Left | KeyCode::Char('h') => turn(state, selected, -1),
        KeyCode::Right | KeyCode::Char('l') => turn(state, selected, 1),
        KeyCode::Char('e') => edit(state, selected),
        KeyCode::Char('r') => again(state, selected),
        KeyCode::Char('c') => {
            if state.conversation.tree.active() != Some(selected) {
                state.remark("only the last answer can be gone on with");
                return Some(Vec::new());
            }
            state.select = None;
            answer::go_on(state)
        }
        KeyCode::Char('d') | KeyCode::Delete => delete(state, selected),
        KeyCode::Char('u') => {
            let effects = conversation::undelete(state);
            state.select = state.conversation.tree.active();
            bring_into_view(state);
            effects
        }
        KeyCode::Enter | KeyCode::Tab | KeyCode::Backspace | KeyCode::Char(_) => Vec::new(),
        _ => return None,
    };
    Some(effects)
}

fn go(state: &mut State, by: isize) -> Vec<Effect> {
    let path = state.conversation.tree.path();
    let at = path.iter().position(|&number| Some(number) == state.select);
    let last = path.len().saturating_sub(1);
    let at = at.unwrap_or(last).saturating_add_signed(by).min(last);
    state.select = path.get(at).copied();
    bring_into_view(state);
    Vec::new()
}

fn turn(state: &mut State, selected: Number, by: isize) -> Vec<Effect> {
    match conversation::turn_to(state, selected, by) {
        Some((sibling, effects)) => {
            state.select = Some(sibling);
            bring_into_view(state);
            effects
        }
        None => {
            let (at, count) = state.conversation.tree.place(selected);
            state.remark(match count {
                1 => "there is no other version: r answers again, e edits".to_owned(),
                _ => format!("this is version {at} of {count}"),
            });
            Vec::new()
        }
    }
}

fn edit(state: &mut State, selected: Number) -> Vec<Effect> {
    let message = state.conversation.tree.get(selected);
    let Some(text) = message
        .filter(|message| message.role == Role::User)
        .map(|message| message.text.clone())
    else {
        state.remark("only your own messages can be edited; r lets the model answer again");
        return Vec::new();
    };
    state.composer.set(text);
    state.conversation.editing = Some(selected);
    state.select = None;
    Vec::new()
}

fn again(state: &mut State, selected: Number) -> Vec<Effect> {
    let message = state.conversation.tree.get(selected);
    let question = message.and_then(|message| match message.role {
        Role::User => Some(selected),
        Role::Assistant => message.parent,
    });
    state.select = None;
    match question {
        Some(question) => answer::again_under(state, question),
        None => Vec::new(),
    }
}

fn delete(state: &mut State, selected: Number) -> Vec<Effect> {
    let tree = &state.conversation.tree;
    let parent = tree.get(selected).and_then(|message| message.parent);
    let count = tree.branch(selected).len();
    let effects = conversation::delete(state, selected);
    let path = state.conversation.tree.path();
    // What now stands in its place, or before it.
    let before = path.iter().position(|&number| Some(number) == parent);
    let here = before.map_or(0, |at| at + 1);
    state.select = path.get(here).copied().or(parent);
    bring_into_view(state);
    let what = match count {
        1 => "the message is".to_owned(),
        count => format!("{count} messages are"),
    };
    state.remark(format!("{what} deleted: u, or /undo, brings it back"));
    effects
}

fn copy(state: &mut State, selected: Number) -> Vec<Effect> {
    let message = state.conversation.tree.get(selected);
    let Some(text) = message.map(|message| message.text.clone()) else {
        return Vec::new();
    };
    let characters = text.chars().count();
    state.remark(format!("copying the message: {characters} characters"));
    vec![Effect::Copy(text)]
}

/// Scrolls so that the selected message is seen, from its first line on.
fn bring_into_view(state: &mut State) {
    let seen = state.lines_seen().max(1);
    let Some(selected) = state.select else { return };
    // Where the view is now counts on as well, as rows become known.
    let anchor = state.anchor();
    let Some(_) = state.transcript.reach_message(selected, seen) else {
        return;
    };
    state.hold(anchor);
    let Some((first, height)) = state.transcript.lines_of(selected) else {
        return;
    };
    let top = state.top();
    if first < top {
        state.scroll_to(first);
    } else if first + height > top + seen {
        state.scroll_to(first.min((first + height).saturating_sub(seen)));
    }
}

/// A line about the selected message.
pub(crate) fn about(state: &State, selected: Number) -> String {
    let tree = &state.conversation.tree;
    let path = tree.path();
    let at = path.iter().position(|&number| number == selected);
    let (place, count) = tree.place(selected);
    let mut text = format!("message {} of {}", at.map_or(0, |at| at + 1), path.len());
    if count > 1 {
        text.push_str(&format!(", version {place} of {count}"));
    }
    text
}

#[cfg(test)]
mod tests;
