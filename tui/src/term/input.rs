//! From the terminal's events to messages.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::{background, escaped};
use crate::app::msg::Msg;

/// This many equal arrows that arrive together come from the wheel: terminals send three and more
/// for a notch, and no hand presses a key three times between two looks at the input.
const NOTCH: usize = 3;

/// Lines of a notch of the wheel, where the program has the mouse.
const LINES: i32 = 3;

/// Translates events; what the terminal answers to a question is told from what is typed.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The keys of what may be an answer: Alt+] (which is how one begins), and so on.
    answer: Vec<KeyEvent>,
    /// An answer ended with Esc: a backslash that follows belongs to it.
    ended: bool,
}

impl Input {
    /// Translates events that were read together.
    pub(super) fn messages(&mut self, events: Vec<Event>) -> Vec<Msg> {
        let mut messages = Vec::new();
        let events: Vec<Event> = events
            .into_iter()
            .flat_map(|event| self.without_answers(event, &mut messages))
            .collect();
        messages.extend(translate(escaped::whole(events)));
        messages
    }

    /// The events that are none of an answer.
    fn without_answers(&mut self, event: Event, messages: &mut Vec<Msg>) -> Vec<Event> {
        let Event::Key(key) = event else {
            return vec![event];
        };
        if std::mem::take(&mut self.ended) && key.code == KeyCode::Char('\\') {
            return Vec::new();
        }
        let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        if self.answer.is_empty() {
            let begins = key.code == KeyCode::Char(']') && key.modifiers == KeyModifiers::ALT;
            if !begins {
                return vec![event];
            }
            self.answer.push(key);
            return Vec::new();
        }
        let mut text: String = self.answer.iter().skip(1).filter_map(character).collect();
        match key.code {
            KeyCode::Char('g') if key.modifiers == KeyModifiers::CONTROL => {}
            KeyCode::Char('\\') if key.modifiers == KeyModifiers::ALT => {}
            KeyCode::Esc if plain => self.ended = true,
            KeyCode::Char(c) if plain => {
                text.push(c);
                self.answer.push(key);
                if background::may_be(&text) {
                    return Vec::new();
                }
                return self.give_back();
            }
            _ => {
                self.answer.push(key);
                return self.give_back();
            }
        }
        match background::read(&text) {
            Some(found) => {
                self.answer.clear();
                messages.push(Msg::Background(found));
                Vec::new()
            }
            None => {
                self.ended = false;
                self.answer.push(key);
                self.give_back()
            }
        }
    }

    /// It was typed after all.
    fn give_back(&mut self) -> Vec<Event> {
        self.answer.drain(..).map(Event::Key).collect()
    }
}

fn character(key: &KeyEvent) -> Option<char> {
    match key.code {
        KeyCode::Char(c) => Some(c),
        _ => None,
    }
}

fn translate(events: Vec<Event>) -> Vec<Msg> {
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
            Event::Mouse(mouse) => messages.extend(pointed(mouse)),
            Event::FocusGained | Event::FocusLost => {}
        }
    }
    messages
}

fn pointed(mouse: MouseEvent) -> Option<Msg> {
    match mouse.kind {
        MouseEventKind::ScrollUp => Some(Msg::Wheel(-LINES)),
        MouseEventKind::ScrollDown => Some(Msg::Wheel(LINES)),
        MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
        _ => None,
    }
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
    use crate::view::theme::Background;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn with(c: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
    }

    /// Keys as crossterm makes them of an answer.
    fn answer(text: &str, end: Event) -> Vec<Event> {
        let mut events = vec![with(']', KeyModifiers::ALT)];
        events.extend(text.chars().map(|c| key(KeyCode::Char(c))));
        events.push(end);
        events
    }

    fn shown(messages: &[Msg]) -> Vec<String> {
        let shown = messages.iter().map(|message| match message {
            Msg::Key(key) => format!("{}", key.code),
            Msg::Wheel(lines) => format!("wheel {lines}"),
            Msg::Background(found) => format!("{found:?}"),
            other => panic!("{other:?}"),
        });
        shown.collect()
    }

    #[test]
    fn three_arrows_at_once_are_the_wheel_and_two_are_keys() {
        let up = || key(KeyCode::Up);
        let messages = Input::default().messages(vec![
            up(),
            up(),
            key(KeyCode::Char('x')),
            key(KeyCode::Down),
            key(KeyCode::Down),
            key(KeyCode::Down),
            up(),
        ]);
        assert_eq!(shown(&messages), ["Up", "Up", "x", "wheel 3", "Up"]);
    }

    #[test]
    fn only_the_last_size_counts() {
        let messages = Input::default().messages(vec![
            Event::Resize(80, 24),
            Event::Resize(60, 20),
            Event::FocusLost,
        ]);
        assert!(
            matches!(messages.as_slice(), [Msg::Resize(60, 20)]),
            "{messages:?}"
        );
    }

    #[test]
    fn an_answer_is_no_typing_however_it_ends_and_wherever_it_is_cut() {
        let light = "11;rgb:ffff/ffff/ffff";
        for end in [
            with('g', KeyModifiers::CONTROL),
            with('\\', KeyModifiers::ALT),
            key(KeyCode::Esc),
        ] {
            let events = answer(light, end);
            for cut in 0..events.len() {
                let mut input = Input::default();
                let mut messages = input.messages(events[..cut].to_vec());
                messages.extend(input.messages(events[cut..].to_vec()));
                messages.extend(input.messages(vec![key(KeyCode::Char('x'))]));
                assert_eq!(shown(&messages), ["Light", "x"], "{cut}");
            }
        }
        let mut input = Input::default();
        let mut events = answer("11;rgb:00/00/00", key(KeyCode::Esc));
        events.extend([key(KeyCode::Char('\\')), key(KeyCode::Char('\\'))]);
        assert_eq!(
            shown(&input.messages(events)),
            [format!("{:?}", Background::Dark), "\\".to_owned()]
        );
    }

    #[test]
    fn what_only_looks_like_an_answer_is_typed() {
        let mut input = Input::default();
        let events = answer("1x", key(KeyCode::Enter));
        assert_eq!(shown(&input.messages(events)), ["]", "1", "x", "Enter"]);
        let events = answer("11;rgb:1/2", key(KeyCode::Esc));
        let typed = shown(&input.messages(events));
        assert_eq!(typed.concat(), "]11;rgb:1/2Esc");
        assert_eq!(
            shown(&input.messages(vec![key(KeyCode::Char('\\'))])),
            ["\\"]
        );
    }

    #[test]
    fn the_mouse_scrolls_and_points() {
        let mouse = |kind| {
            Event::Mouse(MouseEvent {
                kind,
                column: 4,
                row: 2,
                modifiers: KeyModifiers::NONE,
            })
        };
        let messages = Input::default().messages(vec![
            mouse(MouseEventKind::ScrollUp),
            mouse(MouseEventKind::Down(MouseButton::Left)),
            mouse(MouseEventKind::Moved),
        ]);
        assert!(
            matches!(messages.as_slice(), [Msg::Wheel(-3), Msg::Click(4, 2)]),
            "{messages:?}"
        );
    }
}
