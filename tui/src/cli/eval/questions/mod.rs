//! Sets of questions: answers that are written, and choices.

mod ask;
mod choose;
mod compare;
mod line;
mod results;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tritone_engine::{Engine, Model, kv_name};

pub(super) use compare::Match;

use self::line::{Question, Wanted};
use self::results::{Outcome, Results};
use super::args::EvalArgs;
use super::score;
use super::stats::Share;
use crate::app::meter::Meter;
use crate::cli::args::CommonArgs;
use crate::cli::console::{Console, Progress};
use crate::cli::failure::{BadRequest, CANCELLED, FAILED};
use crate::cli::interrupt::Interrupt;
use crate::cli::setup::Setup;
use crate::view::format;

/// The longest set that is read.
const MOST_TEXT: u64 = 256 << 20;

/// Runs the command for questions.
pub(super) fn run(
    args: &EvalArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let path = args.file.as_deref().unwrap_or(Path::new(""));
    let lines = read(path)?;
    let setup = Setup::new(common)?;
    let interrupt = Interrupt::listen()?;
    let model = Arc::new(setup.open_and_say(console, &interrupt)?);
    let mut notes = setup.notes.clone();
    let settings = settings(args, &setup, &model);
    let (results, known) = Results::open(args.out.as_deref(), &settings)?;

    let mut line = console.progress();
    let mut round = Round {
        results,
        tally: Tally::default(),
        failed: Vec::new(),
        total: lines.len(),
        begin: Instant::now(),
        meter: Meter::default(),
        line: &mut line,
        interrupt: &interrupt,
    };
    let mut questions = Vec::new();
    let mut names = HashSet::new();
    for (number, text) in &lines {
        let id = line::id(text, *number);
        if !names.insert(id.clone()) {
            let why = format!("line {number}: another question is called '{id}'");
            round.done(Outcome::failed(format!("{id}, line {number}"), why))?;
        } else if let Some(outcome) = known.get(&id) {
            round.tally.add(outcome);
            round.tally.kept += 1;
        } else {
            match Question::parse(text, *number, args.raw) {
                Ok(question) => questions.push(question),
                Err(why) => round.done(Outcome::failed(id, format!("line {number}: {why}")))?,
            }
        }
    }
    let (choices, written): (Vec<_>, Vec<_>) = questions
        .iter()
        .partition(|question| matches!(question.wanted, Wanted::Choice { .. }));
    let mut complete = true;
    if !written.is_empty() {
        let sequences = (args.parallel as usize).min(written.len());
        let (options, more) = setup.options(&model, sequences);
        let engine = Engine::start(Arc::clone(&model), &options, &mut |progress| {
            round.line.loading(&progress);
            !interrupt.is_pressed()
        })?;
        notes.extend(more);
        notes.extend(engine.info().notices.iter().cloned());
        round.begin();
        complete = ask::ask(&engine, &written, args, &mut round)?;
    } else {
        notes.extend(model.notices().iter().cloned());
    }
    if complete && !choices.is_empty() {
        complete = self::choices(&setup, &model, &choices, &mut round, &mut notes)?;
    }
    round.line.clear();
    for note in &notes {
        console.note(note);
    }
    for (id, why) in round.failed.iter().take(MOST_ERRORS) {
        console.error(&format!("question {id}: {why}"));
    }
    if let Some(more) = round
        .failed
        .len()
        .checked_sub(MOST_ERRORS)
        .filter(|n| *n > 0)
    {
        console.error(&format!("and {more} more"));
    }
    print(args, &settings, &round.tally, complete, &notes)?;
    Ok(if !complete {
        ExitCode::from(CANCELLED)
    } else if round.tally.errors > 0 {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Errors that are shown; all of them are in the file of results.
const MOST_ERRORS: usize = 10;

/// Asks the questions that have choices; whether all were asked.
fn choices(
    setup: &Setup,
    model: &Arc<Model>,
    questions: &[&Question],
    round: &mut Round<'_>,
    notes: &mut Vec<String>,
) -> anyhow::Result<bool> {
    let context = setup.context(model);
    let capacity = score::capacity(context, setup.profile().prefill_chunk);
    let choice = setup.choose(model);
    let planned = setup.plan_for(model, &*choice.kernel, setup.forms(model), capacity);
    notes.extend(planned.note);
    let place = (&mut *round.line, round.interrupt);
    let mut scorer = score::load(
        setup,
        model,
        capacity,
        setup.forms(model),
        planned.limit,
        place,
    )?;
    round.begin();
    for question in questions {
        if round.interrupt.is_pressed() {
            return Ok(false);
        }
        round.done(choose::choose(model, &mut scorer, question, context))?;
    }
    Ok(true)
}

/// What decides the results: they may be taken from an earlier run only if it is the same.
fn settings(args: &EvalArgs, setup: &Setup, model: &Model) -> Value {
    json!({
        "model": model.content_id(),
        "name": model.recipe().name,
        "head": setup.forms(model).head.name(),
        "kv": kv_name(setup.forms(model).kv),
        "match": args.matching.name(),
        "raw": args.raw,
        "max_tokens": args.max_tokens,
        "stop": args.stop,
    })
}

/// The lines that are not empty, with their numbers.
fn read(path: &Path) -> anyhow::Result<Vec<(usize, String)>> {
    let reading = || format!("cannot read '{}'", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(reading)?;
    let read = file.take(MOST_TEXT + 1).read_to_string(&mut text);
    let read = read.with_context(reading)?;
    let bad = |why: &str| BadRequest(format!("'{}' {why}", path.display()));
    if read as u64 > MOST_TEXT {
        return Err(bad("is longer than 256 MiB").into());
    }
    let lines = text.lines().enumerate();
    let lines: Vec<_> = lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| (i + 1, line.to_owned()))
        .collect();
    if lines.is_empty() {
        return Err(bad("holds no questions").into());
    }
    Ok(lines)
}

/// Counts.
#[derive(Debug, Default)]
struct Tally {
    written: u64,
    written_right: u64,
    choices: u64,
    choices_right: u64,
    choices_right_by_length: u64,
    errors: u64,
    /// Taken from the file of results.
    kept: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        let count = |yes: Option<bool>| u64::from(yes == Some(true));
        if outcome.error.is_some() {
            self.errors += 1;
        } else if outcome.right_by_length.is_some() {
            self.choices += 1;
            self.choices_right += count(outcome.right);
            self.choices_right_by_length += count(outcome.right_by_length);
        } else {
            self.written += 1;
            self.written_right += count(outcome.right);
        }
    }

    fn done(&self) -> u64 {
        self.written + self.choices + self.errors
    }
}

/// Questions while they are asked.
pub(super) struct Round<'a> {
    results: Results,
    tally: Tally,
    failed: Vec<(String, String)>,
    total: usize,
    begin: Instant,
    meter: Meter,
    line: &'a mut Progress,
    interrupt: &'a Interrupt,
}

impl Round<'_> {
    /// Time counts from now on.
    fn begin(&mut self) {
        self.line.clear();
        self.begin = Instant::now();
        self.meter = Meter::default();
        self.meter.record(self.begin.elapsed(), self.tally.done());
    }

    /// Keeps an outcome.
    fn done(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        self.results.add(&outcome)?;
        self.tally.add(&outcome);
        if let Some(why) = outcome.error {
            self.failed.push((outcome.id, why));
        }
        let tally = &self.tally;
        self.meter.record(self.begin.elapsed(), tally.done());
        let (meter, total) = (&self.meter, self.total);
        self.line.show(|| {
            let right = tally.written_right + tally.choices_right;
            let mut line = format!(
                "{} of {total} questions, {right} right, {} failed",
                tally.done(),
                tally.errors
            );
            if let Some(rate) = meter.rate() {
                line += &format!(", {}/s", format::rate(rate));
            }
            if let Some(left) = meter.remaining(total as u64) {
                line += &format!(", {} left", format::clock(left));
            }
            line
        });
        Ok(())
    }
}

/// The scores.
fn print(
    args: &EvalArgs,
    settings: &Value,
    tally: &Tally,
    complete: bool,
    notes: &[String],
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let scores = [
        (
            "written",
            "written answers",
            tally.written_right,
            tally.written,
        ),
        ("choices", "choices", tally.choices_right, tally.choices),
        (
            "choices_by_length",
            "choices, for each byte",
            tally.choices_right_by_length,
            tally.choices,
        ),
    ];
    if args.json {
        let mut object = json!({
            "questions": tally.done(),
            "errors": tally.errors,
            "from_earlier_runs": tally.kept,
            "complete": complete,
            "settings": settings,
            "notices": notes,
        });
        for (name, _, right, count) in scores {
            if let Some(share) = Share::new(right, count) {
                object[name] = json!({
                    "right": right,
                    "count": count,
                    "share": share.value,
                    "interval": [share.low, share.high],
                });
            }
        }
        serde_json::to_writer_pretty(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for (_, name, right, count) in scores {
        if let Some(share) = Share::new(right, count) {
            writeln!(
                out,
                "{name}: {right} of {count} right, {:.1} % ({:.1} to {:.1} %)",
                100.0 * share.value,
                100.0 * share.low,
                100.0 * share.high,
            )?;
        }
    }
    if tally.kept > 0 {
        writeln!(out, "{} of them from earlier runs", tally.kept)?;
    }
    if tally.errors > 0 {
        writeln!(out, "{} questions failed and are not counted", tally.errors)?;
    }
    if !complete {
        writeln!(out, "cancelled after {} questions", tally.done())?;
    }
    Ok(())
}
