//! A key with its modifiers, as it is written in settings and shown to people.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers, in the one form in which it is compared.
///
/// Shift is part of a character (`A`), not a modifier of it, and Ctrl knows no capital letters: so
/// terminals send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chord {
    pub(crate) code: KeyCode,
    pub(crate) modifiers: KeyModifiers,
}

/// Keys with a name, by the name that is shown; further names are read.
const NAMED: [(&str, KeyCode, &[&str]); 14] = [
    ("Enter", KeyCode::Enter, &["return"]),
    ("Esc", KeyCode::Esc, &["escape"]),
    ("Tab", KeyCode::Tab, &[]),
    ("Backspace", KeyCode::Backspace, &[]),
    ("Delete", KeyCode::Delete, &["del"]),
    ("Insert", KeyCode::Insert, &["ins"]),
    ("Home", KeyCode::Home, &[]),
    ("End", KeyCode::End, &[]),
    ("PageUp", KeyCode::PageUp, &["pgup"]),
    ("PageDown", KeyCode::PageDown, &["pgdn", "pgdown"]),
    ("Up", KeyCode::Up, &[]),
    ("Down", KeyCode::Down, &[]),
    ("Left", KeyCode::Left, &[]),
    ("Right", KeyCode::Right, &[]),
];

const MODIFIERS: [(&str, KeyModifiers, &[&str]); 3] = [
    ("Ctrl", KeyModifiers::CONTROL, &["control"]),
    ("Alt", KeyModifiers::ALT, &["meta", "option"]),
    ("Shift", KeyModifiers::SHIFT, &[]),
];

/// Highest function key.
const LAST_F: u8 = 24;

impl Chord {
    /// The key of an event.
    pub(crate) fn of(event: KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }

    /// The key, brought into the form that is compared.
    pub(crate) fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let ctrl = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            KeyCode::Char(c) => Self {
                code: KeyCode::Char(match pair(c) {
                    Some((small, _)) if ctrl => small,
                    _ => c,
                }),
                modifiers: modifiers - KeyModifiers::SHIFT,
            },
            KeyCode::BackTab => Self {
                code: KeyCode::Tab,
                modifiers: modifiers | KeyModifiers::SHIFT,
            },
            _ => Self { code, modifiers },
        }
    }

    /// Whether it writes a character, so that it can be no command.
    pub(crate) fn writes(self) -> bool {
        let both = KeyModifiers::CONTROL | KeyModifiers::ALT;
        matches!(self.code, KeyCode::Char(_)) && !self.modifiers.intersects(both)
    }

    /// Reads `ctrl+x`, `alt+enter`, `F5`.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        // The last `+` of `ctrl++` is the key itself.
        while let Some((word, behind)) = rest.split_once('+')
            && !word.is_empty()
            && !behind.is_empty()
        {
            modifiers |= modifier(word)
                .ok_or_else(|| format!("\"{}\" is no modifier: ctrl, alt or shift", shown(word)))?;
            rest = behind;
        }
        let mut characters = rest.chars();
        let chord = match (characters.next(), characters.next()) {
            (None, _) => return Err("a key is missing, such as \"ctrl+x\" or \"f5\"".to_owned()),
            (Some(c), None) => character(c, modifiers)?,
            _ => Self::new(named(rest)?, modifiers),
        };
        let unknowable = [('i', "Tab"), ('m', "Enter"), ('[', "Esc")];
        if chord.modifiers == KeyModifiers::CONTROL
            && let KeyCode::Char(c) = chord.code
            && let Some((c, other)) = unknowable.into_iter().find(|(key, _)| *key == c)
        {
            let c = c.to_ascii_uppercase();
            return Err(format!(
                "terminals send Ctrl+{c} as {other}; choose another key"
            ));
        }
        Ok(chord)
    }
}

fn modifier(word: &str) -> Option<KeyModifiers> {
    let word = word.to_ascii_lowercase();
    let found = MODIFIERS
        .iter()
        .find(|(name, _, others)| name.to_ascii_lowercase() == word || others.contains(&&*word));
    found.map(|(_, modifier, _)| *modifier)
}

/// A key that is a character: letters are read in any case, `shift+` makes a capital one.
fn character(c: char, modifiers: KeyModifiers) -> Result<Chord, String> {
    let shift = modifiers.contains(KeyModifiers::SHIFT);
    let ctrl = modifiers.contains(KeyModifiers::CONTROL);
    let code = match pair(c) {
        _ if c.is_control() => return Err("this is a control character, not a key".to_owned()),
        _ if shift && ctrl => {
            return Err(format!(
                "terminals do not tell Ctrl+Shift+{c} from Ctrl+{c}"
            ));
        }
        Some((small, _)) if !shift => small,
        Some((_, capital)) => capital,
        None if shift => {
            return Err(format!(
                "write the character that Shift and {c} make, without shift+"
            ));
        }
        None => c,
    };
    Ok(Chord::new(KeyCode::Char(code), modifiers))
}

fn one(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

/// Small and capital form of a letter that has just these two.
fn pair(c: char) -> Option<(char, char)> {
    let (small, capital) = (one(c.to_lowercase())?, one(c.to_uppercase())?);
    let forms = small != capital
        && (c == small || c == capital)
        && one(capital.to_lowercase()) == Some(small)
        && one(small.to_uppercase()) == Some(capital);
    forms.then_some((small, capital))
}

fn named(word: &str) -> Result<KeyCode, String> {
    let small = word.to_ascii_lowercase();
    let known = NAMED
        .iter()
        .find(|(name, _, others)| name.to_ascii_lowercase() == small || others.contains(&&*small));
    if let Some((_, code, _)) = known {
        return Ok(*code);
    }
    match small.as_str() {
        "space" => return Ok(KeyCode::Char(' ')),
        "plus" => return Ok(KeyCode::Char('+')),
        _ => {}
    }
    if let Some(number) = small.strip_prefix('f')
        && let Ok(number @ 1..=LAST_F) = number.parse::<u8>()
        && !small.starts_with("f0")
        && !small.starts_with("f+")
    {
        return Ok(KeyCode::F(number));
    }
    let names = NAMED.map(|(name, _, _)| name);
    let small = names.map(str::to_ascii_lowercase);
    let meant = tritone_profile::nearest(word, small.iter().map(String::as_str));
    let meant = meant.and_then(|name| names.iter().find(|shown| shown.eq_ignore_ascii_case(name)));
    Err(match meant {
        Some(name) => format!(
            "there is no key \"{}\" (did you mean \"{name}\"?)",
            shown(word)
        ),
        None => {
            format!(
                "there is no key \"{}\"; there are single characters, F1 to F{LAST_F}, Space, {}",
                shown(word),
                names.join(", ")
            )
        }
    })
}

/// Text of a file as it may be shown: short, control characters escaped.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, modifier, _) in MODIFIERS {
            if self.modifiers.contains(modifier) {
                write!(f, "{name}+")?;
            }
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char('+') => f.write_str("Plus"),
            KeyCode::Char(c) => match pair(c) {
                Some((small, capital)) if c == small => write!(f, "{capital}"),
                Some((_, capital)) => write!(f, "Shift+{capital}"),
                None => write!(f, "{c}"),
            },
            KeyCode::F(number) => write!(f, "F{number}"),
            code => match NAMED.iter().find(|(_, named, _)| *named == code) {
                Some((name, _, _)) => f.write_str(name),
                None => write!(f, "{code}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chords() -> impl Strategy<Value = Chord> {
        let named = (0..NAMED.len()).prop_map(|at| NAMED[at].1);
        let code = prop_oneof![
            named,
            (1..=LAST_F).prop_map(KeyCode::F),
            any::<char>()
                .prop_filter("no control characters", |c| !c.is_control())
                .prop_map(KeyCode::Char),
        ];
        (code, 0..8_u8).prop_map(|(code, bits)| {
            let modifiers = MODIFIERS
                .iter()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1)
                .fold(KeyModifiers::NONE, |all, (_, (_, one, _))| all | *one);
            Chord::new(code, modifiers)
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(chord in chords()) {
            let shown = chord.to_string();
            match Chord::parse(&shown) {
                Ok(read) => prop_assert_eq!(read, chord, "{}", shown),
                Err(why) => prop_assert!(
                    why.starts_with("terminals "),
                    "{}: {}", shown, why
                ),
            }
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            if let Ok(chord) = Chord::parse(&text) {
                prop_assert_eq!(Chord::parse(&chord.to_string()), Ok(chord));
            }
        }
    }

    #[test]
    fn names_and_errors() {
        let key = |text: &str| Chord::parse(text).map(|chord| chord.to_string());
        for (text, shown) in [
            ("ctrl+x", "Ctrl+X"),
            ("CTRL+X", "Ctrl+X"),
            ("alt+B", "Alt+B"),
            ("alt+shift+b", "Alt+Shift+B"),
            ("meta+return", "Alt+Enter"),
            ("ctrl++", "Ctrl+Plus"),
            ("shift+tab", "Shift+Tab"),
            ("pgdn", "PageDown"),
            ("f12", "F12"),
            ("ctrl+_", "Ctrl+_"),
            ("space", "Space"),
        ] {
            assert_eq!(key(text).as_deref(), Ok(shown), "{text}");
        }
        for (text, why) in [
            ("", "a key is missing"),
            ("hyper+x", "is no modifier"),
            ("entr", "did you mean \"Enter\"?"),
            ("ctrl+m", "terminals send Ctrl+M as Enter"),
            ("f25", "F1 to F24"),
            ("ctrl+shift+x", "do not tell"),
            ("shift+1", "without shift+"),
        ] {
            let error = key(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn the_many_ways_to_send_a_key_are_one() {
        let chord = |code, modifiers| Chord::new(code, modifiers).to_string();
        let (ctrl, shift) = (KeyModifiers::CONTROL, KeyModifiers::SHIFT);
        assert_eq!(chord(KeyCode::Char('R'), ctrl | shift), "Ctrl+R");
        assert_eq!(chord(KeyCode::Char('A'), shift), "Shift+A");
        assert_eq!(chord(KeyCode::BackTab, shift), "Shift+Tab");
        assert_eq!(chord(KeyCode::Tab, shift), "Shift+Tab");
    }
}
