//! Esc and a key such as an arrow or F1, pressed so soon after each other that they are read together:
//! what comes then are Esc and the characters that the key is made of.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// Most characters of a key after `[`.
const LONGEST: usize = 3;

/// The events with such keys put together again.
pub(super) fn whole(events: Vec<Event>) -> Vec<Event> {
    let mut all = Vec::with_capacity(events.len());
    let mut rest = events.as_slice();
    while let [event, behind @ ..] = rest {
        all.push(event.clone());
        rest = behind;
        if is_esc(event)
            && let Some((code, length)) = key(rest)
        {
            all.push(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    all
}

fn is_esc(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key.code == KeyCode::Esc && key.modifiers.is_empty())
}

/// The key that the events begin with, and how many of them it is.
fn key(events: &[Event]) -> Option<(KeyCode, usize)> {
    let typed = |at: usize| match events.get(at)? {
        Event::Key(key) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => match key.code {
            KeyCode::Char(c) => Some(c),
            _ => None,
        },
        _ => None,
    };
    let second = typed(1)?;
    match (typed(0)?, second) {
        ('[' | 'O', _) if named(second).is_some() => Some((named(second)?, 2)),
        ('O', 'P'..='S') => {
            let number = u32::from(second).checked_sub(u32::from('O'))?;
            Some((KeyCode::F(u8::try_from(number).ok()?), 2))
        }
        ('[', '0'..='9') => {
            let digits: String = (1..=LONGEST)
                .map_while(typed)
                .take_while(char::is_ascii_digit)
                .collect();
            let end = 1 + digits.len();
            (typed(end) == Some('~')).then_some(())?;
            Some((numbered(digits.parse().ok()?)?, end + 1))
        }
        _ => None,
    }
}

fn named(c: char) -> Option<KeyCode> {
    Some(match c {
        'A' => KeyCode::Up,
        'B' => KeyCode::Down,
        'C' => KeyCode::Right,
        'D' => KeyCode::Left,
        'H' => KeyCode::Home,
        'F' => KeyCode::End,
        _ => return None,
    })
}

fn numbered(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23 | 24 => KeyCode::F(number - 12),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        let key = |c| match c {
            '\x1b' => KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
            c if char::is_uppercase(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::SHIFT),
            c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
        };
        text.chars().map(|c| Event::Key(key(c))).collect()
    }

    fn shown(text: &str) -> String {
        let name = |event: Event| match event {
            Event::Key(key) => key.code.to_string(),
            other => panic!("{other:?}"),
        };
        let names: Vec<String> = whole(events(text)).into_iter().map(name).collect();
        names.join(" ")
    }

    #[test]
    fn keys_behind_esc_are_whole_and_what_is_typed_stays() {
        for (text, keys) in [
            ("\x1b[A", "Esc Up"),
            ("\x1bOAx", "Esc Up x"),
            ("\x1bOP", "Esc F1"),
            ("\x1bOS", "Esc F4"),
            ("\x1b[15~", "Esc F5"),
            ("\x1b[24~", "Esc F12"),
            ("\x1b[5~\x1b[6~", "Esc Page Up Esc Page Down"),
            ("\x1b", "Esc"),
            ("\x1b[", "Esc ["),
            ("\x1bOx", "Esc O x"),
            ("\x1b[99~", "Esc [ 9 9 ~"),
            ("\x1b[1234~", "Esc [ 1 2 3 4 ~"),
            ("[A", "[ A"),
        ] {
            assert_eq!(shown(text), keys, "{text:?}");
        }
    }
}
