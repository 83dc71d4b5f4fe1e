//! Where things are.

use ratatui::layout::Rect;

use crate::app::screen::View;
use crate::app::state::State;
use crate::chat::transcript::Kind;

/// Smallest screen that is drawn.
pub(crate) const MIN_COLUMNS: u16 = 20;
/// Smallest screen that is drawn.
pub(crate) const MIN_ROWS: u16 = 6;

/// Cells of the prompt before the input.
pub(crate) const PROMPT: u16 = 2;

/// Fewest rows where only the lowest lines of the terminal are used.
const MIN_PART: u16 = 4;

/// Screens lower than this have one line of status instead of two.
const TALL: u16 = 16;

/// Most rows of the input.
const MOST_INPUT: u16 = 10;

/// The areas of the screen, from top to bottom; the help covers the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) transcript: Rect,
    pub(crate) rule: Rect,
    /// Messages that wait.
    pub(crate) queue: Rect,
    pub(crate) composer: Rect,
    pub(crate) strip: Rect,
    pub(crate) help: Rect,
    /// The names of the views, and the view itself; empty in the chat.
    pub(crate) tabs: Rect,
    pub(crate) body: Rect,
    pub(crate) too_small: bool,
}

impl Areas {
    /// The areas for what `state` holds.
    pub(crate) fn of(state: &State) -> Self {
        let (width, height) = state.size;
        let part = state.is_part();
        let least = if part { MIN_PART } else { MIN_ROWS };
        let too_small = width < MIN_COLUMNS || height < least;
        let strip = if height < TALL { 1 } else { 2 };
        let most = if part {
            // Only as high as what is in it needs.
            height.saturating_sub(3).clamp(1, MOST_INPUT)
        } else {
            (height / 3).clamp(1, MOST_INPUT)
        };
        let chat = state.view == View::Chat;
        let composer = u16::try_from(state.composer.height())
            .unwrap_or(most)
            .clamp(1, most);
        let composer = if chat { composer } else { 0 };
        let queue = match chat {
            true => super::queue::rows(state, height),
            false => 0,
        };
        let transcript = height.saturating_sub(strip + composer + queue + 1);
        let mut y = 0;
        let mut next = |rows: u16| {
            let rows = rows.min(height - y);
            let area = Rect {
                x: 0,
                y,
                width,
                height: rows,
            };
            y += rows;
            area
        };
        let (transcript, rule) = (next(transcript), next(1));
        let queue = next(queue);
        let (composer, strip) = (next(composer), next(strip));
        let help = Rect {
            x: 0,
            y: 0,
            width,
            height: height - strip.height,
        };
        // The chat has no other view above it.
        let tabs = Rect {
            height: u16::from(!chat).min(transcript.height),
            ..transcript
        };
        let body = Rect {
            y: tabs.height,
            height: transcript.height - tabs.height,
            ..transcript
        };
        Self {
            tabs,
            body,
            transcript,
            rule,
            queue,
            composer,
            strip,
            help,
            too_small,
        }
    }
}

/// The rows that are needed of a terminal with `rows`, where only the lowest lines are used.
pub(crate) fn part_rows(state: &State, rows: u16) -> u16 {
    let entries = state.transcript.entries();
    let greets = !entries.iter().any(|entry| entry.kind == Kind::User);
    let greeting = if greets { 3 } else { 0 };
    let lines = state
        .transcript
        .height()
        .saturating_sub(state.printed_lines())
        .saturating_add(greeting);
    let lines = u16::try_from(lines)
        .unwrap_or(u16::MAX)
        .max(super::popup::rows(state))
        .clamp(1, rows / 2 + 1);
    let input = u16::try_from(state.composer.height()).unwrap_or(u16::MAX);
    let waiting = super::queue::rows(state, rows);
    let below = input.min(MOST_INPUT).saturating_add(2 + waiting);
    lines
        .saturating_add(below)
        .clamp(MIN_PART, rows.max(MIN_PART))
}

/// Cells of the input's text on a screen of `columns`; the last one stays free for the cursor.
pub(crate) fn composer_width(columns: u16) -> u16 {
    columns.saturating_sub(PROMPT + 1).max(1)
}
