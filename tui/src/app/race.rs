//! Races between kernels, asked for or not.

use std::time::Duration;

use tritone_monitor::Metric;

use super::backend::{RaceOrder, RaceResult};
use super::msg::Effect;
use super::state::{Load, Race, State};
use crate::chat::transcript::{INDENT, Kind};
use crate::race::{Standing, table};

/// So long nothing must have happened before the machine is measured without being asked.
const IDLE: Duration = Duration::from_secs(5);

/// Where other programs use more of the CPUs than this, in per cent, a second of measuring tells of them.
const OTHERS: f64 = 25.0;

/// Begins a race that was asked for, or notes that one is wanted.
pub(super) fn wanted(state: &mut State) -> Vec<Effect> {
    if state.model().is_none() {
        state.remark("there is no model to race on");
        return Vec::new();
    }
    if let Some(strategy) = state.strategy.as_deref() {
        let text = match state.kernels.is_empty() {
            true => super::update::strategy_has_no_kernels(strategy),
            false => "kernels race where they run: `tritone kernels --race` there".to_owned(),
        };
        state.remark(text);
        return Vec::new();
    }
    if state.race.is_some() {
        state.remark("a race is running: Esc stops it");
        return Vec::new();
    }
    if let Some(switch) = &state.switch {
        let text = format!("switching to {} is not done yet", switch.name);
        state.remark(text);
        return Vec::new();
    }
    if state.run.is_some() {
        state.race_wanted = true;
        state.remark("the race begins after the answer");
        return Vec::new();
    }
    begin(state, false)
}

/// Begins the race that had to wait for an answer or a switch, if there is one and nothing is in its way.
pub(super) fn after_answer(state: &mut State) -> Vec<Effect> {
    if state.run.is_some() || state.switch.is_some() || !std::mem::take(&mut state.race_wanted) {
        return Vec::new();
    }
    begin(state, false)
}

/// Begins a short race when the result is missing and nobody does anything: once a session, not when
/// a kernel was named meanwhile, not while other programs need the processors, and the next message ends
/// it.
pub(super) fn when_idle(state: &mut State) -> Vec<Effect> {
    let quiet = state.now.saturating_sub(state.touched) >= IDLE;
    let free = state.run.is_none()
        && state.race.is_none()
        && state.switch.is_none()
        && !state.waiting
        && !state.kernel_named
        && state.composer.is_blank()
        && matches!(state.load, Load::Ready(_));
    if !(quiet && free && state.unmeasured) || others(state).is_some_and(|used| used > OTHERS) {
        return Vec::new();
    }
    state.unmeasured = false;
    begin(state, true)
}

/// What other programs use of the CPUs, in per cent, if it is known.
fn others(state: &State) -> Option<f64> {
    let latest = state.views.monitor.history.latest()?;
    Some(latest.get(Metric::Cpu)? - latest.get(Metric::CpuProcess)?)
}

fn begin(state: &mut State, automatic: bool) -> Vec<Effect> {
    state.flash = None;
    state.race = Some(Race {
        automatic,
        standing: Standing::default(),
    });
    if !automatic {
        state.unmeasured = false;
        state
            .transcript
            .push(Kind::Race, "the kernels take turns ...");
        state.scroll_to(usize::MAX);
    }
    vec![Effect::Race(RaceOrder {
        automatic,
        switch: !state.kernel_named,
    })]
}

/// Ends the running race, if there is one.
pub(super) fn stop(state: &State) -> Vec<Effect> {
    match state.race {
        Some(_) => vec![Effect::StopRace],
        None => Vec::new(),
    }
}

/// Shows how a race stands.
pub(super) fn stands(state: &mut State, standing: Standing) {
    let width = usize::from(state.size.0.saturating_sub(INDENT + 1));
    if let Some(race) = &mut state.race {
        if !race.automatic {
            let text = table::lines(&standing, width).join("\n");
            state.transcript.set_race(&text);
        }
        race.standing = standing;
    }
}

/// Takes in the result of a race.
pub(super) fn ended(state: &mut State, result: RaceResult) {
    let Some(race) = state.race.take() else {
        return;
    };
    let changed = state.kernel.as_ref() != Some(&result.kernel);
    state.choice = result.choice;
    state.views.kernels.raced(&result.standing);
    if changed {
        state.views.kernels.changed(state.now);
    }
    let now = if changed {
        format!("\n{} is used from now on", result.kernel)
    } else {
        String::new()
    };
    state.kernel = Some(result.kernel);
    let verdict = table::verdict(&result.standing);
    if race.automatic {
        if changed {
            let text = format!("the kernels were measured: {verdict}{now}");
            state.transcript.push(Kind::Note, text);
        }
    } else {
        let width = usize::from(state.size.0.saturating_sub(INDENT + 1));
        let lines = table::lines(&result.standing, width).join("\n");
        let text = format!("{lines}\n{verdict}{now}");
        if !state.transcript.set_race(&text) {
            state.transcript.push(Kind::Race, text);
        }
    }
    if let Some(why) = result.not_kept {
        state.transcript.push(Kind::Error, why);
    }
}
