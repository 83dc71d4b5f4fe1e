//! Models, profiles and earlier chats in a list, to find by some of their letters.

use super::apply;
use super::commands::Action;
use super::conversation;
use super::host::Order;
use super::keep::{Keep, Which};
use super::msg::Effect;
use super::overlay::Overlay;
use super::picker::{Item, Picker};
use super::state::State;
use super::views::{models, sessions};
use crate::view::format;

/// A list that somebody wants, and that may have to be made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Models,
    Profiles,
    Sessions,
}

/// Opens a list as soon as it is known.
pub(super) fn begin(state: &mut State, list: List) -> Vec<Effect> {
    state.pick = Some(list);
    match list {
        List::Models => {
            let effects = models::entered(state);
            if state.views.models.looking.is_some() {
                state.remark("looking for models");
            }
            effects
        }
        List::Profiles => {
            state.views.profiles.cards = None;
            vec![Effect::AskProfiles]
        }
        List::Sessions if !state.keeping => {
            state.pick = None;
            state.remark("nothing is kept in this chat, so there is nothing to go on with");
            Vec::new()
        }
        List::Sessions => begin_sessions(state),
    }
}

/// Has made what may follow a command, if that is not known yet.
pub(super) fn learn(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Model => models::entered(state),
        Action::Strategy => super::views::strategies::entered(state),
        Action::Profile if state.views.profiles.cards.is_none() => vec![Effect::AskProfiles],
        Action::Resume if state.keeping => begin_sessions(state),
        _ => Vec::new(),
    }
}

fn begin_sessions(state: &mut State) -> Vec<Effect> {
    let turn = sessions::ask(state);
    let text = String::new();
    vec![Effect::Keep(Box::new(Keep::List { text, turn }))]
}

/// Opens the list that is wanted, if it is known by now.
pub(super) fn follow(state: &mut State) {
    let picker = match state.pick {
        Some(List::Models) => of_models(state),
        Some(List::Profiles) => of_profiles(state),
        Some(List::Sessions) => of_sessions(state),
        None => return,
    };
    let Some(picker) = picker else { return };
    state.pick = None;
    if picker.count() == 0 {
        state.remark(format!("there is no {} to choose", picker.title));
        return;
    }
    state.overlay = Some(Overlay::Picker(picker));
}

fn of_models(state: &State) -> Option<Picker> {
    let models = &state.views.models;
    if models.looking.is_some() {
        return None;
    }
    let mut active = None;
    let rows = models.list.rows.iter().filter(|row| row.why_not.is_none());
    let items = rows.map(|row| {
        let value = match row.path.as_str() {
            "" => row.name.clone(),
            path => path.to_owned(),
        };
        if row.active {
            active = Some(value.clone());
        }
        let size = format::bytes(row.bytes);
        let memory = match row.memory {
            Some((_, _)) if !row.fits => ", more than the memory limit",
            _ => "",
        };
        Item {
            value,
            label: row.name.clone(),
            detail: format!("{} {size}{memory}, {}", row.format, row.place),
        }
    });
    let items = items.collect();
    let picker = Picker::new("model", items, |state, model| {
        let order = Order {
            model: Some(model.to_owned()),
            ..Order::default()
        };
        apply::begin(state, order)
    });
    Some(marked(picker, active))
}

fn of_profiles(state: &mut State) -> Option<Picker> {
    let cards = match state.views.profiles.cards.clone()? {
        Ok(cards) => cards,
        Err(why) => {
            state.pick = None;
            state.remark(why);
            return None;
        }
    };
    let mut used = None;
    let items = cards.rows.iter().map(|row| {
        if row.used {
            used = Some(row.name.clone());
        }
        let detail = match &row.says {
            Ok(says) => {
                let value = |key| says.value(key);
                let (threads, context) = (value("threads"), value("context"));
                let words = format!("threads {threads}, context {context}");
                match &says.plan {
                    Some(plan) => format!("{words}, {}", format::bytes(plan.total)),
                    None => words,
                }
            }
            Err(why) => why.lines().next().unwrap_or_default().to_owned(),
        };
        Item {
            value: row.name.clone(),
            label: row.name.clone(),
            detail,
        }
    });
    let items = items.collect();
    let picker = Picker::new("profile", items, |state, profile| {
        let order = Order {
            profile: Some(profile.to_owned()),
            ..Order::default()
        };
        apply::begin(state, order)
    });
    Some(marked(picker, used))
}

fn of_sessions(state: &State) -> Option<Picker> {
    let rows = state.views.sessions.rows.as_ref()?;
    let open = state.conversation.kept.as_ref().map(|kept| kept.0);
    let mut active = None;
    let items = rows.iter().map(|row| {
        let value = row.session.id.to_string();
        if Some(row.session.id) == open {
            active = Some(value.clone());
        }
        let tags = row.session.details.tags.join(" ");
        Item {
            value,
            label: row.session.details.title.clone(),
            detail: format!("{} {tags}", row.when),
        }
    });
    let items = items.collect();
    let picker = Picker::new("chat", items, |state, id| match id.parse() {
        Ok(id) => conversation::open(state, Which::Id(id)),
        Err(_) => Vec::new(),
    });
    Some(marked(picker, active))
}

fn marked(picker: Picker, value: Option<String>) -> Picker {
    match value {
        Some(value) => picker.select(&value).mark(&value),
        None => picker,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::super::headless::Headless;
    use super::super::host::{ModelList, ModelRow};
    use super::super::msg::Msg;
    use super::*;

    #[test]
    fn models_are_looked_for_and_then_listed() {
        let mut session = Headless::loaded(80, 24);
        session.say("/model");
        assert!(
            session
                .take_effects()
                .iter()
                .any(|e| matches!(e, Effect::Look))
        );
        assert!(session.state.overlay.is_none());
        let row = |name: &str, path: &str| ModelRow {
            name: name.to_owned(),
            path: path.to_owned(),
            ..ModelRow::default()
        };
        let list = ModelList {
            rows: vec![row("Tritone Tiny", ""), row("bitnet 2b", "/models/b.gguf")],
            notes: Vec::new(),
        };
        session.send(Msg::Models(Ok(list)));
        assert!(
            session.screen().contains("bitnet 2b"),
            "{}",
            session.screen()
        );
        session.write("2b").key(KeyCode::Enter);
        let effects = session.take_effects();
        assert!(
            matches!(&effects[..], [Effect::Apply(order)] if order.model.as_deref() == Some("/models/b.gguf")),
            "{effects:?}"
        );
    }

    #[test]
    fn who_does_something_else_gets_no_list() {
        let mut session = Headless::loaded(80, 24);
        session.say("/model").write("x");
        session.send(Msg::Models(Ok(ModelList::default())));
        assert!(session.state.overlay.is_none());
        session.ctrl('u').say("/session");
        let flash = session.state.flash.as_ref().map(|(text, _)| text.as_str());
        assert!(
            flash.is_some_and(|text| text.contains("nothing is kept")),
            "{flash:?}"
        );
    }
}
