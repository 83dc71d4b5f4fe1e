//! `tritone --plain`: the conversation as lines, for screen readers, simple terminals and pipes.
//!
//! Nothing is drawn over: no second screen, no colours, no cursor that moves, no line that changes. Each
//! message and each answer begins with who says it; what else there is to say is a line on standard
//! error that begins with `note:` or `error:`.

mod commands;
mod input;
mod interrupt;
mod memory;
mod speech;
mod talk;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tritone_engine::LoadProgress;
use tritone_engine::sample::Sampling;

use super::console::{Console, visible};
use super::failure::{CANCELLED, FAILED, MODEL};
use crate::app::backend::Backend;
use crate::app::host::{Host, Order, Seat};
use crate::keep::Start;
use crate::term::Watch;
use crate::term::sampler;
use crate::view::format;
use input::{Heard, Input};
use interrupt::Interrupts;
use memory::Memory;
use talk::{Next, Talk};

/// What a conversation begins with.
pub(super) struct Setup {
    pub(super) sampling: Sampling,
    pub(super) system: Option<String>,
    pub(super) max_tokens: Option<usize>,
    pub(super) notes: Vec<String>,
    /// Where the conversation is kept, if it is.
    pub(super) keep: Option<Start>,
    pub(super) monitor: Watch,
    pub(super) host: Arc<dyn Host>,
}

/// Whether the environment asks for lines: a terminal that cannot do more.
pub(super) fn is_needed(env: impl Fn(&str) -> Option<String>) -> bool {
    env("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// The place of a backend that is in the hands of the conversation.
struct Fixed;

impl Seat for Fixed {
    fn clear(&self) -> bool {
        false
    }

    fn put(&self, _: Arc<dyn Backend>) {}
}

/// Holds a conversation.
pub(super) fn run(mut setup: Setup, console: &Console) -> anyhow::Result<ExitCode> {
    for note in &setup.notes {
        console.note(note);
    }
    let interrupts = Interrupts::listen()?;
    let mut said = Said::new();
    let loaded = setup.host.load(&Order::default(), &Fixed, &mut |progress| {
        said.loading(&progress, console);
        !interrupts.is_pressed()
    });
    let backend = match loaded {
        Ok(backend) => backend,
        Err(_) if interrupts.is_pressed() => return Ok(ExitCode::from(CANCELLED)),
        Err(failed) => {
            console.error(&failed.why);
            return Ok(ExitCode::from(MODEL));
        }
    };
    let model = backend.model();
    for notice in &model.notices {
        console.note(notice);
    }
    // Another strategy has kernels, threads and a profile only where it says so.
    let runs = match backend.strategy() {
        Some(name) if backend.kernels().is_empty() => format!("via {name}"),
        _ => format!(
            "kernel {}, {}, profile {}",
            backend.kernel_name(),
            format::threads(backend.threads()),
            backend.profile()
        ),
    };
    let line = format!(
        "{} ({}), {runs}, context of {} tokens. /help lists the commands, /quit leaves, Ctrl+C stops an \
         answer.",
        model.name,
        format::parameters(model.parameters),
        model.context,
    );
    writeln!(io::stdout(), "{}", visible(&line))?;

    let _sampler = setup.monitor.log.is_some().then(|| {
        let console = console.clone();
        let note = move |text: &str| console.note(text);
        sampler::for_log(&backend, setup.monitor.clone(), note)
    });
    let (memory, earlier) = match Memory::start(setup.keep.take(), console) {
        Ok(memory) => memory,
        Err(why) => {
            console.error(&why);
            return Ok(ExitCode::from(FAILED));
        }
    };
    let input = Input::listen(interrupts.sender())?;
    let mut talk = Talk::new(setup, memory, backend);
    if let Some(chat) = earlier {
        talk.resume(chat, console)?;
    }
    loop {
        let line = match next_line(&input)? {
            Heard::Line(line) => line,
            Heard::Wrong(why) => {
                console.error(&why);
                continue;
            }
            Heard::End => break,
            Heard::Interrupt => {
                writeln!(io::stdout())?;
                return Ok(ExitCode::from(CANCELLED));
            }
        };
        match talk.hear(line.trim(), &interrupts, console)? {
            Next::Go => {}
            Next::Leave => break,
        }
        talk.report(console);
    }
    // Packed weights are being written in the background; leaving early only loses that.
    for note in talk
        .backend()
        .wait_for_packs(&mut || !interrupts.is_pressed())
    {
        console.note(&note);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for a line. What was not typed behind the question is shown there, so that the conversation can
/// be read whole.
fn next_line(input: &Input) -> io::Result<Heard> {
    let mut out = io::stdout();
    let label = "you: ";
    let early = match io::stdin().is_terminal() {
        true => input.waiting(),
        false => Some(input.wait()),
    };
    if let Some(heard) = early {
        if let Heard::Line(line) = &heard {
            writeln!(out, "{label}{}", visible(line.trim_end()))?;
        }
        return Ok(heard);
    }
    write!(out, "{label}")?;
    out.flush()?;
    let heard = input.wait();
    if matches!(heard, Heard::End | Heard::Wrong(_)) {
        writeln!(out)?;
    }
    Ok(heard)
}

/// What was said about loading: a line now and then, as lines cannot be taken back.
struct Said {
    begin: Instant,
    stage: &'static str,
    quarter: u64,
}

impl Said {
    /// What takes less than this is not worth a word.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Self {
            begin: Instant::now(),
            stage: "",
            quarter: 0,
        }
    }

    /// Says every stage, and every quarter of it.
    fn loading(&mut self, progress: &LoadProgress, console: &Console) {
        if self.begin.elapsed() < Self::PATIENCE {
            return;
        }
        if let Some(line) = self.line(progress) {
            console.note(&line);
        }
    }

    fn line(&mut self, progress: &LoadProgress) -> Option<String> {
        let percent = format::percent(progress.done, progress.total);
        let quarter = progress
            .done
            .saturating_mul(4)
            .checked_div(progress.total)
            .unwrap_or(0);
        let news = self.stage != progress.stage || quarter > self.quarter;
        self.stage = progress.stage;
        self.quarter = quarter;
        news.then(|| format!("{}: {percent} %", progress.stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_terminals_get_lines() {
        let term = |value: Option<&'static str>| {
            is_needed(move |name| value.filter(|_| name == "TERM").map(str::to_owned))
        };
        assert!(term(Some("dumb")) && term(None) && term(Some("")));
        assert!(!term(Some("xterm-256color")));
    }

    #[test]
    fn loading_says_stages_and_quarters() {
        let mut said = Said::new();
        let mut line = |stage, done| {
            said.line(&LoadProgress {
                stage,
                done,
                total: 100,
            })
        };
        assert_eq!(line("packing", 0).as_deref(), Some("packing: 0 %"));
        assert_eq!(line("packing", 24), None);
        assert_eq!(line("packing", 25).as_deref(), Some("packing: 25 %"));
        assert_eq!(line("packing", 40), None);
        assert_eq!(line("packing", 100).as_deref(), Some("packing: 100 %"));
        assert_eq!(line("head", 0).as_deref(), Some("head: 0 %"));
    }
}
