//! All commands in one list, to find by some of their letters; and other lists of that kind.

use super::commands::{Action, COMMANDS, Command};
use super::keymap;
use super::msg::Effect;
use super::overlay::Overlay;
use super::picker::{Item, Picker};
use super::state::State;
use super::update;

/// Most messages of the history that are listed.
const MOST_SENT: usize = 1000;

/// Characters of a message in a list.
const LINE: usize = 200;

/// Opens the list of commands.
pub(super) fn open(state: &mut State) {
    let listed = COMMANDS.iter().filter(|command| is_listed(command));
    let item = |command: &Command| {
        let keys = state.setting.keymap.chords(command.action);
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let name = match command.names.first() {
            Some(name) => format!("/{name}"),
            None => keys.first().cloned().unwrap_or_default(),
        };
        let keys = match (keys.is_empty(), command.names.is_empty()) {
            (false, false) => format!(" ({})", keys.join(", ")),
            _ => String::new(),
        };
        Item {
            value: keymap::name(command.action),
            label: name,
            detail: format!("{}{keys}", command.help),
        }
    };
    let items = listed.map(item).collect();
    let picker = Picker::new("commands and keys", items, choose);
    state.overlay = Some(Overlay::Picker(picker));
}

/// Whether it makes sense without what was in front when the list was opened.
fn is_listed(command: &Command) -> bool {
    !matches!(command.action, Action::Palette | Action::Complete)
}

fn choose(state: &mut State, name: &str) -> Vec<Effect> {
    let Some(action) = keymap::action(name) else {
        return Vec::new();
    };
    let command = COMMANDS.iter().find(|command| command.action == action);
    match command.and_then(|command| command.names.first()) {
        Some(name) if needs_argument(action) => {
            state.view = super::screen::View::Chat;
            if !state.composer.is_blank() {
                let draft = state.composer.draft();
                state.composer.remember(draft);
                state.remark("what you had written is in the history: Up");
            }
            state.composer.set(format!("/{name} "));
            Vec::new()
        }
        _ => update::run(state, action, ""),
    }
}

/// Whether it does nothing without something behind it that only the person knows.
fn needs_argument(action: Action) -> bool {
    let command = COMMANDS.iter().find(|command| command.action == action);
    let argument = command.map_or("", |command| command.argument);
    !argument.is_empty()
        && !matches!(
            action,
            Action::Kernel
                | Action::Model
                | Action::Profile
                | Action::Strategy
                | Action::Copy
                | Action::Queue
                | Action::Sampling
                | Action::Resume
        )
}

/// Opens the list of what was sent, the newest first.
pub(super) fn history(state: &mut State) {
    let sent = state.composer.history();
    if sent.is_empty() {
        state.remark("nothing was sent yet");
        return;
    }
    let item = |(at, draft): (usize, &crate::chat::composer::draft::Draft)| Item {
        value: at.to_string(),
        label: draft.text.chars().take(LINE).map(on_one_line).collect(),
        detail: String::new(),
    };
    let newest = sent.iter().enumerate().rev().take(MOST_SENT);
    let items = newest.map(item).collect();
    let picker = Picker::new("what you sent: Enter brings it back", items, |state, at| {
        let draft = at
            .parse::<usize>()
            .ok()
            .and_then(|at| state.composer.history().get(at).cloned());
        if let Some(draft) = draft {
            state.composer.set_draft(draft);
        }
        Vec::new()
    });
    state.overlay = Some(Overlay::Picker(picker));
}

fn on_one_line(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

/// Opens the list of kernels.
pub(super) fn kernels(state: &mut State) {
    let item = |kernel: &super::backend::KernelChoice| Item {
        value: kernel.name.clone(),
        label: kernel.name.clone(),
        detail: kernel.detail.clone(),
    };
    let items = state.kernels.iter().map(item).collect();
    let mut picker = Picker::new("kernel", items, update::kernel);
    if let Some(active) = &state.kernel {
        picker = picker.select(active).mark(active);
    }
    if !state.choice.is_empty() {
        picker = picker.note(format!("automatic choice: {}", state.choice));
    }
    state.overlay = Some(Overlay::Picker(picker));
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::headless::Headless;
    use super::*;

    fn picker(session: &Headless) -> &Picker {
        match &session.state.overlay {
            Some(Overlay::Picker(picker)) => picker,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_command_is_found_and_run() {
        let mut session = Headless::loaded(80, 24);
        session.ctrl('p');
        assert!(picker(&session).matching().len() > 20);
        session.write("other kernel draw");
        session.ctrl('u').write("draw anew").key(KeyCode::Enter);
        assert!(
            session
                .take_effects()
                .iter()
                .any(|e| matches!(e, Effect::Redraw)),
            "the screen is drawn anew"
        );
        session.ctrl('p').write("temperature");
        session.key(KeyCode::Enter);
        assert_eq!(session.state.composer.text(), "/temp ");
        session.ctrl('u').write("half a message").ctrl('p');
        session.write("/seed").key(KeyCode::Enter);
        assert_eq!(session.state.composer.text(), "/seed ");
        session.key(KeyCode::Esc).ctrl('u').key(KeyCode::Up);
        assert_eq!(
            session.state.composer.text(),
            "half a message",
            "nothing is lost"
        );
    }

    #[test]
    fn the_history_is_searched() {
        let mut session = Headless::loaded(80, 24);
        for text in ["the first one", "something else", "the last\nof all"] {
            session.say(text);
            session.finish(1, tritone_engine::FinishReason::EndOfTurn);
        }
        session.press(KeyCode::Char('r'), KeyModifiers::ALT);
        let newest = picker(&session).matching().next().map(|i| i.label.clone());
        assert_eq!(newest.as_deref(), Some("the last of all"));
        session.write("first").key(KeyCode::Enter);
        assert_eq!(session.state.composer.text(), "the first one");
    }

    #[test]
    fn a_kernel_is_picked_by_some_of_its_letters() {
        let mut session = Headless::loaded(80, 24);
        session.say("/kernel").take_effects();
        assert_eq!(picker(&session).selected(), 0, "the one in use");
        session.write("scl").key(KeyCode::Enter);
        let effects = session.take_effects();
        assert!(
            matches!(effects.as_slice(), [Effect::SetKernel(name)] if name == "scalar"),
            "{effects:?}"
        );
    }
}
