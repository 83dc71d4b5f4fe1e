//! The Sessions view: earlier conversations, searched, looked at and gone on with.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tritone_store::{Session, SessionId, Tree};

use super::list::Selected;
use crate::app::conversation;
use crate::app::keep::{Keep, Row, Which};
use crate::app::msg::Effect;
use crate::app::overlay::{Confirm, Overlay};
use crate::app::screen::View;
use crate::app::state::State;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    /// The sessions, those that were found if something is looked for; `None` until they are read.
    pub(crate) rows: Option<Vec<Row>>,
    pub(crate) selected: Selected,
    /// What is looked for.
    pub(crate) search: String,
    /// What is being typed, if something is.
    pub(crate) field: Option<Field>,
    /// The session that is looked at.
    pub(crate) preview: Option<(SessionId, Tree)>,
    /// The session that was deleted last.
    deleted: Option<SessionId>,
    /// Answers to older questions are not listened to.
    turn: u64,
}

/// A line that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// What to look for.
    Search,
    /// A title for a session.
    Title(SessionId, String),
    /// Tags for a session.
    Tags(SessionId, String),
    /// A file for a session.
    File(SessionId, String),
}

impl Sessions {
    /// The session that is selected.
    pub(crate) fn row(&self) -> Option<&Row> {
        let rows = self.rows.as_deref()?;
        rows.get(self.selected.row(rows.len()))
    }
}

fn keep(what: Keep) -> Vec<Effect> {
    vec![Effect::Keep(Box::new(what))]
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    if state.views.sessions.field.is_some() {
        return key_in_field(state, event);
    }
    let view = &mut state.views.sessions;
    let rows = view.rows.as_ref().map_or(0, Vec::len);
    if view.selected.key(event, rows) {
        return Some(look(state));
    }
    if !(event.modifiers - KeyModifiers::SHIFT).is_empty() {
        return None;
    }
    let row = view.row().map(|row| row.session.clone());
    let effects = match (event.code, row) {
        (KeyCode::Char('/'), _) => {
            view.field = Some(Field::Search);
            Vec::new()
        }
        (KeyCode::Esc, _) if !view.search.is_empty() => {
            view.search.clear();
            refresh(state)
        }
        (KeyCode::Char('u'), _) => match view.deleted.take() {
            Some(id) => keep(Keep::Restore(id)),
            None => {
                state.remark("nothing was deleted here; `tritone sessions restore` knows more");
                Vec::new()
            }
        },
        (KeyCode::Enter, Some(session)) => open(state, session.id),
        (KeyCode::Char('n'), Some(session)) => {
            view.field = Some(Field::Title(session.id, session.details.title));
            Vec::new()
        }
        (KeyCode::Char('t'), Some(session)) => {
            let tags = session.details.tags.join(" ");
            view.field = Some(Field::Tags(session.id, tags));
            Vec::new()
        }
        (KeyCode::Char('x'), Some(session)) => {
            let name = file_name(&session.details.title);
            view.field = Some(Field::File(session.id, name));
            Vec::new()
        }
        (KeyCode::Char('d') | KeyCode::Delete, Some(session)) => {
            ask_to_delete(state, &session);
            Vec::new()
        }
        (KeyCode::Char(_) | KeyCode::Enter | KeyCode::Delete, _) => Vec::new(),
        _ => return None,
    };
    Some(effects)
}

/// A name for a file, from a title.
fn file_name(title: &str) -> String {
    let mut name = String::new();
    for c in title.chars().take(40) {
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    format!("{}.md", if name.is_empty() { "chat" } else { name })
}

fn key_in_field(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let view = &mut state.views.sessions;
    let field = view.field.as_mut()?;
    let search = matches!(field, Field::Search);
    let text = match field {
        Field::Search => &mut view.search,
        Field::Title(_, text) | Field::Tags(_, text) | Field::File(_, text) => text,
    };
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Char('u') if ctrl => text.clear(),
        KeyCode::Char(c) if !ctrl => text.push(c),
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown if search => {
            let rows = view.rows.as_ref().map_or(0, Vec::len);
            view.selected.key(event, rows);
            return Some(look(state));
        }
        KeyCode::Esc => {
            view.field = None;
            if search && !view.search.is_empty() {
                view.search.clear();
                return Some(refresh(state));
            }
            return Some(Vec::new());
        }
        KeyCode::Enter => {
            let done = match view.field.take()? {
                Field::Search => match view.row().map(|row| row.session.id) {
                    Some(id) => return Some(open(state, id)),
                    None => return Some(Vec::new()),
                },
                Field::Title(id, title) => Keep::Rename(Some(id), title),
                Field::Tags(id, tags) => Keep::Tag(Some(id), tags),
                Field::File(id, file) => Keep::Export(Some(id), file),
            };
            return Some(keep(done));
        }
        // The other views, help.
        KeyCode::F(_) => return None,
        _ => {}
    }
    Some(if search { refresh(state) } else { Vec::new() })
}

fn open(state: &mut State, id: SessionId) -> Vec<Effect> {
    if state
        .conversation
        .kept
        .as_ref()
        .is_some_and(|kept| kept.0 == id)
    {
        state.view = View::Chat;
        return Vec::new();
    }
    conversation::open(state, Which::Id(id))
}

fn ask_to_delete(state: &mut State, session: &Session) {
    let title = &session.details.title;
    let count = session.messages;
    state.overlay = Some(Overlay::Confirm(Confirm {
        question: format!("Delete \"{title}\" and its {count} messages? u brings it back."),
        value: session.id.to_string(),
        yes: |state, id| {
            let Ok(id) = id.parse() else {
                return Vec::new();
            };
            state.views.sessions.deleted = Some(id);
            let this = state
                .conversation
                .kept
                .as_ref()
                .is_some_and(|kept| kept.0 == id);
            let mut effects = Vec::new();
            if this {
                effects.extend(conversation::close(state));
            }
            effects.extend(keep(Keep::Delete(id)));
            effects
        },
    }));
}

/// The view comes to the front.
pub(super) fn entered(state: &mut State) -> Vec<Effect> {
    let view = &mut state.views.sessions;
    view.field = None;
    view.rows = None;
    view.search.clear();
    refresh(state)
}

/// Asks for the list again.
pub(crate) fn refresh(state: &mut State) -> Vec<Effect> {
    if state.view != View::Sessions || !state.keeping {
        return Vec::new();
    }
    let view = &mut state.views.sessions;
    view.turn += 1;
    let (text, turn) = (view.search.clone(), view.turn);
    keep(Keep::List { text, turn })
}

/// The list is asked for from elsewhere; the number of the question.
pub(crate) fn ask(state: &mut State) -> u64 {
    let view = &mut state.views.sessions;
    view.rows = None;
    view.search.clear();
    view.turn += 1;
    view.turn
}

/// Takes in a list.
pub(crate) fn listed(state: &mut State, turn: u64, rows: Vec<Row>) -> Vec<Effect> {
    let view = &mut state.views.sessions;
    if view.turn != turn {
        return Vec::new();
    }
    // The same session stays selected, wherever it is now.
    let selected = view.row().map(|row| row.session.id);
    let at = rows.iter().position(|row| Some(row.session.id) == selected);
    view.selected.set(at.unwrap_or(0));
    view.rows = Some(rows);
    look(state)
}

/// Takes in a session to be looked at.
pub(crate) fn previewed(state: &mut State, id: SessionId, mut tree: Tree) {
    let view = &mut state.views.sessions;
    let row = view.row().filter(|row| row.session.id == id);
    let hit = row.and_then(|row| row.hit.as_ref()?.message);
    // What was found may lie on another branch, or be gone by now.
    if let Some(found) = hit {
        let _ = tree.select(found);
    }
    view.preview = Some((id, tree));
}

/// Asks for the session that is selected, to be looked at.
fn look(state: &mut State) -> Vec<Effect> {
    match state.views.sessions.row() {
        Some(row) => keep(Keep::Preview(row.session.id)),
        None => {
            state.views.sessions.preview = None;
            Vec::new()
        }
    }
}

/// `/resume`
pub(crate) fn resume(state: &mut State, name: &str) -> Vec<Effect> {
    let which = match name {
        "" => Which::Last,
        name => Which::Named(name.to_owned()),
    };
    conversation::open(state, which)
}

/// Whether the chat at hand is kept; says why not.
fn is_kept(state: &mut State) -> bool {
    if state.conversation.kept.is_none() {
        state.remark(match state.saving {
            true => "this chat has no message yet",
            false => "this chat is not saved",
        });
    }
    state.conversation.kept.is_some()
}

/// `/rename`
pub(crate) fn rename(state: &mut State, title: &str) -> Vec<Effect> {
    if !is_kept(state) {
        return Vec::new();
    }
    match (&state.conversation.kept, title) {
        (Some((id, old)), "") => {
            let text = format!("this is chat {id}, \"{old}\"; /rename TITLE changes it");
            state.remark(text);
            Vec::new()
        }
        _ => keep(Keep::Rename(None, title.to_owned())),
    }
}

/// `/tag`
pub(crate) fn tag(state: &mut State, tags: &str) -> Vec<Effect> {
    if is_kept(state) {
        keep(Keep::Tag(None, tags.to_owned()))
    } else {
        Vec::new()
    }
}

/// `/delete`
pub(crate) fn delete_this(state: &mut State) -> Vec<Effect> {
    if !is_kept(state) {
        return Vec::new();
    }
    if let Some((id, title)) = state.conversation.kept.clone() {
        let question = format!(
            "Delete this chat, \"{title}\"? `tritone sessions restore {id}` brings it back."
        );
        state.overlay = Some(Overlay::Confirm(Confirm {
            question,
            value: id.to_string(),
            yes: |state, id| {
                let mut effects = conversation::close(state);
                if let Ok(id) = id.parse() {
                    state.views.sessions.deleted = Some(id);
                    effects.extend(keep(Keep::Delete(id)));
                }
                effects
            },
        }));
    }
    Vec::new()
}

/// `/export`
pub(crate) fn export(state: &mut State, file: &str) -> Vec<Effect> {
    if !is_kept(state) {
        return Vec::new();
    }
    let title = state.conversation.kept.as_ref().map(|kept| kept.1.as_str());
    let file = match file {
        "" => file_name(title.unwrap_or_default()),
        file => file.to_owned(),
    };
    keep(Keep::Export(None, file))
}
