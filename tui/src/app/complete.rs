//! What the input may become: the list over it while a `/` command or a `@path` is written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::commands::{Action, COMMANDS, Command};
use super::desk::Ask;
use super::host::StrategyRow;
use super::keep::Row;
use super::msg::Effect;
use super::pick;
use super::profiles::ProfileCard;
use super::sampling;
use super::state::State;
use super::vi;
use crate::chat::composer::Composer;

/// The list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Popup {
    selected: usize,
    /// Somebody moved in the list, so that Enter takes what is selected.
    moved: bool,
    /// The text for which it was closed.
    closed: Option<String>,
    /// Names of files, and what they begin with.
    paths: Option<(String, Vec<String>)>,
    /// What names were asked for.
    asked: Option<String>,
    /// Names of saved system prompts and how they begin, once they are known.
    pub(crate) prompts: Option<Vec<(String, String)>>,
    asked_prompts: bool,
    /// The command whose arguments were asked for.
    lists: Option<Action>,
    /// The text when it was last looked at.
    seen: String,
}

impl Popup {
    /// Looks at the text; says whether it is another one than before.
    pub(super) fn saw(&mut self, text: &str) -> bool {
        let changed = self.seen != text;
        if changed {
            text.clone_into(&mut self.seen);
        }
        changed
    }

    /// Names of files came.
    pub(crate) fn set_paths(&mut self, typed: String, found: Vec<String>) {
        self.paths = Some((typed, found));
    }

    /// System prompts changed: they are asked for again.
    pub(crate) fn forget_prompts(&mut self) {
        self.prompts = None;
        self.asked_prompts = false;
    }
}

/// What a choice does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Take {
    /// The input from there on becomes this text.
    Text(usize, String),
    /// The file is attached in place of what is written from there on.
    Attach(usize, String),
}

/// One of the choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// What is shown first.
    pub(crate) label: String,
    /// What is shown behind it.
    pub(crate) detail: String,
    take: Take,
    /// Once taken there is nothing to add.
    complete: bool,
}

/// What is being written at the end of the input.
enum Writing<'a> {
    /// The name of a command, without the slash.
    Name(&'a str),
    /// What follows a command; the byte where its last part begins.
    Argument(&'static Command, usize, &'a str),
    /// A path in a message; the byte of the `@`.
    Path(usize, &'a str),
    Other,
}

fn writing(composer: &Composer) -> Writing<'_> {
    let text = composer.text();
    if composer.cursor() != text.len() {
        return Writing::Other;
    }
    let lead = composer.lead();
    match at_the_end(&text[lead..]) {
        Writing::Argument(command, at, argument) => Writing::Argument(command, lead + at, argument),
        Writing::Path(at, path) => Writing::Path(lead + at, path),
        other => other,
    }
}

fn at_the_end(text: &str) -> Writing<'_> {
    if let Some(rest) = text.strip_prefix('/')
        && !rest.starts_with('/')
    {
        if text.contains('\n') {
            return Writing::Other;
        }
        let Some((name, argument)) = rest.split_once(' ') else {
            return Writing::Name(rest);
        };
        let command = COMMANDS
            .iter()
            .find(|command| command.names.contains(&name));
        return match command {
            Some(command) => {
                let argument = argument.trim_start();
                Writing::Argument(command, text.len() - argument.len(), argument)
            }
            None => Writing::Other,
        };
    }
    let word = text.rfind(char::is_whitespace).map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    match text[word..].strip_prefix('@') {
        Some(path) if !path.is_empty() && !path.starts_with('@') => Writing::Path(word, path),
        _ => Writing::Other,
    }
}

/// The choices, the likeliest first; none if the list was closed for this text.
pub(crate) fn candidates(state: &State) -> Vec<Candidate> {
    let text = state.composer.text();
    if state.popup.closed.as_deref() == Some(text) {
        return Vec::new();
    }
    match writing(&state.composer) {
        Writing::Name(name) => names(state, state.composer.lead(), name),
        Writing::Argument(command, at, argument) => arguments(state, command, at, argument),
        Writing::Path(at, path) => paths(state, path)
            .map(|found| Candidate {
                label: found.clone(),
                detail: if found.ends_with('/') {
                    ""
                } else {
                    "attach this file"
                }
                .to_owned(),
                complete: false,
                take: match found.ends_with('/') {
                    true => Take::Text(at + 1, found),
                    false => Take::Attach(at, found),
                },
            })
            .collect(),
        Writing::Other => Vec::new(),
    }
}

/// Commands whose name begins like this, or else those that have its letters in this order.
fn names(state: &State, at: usize, typed: &str) -> Vec<Candidate> {
    let candidate = |command: &Command, name: &str| {
        let space = if command.argument.is_empty() { "" } else { " " };
        let mut label = format!("/{name}");
        if !command.argument.is_empty() {
            label.push_str(&format!(" {}", command.argument));
        }
        let keys = state.setting.keymap.chords(command.action);
        let key = keys.first().map(|key| format!(" ({key})"));
        Candidate {
            label,
            detail: format!("{}{}", command.help, key.unwrap_or_default()),
            take: Take::Text(at, format!("/{name}{space}")),
            complete: command.argument.is_empty(),
        }
    };
    let mut found: Vec<(bool, Candidate)> = Vec::new();
    for command in COMMANDS {
        let mut names = command.names.iter();
        if let Some(name) = names.find(|name| name.starts_with(typed)) {
            found.push((*name != typed, candidate(command, name)));
        }
    }
    // The command that is written in full comes first.
    found.sort_by_key(|(longer, _)| *longer);
    if found.is_empty() {
        let in_order = |name: &str| {
            let mut rest = name.chars();
            typed.chars().all(|c| rest.any(|other| other == c))
        };
        let commands = COMMANDS.iter().filter_map(|command| {
            let name = command.names.iter().find(|name| in_order(name))?;
            Some((true, candidate(command, name)))
        });
        found.extend(commands);
    }
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// What may follow a command.
fn arguments(state: &State, command: &Command, at: usize, typed: &str) -> Vec<Candidate> {
    let candidate = |value: String, detail: String, complete: bool| Candidate {
        label: value.clone(),
        detail,
        take: Take::Text(at, value),
        complete,
    };
    if is_path(command.action) {
        let found = paths(state, typed);
        return found
            .map(|path| {
                let complete = !path.ends_with('/');
                candidate(path, String::new(), complete)
            })
            .collect();
    }
    let choices = choices(state, command.action, typed);
    let choices = choices.into_iter();
    choices
        .filter(|(value, _)| value.starts_with(typed) && value != typed)
        .map(|(value, detail)| {
            let complete = !value.ends_with(' ');
            candidate(value, detail, complete)
        })
        .collect()
}

/// Whether a path follows it.
fn is_path(action: Action) -> bool {
    matches!(
        action,
        Action::Attach | Action::Export | Action::MonitorExport
    )
}

/// The words that may follow a command, and what each means; a blank at the end says that more
/// follows.
fn choices(state: &State, action: Action, typed: &str) -> Vec<(String, String)> {
    let fixed = |words: &[(&str, &str)]| -> Vec<(String, String)> {
        let pair = |(word, what): &(&str, &str)| ((*word).to_owned(), (*what).to_owned());
        words.iter().map(pair).collect()
    };
    match action {
        Action::Kernel => {
            let kernels = state.kernels.iter();
            kernels
                .map(|kernel| (kernel.name.clone(), kernel.detail.clone()))
                .collect()
        }
        Action::Think => fixed(&[("on", "think before answering"), ("off", "answer at once")]),
        Action::Keep => fixed(&[
            ("on", "a message that does not fit is refused"),
            ("off", "the oldest turns are left out when it gets tight"),
        ]),
        Action::Sampling => sampling::names(state),
        Action::System => {
            let mut words = fixed(&[
                ("off", "remove it"),
                ("load ", "use one that was saved"),
                ("save ", "save the one in use under a name"),
            ]);
            for verb in ["load ", "save "] {
                if typed.starts_with(verb) {
                    let known = state.popup.prompts.iter().flatten();
                    words.extend(known.map(|(name, line)| (format!("{verb}{name}"), line.clone())));
                }
            }
            words
        }
        Action::Copy => fixed(&[
            ("code", "the last code block; code 2 is the second one"),
            ("all", "the whole chat"),
        ]),
        Action::Composer => fixed(&[
            ("vi", "modes, and orders such as dw"),
            ("emacs", "the keys of a shell"),
        ]),
        Action::MaxTokens => fixed(&[("off", "as many as the context allows")]),
        Action::Model => {
            let rows = state.views.models.list.rows.iter();
            rows.filter(|row| row.why_not.is_none())
                .map(|row| (row.name.clone(), format!("{}, {}", row.format, row.place)))
                .collect()
        }
        Action::Strategy => {
            let rows = state.views.strategies.rows.iter();
            let about = |row: &StrategyRow| match (row.active, row.usable) {
                (true, _) => "in use".to_owned(),
                (false, true) => row.summary.clone(),
                (false, false) => row.findings.last().cloned().unwrap_or_default(),
            };
            let mut words: Vec<_> = rows.map(|row| (row.name.clone(), about(row))).collect();
            words.extend(fixed(&[("auto", "the first that runs the model")]));
            words
        }
        Action::Profile => match &state.views.profiles.cards {
            Some(Ok(cards)) => {
                let rows = cards.rows.iter();
                let why = |row: &ProfileCard| match &row.says {
                    Ok(says) => says.because.clone(),
                    Err(why) => why.lines().next().unwrap_or_default().to_owned(),
                };
                rows.map(|row| (row.name.clone(), why(row))).collect()
            }
            _ => Vec::new(),
        },
        Action::Resume => {
            let rows = state.views.sessions.rows.iter().flatten();
            let title = |row: &Row| (row.session.details.title.clone(), row.when.clone());
            rows.map(title).collect()
        }
        Action::Queue => fixed(&[("clear", "take all back; they stay in the history")]),
        _ => Vec::new(),
    }
}

/// Known paths that begin with `typed`.
fn paths(state: &State, typed: &str) -> impl Iterator<Item = String> {
    let known = state.popup.paths.as_ref();
    let known = known.filter(|(of, _)| typed.starts_with(of.as_str()));
    let found = known.map_or(&[][..], |(_, found)| found.as_slice());
    let found: Vec<String> = found
        .iter()
        .filter(|path| path.starts_with(typed) && path.as_str() != typed)
        .cloned()
        .collect();
    found.into_iter()
}

/// Which of `count` choices is selected.
pub(crate) fn selected(state: &State, count: usize) -> usize {
    state.popup.selected.min(count.saturating_sub(1))
}

/// The input changed: the list begins at its top, and names that are missing are asked for.
pub(super) fn follow(state: &mut State, changed: bool) -> Vec<Effect> {
    if changed {
        state.popup.selected = 0;
        state.popup.moved = false;
    }
    let text = state.composer.text();
    if state
        .popup
        .closed
        .as_deref()
        .is_some_and(|closed| closed != text)
    {
        state.popup.closed = None;
    }
    let mut effects = Vec::new();
    let wanted = match writing(&state.composer) {
        Writing::Argument(command, _, path) if is_path(command.action) => Some(path.to_owned()),
        Writing::Argument(command, _, _)
            if command.action == Action::System && !state.popup.asked_prompts =>
        {
            state.popup.asked_prompts = true;
            effects.push(Effect::Desk(Ask::Prompts));
            None
        }
        Writing::Argument(command, ..) if state.popup.lists != Some(command.action) => {
            let action = command.action;
            state.popup.lists = Some(action);
            effects.extend(pick::learn(state, action));
            None
        }
        Writing::Path(_, path) => Some(path.to_owned()),
        Writing::Name(_) | Writing::Other => {
            state.popup.lists = None;
            None
        }
        Writing::Argument(..) => None,
    };
    if wanted.is_some() && wanted != state.popup.asked {
        state.popup.asked.clone_from(&wanted);
        effects.extend(wanted.map(|path| Effect::Desk(Ask::Paths(path))));
    }
    effects
}

/// Gives a key to the list; `None` if there is none, or it means nothing to it.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    if event.modifiers != KeyModifiers::NONE {
        return None;
    }
    let found = candidates(state);
    let count = found.len();
    let now = selected(state, count);
    if count == 0 {
        return None;
    }
    match event.code {
        KeyCode::Up => go(state, (now + count - 1) % count),
        KeyCode::Down => go(state, (now + 1) % count),
        KeyCode::PageUp => go(state, now.saturating_sub(5)),
        KeyCode::PageDown => go(state, (now + 5).min(count - 1)),
        KeyCode::Esc => state.popup.closed = Some(state.composer.text().to_owned()),
        KeyCode::Tab => return Some(take(state, found.into_iter().nth(now)?)),
        KeyCode::Enter => return enter(state, found.into_iter().nth(now)?),
        _ => return None,
    }
    Some(Vec::new())
}

fn go(state: &mut State, to: usize) {
    state.popup.selected = to;
    state.popup.moved = true;
}

/// Enter takes what somebody moved to, or the one command that may be meant; what is written in full
/// is sent as it is.
fn enter(state: &mut State, found: Candidate) -> Option<Vec<Effect>> {
    let partial = match writing(&state.composer) {
        Writing::Name(name) => {
            let mut all = COMMANDS.iter().flat_map(|command| command.names);
            !name.is_empty() && all.all(|other| *other != name)
        }
        _ => false,
    };
    if !state.popup.moved && !partial {
        return None;
    }
    let complete = found.complete;
    let mut effects = take(state, found);
    if complete {
        effects.extend(super::input::send(state));
    }
    Some(effects)
}

fn take(state: &mut State, found: Candidate) -> Vec<Effect> {
    let end = state.composer.text().len();
    vi::moved(state);
    match found.take {
        Take::Text(at, text) => {
            state.composer.replace(at..end, &text);
            Vec::new()
        }
        Take::Attach(at, path) => {
            let typed = state.composer.text().get(at..end).map(str::to_owned);
            vec![Effect::Desk(Ask::Attach { path, typed })]
        }
    }
}

/// What follows the command that is written, for the line above the input.
pub(crate) fn usage(state: &State) -> Option<String> {
    let Writing::Argument(command, _, argument) = writing(&state.composer) else {
        return None;
    };
    (argument.is_empty() && !command.argument.is_empty())
        .then(|| format!("{}: {}", command.argument, command.help))
}

#[cfg(test)]
mod tests {
    use super::super::headless::Headless;
    use super::super::host::{ModelList, ModelRow};
    use super::super::msg::Msg;
    use super::*;

    fn labels(session: &Headless) -> Vec<String> {
        let found = candidates(&session.state);
        found.into_iter().map(|found| found.label).collect()
    }

    fn text(session: &Headless) -> &str {
        session.state.composer.text()
    }

    #[test]
    fn names_by_their_beginning_and_then_by_their_letters() {
        let mut session = Headless::loaded(80, 24);
        session.write("/st");
        assert_eq!(
            labels(&session),
            ["/stop", "/strategy NAME", "/stats", "/strategies"]
        );
        session.ctrl('u').write("/rgn");
        assert_eq!(labels(&session)[0], "/regen");
        session.ctrl('u').write("/see");
        session.key(KeyCode::Tab);
        assert_eq!(text(&session), "/seed ");
        for none in ["//x", "hello /s", "/s\nx", "/nothing-like-this"] {
            session.ctrl('u').send(Msg::Paste(none.to_owned()));
            assert!(labels(&session).is_empty(), "{none}");
            session
                .ctrl('u')
                .ctrl('u')
                .key(KeyCode::Backspace)
                .ctrl('u');
        }
    }

    #[test]
    fn arguments_are_completed_and_sent_with_one_key() {
        let mut session = Headless::loaded(80, 24);
        session.write("/kernel ");
        assert_eq!(labels(&session), ["avx2", "scalar"]);
        session.take_effects();
        session.key(KeyCode::Down).key(KeyCode::Enter);
        let effects = session.take_effects();
        assert!(
            effects
                .iter()
                .any(|e| matches!(e, Effect::SetKernel(name) if name == "scalar")),
            "{effects:?}"
        );
        session.write("/think o");
        assert_eq!(labels(&session), ["on", "off"]);
        session.key(KeyCode::Tab);
        assert_eq!(text(&session), "/think on");
        assert!(labels(&session).is_empty(), "it is written in full");
    }

    #[test]
    fn enter_runs_a_command_that_has_only_begun_and_esc_closes_the_list() {
        let mut session = Headless::loaded(80, 24);
        session.write("/hel").key(KeyCode::Enter);
        assert!(session.state.help.is_some() && text(&session).is_empty());
        session.key(KeyCode::Esc).write("/s").key(KeyCode::Esc);
        assert!(labels(&session).is_empty() && text(&session) == "/s");
        session.write("e");
        assert!(!labels(&session).is_empty(), "another text opens it again");
    }

    #[test]
    fn models_profiles_and_chats_are_asked_for_when_one_is_to_be_named() {
        let mut session = Headless::loaded(80, 24);
        session.write("/model ");
        let looks = |session: &mut Headless| {
            let effects = session.take_effects().into_iter();
            effects.filter(|e| matches!(e, Effect::Look)).count()
        };
        assert_eq!(looks(&mut session), 1);
        let row = |name: &str| ModelRow {
            name: name.to_owned(),
            ..ModelRow::default()
        };
        let list = ModelList {
            rows: vec![row("Tritone Tiny"), row("bitnet 2b")],
            notes: Vec::new(),
        };
        session.send(Msg::Models(Ok(list)));
        session.write("b");
        assert_eq!(labels(&session), ["bitnet 2b"]);
        assert_eq!(looks(&mut session), 0);
        session.ctrl('u').write("/profile ");
        let effects = session.take_effects();
        assert!(matches!(&effects[..], [Effect::AskProfiles]), "{effects:?}");
        session.ctrl('u').write("/copy ");
        assert_eq!(labels(&session), ["code", "all"]);
    }

    #[test]
    fn paths_are_asked_for_once_and_offered() {
        let mut session = Headless::loaded(80, 24);
        session.write("/attach no");
        let asked = std::mem::take(&mut session.asks);
        assert_eq!(
            asked,
            ["", "n", "no"].map(|typed| Ask::Paths(typed.to_owned()))
        );
        let told = |typed: &str, found: &[&str]| {
            Msg::Desk(super::super::desk::Told::Paths {
                typed: typed.to_owned(),
                found: found.iter().map(|&path| path.to_owned()).collect(),
            })
        };
        session.send(told("no", &["nodes/", "notes.txt"]));
        assert_eq!(labels(&session), ["nodes/", "notes.txt"]);
        session.key(KeyCode::Down).key(KeyCode::Tab);
        assert_eq!(text(&session), "/attach notes.txt");
        session.ctrl('u').write("what is in @no");
        session.send(told("no", &["nodes/", "notes.txt"]));
        assert_eq!(labels(&session), ["nodes/", "notes.txt"]);
        session.key(KeyCode::Down).key(KeyCode::Tab);
        let expected = Ask::Attach {
            path: "notes.txt".to_owned(),
            typed: Some("@no".to_owned()),
        };
        assert_eq!(session.asks.pop(), Some(expected));
    }
}
