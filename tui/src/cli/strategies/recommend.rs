//! `tritone strategies recommend`: which strategy to take for what, by what was measured here.

use std::cmp::Ordering;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::ValueEnum as _;
use serde::Serialize;

use super::args::Purpose;
use super::record::{Record, Tested};
use crate::cli::console::visible;
use crate::cli::date;
use crate::cli::models::wrapped;
use crate::view::format;

/// Tokens a second that are worth reading along with.
const READABLE: f64 = 5.0;

/// What is recommended for a purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Advice {
    purpose: String,
    /// The strategy, if one is fit for it.
    strategy: Option<String>,
    /// Why, with numbers.
    reason: String,
    /// Why not the others, by name.
    others: Vec<(String, String)>,
}

/// Runs the command.
pub(super) fn run(
    record: &Record,
    model: &str,
    purpose: Option<Purpose>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let tests = record.of_model(model);
    let purposes: Vec<Purpose> = match purpose {
        Some(one) => vec![one],
        None => Purpose::value_variants().to_vec(),
    };
    let advices: Vec<Advice> = purposes
        .into_iter()
        .filter(|_| !tests.is_empty())
        .map(|purpose| advise(purpose, &tests))
        .collect();
    let mut out = io::stdout().lock();
    if json {
        let object = serde_json::json!({ "model": model, "measured": tests, "advice": advices });
        writeln!(out, "{object:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    if tests.is_empty() {
        text += &format!(
            "nothing was measured here yet with {model}: `tritone strategies test` does that\n"
        );
    }
    for advice in &advices {
        let name = advice.strategy.as_deref().unwrap_or("none");
        text += &format!("{}: {name}\n", advice.purpose);
        text += &wrapped(&advice.reason);
        for (name, why) in &advice.others {
            text += &wrapped(&format!("not {name}: {why}"));
        }
    }
    if let Some(latest) = tests.iter().map(|tested| tested.unix_time).max() {
        text += &format!("\nmeasured with {model}, last on {}\n", date::date(latest));
    }
    out.write_all(visible(&text).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Why a strategy is not fit for a purpose, if so.
fn unfit(purpose: Purpose, tested: &Tested) -> Option<String> {
    let reason = tested.faults.first().map_or("it failed", String::as_str);
    if !tested.works {
        return Some(format!("it does not work: {reason}"));
    }
    let here = matches!(purpose, Purpose::Mobile | Purpose::Edge);
    if here && tested.leaves_machine {
        return Some("it needs another machine".to_owned());
    }
    if here && tested.resident_bytes.is_none() {
        return Some("what memory it takes is not known".to_owned());
    }
    let slow = tested.decode_rate.filter(|rate| *rate < READABLE);
    if let (Purpose::Mobile, Some(rate)) = (purpose, slow) {
        let rate = format::rate(rate);
        return Some(format!("{rate} tok/s is slower than one reads"));
    }
    if matches!(purpose, Purpose::Production | Purpose::Research) && tested.repeats == Some(false) {
        return Some("the same request got another text the second time".to_owned());
    }
    if purpose == Purpose::Research && tested.same_text == Some(false) {
        return Some("its texts are not those of native".to_owned());
    }
    None
}

/// How good it is for a purpose: more is better, what comes first counts first.
fn merit(purpose: Purpose, tested: &Tested) -> [f64; 3] {
    let yes = |yes: bool| if yes { 1.0 } else { 0.0 };
    let rate = tested.decode_rate.unwrap_or(0.0);
    let first = -tested.first_token_s.unwrap_or(f64::INFINITY);
    let memory = -tested
        .resident_bytes
        .map_or(f64::INFINITY, |bytes| bytes as f64);
    match purpose {
        Purpose::Production => [
            yes(tested.one_answer) + yes(!tested.leaves_machine),
            rate,
            first,
        ],
        Purpose::Development => [first, rate, memory],
        Purpose::Mobile => [memory, rate, first],
        Purpose::Research => [yes(tested.one_answer) + yes(tested.logprobs), rate, first],
        Purpose::Edge => [rate / -memory, rate, first],
        Purpose::Cloud => [rate, first, memory],
    }
}

/// What was measured, as far as it decides.
fn numbers(purpose: Purpose, tested: &Tested) -> String {
    let rate = tested
        .decode_rate
        .map(|rate| format!("{} tok/s", format::rate(rate)));
    let first = tested.first_token_s;
    let first = first.map(|first| format!("first token after {:.0} ms", first * 1e3));
    let memory = tested.resident_bytes.map(format::bytes);
    let one = tested
        .one_answer
        .then(|| "one answer to one request".to_owned());
    let logprobs = tested.logprobs.then(|| "tells probabilities".to_owned());
    let leaves = tested
        .leaves_machine
        .then(|| "what is said leaves this machine".to_owned());
    let share = tested
        .resident_bytes
        .zip(tested.decode_rate)
        .map(|(bytes, rate)| {
            let mib = bytes as f64 / f64::from(1 << 20);
            format!("{:.1} tok/s for 100 MiB", 100.0 * rate / mib)
        });
    let parts = match purpose {
        Purpose::Production => [one, rate, first, leaves],
        Purpose::Development => [first, rate, memory, leaves],
        Purpose::Mobile => [memory, rate, first, None],
        Purpose::Research => [one, logprobs, rate, leaves],
        Purpose::Edge => [share, memory, rate, None],
        Purpose::Cloud => [rate, first, memory, leaves],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn advise(purpose: Purpose, tests: &[&Tested]) -> Advice {
    let mut others = Vec::new();
    let mut fit = Vec::new();
    for tested in tests {
        match unfit(purpose, tested) {
            Some(why) => others.push((tested.name.clone(), why)),
            None => fit.push(*tested),
        }
    }
    fit.sort_by(|a, b| {
        let pairs = merit(purpose, b).into_iter().zip(merit(purpose, a));
        let mut order = pairs.map(|(b, a)| b.total_cmp(&a));
        order.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    let value = purpose.to_possible_value();
    let purpose_name = value.map_or_else(String::new, |value| value.get_name().to_owned());
    let mut fit = fit.into_iter();
    let Some(best) = fit.next() else {
        return Advice {
            purpose: purpose_name,
            strategy: None,
            reason: "none that was tested is fit for it".to_owned(),
            others,
        };
    };
    others.splice(
        0..0,
        fit.map(|tested| (tested.name.clone(), numbers(purpose, tested))),
    );
    Advice {
        purpose: purpose_name,
        strategy: Some(best.name.clone()),
        reason: numbers(purpose, best),
        others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(name: &str, rate: f64, first_token_s: f64, mib: Option<u64>) -> Tested {
        Tested {
            name: name.to_owned(),
            model: "m".to_owned(),
            works: true,
            decode_rate: Some(rate),
            first_token_s: Some(first_token_s),
            resident_bytes: mib.map(|mib| mib << 20),
            repeats: Some(true),
            ..Tested::default()
        }
    }

    #[test]
    fn what_is_measured_decides() {
        let native = Tested {
            one_answer: true,
            logprobs: true,
            ..tested("native", 20.0, 0.2, Some(400))
        };
        let child = tested("bitnet.cpp", 30.0, 0.4, Some(900));
        let far = Tested {
            leaves_machine: true,
            ..tested("far", 90.0, 0.1, None)
        };
        let broken = Tested {
            works: false,
            faults: vec!["it crashed".to_owned()],
            ..tested("broken", 500.0, 0.0, Some(1))
        };
        let tests = [&native, &child, &far, &broken];
        let chosen = |purpose| advise(purpose, &tests).strategy.unwrap();
        assert_eq!(chosen(Purpose::Production), "native");
        assert_eq!(chosen(Purpose::Development), "far");
        assert_eq!(chosen(Purpose::Mobile), "native");
        assert_eq!(chosen(Purpose::Research), "native");
        assert_eq!(chosen(Purpose::Edge), "native");
        assert_eq!(chosen(Purpose::Cloud), "far");
        let advice = advise(Purpose::Mobile, &tests);
        assert_eq!(
            advice.reason,
            "400 MiB, 20.0 tok/s, first token after 200 ms"
        );
        let others: Vec<_> = advice
            .others
            .iter()
            .map(|(name, why)| format!("{name}: {why}"))
            .collect();
        assert_eq!(
            others,
            [
                "bitnet.cpp: 900 MiB, 30.0 tok/s, first token after 400 ms",
                "far: it needs another machine",
                "broken: it does not work: it crashed",
            ]
        );
    }

    #[test]
    fn where_nothing_is_fit_that_is_said() {
        let slow = tested("native", 1.0, 9.0, Some(400));
        let advice = advise(Purpose::Mobile, &[&slow]);
        assert_eq!(advice.strategy, None);
        assert!(
            advice.others[0].1.contains("slower than one reads"),
            "{advice:?}"
        );
    }
}
