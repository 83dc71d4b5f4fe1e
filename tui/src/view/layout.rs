//! Where things are.

use ratatui::layout::Rect;

use crate::app::screen::View;
use crate::app::state::State;

/// Smallest screen that is drawn.
pub(crate) const MIN_COLUMNS: u16 = 20;
/// Smallest screen that is drawn.
pub(crate) const MIN_ROWS: u16 = 6;

/// Cells of the prompt before the input.
pub(crate) const PROMPT: u16 = 2;

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
        let too_small = width < MIN_COLUMNS || height < MIN_ROWS;
        let strip = if height < TALL { 1 } else { 2 };
        let most = (height / 3).clamp(1, MOST_INPUT);
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

/// Cells of the input's text on a screen of `columns`; the last one stays free for the cursor.
pub(crate) fn composer_width(columns: u16) -> u16 {
    columns.saturating_sub(PROMPT + 1).max(1)
}
