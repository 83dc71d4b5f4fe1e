//! The Profiles view: what each profile says and would change, and what the model would take; Enter
//! runs under one, `e` looks at the machine again.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use tritone_profile::{AUTO, Applies, Selection};

use super::list::Selected;
use crate::app::apply;
use crate::app::host::Order;
use crate::app::msg::Effect;
use crate::app::profiles::{PlanCard, ProfileCard, ProfilesCard, Says};
use crate::app::screen::View;
use crate::app::state::State;
use crate::view::format;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles {
    pub(crate) selected: Selected,
    /// What there is, once it is known.
    pub(crate) cards: Option<Result<Arc<ProfilesCard>, String>>,
    /// First line of the details that is seen.
    pub(crate) scroll: usize,
    /// The selection is the user's, or has been put where it belongs.
    placed: bool,
    /// The user wants the machine to be looked at again.
    evaluating: bool,
}

impl Profiles {
    fn rows(&self) -> &[ProfileCard] {
        match &self.cards {
            Some(Ok(cards)) => &cards.rows,
            _ => &[],
        }
    }

    /// The selected profile.
    pub(crate) fn current(&self) -> Option<&ProfileCard> {
        let rows = self.rows();
        rows.get(self.selected.row(rows.len()))
    }

    /// What suits the machine.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        match &self.cards {
            Some(Ok(cards)) => cards.selection.as_ref(),
            _ => None,
        }
    }
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let view = &mut state.views.profiles;
    let rows = view.rows().len();
    match event.code {
        // The list is short; these are for the details.
        KeyCode::PageDown => {
            let lines = view
                .current()
                .map_or(0, |row| details(row, view.selection()).len());
            view.scroll = (view.scroll + 5).min(lines.saturating_sub(1));
        }
        KeyCode::PageUp => view.scroll = view.scroll.saturating_sub(5),
        KeyCode::Enter => return Some(choose(state)),
        KeyCode::Char('e') => {
            view.evaluating = true;
            return Some(vec![Effect::AskProfiles]);
        }
        _ if view.selected.key(event, rows) => view.scroll = 0,
        _ => return None,
    }
    Some(Vec::new())
}

/// The view comes to the front.
pub(super) fn entered(state: &mut State) -> Vec<Effect> {
    state.views.profiles.placed = false;
    vec![Effect::AskProfiles]
}

/// Takes in which profiles there are.
pub(crate) fn arrived(state: &mut State, result: Result<Arc<ProfilesCard>, String>) {
    let view = &mut state.views.profiles;
    let evaluating = std::mem::take(&mut view.evaluating);
    let before = view.selection().cloned();
    view.cards = Some(result);
    let wanted = |row: &ProfileCard| match evaluating {
        true => row.name == AUTO,
        false => row.used,
    };
    if (evaluating || !view.placed)
        && let Some(row) = view.rows().iter().position(wanted)
    {
        view.selected.set(row);
        view.scroll = 0;
        view.placed = true;
    }
    if evaluating && let Some(now) = view.selection() {
        let same = before.is_some_and(|old| (old.preset, old.threads) == (now.preset, now.threads));
        let again = if same { "still " } else { "" };
        let text = format!(
            "for this machine: {again}{}, threads {}",
            now.preset, now.threads
        );
        state.remark(text);
    }
}

/// Another model or profile is in use, or why not.
pub(crate) fn applied(state: &mut State, failure: Option<String>) -> Vec<Effect> {
    if state.view != View::Profiles {
        return Vec::new();
    }
    if let Some(why) = failure {
        state.remark(why);
    }
    vec![Effect::AskProfiles]
}

/// Runs under the selected profile.
fn choose(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.views.profiles.current() else {
        return Vec::new();
    };
    let name = row.name.clone();
    let why_not = match &row.says {
        Err(_) => Some(format!("{name} cannot be used")),
        Ok(says) if row.used && says.changes.is_empty() => Some(format!("{name} is in use")),
        Ok(Says {
            plan: Some(plan), ..
        }) if !plan.fits() => Some(match &plan.nearest {
            Some(flags) => format!("does not fit {name}'s limit; `{flags}` would"),
            None => format!("does not fit {name}'s limit"),
        }),
        Ok(_) => None,
    };
    if let Some(why) = why_not {
        state.remark(why);
        return Vec::new();
    }
    let order = Order {
        profile: Some(name),
        ..Order::default()
    };
    apply::begin(state, order)
}

/// What a line of the details is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Heading,
    Text,
    Dim,
    Good,
    Bad,
}

/// A line of the details, before it is broken.
pub(crate) type Detail = (Role, String);

/// Everything about a profile.
pub(crate) fn details(row: &ProfileCard, selection: Option<&Selection>) -> Vec<Detail> {
    let mut lines = Vec::new();
    let says = match &row.says {
        Ok(says) => says,
        Err(why) => {
            lines.push((Role::Heading, format!("{} cannot be used", row.name)));
            lines.push((Role::Bad, why.clone()));
            return lines;
        }
    };
    let about = says.value("description");
    lines.push((
        Role::Heading,
        format!("{}: {about}", says.lineage.join(" < ")),
    ));
    if let Some(plan) = &says.plan {
        lines.extend(memory(plan));
    }
    lines.extend(consequences(row, says));
    if row.name == AUTO {
        lines.push((Role::Heading, "why it suits this machine now".to_owned()));
        lines.extend(selection.map(choice).unwrap_or_default());
    }
    for tip in &says.tips {
        lines.push((Role::Dim, format!("tip: {tip}")));
    }
    lines.push((Role::Text, String::new()));
    lines.push((Role::Heading, "values and where they come from".to_owned()));
    let told = ["name", "description", "tips"];
    for entry in says
        .values
        .iter()
        .filter(|entry| !told.contains(&entry.key))
    {
        let text = format!("{} = {}  ({})", entry.key, entry.value, entry.origin);
        lines.push((Role::Text, text));
        for (value, origin) in entry.replaced.iter().rev() {
            lines.push((Role::Dim, format!("  instead of {value} ({origin})")));
        }
    }
    lines
}

/// Why it is this preset.
fn choice(selection: &Selection) -> Vec<Detail> {
    let mut lines: Vec<Detail> = selection
        .facts
        .iter()
        .map(|fact| {
            let mark = if fact.decides { " (decides)" } else { "" };
            (
                Role::Text,
                format!("{}: {}: {}{mark}", fact.about, fact.found, fact.so),
            )
        })
        .collect();
    if let Some(why) = &selection.fewer_because {
        lines.push((
            Role::Text,
            format!("threads: {}, as {why}", selection.threads),
        ));
    }
    lines.extend(selection.next.iter().map(|next| (Role::Dim, next.clone())));
    lines
}

/// What Enter does.
fn consequences(row: &ProfileCard, says: &Says) -> Vec<Detail> {
    if says.changes.is_empty() {
        let text = match row.used {
            true => "in use",
            false => "Enter runs under it; no value changes",
        };
        return vec![(Role::Good, text.to_owned())];
    }
    let of = |applies: Applies| {
        let changes: Vec<_> = says
            .changes
            .iter()
            .filter(|change| change.applies == applies)
            .map(|change| format!("{} {} -> {}", change.key, change.from, change.to))
            .collect();
        (!changes.is_empty()).then(|| changes.join(", "))
    };
    let head = match row.used {
        true => "in use, but these values are others by now; Enter takes them back:",
        false => "Enter runs under it, and the conversation stays:",
    };
    let mut lines = vec![(Role::Heading, head.to_owned())];
    for applies in Applies::ALL {
        let line = |changes| (Role::Text, format!("{}: {changes}", applies.words()));
        lines.extend(of(applies).map(line));
    }
    lines
}

/// What the model would take.
fn memory(plan: &PlanCard) -> Vec<Detail> {
    let parts: Vec<_> = plan
        .parts
        .iter()
        .map(|(name, bytes)| format!("{name} {}", format::bytes(*bytes)))
        .collect();
    let (total, limit) = (format::bytes(plan.total), format::bytes(plan.limit));
    let verdict = match (plan.fits(), &plan.nearest) {
        (true, _) => (Role::Good, format!("fits: {total} of {limit}")),
        (false, Some(flags)) => (
            Role::Bad,
            format!("does not fit: {total} of {limit}; `{flags}` would"),
        ),
        (false, None) => (
            Role::Bad,
            format!("does not fit: {total} of {limit}, and nothing smaller does"),
        ),
    };
    let sum = format!(
        "memory: {} for {} tokens and {}",
        parts.join(" + "),
        plan.context,
        format::threads(plan.threads)
    );
    let mut lines = vec![verdict, (Role::Text, sum)];
    lines.extend(plan.note.iter().map(|note| (Role::Dim, note.clone())));
    lines
}
