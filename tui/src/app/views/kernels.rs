//! The Kernels view: what kernels there are and how they do; Enter switches, `r` races.

use std::collections::BTreeMap;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::list::Selected;
use crate::app::backend::{KernelChoice, Unusable};
use crate::app::msg::Effect;
use crate::app::race;
use crate::app::state::State;
use crate::app::update;
use crate::race::{Entry, Standing};

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernels {
    pub(crate) selected: Selected,
    /// Kernels that were found and cannot be used; they are listed below the others.
    pub(crate) unusable: Vec<Unusable>,
    /// How the last race ended.
    last: Option<Standing>,
    /// Tokens a second of the last answer that a kernel wrote from beginning to end.
    rates: BTreeMap<String, f64>,
    /// When the kernel was changed last.
    since: Duration,
}

impl Kernels {
    /// Another model is there: what was measured of the old one says nothing.
    pub(crate) fn forget(&mut self, now: Duration) {
        self.last = None;
        self.rates.clear();
        self.since = now;
    }

    /// Another kernel is used from `now` on.
    pub(crate) fn changed(&mut self, now: Duration) {
        self.since = now;
    }

    /// A race is over.
    pub(crate) fn raced(&mut self, standing: &Standing) {
        if standing.is_complete() {
            self.last = Some(standing.clone());
        }
    }

    /// Tokens a second of the last answer that the kernel wrote alone.
    pub(crate) fn rate(&self, name: &str) -> Option<f64> {
        self.rates.get(name).copied()
    }
}

/// The kernel in use wrote an answer at this rate.
pub(crate) fn answered(state: &mut State, rate: f64) {
    let begun = state.run.as_ref().map(|run| run.started);
    let alone = begun.is_some_and(|begun| begun >= state.views.kernels.since);
    if let Some(name) = &state.kernel
        && alone
        && state.switch.is_none()
    {
        state.views.kernels.rates.insert(name.clone(), rate);
    }
}

/// A row of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    Usable(&'a KernelChoice),
    Unusable(&'a Unusable),
}

/// All rows, those that can be used first.
pub(crate) fn rows(state: &State) -> Vec<Row<'_>> {
    let usable = state.kernels.iter().map(Row::Usable);
    let unusable = state.views.kernels.unusable.iter().map(Row::Unusable);
    usable.chain(unusable).collect()
}

/// The race that the view shows: the running one, or the last.
pub(crate) fn standing(state: &State) -> Option<&Standing> {
    let running = state.race.as_ref().map(|race| &race.standing);
    let running = running.filter(|standing| !standing.entries.is_empty());
    running.or(state.views.kernels.last.as_ref())
}

/// How a kernel does in that race.
pub(crate) fn entry<'a>(state: &'a State, name: &str) -> Option<&'a Entry> {
    let mut entries = standing(state)?.entries.iter();
    entries.find(|entry| entry.name == name)
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let count = state.kernels.len() + state.views.kernels.unusable.len();
    if state.views.kernels.selected.key(event, count) {
        return Some(Vec::new());
    }
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match event.code {
        KeyCode::Enter => Some(choose(state, count)),
        KeyCode::Char('r' | 'R') if plain => Some(race::wanted(state)),
        _ => None,
    }
}

/// Switches to the selected kernel.
fn choose(state: &mut State, count: usize) -> Vec<Effect> {
    let row = state.views.kernels.selected.row(count);
    match state.kernels.get(row) {
        Some(choice) if state.kernel.as_ref() == Some(&choice.name) => {
            let text = format!("{} is in use", choice.name);
            state.remark(text);
            Vec::new()
        }
        Some(choice) => {
            let name = choice.name.clone();
            update::kernel(state, &name)
        }
        None => {
            let unusable = state.kernels.len();
            let unusable = row.checked_sub(unusable);
            let unusable = unusable.and_then(|row| state.views.kernels.unusable.get(row));
            let text = match unusable {
                Some(kernel) => format!("{} cannot be used: {}", kernel.name, kernel.state),
                None => "the kernels are known once the model is loaded".to_owned(),
            };
            state.remark(text);
            Vec::new()
        }
    }
}

/// The view comes to the front.
pub(super) fn entered(state: &mut State) -> Vec<Effect> {
    let mut kernels = state.kernels.iter();
    let active = kernels.position(|choice| state.kernel.as_ref() == Some(&choice.name));
    state.views.kernels.selected.set(active.unwrap_or(0));
    Vec::new()
}

#[cfg(test)]
mod tests {
    use tritone_engine::FinishReason;

    use super::*;
    use crate::app::headless::Headless;
    use crate::app::msg::Msg;
    use crate::app::screen::View;

    fn named(session: &Headless) -> Option<&str> {
        match session.effects.last() {
            Some(Effect::SetKernel(name)) => Some(name),
            _ => None,
        }
    }

    #[test]
    fn enter_switches_also_in_the_middle_of_an_answer() {
        let mut session = Headless::loaded(80, 24);
        session
            .say("Hello")
            .prefill(20, 20)
            .tokens(&["One", " two"]);
        session.key(KeyCode::F(4)).key(KeyCode::Down);
        session.key(KeyCode::Enter);
        assert_eq!(named(&session), Some("scalar"));
        assert!(session.state.run.is_some(), "the answer goes on");
        session.send(Msg::KernelSet(Ok("scalar".to_owned())));
        session
            .tokens(&[" three"])
            .finish(5, FinishReason::EndOfTurn);
        // Two kernels wrote it: it says nothing of either.
        assert_eq!(session.state.views.kernels.rate("scalar"), None);
        assert_eq!(session.state.views.kernels.rate("avx2"), None);
        session.key(KeyCode::Esc);
        session
            .say("Again")
            .prefill(20, 20)
            .tokens(&["One", " two"]);
        session.finish(3, FinishReason::EndOfTurn);
        assert_eq!(session.state.views.kernels.rate("scalar"), Some(40.0));
    }

    #[test]
    fn the_one_in_use_and_one_that_cannot_be_used_are_said() {
        let mut session = Headless::loaded(80, 24);
        session.key(KeyCode::F(4)).key(KeyCode::Enter);
        let said = |session: &Headless| session.state.flash.clone().unwrap().0;
        assert_eq!(said(&session), "avx2 is in use");
        session.key(KeyCode::End).key(KeyCode::Enter);
        assert!(said(&session).contains("libtritone_old.so cannot be used"));
        assert!(session.effects.is_empty());
    }

    #[test]
    fn r_races_and_escape_ends_it_before_it_leaves() {
        let mut session = Headless::loaded(80, 24);
        session.key(KeyCode::F(4)).key(KeyCode::Char('r'));
        assert!(matches!(session.effects.last(), Some(Effect::Race(_))));
        session.key(KeyCode::Esc);
        assert!(matches!(session.effects.last(), Some(Effect::StopRace)));
        assert_eq!(session.state.view, View::Kernels);
    }

    #[test]
    fn before_the_model_is_there_nothing_is_chosen() {
        let mut session = Headless::new(80, 24);
        session.key(KeyCode::F(4)).key(KeyCode::Enter);
        assert!(session.effects.is_empty());
        assert!(session.screen().contains("known once the model is loaded"));
    }
}
