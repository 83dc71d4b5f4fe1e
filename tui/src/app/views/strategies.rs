//! The Strategies view: ways to run the model; Enter goes on with the chat in another one.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tritone_engine::LoadProgress;

use super::list::Selected;
use crate::app::apply;
use crate::app::host::{Deed, Order, StrategyRow};
use crate::app::meter::Progress;
use crate::app::msg::Effect;
use crate::app::state::State;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strategies {
    /// What there is.
    pub(crate) rows: Vec<StrategyRow>,
    /// Why it is not known, if so.
    pub(crate) failed: Option<String>,
    /// It is being looked at.
    pub(crate) looking: bool,
    pub(crate) selected: Selected,
    /// What goes on with one of them.
    pub(crate) doing: Option<Doing>,
    /// What came of the last: that it went well, and what there is to say.
    pub(crate) last: Option<(bool, String)>,
    /// Somebody looked already.
    looked: bool,
    /// Something changed while it was looked at: what comes of that look is old.
    outdated: bool,
}

/// What goes on with a strategy.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    /// What.
    pub(crate) deed: Deed,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// It is to be given up.
    pub(crate) stopping: bool,
}

impl Strategies {
    /// The selected one.
    pub(crate) fn row(&self) -> Option<&StrategyRow> {
        self.rows.get(self.selected.row(self.rows.len()))
    }

    fn look(&mut self) -> Vec<Effect> {
        self.looked = true;
        if std::mem::replace(&mut self.looking, true) {
            self.outdated = true;
            return Vec::new();
        }
        self.outdated = false;
        vec![Effect::AskStrategies]
    }
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let strategies = &mut state.views.strategies;
    if event.modifiers - KeyModifiers::SHIFT != KeyModifiers::NONE {
        return None;
    }
    if strategies.selected.key(event, strategies.rows.len()) {
        return Some(Vec::new());
    }
    let name = strategies.row().map(|row| row.name.clone());
    let deed: fn(String) -> Deed = match event.code {
        KeyCode::Char('r') => return Some(strategies.look()),
        KeyCode::Esc if strategies.doing.is_some() => {
            return Some(stop(state));
        }
        KeyCode::Enter => {
            let name = name.unwrap_or_default();
            return Some(switch(state, &name));
        }
        KeyCode::Char('s') => Deed::Start,
        KeyCode::Char('x') => Deed::Stop,
        KeyCode::Char('t') => Deed::Test,
        KeyCode::Char('h') => Deed::Health,
        _ => return None,
    };
    Some(name.map_or_else(Vec::new, |name| begin(state, deed(name))))
}

/// Goes on with the chat in the strategy `name`.
pub(crate) fn switch(state: &mut State, name: &str) -> Vec<Effect> {
    if name.is_empty() {
        return Vec::new();
    }
    let now = state.strategy.as_deref().unwrap_or("native");
    if name == now && state.model().is_some() {
        let text = format!("{name} is in use");
        state.remark(text);
        return Vec::new();
    }
    let order = Order {
        strategy: Some(name.to_owned()),
        ..Order::default()
    };
    apply::begin(state, order)
}

/// Begins to do something with one, one at a time.
fn begin(state: &mut State, deed: Deed) -> Vec<Effect> {
    if let Some(doing) = &state.views.strategies.doing {
        let text = format!("{} is not done yet: Esc stops it", doing.deed.summary());
        state.remark(text);
        return Vec::new();
    }
    if matches!(deed, Deed::Test(_) | Deed::Health(_)) && state.run.is_some() {
        state.remark("an answer is being written, and a test would slow it down");
        return Vec::new();
    }
    if matches!(deed, Deed::Test(_)) {
        let far = state.views.strategies.row();
        if far.is_some_and(|row| row.leaves_machine && !row.active) {
            let text = "the prompts of the test go to another machine".to_owned();
            state.views.strategies.last = Some((true, text));
        }
    }
    state.views.strategies.doing = Some(Doing {
        deed: deed.clone(),
        progress: Progress::default(),
        stopping: false,
    });
    vec![Effect::Do(deed)]
}

fn stop(state: &mut State) -> Vec<Effect> {
    let doing = state.views.strategies.doing.as_mut();
    match doing.filter(|doing| !doing.stopping) {
        Some(doing) => {
            doing.stopping = true;
            vec![Effect::StopDeed]
        }
        None => Vec::new(),
    }
}

/// Shows how far it has come.
pub(crate) fn goes_on(state: &mut State, new: LoadProgress) {
    if let Some(doing) = &mut state.views.strategies.doing {
        doing.progress.record(state.now, new);
    }
}

/// Takes in what came of it.
pub(crate) fn done(state: &mut State, result: Result<String, String>) -> Vec<Effect> {
    let strategies = &mut state.views.strategies;
    strategies.doing = None;
    strategies.last = Some(match result {
        Ok(said) => (true, said),
        Err(why) => (false, why),
    });
    strategies.look()
}

/// The view comes to the front, or what it knows is asked for elsewhere.
pub(crate) fn entered(state: &mut State) -> Vec<Effect> {
    match state.views.strategies.looked {
        true => Vec::new(),
        false => state.views.strategies.look(),
    }
}

/// Takes in what there is.
pub(crate) fn found(state: &mut State, result: Result<Vec<StrategyRow>, String>) -> Vec<Effect> {
    let strategies = &mut state.views.strategies;
    strategies.looking = false;
    match result {
        Ok(rows) => {
            let first = strategies.rows.is_empty();
            strategies.rows = rows;
            strategies.failed = None;
            let active = strategies.rows.iter().position(|row| row.active);
            if let Some(active) = active.filter(|_| first) {
                strategies.selected.set(active);
            }
        }
        Err(why) => strategies.failed = Some(why),
    }
    match strategies.outdated {
        true => strategies.look(),
        false => Vec::new(),
    }
}

/// Another one is in use, or was to be and why it is not.
pub(crate) fn applied(state: &mut State, failure: Option<String>) -> Vec<Effect> {
    let strategies = &mut state.views.strategies;
    if let Some(why) = failure {
        strategies.last = Some((false, why));
    } else {
        strategies.last = None;
    }
    match strategies.looked {
        true => strategies.look(),
        false => Vec::new(),
    }
}

/// `/strategy`: the view, or the chat goes on with one by its name.
pub(crate) fn command(state: &mut State, name: &str) -> Vec<Effect> {
    match name {
        "" => crate::app::update::show(state, crate::app::screen::View::Strategies),
        "auto" => {
            let order = Order {
                strategy: Some(name.to_owned()),
                ..Order::default()
            };
            apply::begin(state, order)
        }
        name => switch(state, name),
    }
}

/// What to do when the strategy in use fails in the middle of an answer, if another one can be used.
pub(crate) fn advice(state: &State) -> Option<String> {
    // A server that this program is attached to has no others.
    let now = state
        .strategy
        .as_deref()
        .filter(|name| !crate::app::update::is_attached_to(name))?;
    let rows = &state.views.strategies.rows;
    let other = rows
        .iter()
        .find(|row| row.name != now && row.usable && !row.leaves_machine);
    let other = other.map_or("native", |row| row.name.as_str());
    Some(format!(
        "/strategy {other} goes on with {other}; /regen asks {now} again."
    ))
}
