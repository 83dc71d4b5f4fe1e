//! The Logs view: what the program has to say about itself.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tracing::Level;

use crate::app::msg::Effect;
use crate::app::state::State;
use crate::logs::{Record, Shelf};

/// Longest filter, in characters.
const MOST_FILTER: usize = 80;

/// What the view holds.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    pub(crate) shelf: Shelf,
    /// Records that say less than this are left out.
    pub(crate) level: Level,
    /// Only records with this text are shown, whatever the case.
    pub(crate) filter: String,
    /// The filter is being written.
    pub(crate) typing: bool,
    /// Long records go on in the next line.
    pub(crate) wrap: bool,
    /// The selected record, counted from the first one ever; `None` follows the end.
    selected: Option<u64>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            shelf: Shelf::default(),
            level: Level::INFO,
            filter: String::new(),
            typing: false,
            wrap: false,
            selected: None,
        }
    }
}

impl Logs {
    /// Takes in new records.
    pub(crate) fn learn(&mut self, batch: Vec<Arc<Record>>) {
        for record in batch {
            self.shelf.push(record);
        }
    }

    /// The records that are shown, with their numbers, the oldest first.
    pub(crate) fn shown(&self) -> Vec<(u64, &Record)> {
        let filter = self.filter.to_lowercase();
        let matches = |record: &Record| {
            let here = |text: &str| text.to_lowercase().contains(&filter);
            record.level <= self.level
                && (filter.is_empty() || here(&record.text) || here(&record.target))
        };
        (self.shelf.dropped..)
            .zip(self.shelf.iter())
            .filter(|(_, record)| matches(record))
            .map(|(number, record)| (number, &**record))
            .collect()
    }

    /// Whether the end is followed.
    pub(crate) fn follows(&self) -> bool {
        self.selected.is_none()
    }

    /// Which of the `shown` is selected: where the selected one is no longer shown, the next one.
    pub(crate) fn at(&self, shown: &[(u64, &Record)]) -> usize {
        let last = shown.len().saturating_sub(1);
        match self.selected {
            None => last,
            Some(number) => shown.partition_point(|(at, _)| *at < number).min(last),
        }
    }

    fn go(&mut self, step: impl Fn(usize, usize) -> usize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let target = step(self.at(&shown), last).min(last);
        let number = shown.get(target).map(|(number, _)| *number);
        self.selected = number;
    }
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let logs = &mut state.views.logs;
    if event
        .modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    {
        return None;
    }
    if logs.typing {
        return write(logs, event);
    }
    match event.code {
        KeyCode::Char(digit @ '1'..='5') => {
            logs.level = match digit {
                '1' => Level::ERROR,
                '2' => Level::WARN,
                '3' => Level::INFO,
                '4' => Level::DEBUG,
                _ => Level::TRACE,
            };
        }
        KeyCode::Char('/') => logs.typing = true,
        KeyCode::Char('w') => logs.wrap = !logs.wrap,
        KeyCode::Char(' ') if logs.follows() => logs.go(|now, _| now),
        KeyCode::Char(' ' | 'f') | KeyCode::End => logs.selected = None,
        KeyCode::Char('c') => return Some(copy(state)),
        KeyCode::Up => logs.go(|now, _| now.saturating_sub(1)),
        KeyCode::Down => logs.go(|now, _| now + 1),
        KeyCode::PageUp => logs.go(|now, _| now.saturating_sub(10)),
        KeyCode::PageDown => logs.go(|now, _| now + 10),
        KeyCode::Home => logs.go(|_, _| 0),
        KeyCode::Esc if !logs.filter.is_empty() => logs.filter.clear(),
        _ => return None,
    }
    Some(Vec::new())
}

/// Takes a key while the filter is written.
fn write(logs: &mut Logs, event: KeyEvent) -> Option<Vec<Effect>> {
    match event.code {
        KeyCode::Char(c) => {
            if logs.filter.chars().count() < MOST_FILTER {
                logs.filter.push(c);
            }
        }
        KeyCode::Backspace => {
            logs.filter.pop();
        }
        KeyCode::Enter => logs.typing = false,
        KeyCode::Esc => {
            logs.typing = false;
            logs.filter.clear();
        }
        _ => return None,
    }
    Some(Vec::new())
}

/// Copies the selected record.
fn copy(state: &mut State) -> Vec<Effect> {
    let logs = &state.views.logs;
    let shown = logs.shown();
    let selected = shown.get(logs.at(&shown));
    match selected.map(|(_, record)| record.line()) {
        Some(line) => vec![Effect::Copy(line)],
        None => {
            state.remark("there is no line to copy");
            Vec::new()
        }
    }
}

/// The view comes to the front.
pub(super) fn entered(state: &mut State) -> Vec<Effect> {
    state.views.logs.typing = false;
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::headless::Headless;
    use crate::app::msg::Msg;
    use crate::app::screen::View;

    fn record(level: Level, text: &str) -> Arc<Record> {
        Arc::new(Record {
            unix_millis: 0,
            level,
            target: "tritone::test".to_owned(),
            text: text.to_owned(),
        })
    }

    fn session() -> Headless {
        let mut session = Headless::loaded(80, 24);
        session.key(KeyCode::F(8));
        session.send(Msg::Logs(vec![
            record(Level::INFO, "one"),
            record(Level::DEBUG, "two"),
            record(Level::WARN, "Three"),
            record(Level::ERROR, "four"),
            record(Level::TRACE, "five"),
        ]));
        session
    }

    fn shown(session: &Headless) -> Vec<&str> {
        let shown = session.state.views.logs.shown();
        shown
            .iter()
            .map(|(_, record)| record.text.as_str())
            .collect()
    }

    #[test]
    fn digits_choose_the_level() {
        let mut session = session();
        assert_eq!(shown(&session), ["one", "Three", "four"]);
        for (digit, count) in [('1', 1), ('2', 2), ('3', 3), ('4', 4), ('5', 5)] {
            session.key(KeyCode::Char(digit));
            assert_eq!(shown(&session).len(), count, "{digit}");
        }
    }

    #[test]
    fn a_filter_is_written_and_cleared_before_escape_leaves() {
        let mut session = session();
        session
            .key(KeyCode::Char('/'))
            .write("thr2")
            .key(KeyCode::Backspace);
        assert_eq!(shown(&session), ["Three"]);
        session.key(KeyCode::Enter).key(KeyCode::Char('5'));
        assert_eq!(shown(&session), ["Three"], "digits are levels again");
        session.key(KeyCode::Esc);
        assert_eq!((shown(&session).len(), session.state.view), (5, View::Logs));
        session.key(KeyCode::Esc);
        assert_eq!(session.state.view, View::Chat);
    }

    #[test]
    fn what_is_selected_stays_while_records_come_and_go() {
        let mut session = session();
        session.key(KeyCode::Up);
        let selected = |session: &Headless| {
            let logs = &session.state.views.logs;
            let shown = logs.shown();
            shown[logs.at(&shown)].1.text.clone()
        };
        assert_eq!(selected(&session), "Three");
        session.send(Msg::Logs(vec![record(Level::INFO, "six")]));
        assert_eq!(selected(&session), "Three");
        session.key(KeyCode::Char('c'));
        let Some(Effect::Copy(line)) = session.effects.last() else {
            panic!("nothing was copied");
        };
        assert_eq!(line, "00:00:00.000 WARN test: Three");
        // Records are thrown away; the selection goes to the oldest there is.
        let many = (0..crate::logs::MOST_RECORDS).map(|_| record(Level::INFO, "more"));
        session.send(Msg::Logs(many.collect()));
        assert_eq!(selected(&session), "more");
        session.key(KeyCode::Char('f'));
        assert!(session.state.views.logs.follows());
        session.key(KeyCode::Char(' '));
        assert!(!session.state.views.logs.follows());
        session.key(KeyCode::Char(' '));
        assert!(session.state.views.logs.follows());
    }
}
