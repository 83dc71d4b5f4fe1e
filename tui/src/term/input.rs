//! From the terminal's events to messages.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::app::msg::Msg;

/// This many equal arrows that arrive together come from the wheel: terminals send three and more
/// for a notch, and no hand presses a key three times between two looks at the input.
const NOTCH: usize = 3;

/// Translates events that were read together.
pub(super) fn messages(events: Vec<Event>) -> Vec<Msg> {
    let mut messages = Vec::new();
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        match event {
            Event::Key(key) => match arrow(key) {
                Some(step) => {
                    let mut count = 1;
                    while events.next_if(|next| is_arrow(next, step)).is_some() {
                        count += 1;
                    }
                    if count >= NOTCH {
                        let lines = i32::try_from(count).unwrap_or(i32::MAX);
                        messages.push(Msg::Wheel(lines.saturating_mul(step)));
                    } else {
                        messages.extend(std::iter::repeat_n(Msg::Key(key), count));
                    }
                }
                None => messages.push(Msg::Key(key)),
            },
            Event::Paste(text) => messages.push(Msg::Paste(text)),
            Event::Resize(columns, rows) => {
                // A window that is dragged sends many sizes; only the last one counts.
                if !events
                    .peek()
                    .is_some_and(|next| matches!(next, Event::Resize(..)))
                {
                    messages.push(Msg::Resize(columns, rows));
                }
            }
            Event::FocusGained | Event::FocusLost | Event::Mouse(_) => {}
        }
    }
    messages
}

/// -1 for the key up, 1 for the key down.
fn arrow(key: KeyEvent) -> Option<i32> {
    if key.modifiers != KeyModifiers::NONE || key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Up => Some(-1),
        KeyCode::Down => Some(1),
        _ => None,
    }
}

fn is_arrow(event: &Event, step: i32) -> bool {
    matches!(event, Event::Key(key) if arrow(*key) == Some(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn three_arrows_at_once_are_the_wheel_and_two_are_keys() {
        let up = || key(KeyCode::Up);
        let messages = messages(vec![
            up(),
            up(),
            key(KeyCode::Char('x')),
            key(KeyCode::Down),
            key(KeyCode::Down),
            key(KeyCode::Down),
            up(),
        ]);
        let shown: Vec<_> = messages
            .iter()
            .map(|message| match message {
                Msg::Key(key) => format!("{}", key.code),
                Msg::Wheel(lines) => format!("wheel {lines}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(shown, ["Up", "Up", "x", "wheel 3", "Up"]);
    }

    #[test]
    fn only_the_last_size_counts() {
        let messages = messages(vec![
            Event::Resize(80, 24),
            Event::Resize(60, 20),
            Event::FocusLost,
        ]);
        assert!(
            matches!(messages.as_slice(), [Msg::Resize(60, 20)]),
            "{messages:?}"
        );
    }
}
