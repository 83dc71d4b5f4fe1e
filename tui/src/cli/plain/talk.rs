//! A conversation of lines: what was said, and what to do about the next line.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use tritone_engine::sample::Sampling;
use tritone_engine::{Event, FinishReason, GenerateError, Input, Request, Timings};
use tritone_store::{Details, Role as Speaker, State};

use super::interrupt::Interrupts;
use super::memory::Memory;
use super::speech::Speech;
use super::{Said, Setup, commands};
use crate::app::backend::{Backend, RaceOrder};
use crate::app::commands::Action;
use crate::app::conversation::{max_tokens_of, sampling, sampling_of};
use crate::app::host::{Host, Order};
use crate::app::keep::Chat;
use crate::app::update::answer_stats;
use crate::cli::console::{Console, visible};
use crate::desk::prompts::Prompts;
use crate::race::table;
use crate::view::format;

/// What comes after a line.
pub(super) enum Next {
    /// The next line.
    Go,
    /// The user wants to leave.
    Leave,
}

/// The conversation.
pub(super) struct Talk {
    host: Arc<dyn Host>,
    backend: Arc<dyn Backend>,
    /// What it runs on.
    memory: Memory,
    system: Option<String>,
    sampling: Sampling,
    thinking: Option<bool>,
    max_tokens: Option<usize>,
    last: Option<Timings>,
}

impl Talk {
    pub(super) fn new(setup: Setup, memory: Memory, backend: Arc<dyn Backend>) -> Self {
        Self {
            host: setup.host,
            backend,
            memory,
            system: setup.system,
            sampling: setup.sampling,
            thinking: None,
            max_tokens: setup.max_tokens,
            last: None,
        }
    }

    /// What answers now.
    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Takes a message or a command.
    pub(super) fn hear(
        &mut self,
        line: &str,
        interrupts: &Interrupts,
        console: &Console,
    ) -> anyhow::Result<Next> {
        let Some(command) = line.strip_prefix('/').filter(|rest| !rest.starts_with('/')) else {
            // Two strokes begin a message with one.
            let text = line.strip_prefix('/').unwrap_or(line);
            if !text.is_empty() {
                let details = self.details();
                self.memory.say(text, details);
                self.answer(interrupts, console)?;
            }
            return Ok(Next::Go);
        };
        let (name, argument) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        match commands::find(name) {
            Some(Action::Quit) => return Ok(Next::Leave),
            Some(action) => self.act(action, argument.trim(), interrupts, console)?,
            None => {
                let meant = match commands::nearest(name) {
                    Some(name) => format!("did you mean /{name}?"),
                    None => "/help lists the commands".to_owned(),
                };
                console.error(&format!("there is no command /{name} here; {meant}"));
            }
        }
        Ok(Next::Go)
    }

    fn act(
        &mut self,
        action: Action,
        argument: &str,
        interrupts: &Interrupts,
        console: &Console,
    ) -> anyhow::Result<()> {
        match action {
            Action::Help => {
                for line in commands::help() {
                    writeln!(io::stdout(), "{line}")?;
                }
            }
            Action::Regenerate => self.again(interrupts, console)?,
            Action::Clear => {
                self.memory.close();
                self.last = None;
                console.note("a new chat begins");
            }
            Action::System => self.system(argument, console),
            Action::Kernel => self.kernel(argument, interrupts, console),
            Action::Model => {
                let model = self.backend.model().name;
                let order = Order {
                    model: Some(argument.to_owned()),
                    ..Order::default()
                };
                self.change(
                    argument,
                    &format!("the model is {model}"),
                    order,
                    interrupts,
                    console,
                );
            }
            Action::Profile => {
                let profile = self.backend.profile();
                let order = Order {
                    profile: Some(argument.to_owned()),
                    ..Order::default()
                };
                let now = format!("the profile is {profile}; `tritone profile` lists them all");
                self.change(argument, &now, order, interrupts, console);
            }
            Action::Strategy => {
                let now = self
                    .backend
                    .strategy()
                    .unwrap_or_else(|| "native".to_owned());
                let order = Order {
                    strategy: Some(argument.to_owned()),
                    ..Order::default()
                };
                let now =
                    format!("the strategy is {now}; `tritone strategies list` lists them all");
                self.change(argument, &now, order, interrupts, console);
            }
            Action::Race => self.race(interrupts, console),
            Action::Temperature => console.note(&self.temperature(argument)),
            Action::Seed => console.note(&self.seed(argument)),
            Action::Think => console.note(&self.think(argument)),
            Action::Stats => {
                for line in self.stats() {
                    writeln!(io::stdout(), "{line}")?;
                }
            }
            // Those that are not offered here.
            _ => {}
        }
        Ok(())
    }

    /// Writes an answer to what was said. When there is none, the message is not part of the
    /// conversation.
    fn answer(&mut self, interrupts: &Interrupts, console: &Console) -> anyhow::Result<()> {
        let turns = self.memory.turns(self.system.as_deref());
        let (model, kernel) = (self.backend.model().name, self.backend.kernel_name());
        let details = self.details();
        let seed = self
            .memory
            .begin(model, kernel, self.sampling.seed, details);
        let mut request = Request::new(Input::Chat(turns));
        request.sampling = self.sampling.clone();
        request.sampling.seed = seed;
        request.max_tokens = self.max_tokens;
        request.thinking = self.thinking;
        let mut events = match self.backend.generate(request) {
            Ok(events) => events,
            Err(error) => {
                self.failed(&error, console);
                return Ok(());
            }
        };
        interrupts.answering(events.cancel_handle());
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let mut speech = Speech::new(stdout, terminal);
        let mut text = String::new();
        let mut written = Ok(());
        let end = loop {
            match events.next_event() {
                Some(Event::Prefill { .. }) => {}
                Some(Event::Text { text: piece, .. }) => {
                    if text.is_empty() && written.is_ok() {
                        written = speech.push("tritone: ");
                    }
                    self.memory.extend(&piece);
                    text.push_str(&piece);
                    if written.is_ok() {
                        written = speech.push(&piece);
                    }
                    if written.is_err() {
                        // The reader went away.
                        events.cancel_handle().cancel();
                    }
                }
                Some(Event::Finished(finished)) => break Ok(finished),
                Some(Event::Failed(error)) => break Err(error),
                None => break Err(GenerateError::Stopped),
            }
        };
        interrupts.waiting();
        let note = match &end {
            Ok(finished) => {
                let (state, note) = match finished.reason {
                    FinishReason::EndOfTurn | FinishReason::StopString(_) => {
                        let empty = text.is_empty().then_some("the answer is empty");
                        (State::Complete, empty)
                    }
                    FinishReason::MaxTokens => {
                        (State::Length, Some("the answer ends at the token limit"))
                    }
                    FinishReason::ContextFull => (
                        State::Context,
                        Some("the answer ends as the context is full; /clear starts a new chat"),
                    ),
                    FinishReason::Cancelled => (State::Stopped, Some("stopped")),
                };
                self.last = Some(finished.timings);
                self.memory.finish(state, Some(&finished.timings));
                note
            }
            Err(_) if text.is_empty() => None,
            Err(_) => {
                self.memory.finish(State::Failed, None);
                None
            }
        };
        written?;
        if !text.is_empty() {
            speech.finish()?;
        }
        match end {
            Ok(_) => {
                if let Some(note) = note {
                    console.note(note);
                }
            }
            Err(error) if text.is_empty() => self.failed(&error, console),
            Err(error) => console.error(&error.to_string()),
        }
        Ok(())
    }

    /// Takes back a message that cannot be answered.
    fn failed(&mut self, error: &GenerateError, console: &Console) {
        self.memory.take_back();
        console.error(&format!("{error}; your last message is taken back"));
    }

    fn again(&mut self, interrupts: &Interrupts, console: &Console) -> anyhow::Result<()> {
        if !self.memory.back_to_question() {
            console.note("there is no message to answer yet");
            return Ok(());
        }
        self.answer(interrupts, console)
    }

    /// What the conversation is held under now.
    fn details(&self) -> Details {
        Details {
            title: String::new(),
            model: Some(self.backend.model().name),
            profile: Some(self.backend.profile()),
            system: self.system.clone(),
            sampling: Some(sampling(&self.sampling, self.max_tokens)),
            tags: Vec::new(),
        }
    }

    /// Takes over what an earlier conversation was held under, and reads it out.
    pub(super) fn resume(&mut self, chat: Chat, console: &Console) -> io::Result<()> {
        let details = chat.session.details;
        console.note(&format!("back in \"{}\"", details.title));
        for note in &chat.notes {
            console.note(note);
        }
        self.system = details.system.or(self.system.take());
        let kept = details.sampling.as_ref();
        if let Some(sampling) = kept.and_then(|kept| sampling_of(kept, &self.sampling)) {
            self.sampling = sampling;
        }
        if let Some(kept) = kept {
            self.max_tokens = max_tokens_of(kept, self.max_tokens);
        }
        let now = self.backend.model().name;
        if let Some(then) = details.model.filter(|then| *then != now) {
            console.note(&format!(
                "this chat was held with {then}; {now} answers now"
            ));
        }
        let mut out = io::stdout().lock();
        for message in self.memory.said() {
            let who = match message.role {
                Speaker::User => "you",
                Speaker::Assistant => "tritone",
            };
            writeln!(out, "{who}: {}", visible(message.text.trim_end()))?;
        }
        Ok(())
    }

    /// Says what went wrong with keeping the conversation.
    pub(super) fn report(&self, console: &Console) {
        self.memory.report(console);
    }

    fn system(&mut self, argument: &str, console: &Console) {
        let prompts = Prompts::of_user();
        let (verb, name) = argument
            .split_once(char::is_whitespace)
            .map_or((argument, ""), |(verb, name)| (verb, name.trim()));
        // As in the full chat: more than one word after `load` or `save` is a prompt that begins so.
        let one_word = !name.contains(char::is_whitespace);
        let said = match (verb, name) {
            ("", _) => Ok(match &self.system {
                Some(system) => format!("the system prompt is: {system}"),
                None => "there is no system prompt; /system TEXT sets one".to_owned(),
            }),
            ("off", "") => {
                self.system = None;
                Ok("the system prompt is removed from the next message on".to_owned())
            }
            ("load", "") => {
                let saved = prompts.list();
                for (name, line) in &saved {
                    console.note(&format!("system prompt {name}: {line}"));
                }
                match saved.is_empty() {
                    true => Ok("none is saved; /system save NAME saves the one in use".to_owned()),
                    false => Ok("/system load NAME uses one of them".to_owned()),
                }
            }
            ("load", name) if one_word => prompts.load(name).map(|(name, text)| {
                let said = format!("the system prompt {name} from the next message on: {text}");
                self.system = Some(text);
                said
            }),
            ("save", name) if one_word => match (&self.system, name) {
                (_, "") => Err("/system save needs a name".to_owned()),
                (None, _) => Err("there is no system prompt to save".to_owned()),
                (Some(system), name) => prompts
                    .save(name, system)
                    .map(|path| format!("the system prompt {name} is saved as {path}")),
            },
            _ => {
                self.system = Some(argument.to_owned());
                Ok(format!(
                    "the system prompt from the next message on: {argument}"
                ))
            }
        };
        match said {
            Ok(said) => console.note(&said),
            Err(why) => console.error(&why),
        }
    }

    fn temperature(&mut self, argument: &str) -> String {
        if argument.is_empty() {
            return format!("the temperature is {}", self.sampling.temperature);
        }
        let Ok(temperature) = argument.parse::<f32>() else {
            return "a temperature is a number, such as /temp 0.7".to_owned();
        };
        let new = Sampling {
            temperature,
            ..self.sampling.clone()
        };
        match new.validate() {
            Ok(()) => {
                self.sampling = new;
                format!("the temperature is {temperature} now")
            }
            Err(error) => error.to_string(),
        }
    }

    fn seed(&mut self, argument: &str) -> String {
        match argument.parse::<u64>() {
            Ok(seed) => {
                self.sampling.seed = seed;
                format!("the seed is {seed} now")
            }
            _ if argument.is_empty() => format!("the seed is {}", self.sampling.seed),
            _ => "a seed is a whole number, such as /seed 42".to_owned(),
        }
    }

    fn think(&mut self, argument: &str) -> String {
        if !self.backend.model().asks_for_thinking {
            return "this model cannot be told whether to think".to_owned();
        }
        match argument {
            "on" => self.thinking = Some(true),
            "off" => self.thinking = Some(false),
            "" => {}
            _ => return "it is /think on or /think off".to_owned(),
        }
        match self.thinking {
            Some(true) => "the model thinks before it answers",
            Some(false) => "the model answers at once",
            None => "the model thinks or not, as its makers advise",
        }
        .to_owned()
    }

    /// Lists the kernels, or switches to one.
    fn kernel(&self, name: &str, interrupts: &Interrupts, console: &Console) {
        let active = self.backend.kernel_name();
        if name.is_empty() {
            for choice in self.backend.kernels() {
                let used = if choice.name == active {
                    ", in use"
                } else {
                    ""
                };
                console.note(&format!("kernel {}: {}{used}", choice.name, choice.detail));
            }
            return;
        }
        interrupts.working();
        let mut said = Said::new();
        let switched = self.backend.set_kernel(name, &mut |progress| {
            said.loading(&progress, console);
            !interrupts.is_pressed()
        });
        interrupts.waiting();
        match switched {
            Ok(notes) => {
                for note in notes {
                    console.note(&note);
                }
                console.note(&format!(
                    "kernel {} is used from now on",
                    self.backend.kernel_name()
                ));
            }
            Err(why) => console.error(&why),
        }
    }

    /// Runs on something else; the conversation stays.
    fn change(
        &mut self,
        argument: &str,
        now: &str,
        order: Order,
        interrupts: &Interrupts,
        console: &Console,
    ) {
        if argument.is_empty() {
            console.note(now);
            return;
        }
        interrupts.working();
        let mut said = Said::new();
        let loaded = self.host.load(&order, &super::Fixed, &mut |progress| {
            said.loading(&progress, console);
            !interrupts.is_pressed()
        });
        let stopped = interrupts.is_pressed();
        interrupts.waiting();
        match loaded {
            Ok(backend) => {
                for notice in backend.model().notices {
                    console.note(&notice);
                }
                self.backend = backend;
                console.note(&format!("from here on: {}", order.summary()));
            }
            Err(failed) if stopped && !failed.gave_up => {
                console.note("stopped; everything is as it was");
            }
            Err(failed) => console.error(&failed.why),
        }
    }

    fn race(&self, interrupts: &Interrupts, console: &Console) {
        interrupts.working();
        console.note("the kernels take turns; Ctrl+C stops them");
        let order = RaceOrder {
            automatic: false,
            switch: true,
        };
        let result = self.backend.race(order, &mut |_| !interrupts.is_pressed());
        interrupts.waiting();
        console.note(&table::verdict(&result.standing));
        console.note(&format!("kernel {} is used", result.kernel));
        if let Some(why) = result.not_kept {
            console.error(&why);
        }
    }

    fn stats(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.last {
            Some(timings) => lines.extend(answer_stats(timings)),
            None => lines.push("no answer yet".to_owned()),
        }
        let status = self.backend.status();
        let bytes = |pages: usize| format::bytes(pages.saturating_mul(status.kv_page_bytes) as u64);
        lines.push(format!(
            "KV cache: {} of {}",
            bytes(status.kv_pages_used),
            bytes(status.kv_pages)
        ));
        lines.push(format!(
            "kernel {}, {}, profile {}",
            self.backend.kernel_name(),
            format::threads(self.backend.threads()),
            self.backend.profile()
        ));
        lines
            .iter()
            .map(|line| visible(line).into_owned())
            .collect()
    }
}
