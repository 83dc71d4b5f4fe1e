//! How tokens are chosen in this chat: single values and presets.

use tritone_engine::sample::Sampling;

use super::commands::Action;
use super::overlay::Overlay;
use super::picker::{Item, Picker};
use super::state::State;

/// A preset: its name, what it is for, and what it changes of the defaults.
type Row = (&'static str, &'static str, fn(&mut Sampling));

/// The presets that are always there.
const PRESETS: [Row; 3] = [
    ("precise", "facts and code: little chance", |sampling| {
        sampling.temperature = 0.2;
        sampling.top_p = 0.9;
    }),
    ("balanced", "the program's defaults", |_| {}),
    ("creative", "stories and ideas: much chance", |sampling| {
        sampling.temperature = 1.0;
        sampling.top_p = 0.95;
        sampling.min_p = 0.05;
    }),
];

/// The presets, the person's own first, each with what it says. Seed and biases are not part of one.
fn presets(state: &State) -> Vec<(String, String, Sampling)> {
    let own = state.setting.presets.iter();
    let mut all: Vec<(String, String, Sampling)> = own
        .map(|(name, sampling)| (name.clone(), "your own".to_owned(), sampling.clone()))
        .collect();
    for (name, what, change) in PRESETS {
        if all.iter().all(|(own, ..)| own != name) {
            let mut sampling = Sampling::default();
            change(&mut sampling);
            all.push((name.to_owned(), what.to_owned(), sampling));
        }
    }
    all
}

/// Names of presets, and what each says.
pub(super) fn names(state: &State) -> Vec<(String, String)> {
    let presets = presets(state).into_iter();
    presets
        .map(|(name, what, sampling)| (name, format!("{what}: {}", summary(&sampling))))
        .collect()
}

/// `/sampling`: what is in force, or another preset.
pub(super) fn command(state: &mut State, argument: &str) {
    let presets = presets(state);
    if argument.is_empty() {
        let item = |(name, what, sampling): &(String, String, Sampling)| Item {
            value: name.clone(),
            label: name.clone(),
            detail: format!("{what}: {}", summary(sampling)),
        };
        let items = presets.iter().map(item).collect();
        let now = presets
            .iter()
            .find(|(.., sampling)| alike(sampling, &state.sampling))
            .map(|(name, ..)| name.clone());
        let mut picker = Picker::new("sampling", items, |state, name| {
            command(state, name);
            Vec::new()
        })
        .note(format!("in force: {}", summary(&state.sampling)));
        if let Some(now) = now {
            picker = picker.select(&now).mark(&now);
        }
        state.overlay = Some(Overlay::Picker(picker));
        return;
    }
    match presets.into_iter().find(|(name, ..)| name == argument) {
        Some((name, _, preset)) => {
            state.sampling = Sampling {
                seed: state.sampling.seed,
                logit_bias: std::mem::take(&mut state.sampling.logit_bias),
                logprobs: state.sampling.logprobs,
                ..preset
            };
            let text = format!("sampling is {name} now: {}", summary(&state.sampling));
            state.remark(text);
        }
        None => {
            let names: Vec<String> = names(state).into_iter().map(|(name, _)| name).collect();
            let names = names.join(", ");
            state.remark(format!("there is no preset {argument}; there are: {names}"));
        }
    }
}

/// Whether both choose alike, whatever their seed.
fn alike(a: &Sampling, b: &Sampling) -> bool {
    let bare = |sampling: &Sampling| Sampling {
        seed: 0,
        logit_bias: Vec::new(),
        logprobs: false,
        ..sampling.clone()
    };
    bare(a) == bare(b)
}

/// `temperature 0.2, top_p 0.9`: the values that most people change, and others that are not usual.
pub(crate) fn summary(sampling: &Sampling) -> String {
    let mut parts = vec![format!("temperature {}", sampling.temperature)];
    let usual = Sampling::default();
    if sampling.temperature > 0.0 {
        if sampling.top_k != usual.top_k {
            parts.push(format!("top_k {}", sampling.top_k));
        }
        parts.push(format!("top_p {}", sampling.top_p));
        if sampling.min_p != usual.min_p {
            parts.push(format!("min_p {}", sampling.min_p));
        }
    }
    for (name, value, usual) in [
        (
            "repetition_penalty",
            sampling.repetition_penalty,
            usual.repetition_penalty,
        ),
        (
            "frequency_penalty",
            sampling.frequency_penalty,
            usual.frequency_penalty,
        ),
        (
            "presence_penalty",
            sampling.presence_penalty,
            usual.presence_penalty,
        ),
    ] {
        if value != usual {
            parts.push(format!("{name} {value}"));
        }
    }
    parts.join(", ")
}

/// What differs from the defaults, in short, for the status; empty if nothing does.
pub(crate) fn status(state: &State) -> String {
    let (now, usual) = (&state.sampling, Sampling::default());
    let mut parts = Vec::new();
    for (name, value, usual) in [
        ("temp", now.temperature, usual.temperature),
        ("top_p", now.top_p, usual.top_p),
        ("min_p", now.min_p, usual.min_p),
    ] {
        if value != usual {
            parts.push(format!("{name} {value}"));
        }
    }
    if now.top_k != usual.top_k {
        parts.push(format!("top_k {}", now.top_k));
    }
    if now.seed != usual.seed {
        parts.push(format!("seed {}", now.seed));
    }
    parts.join(" ")
}

/// `/temp`, `/top_p`, `/top_k`, `/min_p`, `/seed`, `/max_tokens`: shows or sets one value.
pub(super) fn set(state: &mut State, action: Action, argument: &str) {
    let text = match action {
        Action::MaxTokens => max_tokens(state, argument),
        _ => one(state, action, argument),
    };
    state.remark(text);
}

fn one(state: &mut State, action: Action, argument: &str) -> String {
    let now = state.sampling.clone();
    let (name, value, like) = match action {
        Action::Seed => (
            "seed",
            now.seed.to_string(),
            "a whole number, such as /seed 42",
        ),
        Action::TopK => (
            "top_k",
            now.top_k.to_string(),
            "a whole number, such as /top_k 40; 0 keeps all tokens",
        ),
        Action::TopP => (
            "top_p",
            now.top_p.to_string(),
            "a number, such as /top_p 0.9",
        ),
        Action::MinP => (
            "min_p",
            now.min_p.to_string(),
            "a number, such as /min_p 0.05",
        ),
        _ => (
            "temperature",
            now.temperature.to_string(),
            "a number, such as /temp 0.7",
        ),
    };
    if argument.is_empty() {
        return format!("the {name} is {value}");
    }
    let new = match action {
        Action::Seed => argument.parse().ok().map(|seed| Sampling { seed, ..now }),
        Action::TopK => argument.parse().ok().map(|top_k| Sampling { top_k, ..now }),
        Action::TopP => argument.parse().ok().map(|top_p| Sampling { top_p, ..now }),
        Action::MinP => argument.parse().ok().map(|min_p| Sampling { min_p, ..now }),
        _ => {
            let temperature = argument.parse().ok();
            temperature.map(|temperature| Sampling { temperature, ..now })
        }
    };
    let Some(new) = new else {
        return format!("the {name} is {like}");
    };
    match new.validate() {
        Ok(()) => {
            state.sampling = new;
            format!("the {name} is {argument} now")
        }
        Err(error) => error.to_string(),
    }
}

fn max_tokens(state: &mut State, argument: &str) -> String {
    match argument {
        "" => match state.setting.max_tokens {
            Some(most) => format!("an answer has at most {most} tokens"),
            None => "an answer may be as long as the context allows".to_owned(),
        },
        "off" => {
            state.setting.max_tokens = None;
            "an answer may be as long as the context allows now".to_owned()
        }
        _ => match argument.parse::<usize>() {
            Ok(most) if most > 0 => {
                state.setting.max_tokens = Some(most);
                format!("an answer has at most {most} tokens now")
            }
            _ => "it is a whole number from 1 on, such as /max_tokens 200, or off".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::headless::Headless;
    use super::*;

    fn remark(session: &Headless) -> &str {
        let flash = session.state.flash.as_ref();
        flash.map_or("", |(text, _)| text.as_str())
    }

    #[test]
    fn presets_change_what_chance_may_do_and_keep_the_seed() {
        let mut session = Headless::loaded(80, 24);
        let own = Sampling {
            top_k: 7,
            seed: 99,
            ..Sampling::default()
        };
        session.state.setting.presets = vec![("mine".to_owned(), own)];
        session.say("/seed 5").say("/sampling precise");
        assert_eq!(
            remark(&session),
            "sampling is precise now: temperature 0.2, top_p 0.9"
        );
        assert_eq!(
            (session.state.sampling.seed, status(&session.state)),
            (5, "temp 0.2 seed 5".to_owned())
        );
        session.say("/sampling mine");
        assert_eq!(
            (session.state.sampling.seed, session.state.sampling.top_k),
            (5, 7)
        );
        session.say("/sampling balanced").say("/seed 0");
        assert_eq!(session.state.sampling, Sampling::default());
        assert_eq!(status(&session.state), "");
        session.say("/sampling wild");
        assert_eq!(
            remark(&session),
            "there is no preset wild; there are: mine, precise, balanced, creative"
        );
        for (name, _, preset) in presets(&session.state) {
            assert!(preset.validate().is_ok(), "{name}");
        }
    }

    #[test]
    fn single_values_are_shown_set_and_refused() {
        let mut session = Headless::loaded(80, 24);
        for (typed, said) in [
            ("/top_p 0.5", "the top_p is 0.5 now"),
            ("/top_k 40", "the top_k is 40 now"),
            ("/min_p 0.1", "the min_p is 0.1 now"),
            ("/top_k", "the top_k is 40"),
            (
                "/top_k many",
                "the top_k is a whole number, such as /top_k 40; 0 keeps all tokens",
            ),
            ("/max_tokens 7", "an answer has at most 7 tokens now"),
            (
                "/max_tokens 0",
                "it is a whole number from 1 on, such as /max_tokens 200, or off",
            ),
            (
                "/max_tokens off",
                "an answer may be as long as the context allows now",
            ),
        ] {
            session.say(typed);
            assert_eq!(remark(&session), said, "{typed}");
        }
        let before = session.state.sampling.clone();
        session.say("/top_p 2");
        assert_eq!(session.state.sampling, before);
        assert_eq!(
            summary(&before),
            "temperature 0.6, top_k 40, top_p 0.5, min_p 0.1"
        );
    }
}
