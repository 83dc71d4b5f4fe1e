//! The Models view: the models on this machine; Enter loads one.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::list::Selected;
use crate::app::apply;
use crate::app::host::{ModelList, ModelRow, Order};
use crate::app::msg::Effect;
use crate::app::state::State;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models {
    /// What was found.
    pub(crate) list: ModelList,
    /// Why nothing was, if so.
    pub(crate) failed: Option<String>,
    /// How many were looked at, and of how many, while that goes on.
    pub(crate) looking: Option<(usize, usize)>,
    /// Models whose name, architecture or place have this in them are shown.
    pub(crate) filter: String,
    /// The filter is being written.
    pub(crate) filtering: bool,
    pub(crate) selected: Selected,
    /// A model that does not fit and was offered with a setting with which it does.
    offered: Option<String>,
    /// Somebody looked already.
    looked: bool,
}

impl Models {
    /// The models that are shown.
    pub(crate) fn shown(&self) -> Vec<&ModelRow> {
        let words: Vec<String> = self
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let fits = |row: &&ModelRow| {
            let architecture = row.architecture.as_deref().unwrap_or_default();
            let text = [&row.name, architecture, &row.format, &row.place, &row.path];
            let text = text.join(" ").to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.list.rows.iter().filter(fits).collect()
    }

    /// Begins to look.
    fn look(&mut self) -> Vec<Effect> {
        self.looked = true;
        self.looking = Some((0, 0));
        vec![Effect::Look]
    }
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let models = &mut state.views.models;
    if event.modifiers - KeyModifiers::SHIFT != KeyModifiers::NONE {
        return None;
    }
    let rows = models.shown().len();
    if models.selected.key(event, rows) {
        return Some(Vec::new());
    }
    if models.filtering {
        match event.code {
            KeyCode::Char(c) => models.filter.push(c),
            KeyCode::Backspace => {
                models.filter.pop();
            }
            KeyCode::Enter => models.filtering = false,
            KeyCode::Esc => {
                models.filtering = false;
                models.filter.clear();
            }
            _ => return None,
        }
        models.selected.set(0);
        return Some(Vec::new());
    }
    match event.code {
        KeyCode::Char('/') => models.filtering = true,
        KeyCode::Char('r') if models.looking.is_none() => return Some(models.look()),
        KeyCode::Esc if models.looking.is_some() => {
            models.looking = None;
            return Some(vec![Effect::StopLooking]);
        }
        KeyCode::Esc if !models.filter.is_empty() => models.filter.clear(),
        KeyCode::Enter => return Some(load(state)),
        _ => return None,
    }
    Some(Vec::new())
}

/// Loads the selected model.
fn load(state: &mut State) -> Vec<Effect> {
    let models = &state.views.models;
    let shown = models.shown();
    let Some(row) = shown.get(models.selected.row(shown.len())) else {
        return Vec::new();
    };
    if let Some(why) = &row.why_not {
        let text = format!("{} does not run: {why}", row.name);
        state.remark(text);
        return Vec::new();
    }
    if row.active {
        let text = format!("{} is in use", row.name);
        state.remark(text);
        return Vec::new();
    }
    let model = match row.path.as_str() {
        "" => row.name.clone(),
        path => path.to_owned(),
    };
    let mut order = Order {
        model: Some(model),
        ..Order::default()
    };
    let name = row.name.clone();
    if let (false, Some((..))) = (row.fits, row.memory) {
        let offered = models.offered.as_ref() == Some(&name);
        let Some(smaller) = row.smaller.clone() else {
            state.remark(format!("{name} is too large for the memory limit"));
            return Vec::new();
        };
        if !offered {
            let text = format!("it fits with {}: Enter loads it so", smaller.flags);
            state.views.models.offered = Some(name);
            state.remark(text);
            return Vec::new();
        }
        order.settings = smaller.settings;
    }
    state.views.models.offered = None;
    apply::begin(state, order)
}

/// The view comes to the front.
pub(crate) fn entered(state: &mut State) -> Vec<Effect> {
    let models = &mut state.views.models;
    models.filtering = false;
    if models.looked {
        return Vec::new();
    }
    models.look()
}

/// Takes in how far looking has come.
pub(crate) fn goes_on(state: &mut State, done: usize, of: usize) {
    if let Some(looking) = &mut state.views.models.looking {
        *looking = (done, of);
    }
}

/// Takes in what was found.
pub(crate) fn found(state: &mut State, result: Result<ModelList, String>) {
    let models = &mut state.views.models;
    models.looking = None;
    match result {
        Ok(list) => {
            let first = models.list.rows.is_empty();
            models.list = list;
            models.failed = None;
            let active = models.shown().iter().position(|row| row.active);
            if let Some(active) = active.filter(|_| first) {
                models.selected.set(active);
            }
        }
        Err(why) => models.failed = Some(why),
    }
}

/// Another model or profile is in use: what is shown of memory, and which is in use, has changed.
pub(crate) fn outdated(state: &mut State) -> Vec<Effect> {
    let models = &mut state.views.models;
    match models.looked {
        true => models.look(),
        false => Vec::new(),
    }
}
