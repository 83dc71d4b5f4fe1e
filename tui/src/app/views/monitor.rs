//! The Monitor view: what the machine and the model did, and when.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tritone_monitor::{
    Alert, AlertChange, AlertKind, Alerts, Event, EventKind, History, Limits, Metric, Sample,
};

use crate::app::msg::Effect;
use crate::app::screen::View;
use crate::app::state::State;
use crate::chat::transcript::Kind;
use crate::view::format;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// What fits on the screen, in milliseconds.
const SPANS: [u64; 7] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    4 * HOUR,
    12 * HOUR,
    24 * HOUR,
];

/// How long the name of the model and an alert stand in one place in turn, in seconds.
const TURN: u64 = 4;

/// Steps of the cursor across the screen.
const STEPS: u64 = 60;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitor {
    /// What was measured.
    pub(crate) history: History,
    /// The thresholds, once there is a model.
    alerts: Option<Alerts>,
    /// Which of the spans is seen.
    zoom: Zoom,
    /// The picture stands still.
    pub(crate) frozen: Option<Frozen>,
    /// The table is seen instead of the charts.
    pub(crate) summary: bool,
    /// Unix time in milliseconds when the program's clock was 0, once a sample told.
    start: Option<u64>,
    /// What happened before the first sample, by the program's clock.
    early: Vec<Event>,
    /// Events that the log does not know of yet.
    unwritten: Vec<Event>,
    /// What was there when [`happened`] looked last.
    seen: Seen,
    /// There was a race since the last sample.
    raced: bool,
}

/// How much is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Zoom(usize);

/// A picture that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frozen {
    /// The right edge.
    pub(crate) end: u64,
    /// The moment whose values are shown.
    pub(crate) cursor: u64,
}

/// What changes without a message of its own.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    model: Option<String>,
    profile: Option<String>,
    kernel: Option<String>,
    answer: Option<u64>,
}

impl Seen {
    /// What is there now, if it is something else than before.
    fn new(state: &State) -> Option<Self> {
        let model = state.model().map(|model| model.name.as_str());
        let profile = model.map(|_| state.setting.profile.as_str());
        let kernel = state.kernel.as_deref();
        let answer = state.run.as_ref().map(|run| run.id);
        let seen = &state.views.monitor.seen;
        let then = [&seen.model, &seen.profile, &seen.kernel].map(Option::as_deref);
        if then == [model, profile, kernel] && seen.answer == answer {
            return None;
        }
        Some(Self {
            model: model.map(str::to_owned),
            profile: profile.map(str::to_owned),
            kernel: kernel.map(str::to_owned),
            answer,
        })
    }
}

impl Monitor {
    /// Other thresholds from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        match &mut self.alerts {
            Some(alerts) => alerts.set_limits(limits),
            None => self.alerts = Some(Alerts::new(limits)),
        }
    }

    /// The alerts there are, the most pressing first.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().flat_map(Alerts::active)
    }

    /// How much is seen, in milliseconds.
    pub(crate) fn span(&self) -> u64 {
        SPANS.get(self.zoom.0).copied().unwrap_or(MINUTE)
    }

    /// Begin and end of what is seen.
    pub(crate) fn window(&self) -> (u64, u64) {
        let end = match self.frozen {
            Some(frozen) => frozen.end,
            None => self.newest(),
        };
        (end.saturating_sub(self.span()), end)
    }

    /// The newest moment there is.
    pub(crate) fn newest(&self) -> u64 {
        self.history.latest().map_or(0, |sample| sample.at)
    }

    /// The moment whose values are shown.
    pub(crate) fn moment(&self) -> u64 {
        self.frozen
            .map_or_else(|| self.newest(), |frozen| frozen.cursor)
    }

    /// The value of `metric` at the moment that is shown.
    pub(crate) fn value(&self, metric: Metric) -> Option<f64> {
        match self.frozen {
            None => self.history.latest()?.get(metric),
            Some(frozen) => {
                let from = frozen.cursor.saturating_sub(1);
                let points = self.history.series(metric, from, frozen.cursor.max(1), 1);
                points.first()?.map(|point| point.mean)
            }
        }
    }

    /// The last known value of `metric` that is seen, up to the moment that is shown: of what is
    /// known now and then only.
    pub(crate) fn last_value(&self, metric: Metric) -> Option<f64> {
        let (from, _) = self.window();
        let moment = self.moment();
        let known = |sample: &&Sample| sample.at <= moment && sample.at > from;
        let mut samples = self.history.samples().rev().filter(known);
        samples.find_map(|sample| sample.get(metric))
    }

    /// The sample at the moment that is shown, if it is kept as it was taken.
    pub(crate) fn sample(&self) -> Option<&Sample> {
        match self.frozen {
            None => self.history.latest(),
            Some(frozen) => self.history.sample_at(frozen.cursor),
        }
    }

    /// Freezes the picture, with the cursor at its end; or lets it go on.
    fn freeze(&mut self, frozen: bool) {
        let newest = self.newest();
        self.frozen = frozen.then_some(Frozen {
            end: newest,
            cursor: newest,
        });
    }

    /// Moves the cursor and takes the picture along at its edges.
    fn move_cursor(&mut self, by: i64) {
        if self.frozen.is_none() {
            self.freeze(true);
        }
        let (span, newest) = (self.span(), self.newest());
        let begin = self.history.begin().unwrap_or(newest);
        if let Some(frozen) = &mut self.frozen {
            frozen.cursor = frozen
                .cursor
                .saturating_add_signed(by)
                .clamp(begin, newest.max(begin));
            let most = frozen.cursor.saturating_add(span);
            frozen.end = frozen.end.clamp(frozen.cursor, most);
        }
    }

    fn zoom(&mut self, out: bool) {
        let last = SPANS.len() - 1;
        self.zoom = Zoom(if out {
            (self.zoom.0 + 1).min(last)
        } else {
            self.zoom.0.saturating_sub(1)
        });
        // What is looked at stays in the middle.
        let (span, newest) = (self.span(), self.newest());
        if let Some(frozen) = &mut self.frozen {
            frozen.end = frozen.cursor.saturating_add(span / 2).min(newest);
        }
    }
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    if event
        .modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    {
        return None;
    }
    let monitor = &mut state.views.monitor;
    let step = i64::try_from(monitor.span() / STEPS).unwrap_or(i64::MAX);
    match event.code {
        KeyCode::Char('f') => monitor.freeze(monitor.frozen.is_none()),
        KeyCode::Char('+' | '=') => monitor.zoom(false),
        KeyCode::Char('-' | '_') => monitor.zoom(true),
        KeyCode::Char('s') => monitor.summary = !monitor.summary,
        KeyCode::Char('e') => return Some(export(state, "")),
        KeyCode::Left => monitor.move_cursor(-step),
        KeyCode::Right if monitor.frozen.is_some() => monitor.move_cursor(step),
        KeyCode::PageUp => monitor.move_cursor(-step.saturating_mul(STEPS as i64 / 2)),
        KeyCode::PageDown if monitor.frozen.is_some() => {
            monitor.move_cursor(step.saturating_mul(STEPS as i64 / 2));
        }
        KeyCode::Home => monitor.move_cursor(i64::MIN / 2),
        KeyCode::End => monitor.freeze(false),
        KeyCode::Esc if monitor.summary => monitor.summary = false,
        KeyCode::Esc if monitor.frozen.is_some() => monitor.freeze(false),
        _ => return None,
    }
    Some(Vec::new())
}

/// The view comes to the front.
pub(super) fn entered(_state: &mut State) -> Vec<Effect> {
    Vec::new()
}

/// Where measurements are written to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The file; `None` for one in the user's state directory.
    pub(crate) file: Option<String>,
    pub(crate) csv: bool,
    pub(crate) json: bool,
}

impl Destination {
    /// Reads `FILE.csv`, `FILE.json`, `FILE csv`, `csv`, or nothing, which is both.
    fn parse(argument: &str) -> Result<Self, String> {
        let format = |word: &str| match word.to_ascii_lowercase().as_str() {
            "csv" => Some(true),
            "json" => Some(false),
            _ => None,
        };
        let (file, word) = match argument.rsplit_once(char::is_whitespace) {
            Some((file, word)) if format(word).is_some() => (file.trim_end(), word),
            None if format(argument).is_some() => ("", argument),
            _ => match argument.rsplit_once('.') {
                Some((_, word)) if format(word).is_some() => (argument, word),
                _ => (argument, ""),
            },
        };
        let file = Some(file.to_owned()).filter(|file| !file.is_empty());
        match format(word) {
            Some(csv) => Ok(Self {
                file,
                csv,
                json: !csv,
            }),
            None if file.is_none() => Ok(Self {
                file,
                csv: true,
                json: true,
            }),
            None => Err("as what? /monitor-export FILE.csv, FILE.json, or FILE csv".to_owned()),
        }
    }
}

/// `e` and `/monitor-export`: writes all that is kept to files.
pub(crate) fn export(state: &mut State, argument: &str) -> Vec<Effect> {
    let to = match Destination::parse(argument) {
        Ok(to) => to,
        Err(why) => {
            state.remark(why);
            return Vec::new();
        }
    };
    let records = state.views.monitor.history.records(0);
    if records.is_empty() {
        state.remark("nothing was measured yet");
        return Vec::new();
    }
    vec![Effect::Export { records, to }]
}

/// Says where the export is, in a place where it can be read again.
pub(crate) fn exported(state: &mut State, result: Result<String, String>) {
    match result {
        Ok(place) => {
            state.remark(format!("exported to {place}"));
            let text = format!("the monitor's history is in {place}");
            state.transcript.push(Kind::Note, text);
        }
        Err(why) => {
            state.remark(why.clone());
            state.transcript.push(Kind::Error, why);
        }
    }
}

/// Takes in a sample; says whether what is on the screen may have changed.
pub(crate) fn sampled(state: &mut State, mut sample: Sample) -> bool {
    let before = strip(state);
    // `as` is exact: no session takes 2^53 bytes.
    state.resident = sample.get(Metric::Resident).map(|bytes| bytes as u64);
    state.resident_limit = sample.get(Metric::ResidentLimit).map(|bytes| bytes as u64);
    let now = ms(state.now);
    let start = sample.at.saturating_sub(now);
    let monitor = &mut state.views.monitor;
    monitor.start = Some(start);
    for mut event in std::mem::take(&mut monitor.early) {
        event.at = start.saturating_add(event.at);
        monitor.history.mark(event);
    }
    if std::mem::replace(&mut monitor.raced, state.race.is_some()) {
        // A race ends its requests as soon as it has seen enough; nobody cancelled anything.
        sample.set(Metric::Cancelled, 0.0);
    }
    let mut watched = sample.clone();
    if state.race.is_some() {
        // How slow the slowest kernel is, is what a race is to tell.
        watched.set(Metric::DecodeRate, f64::NAN);
    }
    let at = sample.at;
    monitor.history.push(sample);
    let changes = match &mut monitor.alerts {
        Some(alerts) => alerts.look(&watched),
        None => Vec::new(),
    };
    for change in changes {
        let event = match change {
            AlertChange::Raised(alert) => {
                // What others do comes and goes; the status says it while it lasts.
                if !alert.is_of_others() {
                    let text = format!("! {alert}. {}", advice(alert.kind));
                    state.transcript.push(Kind::Note, text);
                }
                Event::new(at, EventKind::Alert, &alert.to_string())
            }
            AlertChange::Over(alert) => Event::new(at, EventKind::AlertOver, &alert.to_string()),
        };
        state.views.monitor.unwritten.push(event);
    }
    state.view == View::Monitor || strip(state) != before
}

/// What is to be done about an alert.
fn advice(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::MemoryLimit | AlertKind::Memory => {
            "A shorter context, an int8 KV cache (kv_type q8) or a smaller head takes less: F5"
        }
        AlertKind::Errors => "F8 shows the log",
        AlertKind::Speed => "F4 shows whether another kernel is faster; F3 what the CPUs do",
        AlertKind::Latency => "A shorter prompt is read sooner; F3 shows what the CPUs do",
        AlertKind::Cpu => "Fewer threads leave some for others: F5",
    }
}

/// What the status shows of it.
fn strip(state: &State) -> (Option<String>, Option<u64>, Vec<Alert>, bool) {
    (
        state.resident.map(format::bytes),
        state.resident_limit,
        state.views.monitor.alerts().copied().collect(),
        takes_turns(state),
    )
}

/// Whether the name of the model has its turn, where there is room for it or for an alert, but not for
/// both.
pub(crate) fn takes_turns(state: &State) -> bool {
    state.setting.animations && state.now.as_secs() / TURN % 2 == 1
}

/// Marks what changed since the last message, whatever it was, and says what the log is to hold.
pub(crate) fn happened(state: &mut State) -> Vec<Effect> {
    let at = ms(state.now);
    let mut events = std::mem::take(&mut state.views.monitor.unwritten);
    let now = Seen::new(state);
    let racing = state.race.is_some();
    // Whoever may see the kernels of a server is told by it what it runs on, too.
    let told = !state.kernels.is_empty()
        && state
            .strategy
            .as_deref()
            .is_some_and(crate::app::update::is_attached_to);
    let monitor = &mut state.views.monitor;
    monitor.raced |= racing;
    if let Some(now) = now {
        let then = std::mem::replace(&mut monitor.seen, now.clone());
        let at = monitor.start.map_or(at, |start| start.saturating_add(at));
        let mut changed = |kind, then: &Option<String>, now: &Option<String>| {
            if let Some(name) = now
                && then != now
            {
                events.push(Event::new(at, kind, name));
            }
        };
        changed(EventKind::Model, &then.model, &now.model);
        changed(EventKind::Profile, &then.profile, &now.profile);
        changed(EventKind::Kernel, &then.kernel, &now.kernel);
        if then.answer != now.answer {
            let answer = |kind, id: u64| Event::new(at, kind, &id.to_string());
            events.extend(then.answer.map(|id| answer(EventKind::AnswerEnd, id)));
            events.extend(now.answer.map(|id| answer(EventKind::AnswerBegin, id)));
        }
    }
    let twice = |event: &Event| {
        let kinds = [EventKind::Model, EventKind::Profile, EventKind::Kernel];
        told && kinds.contains(&event.kind)
    };
    for event in events.iter().filter(|event| !twice(event)) {
        match monitor.start {
            Some(_) => monitor.history.mark(event.clone()),
            None => monitor.early.push(event.clone()),
        }
    }
    events.into_iter().map(Effect::Record).collect()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
