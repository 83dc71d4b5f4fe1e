//! The one table of commands, from which come the keys, the `/` commands, the hints and the help.

mod group;

use crossterm::event::{KeyCode, KeyModifiers};

use super::keymap::Keymap;
use super::screen::View;
use super::state::State;
pub(crate) use group::Group;

/// What a command does; [`super::update`] knows how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send,
    Newline,
    Stop,
    Interrupt,
    QuitIfEmpty,
    Help,
    Regenerate,
    Continue,
    SelectUp,
    SelectDown,
    Undo,
    Resume,
    Session,
    Rename,
    Tag,
    DeleteChat,
    Export,
    MonitorExport,
    Clear,
    Palette,
    SearchHistory,
    Attach,
    EditText,
    Expand,
    UndoEdit,
    RedoEdit,
    Composer,
    Queue,
    EditQueued,
    Keep,
    Sampling,
    TopP,
    TopK,
    MinP,
    MaxTokens,
    System,
    Kernel,
    Model,
    Profile,
    Strategy,
    Show(View),
    NextKernel,
    Race,
    Temperature,
    Seed,
    Think,
    Copy,
    Raw,
    Find,
    Stats,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Complete,
    Redraw,
    Suspend,
    Quit,
}

impl Action {
    /// Whether it works whatever is in front: stopping the program, or drawing it anew.
    pub(crate) fn is_urgent(self) -> bool {
        matches!(self, Self::Interrupt | Self::Suspend | Self::Redraw)
    }

    /// Whether it has to do with the input, and so nothing to do in views without one.
    pub(crate) fn is_input(self) -> bool {
        matches!(
            self,
            Self::Send
                | Self::Newline
                | Self::Complete
                | Self::SearchHistory
                | Self::EditText
                | Self::Expand
                | Self::UndoEdit
                | Self::RedoEdit
                | Self::EditQueued
        )
    }
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) code: KeyCode,
    pub(crate) modifiers: KeyModifiers,
    /// Its name for people.
    pub(crate) label: &'static str,
}

const fn key(code: KeyCode, modifiers: KeyModifiers, label: &'static str) -> Key {
    Key {
        code,
        modifiers,
        label,
    }
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    pub(crate) action: Action,
    /// Name after the `/`, and its other names; empty if there is only a key.
    pub(crate) names: &'static [&'static str],
    /// What may follow the name.
    pub(crate) argument: &'static str,
    /// Its keys, unless the settings say otherwise ([`Keymap`] has those in force).
    pub(crate) keys: &'static [Key],
    /// What it does, for the help.
    pub(crate) help: &'static str,
    /// A word for the line above the input, if it is shown there.
    pub(crate) hint: Option<&'static str>,
    /// Whether it can do something now.
    pub(crate) when: fn(&State) -> bool,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

fn always(_: &State) -> bool {
    true
}

fn waits(state: &State) -> bool {
    !state.queue.waiting().is_empty()
}

fn has_chips(state: &State) -> bool {
    !state.composer.chips().is_empty()
}

fn written(state: &State) -> bool {
    !state.composer.text().is_empty()
}

fn idle(state: &State) -> bool {
    state.run.is_none()
}

fn answering(state: &State) -> bool {
    state.run.is_some()
        || state.race.is_some()
        || state.switch.is_some()
        || state.applying.is_some()
        || state.conversation.editing.is_some()
}

fn said_something(state: &State) -> bool {
    idle(state) && !state.transcript.entries().is_empty()
}

fn has_messages(state: &State) -> bool {
    state.conversation.tree.active().is_some()
}

fn deleted(state: &State) -> bool {
    idle(state) && state.conversation.deleted.is_some()
}

fn answered(state: &State) -> bool {
    state.transcript.last_answer().is_some()
}

/// All commands, the most used first.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        action: Action::Send,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Enter, NONE, "Enter")],
        help: "send the message",
        hint: Some("send"),
        when: idle,
    },
    Command {
        action: Action::Help,
        names: &["help"],
        argument: "",
        keys: &[key(KeyCode::F(1), NONE, "F1")],
        help: "show this help",
        hint: Some("help"),
        when: always,
    },
    Command {
        action: Action::Newline,
        names: &[],
        argument: "",
        keys: &[
            key(KeyCode::Enter, ALT, "Alt+Enter"),
            key(KeyCode::Char('j'), CTRL, "Ctrl+J"),
            key(KeyCode::Enter, SHIFT, "Shift+Enter"),
        ],
        help: "start a new line (Shift+Enter where the terminal tells it from Enter)",
        hint: Some("new line"),
        when: idle,
    },
    Command {
        action: Action::Stop,
        names: &["stop"],
        argument: "",
        keys: &[key(KeyCode::Esc, NONE, "Esc")],
        help: "stop the answer, a race or a switch, and keep what is there; close this help",
        hint: Some("stop"),
        when: answering,
    },
    Command {
        action: Action::Palette,
        names: &["commands"],
        argument: "",
        keys: &[key(KeyCode::Char('p'), CTRL, "Ctrl+P")],
        help: "all commands and keys in one list, found by some of their letters",
        hint: Some("commands"),
        when: always,
    },
    Command {
        action: Action::Attach,
        names: &["attach"],
        argument: "PATH",
        keys: &[],
        help: "attach a text file to the message; @PATH in a message offers it, too",
        hint: None,
        when: always,
    },
    Command {
        action: Action::EditText,
        names: &["edit"],
        argument: "",
        keys: &[key(KeyCode::Char('o'), CTRL, "Ctrl+O")],
        help: "write the message in your own editor ($VISUAL or $EDITOR)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Expand,
        names: &["expand"],
        argument: "",
        keys: &[key(KeyCode::Char('e'), ALT, "Alt+E")],
        help: "write out the long paste or file at the cursor",
        hint: None,
        when: has_chips,
    },
    Command {
        action: Action::SearchHistory,
        names: &["history"],
        argument: "",
        keys: &[key(KeyCode::Char('r'), ALT, "Alt+R")],
        help: "search what you sent, in this session and before",
        hint: None,
        when: always,
    },
    Command {
        action: Action::UndoEdit,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('z'), ALT, "Alt+Z")],
        help: "take back an edit of the input",
        hint: None,
        when: written,
    },
    Command {
        action: Action::RedoEdit,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('y'), ALT, "Alt+Y")],
        help: "make an edit again that was taken back",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Composer,
        names: &["composer"],
        argument: "vi | emacs",
        keys: &[],
        help: "edit the input with the keys of vi or of emacs, in this session; [ui] composer is for all",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Queue,
        names: &["queue"],
        argument: "clear",
        keys: &[],
        help: "messages that wait for the running answer: edit one, or take all back",
        hint: None,
        when: waits,
    },
    Command {
        action: Action::EditQueued,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('q'), ALT, "Alt+Q")],
        help: "take the last waiting message back into the input",
        hint: None,
        when: waits,
    },
    Command {
        action: Action::Keep,
        names: &["keep"],
        argument: "on|off",
        keys: &[],
        help: "refuse a message that does not fit instead of leaving out the oldest turns",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Regenerate,
        names: &["regen", "regenerate"],
        argument: "",
        keys: &[key(KeyCode::Char('r'), CTRL, "Ctrl+R")],
        help: "answer the last message again, with the next seed; the old answer stays beside it",
        hint: None,
        when: said_something,
    },
    Command {
        action: Action::Continue,
        names: &["continue"],
        argument: "",
        keys: &[],
        help: "go on with an answer that was stopped, cut off or interrupted",
        hint: None,
        when: said_something,
    },
    Command {
        action: Action::SelectUp,
        names: &["select"],
        argument: "",
        keys: &[key(KeyCode::Up, ALT, "Alt+Up")],
        help: "select messages: edit, answer again, delete, copy, other versions",
        hint: None,
        when: has_messages,
    },
    Command {
        action: Action::SelectDown,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Down, ALT, "Alt+Down")],
        help: "select the next message",
        hint: None,
        when: has_messages,
    },
    Command {
        action: Action::Undo,
        names: &["undo"],
        argument: "",
        keys: &[],
        help: "bring back the message that was deleted last",
        hint: None,
        when: deleted,
    },
    Command {
        action: Action::Clear,
        names: &["clear", "new"],
        argument: "",
        keys: &[],
        help: "start a new chat; the old one is kept",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Resume,
        names: &["resume"],
        argument: "NUMBER | TITLE",
        keys: &[],
        help: "go on with an earlier chat; without a name, the last one",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Session,
        names: &["session"],
        argument: "",
        keys: &[],
        help: "pick an earlier chat by some letters of its title",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Rename,
        names: &["rename"],
        argument: "TITLE",
        keys: &[],
        help: "give this chat another title",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Tag,
        names: &["tag"],
        argument: "TAGS",
        keys: &[],
        help: "give this chat tags, in place of those it has",
        hint: None,
        when: always,
    },
    Command {
        action: Action::DeleteChat,
        names: &["delete"],
        argument: "",
        keys: &[],
        help: "delete this chat; it can be restored for 30 days",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Export,
        names: &["export"],
        argument: "FILE",
        keys: &[],
        help: "write this chat into a file: .md to read, .json with all versions",
        hint: None,
        when: always,
    },
    Command {
        action: Action::System,
        names: &["system"],
        argument: "TEXT | off | load NAME | save NAME",
        keys: &[],
        help: "show, set or remove the system prompt, or use one that was saved",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Kernel,
        names: &["kernel"],
        argument: "NAME",
        keys: &[],
        help: "pick another kernel, or switch to one by name",
        hint: None,
        when: always,
    },
    Command {
        action: Action::NextKernel,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::F(2), NONE, "F2")],
        help: "switch to the next kernel, even in the middle of an answer",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Model,
        names: &["model"],
        argument: "NAME",
        keys: &[],
        help: "pick another model, or load one by name; the conversation stays",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Profile,
        names: &["profile"],
        argument: "NAME",
        keys: &[],
        help: "pick another profile, or run under one by name; the conversation stays",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Strategy,
        names: &["strategy"],
        argument: "NAME",
        keys: &[],
        help: "go on with this chat in another strategy: native, a program, a server; auto takes the first that runs",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Race,
        names: &["race"],
        argument: "",
        keys: &[],
        help: "let the kernels answer in turn: which is the fastest here, for now and for next time",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Sampling,
        names: &["sampling"],
        argument: "NAME",
        keys: &[],
        help: "how tokens are chosen: precise, balanced, creative, or your own presets",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Temperature,
        names: &["temp", "temperature"],
        argument: "X",
        keys: &[],
        help: "show or set the temperature; 0 always takes the likeliest token",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Seed,
        names: &["seed"],
        argument: "N",
        keys: &[],
        help: "show or set the seed: the same seed gives the same answer",
        hint: None,
        when: always,
    },
    Command {
        action: Action::TopP,
        names: &["top_p"],
        argument: "X",
        keys: &[],
        help: "show or set top_p: only the likeliest tokens that have this share together",
        hint: None,
        when: always,
    },
    Command {
        action: Action::TopK,
        names: &["top_k"],
        argument: "N",
        keys: &[],
        help: "show or set top_k: only the N likeliest tokens; 0 is all",
        hint: None,
        when: always,
    },
    Command {
        action: Action::MinP,
        names: &["min_p"],
        argument: "X",
        keys: &[],
        help: "show or set min_p: only tokens this likely, measured by the likeliest",
        hint: None,
        when: always,
    },
    Command {
        action: Action::MaxTokens,
        names: &["max_tokens"],
        argument: "N | off",
        keys: &[],
        help: "show or set the most tokens of an answer",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Think,
        names: &["think"],
        argument: "on|off",
        keys: &[],
        help: "let the model think before it answers, or answer at once",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Copy,
        names: &["copy"],
        argument: "code N | all",
        keys: &[],
        help: "copy the last answer, a code block of it, or the chat",
        hint: None,
        when: answered,
    },
    Command {
        action: Action::Find,
        names: &["find"],
        argument: "TEXT",
        keys: &[],
        help: "search this chat; n and N go to the next and the previous place, Esc ends",
        hint: None,
        when: said_something,
    },
    Command {
        action: Action::Raw,
        names: &["raw"],
        argument: "",
        keys: &[],
        help: "show answers as they came, or as Markdown again",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Stats,
        names: &["stats"],
        argument: "",
        keys: &[],
        help: "counts and times of the last answer, memory of the KV cache",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Chat),
        names: &["chat"],
        argument: "",
        keys: &[],
        help: "the conversation (Esc in every other view)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Monitor),
        names: &["monitor"],
        argument: "",
        keys: &[key(KeyCode::F(3), NONE, "F3")],
        help: "speed, memory and CPUs over time (f freeze, arrows move, + - zoom, s summary, e export)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::MonitorExport,
        names: &["monitor-export"],
        argument: "FILE.csv | FILE.json",
        keys: &[],
        help: "write what was measured into a file; without a name, both into the state directory",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Kernels),
        names: &["kernels"],
        argument: "",
        keys: &[key(KeyCode::F(4), NONE, "F4")],
        help: "kernels: what they are, how fast they were (Enter switches, r races)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Profiles),
        names: &["profiles"],
        argument: "",
        keys: &[key(KeyCode::F(5), NONE, "F5")],
        help: "profiles: what they say and where it comes from",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Models),
        names: &["models"],
        argument: "",
        keys: &[key(KeyCode::F(6), NONE, "F6")],
        help: "models on this machine",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Strategies),
        names: &["strategies"],
        argument: "",
        keys: &[key(KeyCode::F(9), NONE, "F9")],
        help: "ways to run the model: what can be used here (Enter uses, t tests, s starts, x stops)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Sessions),
        names: &["sessions"],
        argument: "",
        keys: &[key(KeyCode::F(7), NONE, "F7")],
        help: "earlier conversations",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Show(View::Logs),
        names: &["logs"],
        argument: "",
        keys: &[key(KeyCode::F(8), NONE, "F8")],
        help: "what the program has to say about itself (1-5 level, / filter, w wrap, f follow, c copy)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Complete,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Tab, NONE, "Tab")],
        help: "complete a / command",
        hint: None,
        when: always,
    },
    Command {
        action: Action::PageUp,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::PageUp, NONE, "PageUp")],
        help: "scroll up; the wheel scrolls, too",
        hint: None,
        when: always,
    },
    Command {
        action: Action::PageDown,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::PageDown, NONE, "PageDown")],
        help: "scroll down",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Top,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Home, CTRL, "Ctrl+Home")],
        help: "go to the first message (Home, if the input is empty)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Bottom,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::End, CTRL, "Ctrl+End")],
        help: "go to the end and follow the answer (End, if the input is empty)",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Redraw,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('l'), CTRL, "Ctrl+L")],
        help: "draw the screen anew",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Suspend,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('z'), CTRL, "Ctrl+Z")],
        help: "back to the shell; `fg` returns",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Interrupt,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('c'), CTRL, "Ctrl+C")],
        help: "stop the answer; without one, twice quits",
        hint: None,
        when: always,
    },
    Command {
        action: Action::QuitIfEmpty,
        names: &[],
        argument: "",
        keys: &[key(KeyCode::Char('d'), CTRL, "Ctrl+D")],
        help: "quit, if the input is empty",
        hint: None,
        when: always,
    },
    Command {
        action: Action::Quit,
        names: &["quit", "exit", "q", "bye"],
        argument: "",
        keys: &[],
        help: "quit",
        hint: None,
        when: always,
    },
];

impl Command {
    /// How it is called: `/system TEXT | off`, or the keys.
    pub(crate) fn usage(&self, keymap: &Keymap) -> String {
        let keys = keymap
            .chords(self.action)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let Some(name) = self.names.first() else {
            return keys;
        };
        let mut usage = format!("/{name}");
        if !self.argument.is_empty() {
            usage.push_str(&format!(" {}", self.argument));
        }
        if !keys.is_empty() {
            usage.push_str(&format!(", {keys}"));
        }
        usage
    }

    /// The key to hint at, or the name.
    pub(crate) fn short(&self, keymap: &Keymap) -> String {
        match (keymap.chords(self.action).first(), self.names.first()) {
            (_, Some(name)) if self.action == Action::Help => format!("/{name}"),
            (Some(key), _) => key.to_string(),
            (None, Some(name)) => format!("/{name}"),
            (None, None) => String::new(),
        }
    }
}

/// What a sent text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent<'a> {
    /// A message for the model.
    Message(&'a str),
    /// A command and what follows it.
    Command(Action, &'a str),
    /// There is no such command.
    Unknown(&'a str),
}

/// Tells messages and commands apart. Two slashes at the start stand for a message that begins
/// with one.
pub(crate) fn parse(text: &str) -> Sent<'_> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix('/') else {
        return Sent::Message(text);
    };
    if rest.starts_with('/') {
        return Sent::Message(rest);
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match COMMANDS
        .iter()
        .find(|command| command.names.contains(&name))
    {
        Some(command) => Sent::Command(command.action, argument.trim()),
        None => Sent::Unknown(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_and_no_name_means_two_things() {
        let mut keys = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for command in COMMANDS {
            keys.extend(command.keys.iter().map(|key| (key.code, key.modifiers)));
            names.extend(command.names.iter().copied());
            assert!(
                !command.usage(&Keymap::default()).is_empty(),
                "{:?} cannot be called",
                command.action
            );
        }
        let (key_count, name_count) = (keys.len(), names.len());
        keys.sort_by_key(|key| format!("{key:?}"));
        keys.dedup();
        names.sort();
        names.dedup();
        assert_eq!((keys.len(), names.len()), (key_count, name_count));
    }

    #[test]
    fn messages_and_commands() {
        assert_eq!(parse(" hello / there "), Sent::Message("hello / there"));
        assert_eq!(
            parse("/system be  brief "),
            Sent::Command(Action::System, "be  brief")
        );
        assert_eq!(parse("/q"), Sent::Command(Action::Quit, ""));
        assert_eq!(parse("/etc/passwd is what?"), Sent::Unknown("etc/passwd"));
        assert_eq!(parse("//etc is what?"), Sent::Message("/etc is what?"));
    }
}
