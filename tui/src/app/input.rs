//! The input: what is sent, pasted, attached and edited elsewhere.

use super::commands::{self, Sent};
use super::context;
use super::conversation;
use super::desk::{Ask, Told};
use super::msg::Effect;
use super::overlay::Overlay;
use super::pick;
use super::picker::{Item, Picker};
use super::queue;
use super::state::{Load, State};
use super::{answer, complete, race, update, vi};
use crate::chat::composer::chip::{Chip, Origin};
use crate::chat::composer::draft::Draft;
use crate::chat::transcript::Kind;

/// Enter: a command is run, a message is said or waits its turn.
pub(super) fn send(state: &mut State) -> Vec<Effect> {
    if state.composer.is_blank() {
        // What waits behind an answer that was stopped goes on.
        return queue::next(state);
    }
    let effects = send_written(state);
    vi::sent(state);
    effects
}

fn send_written(state: &mut State) -> Vec<Effect> {
    let draft = state.composer.draft();
    let lead = state.composer.lead();
    match commands::parse(&draft.text[lead..]) {
        Sent::Command(action, argument) => {
            let argument = argument.to_owned();
            let sent = if lead == 0 {
                state.composer.take()
            } else {
                // What is attached stays for the message.
                let end = draft.text.len();
                state.composer.replace(lead..end, "");
                Draft::plain(&draft.text[lead..])
            };
            let mut effects = vec![Effect::Desk(Ask::Remember(sent))];
            effects.extend(update::run(state, action, &argument));
            effects
        }
        Sent::Unknown(name) => {
            let name = crate::chat::glyph::fit(name, 20);
            state.remark(format!(
                "no command /{name}; /help lists them, // begins a message"
            ));
            Vec::new()
        }
        Sent::Message(_) if state.run.is_some() || state.waiting => {
            // A new version of an earlier message is no next one.
            if state.conversation.editing.is_some() {
                state.remark("an answer is on its way: Esc stops it");
                return Vec::new();
            }
            queue::add(state)
        }
        Sent::Message(_) => match say(state, &draft) {
            Ok(mut effects) => {
                let sent = state.composer.take();
                effects.push(Effect::Desk(Ask::Remember(sent)));
                effects
            }
            Err(why) => {
                state.remark(why);
                Vec::new()
            }
        },
    }
}

/// Says something and asks for an answer; or why that cannot be.
pub(super) fn say(state: &mut State, draft: &Draft) -> Result<Vec<Effect>, String> {
    if matches!(state.load, Load::Failed(_)) {
        return Err("there is no model; the message stays here. /quit leaves".to_owned());
    }
    let message = message(draft);
    if let Some(why) = context::refusal(state, &message) {
        return Err(why);
    }
    let mut effects = race::stop(state);
    effects.extend(conversation::say(state, &message));
    effects.extend(answer::begin(state));
    Ok(effects)
}

/// What the model reads of a message.
pub(super) fn message(draft: &Draft) -> String {
    let whole = draft.message();
    let whole = whole.trim();
    // The slash that says that this is a message is not part of it.
    let doubled = draft.text.trim_start().starts_with("//");
    whole
        .get(usize::from(doubled)..)
        .unwrap_or(whole)
        .to_owned()
}

/// Text was pasted.
pub(super) fn paste(state: &mut State, text: &str) {
    state.composer.paste(text);
    vi::pasted(state, text);
}

/// `/attach PATH`
pub(super) fn attach(state: &mut State, path: &str) -> Vec<Effect> {
    if path.is_empty() {
        state.composer.set("/attach ".to_owned());
        state.remark("which file? Tab completes its path");
        return Vec::new();
    }
    vec![Effect::Desk(Ask::Attach {
        path: path.to_owned(),
        typed: None,
    })]
}

/// The text of the input goes to the person's own editor, with everything written out.
pub(super) fn edit(state: &State) -> Vec<Effect> {
    vec![Effect::EditText(state.composer.draft().message())]
}

/// The editor is closed.
pub(super) fn edited(state: &mut State, result: Result<String, String>) {
    match result {
        Ok(text) if text == state.composer.draft().message() => {
            state.remark("nothing was changed");
        }
        Ok(text) => state.composer.set(text),
        Err(why) => state.transcript.push(Kind::Error, why),
    }
}

/// Files have something to say.
pub(super) fn told(state: &mut State, told: Told) -> Vec<Effect> {
    match told {
        Told::History(earlier) => state.composer.load_history(earlier),
        Told::Attached { typed, result } => attached(state, typed.as_deref(), result),
        Told::Paths { typed, found } => state.popup.set_paths(typed, found),
        Told::Prompts(prompts) => {
            let wanted = std::mem::take(&mut state.prompts_wanted);
            state.popup.prompts = Some(prompts.clone());
            if wanted {
                pick_prompt(state, &prompts);
            }
        }
        Told::Prompt(Ok((name, text))) => {
            let note = format!("the system prompt from the next message on is {name}: {text}");
            state.system = Some(text);
            state.transcript.push(Kind::Note, note);
        }
        Told::Saved(Ok(path)) => {
            state.popup.forget_prompts();
            state.remark(format!("saved as {path}"));
        }
        Told::Prompt(Err(why)) | Told::Saved(Err(why)) => {
            state.transcript.push(Kind::Error, why);
        }
        Told::Trouble(why) => state.transcript.push(Kind::Note, why),
    }
    Vec::new()
}

fn attached(state: &mut State, typed: Option<&str>, result: Result<(String, String), String>) {
    let (name, content) = match result {
        Ok(file) => file,
        Err(why) => {
            state.transcript.push(Kind::Error, why);
            return;
        }
    };
    let chip = Chip {
        origin: Origin::File(name),
        content,
    };
    let composer = &mut state.composer;
    match typed {
        Some(typed) => match composer.text().rfind(typed) {
            Some(at) => composer.replace_by_chip(at..at + typed.len(), chip),
            // It was deleted meanwhile, so nobody wants it any more.
            None => return,
        },
        None => composer.insert_chip(chip),
    }
    composer.insert(" ");
}

/// `/system`: shows, sets, removes, saves and loads the system prompt.
pub(super) fn system(state: &mut State, argument: &str) -> Vec<Effect> {
    let (verb, name) = argument.split_once(' ').unwrap_or((argument, ""));
    let name = name.trim();
    let one_word = !name.contains(char::is_whitespace);
    let text = match (verb, name) {
        ("", _) => match &state.system {
            Some(system) => format!("the system prompt is: {system}"),
            None => "there is no system prompt; /system TEXT sets one, /system load one that was \
                     saved"
                .to_owned(),
        },
        ("off", "") => {
            state.system = None;
            "the system prompt is removed from the next message on".to_owned()
        }
        ("load", "") => {
            state.prompts_wanted = true;
            return vec![Effect::Desk(Ask::Prompts)];
        }
        ("load", name) if one_word => {
            return vec![Effect::Desk(Ask::LoadPrompt(name.to_owned()))];
        }
        ("save", name) if one_word => match &state.system {
            _ if name.is_empty() => "under which name? /system save NAME".to_owned(),
            None => "there is no system prompt to save; /system TEXT sets one".to_owned(),
            Some(text) => {
                return vec![Effect::Desk(Ask::SavePrompt {
                    name: name.to_owned(),
                    text: text.clone(),
                })];
            }
        },
        _ => {
            state.system = Some(argument.to_owned());
            format!("the system prompt from the next message on: {argument}")
        }
    };
    state.transcript.push(Kind::Note, text);
    Vec::new()
}

fn pick_prompt(state: &mut State, prompts: &[(String, String)]) {
    if prompts.is_empty() {
        state.remark("no system prompt is saved; /system save NAME saves the one in use");
        return;
    }
    let item = |(name, line): &(String, String)| Item {
        value: name.clone(),
        label: name.clone(),
        detail: line.clone(),
    };
    let items = prompts.iter().map(item).collect();
    let picker = Picker::new("system prompt", items, |_, name| {
        vec![Effect::Desk(Ask::LoadPrompt(name.to_owned()))]
    });
    state.overlay = Some(Overlay::Picker(picker));
}

/// Follows a change of the input or the conversation.
pub(super) fn follow(state: &mut State) -> Vec<Effect> {
    pick::follow(state);
    let changed = state.popup.saw(state.composer.text());
    let mut effects = complete::follow(state, changed);
    effects.extend(context::follow(state));
    effects
}

#[cfg(test)]
mod tests;
