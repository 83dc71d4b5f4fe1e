//! `tritone strategies test`: the same prompts to every strategy that can be used here.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tritone_engine::{Cancel, LoadProgress, Request};
use tritone_strategy::{
    Capabilities, Deployed, Deployment, Entry, Fault, Manager, Rejected, StrategyError, Trial,
    deploy_one,
};

use super::deployment;
use super::record::{Record, Tested};
use crate::cli::args::CommonArgs;
use crate::cli::console::{Console, visible};
use crate::cli::date;
use crate::cli::failure::{CANCELLED, Usage};
use crate::cli::interrupt::Interrupt;
use crate::view::format;

/// Characters of a text that are shown where two differ.
const SHOWN: usize = 48;

/// What came of testing one strategy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) name: String,
    /// What ran, if it ran.
    pub(crate) deployed: Option<Deployed>,
    /// What it can do, as it was known while it ran.
    pub(crate) capabilities: Capabilities,
    /// What was answered.
    pub(crate) trial: Trial,
    /// Why it did not run.
    pub(crate) rejected: Option<Rejected>,
    /// The texts are those of `native`; `None` where one of them was not tested.
    pub(crate) same_text: Option<bool>,
    /// Where they are not: the first that differs.
    pub(crate) difference: Option<String>,
}

impl Outcome {
    /// Whether it ran and nothing was wrong.
    pub(crate) fn works(&self) -> bool {
        self.rejected.is_none() && self.trial.works()
    }

    /// Compares the texts with those of another trial.
    pub(crate) fn compare(&mut self, native: &Trial) {
        self.same_text = self.trial.same_text(native);
        let pairs = self.trial.tried.iter().zip(&native.tried);
        let mut differing = pairs.filter(|(a, b)| a.text.trim() != b.text.trim());
        self.difference = differing.next().map(|(own, other)| {
            let short = |text: &str| text.trim().chars().take(SHOWN).collect::<String>();
            let why = match self.capabilities.one_answer {
                true => "",
                false => "; it rounds in its own way, and does not promise the same answer",
            };
            format!(
                "to '{}' it says {:?}, native {:?}{why}",
                own.prompt,
                short(&own.text),
                short(&other.text)
            )
        });
    }

    /// What is remembered of it.
    pub(crate) fn tested(&self, model: &str) -> Tested {
        let capabilities = self.capabilities;
        let why = self.rejected.iter().map(ToString::to_string);
        Tested {
            name: self.name.clone(),
            model: model.to_owned(),
            unix_time: date::now(),
            works: self.works(),
            first_token_s: self.trial.first_token_s(),
            decode_rate: self.trial.decode_rate(),
            resident_bytes: self.trial.resident_bytes,
            same_text: self.same_text,
            repeats: self.trial.repeats,
            one_answer: capabilities.one_answer,
            logprobs: capabilities.logprobs,
            leaves_machine: capabilities.leaves_machine,
            runs_on: self
                .deployed
                .as_ref()
                .map_or_else(String::new, |deployed| deployed.runs_on.clone()),
            faults: why.chain(self.trial.faults.iter().cloned()).collect(),
        }
    }
}

/// Runs the model with a strategy, asks what all are asked, and ends it. `stopped` says whether it is to be given up;
/// `asked` gets the handle of each answer.
pub(crate) fn measure(
    entry: &Entry,
    deployment: &Deployment,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
    stopped: &dyn Fn() -> bool,
    asked: &dyn Fn(Cancel),
) -> Outcome {
    let strategy = &entry.strategy;
    let name = strategy.name().to_owned();
    let mut outcome = Outcome {
        name: name.clone(),
        deployed: None,
        capabilities: strategy.capabilities(),
        trial: Trial::default(),
        rejected: None,
        same_text: None,
        difference: None,
    };
    match deploy_one(&**strategy, deployment, progress) {
        Ok(deployed) => {
            outcome.deployed = Some(deployed);
            outcome.capabilities = strategy.capabilities();
        }
        Err(error) => {
            outcome.rejected = Some(Rejected::new(&name, error));
            return outcome;
        }
    }
    let generate = |request: Request| {
        if stopped() {
            return Err(StrategyError::new(Fault::Cancelled, "it was given up"));
        }
        let answer = strategy.generate(request)?;
        asked(answer.cancel_handle());
        Ok(answer)
    };
    outcome.trial = Trial::of(&generate, None);
    outcome.trial.resident_bytes = strategy.performance_metrics().resident_bytes;
    strategy.shutdown();
    outcome
}

/// Runs the command.
pub(super) fn run(
    manager: &Manager,
    mut record: Record,
    names: &[String],
    json: bool,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let deployment = deployment(common)?;
    let chosen = chosen(manager, names, console)?;
    let interrupt = Interrupt::listen()?;
    let mut line = console.progress();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut tested = Vec::new();
    for (index, entry) in chosen.iter().enumerate() {
        let name = entry.strategy.name();
        let of = chosen.len();
        line.show(|| format!("{} of {of}: {name}", index + 1));
        let mut outcome = measure(
            entry,
            &deployment,
            &mut |progress| {
                line.loading(&progress);
                !interrupt.is_pressed()
            },
            &|| interrupt.is_pressed(),
            &|cancel| interrupt.cancels(cancel),
        );
        line.clear();
        if interrupt.is_pressed() {
            break;
        }
        let native = outcomes.iter().find(|outcome| outcome.name == "native");
        if let Some(native) = native {
            outcome.compare(&native.trial);
        }
        tested.push(outcome.tested(&deployment.model.to_string()));
        outcomes.push(outcome);
    }
    for tested in &tested {
        record.add(tested.clone());
    }
    if !tested.is_empty()
        && let Err(error) = record.save()
    {
        console.note(&format!("what was measured is not kept: {error:#}"));
    }
    let cancelled = interrupt.is_pressed();
    let mut out = io::stdout().lock();
    if json {
        let object = serde_json::json!({
            "model": deployment.model.to_string(),
            "date": date::date(date::now()),
            "cpu": tritone_machine::Machine::detect().cpu,
            "cancelled": cancelled,
            "strategies": outcomes,
            "measured": tested,
        });
        writeln!(out, "{object:#}")?;
    } else {
        out.write_all(visible(&table(&outcomes)).as_bytes())?;
    }
    // Whoever names none asks for those that can run the model.
    let excused = |outcome: &Outcome| {
        let rejected = outcome.rejected.as_ref();
        names.is_empty() && rejected.is_some_and(|why| why.fault == Fault::Model.name())
    };
    let well = |outcome: &Outcome| outcome.works() || excused(outcome);
    Ok(match (cancelled, outcomes.iter().all(well)) {
        (true, _) => ExitCode::from(CANCELLED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// The strategies to test: those named, or all that can be used here without anything leaving the machine.
fn chosen<'a>(
    manager: &'a Manager,
    names: &[String],
    console: &Console,
) -> anyhow::Result<Vec<&'a Entry>> {
    if !names.is_empty() {
        let mut entries = Vec::new();
        for name in names {
            let entry = manager
                .get(name)
                .map_err(|error| Usage(error.to_string()))?;
            entries.push(entry);
        }
        // Everything is compared with the engine of this process.
        entries.sort_by_key(|entry| entry.strategy.name() != "native");
        return Ok(entries);
    }
    let mut entries = Vec::new();
    for entry in manager.entries() {
        let name = entry.strategy.name();
        if entry.strategy.capabilities().leaves_machine {
            console.note(&format!(
                "{name} is left out, as the prompts would leave this machine: `tritone strategies test {name}` tests it"
            ));
            continue;
        }
        match entry.strategy.setup_environment().missing() {
            None => entries.push(entry),
            Some(missing) => console.note(&format!("{name} is left out: {missing}")),
        }
    }
    entries.sort_by_key(|entry| entry.strategy.name() != "native");
    Ok(entries)
}

/// The table for people.
fn table(outcomes: &[Outcome]) -> String {
    let widest = outcomes
        .iter()
        .map(|outcome| outcome.name.chars().count())
        .max();
    let first = widest.unwrap_or(0).clamp(8, 24);
    let mut text = format!(
        "{:<first$}  {:<5}  {:>11}  {:>7}  {:>8}  {}\n",
        "STRATEGY", "WORKS", "FIRST TOKEN", "TOK/S", "MEMORY", "SAME TEXT"
    );
    for outcome in outcomes {
        let trial = &outcome.trial;
        let dash = || "-".to_owned();
        let seconds = trial.first_token_s();
        text += &format!(
            "{:<first$}  {:<5}  {:>11}  {:>7}  {:>8}  {}\n",
            outcome.name,
            if outcome.works() { "yes" } else { "no" },
            seconds.map_or_else(dash, |seconds| format!("{:.0} ms", seconds * 1e3)),
            trial.decode_rate().map_or_else(dash, format::rate),
            trial.resident_bytes.map_or_else(dash, format::bytes),
            match (&*outcome.name, outcome.same_text) {
                ("native", _) => "(reference)",
                (_, Some(true)) => "yes",
                (_, Some(false)) => "no",
                (_, None) => "-",
            },
        );
    }
    for outcome in outcomes {
        let name = &outcome.name;
        if let Some(rejected) = &outcome.rejected {
            text += &format!("\n{rejected}\n");
        }
        for fault in &outcome.trial.faults {
            text += &format!("\n{name}: {fault}\n");
        }
        if outcome.trial.repeats == Some(false) {
            text += &format!("\n{name}: the same request got another text the second time\n");
        }
        if let Some(difference) = &outcome.difference {
            text += &format!("\n{name}: {difference}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tritone_strategy::Tried;

    use super::*;

    fn outcome(name: &str, text: &str) -> Outcome {
        Outcome {
            name: name.to_owned(),
            deployed: None,
            capabilities: Capabilities::default(),
            trial: Trial {
                tried: vec![Tried {
                    prompt: "Say hello.".to_owned(),
                    text: text.to_owned(),
                    tokens: 3,
                    first_token_s: 0.0123,
                    decode_rate: 41.5,
                }],
                repeats: Some(true),
                resident_bytes: Some(300 << 20),
                faults: Vec::new(),
            },
            rejected: None,
            same_text: None,
            difference: None,
        }
    }

    #[test]
    fn the_table_says_what_differs_and_why_something_does_not_run() {
        let native = outcome("native", "Hello!");
        let mut same = outcome("studio", " Hello!\n");
        let mut other = outcome("bitnet.cpp", "Hello there!");
        other.trial.repeats = Some(false);
        let mut none = outcome("far", "");
        none.trial = Trial::default();
        let error = StrategyError::new(Fault::Port, "the port 1 is taken").remedy("free it");
        none.rejected = Some(Rejected::new("far", error));
        for outcome in [&mut same, &mut other, &mut none] {
            outcome.compare(&native.trial);
        }
        assert!(same.works() && !none.works());
        insta::assert_snapshot!(table(&[native, same, other, none]));
    }
}
