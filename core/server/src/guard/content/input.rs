//! Characters of prompts that are not there to be read.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::ApiError;

/// What is done with a kind of character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    /// It stays.
    #[default]
    Keep,
    /// It is left out.
    Strip,
    /// The request is refused.
    Refuse,
}

/// Characters of prompts: the table `[server.guard.content.input]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputConfig {
    /// NUL.
    pub nul: Treatment,
    /// Other control characters, but tab and the ends of lines.
    pub control: Treatment,
    /// Characters without a shape that carry text past its reader: tags, fillers, spaces of no width. Joiners
    /// and variation selectors, which scripts and emoji need, are not among them.
    pub invisible: Treatment,
    /// Characters that turn the direction of what follows around.
    pub bidi: Treatment,
    /// Characters of a text at most.
    pub chars_max: Option<usize>,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            nul: Treatment::Refuse,
            control: Treatment::Keep,
            invisible: Treatment::Keep,
            bidi: Treatment::Keep,
            chars_max: None,
        }
    }
}

impl InputConfig {
    /// A text without what is to be left out.
    pub(super) fn clean<'a>(&self, param: &str, text: &'a str) -> Result<Cow<'a, str>, ApiError> {
        let refused =
            |message: String| ApiError::invalid(param.to_owned(), message).code("invalid_text");
        if let Some(max) = self.chars_max {
            let chars = text.chars().count();
            if chars > max {
                return Err(refused(format!(
                    "{param} has {chars} characters: at most {max} are taken"
                )));
            }
        }
        let mut strip = false;
        for (at, char) in text.char_indices() {
            match self.treatment(char) {
                Treatment::Keep => {}
                Treatment::Strip => strip = true,
                Treatment::Refuse => {
                    let code = u32::from(char);
                    return Err(refused(format!(
                        "{param} has the character U+{code:04X} at byte {at}, which this server does not take: leave it out"
                    )));
                }
            }
        }
        if !strip {
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(
            text.chars()
                .filter(|char| self.treatment(*char) == Treatment::Keep)
                .collect(),
        ))
    }

    fn treatment(&self, char: char) -> Treatment {
        match char {
            '\0' => self.nul,
            '\t' | '\n' | '\r' => Treatment::Keep,
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => self.bidi,
            '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2064}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}' => self.invisible,
            char if char.is_control() => self.control,
            _ => Treatment::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: fn(Treatment) -> InputConfig = |treatment| InputConfig {
        nul: treatment,
        control: treatment,
        invisible: treatment,
        bidi: treatment,
        chars_max: None,
    };

    #[test]
    fn only_nul_is_refused_by_default() {
        let config = InputConfig::default();
        let text = "a\u{1b}[31m\u{202e}\u{200b}\u{e0041}\u{85}";
        assert_eq!(config.clean("p", text), Ok(text.into()));
        let error = config.clean("prompt", "ab\0c").unwrap_err();
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some("prompt"), Some("invalid_text"))
        );
        assert!(error.message.contains("U+0000 at byte 2"), "{error}");
    }

    #[test]
    fn what_is_stripped_and_what_stays() {
        let stays = "Grüße\t\r\n मनुष्य क्‍ष 👩‍👩‍👧 ❤️ שלום e\u{301}";
        assert!(matches!(
            ALL(Treatment::Strip).clean("p", stays),
            Ok(Cow::Borrowed(_))
        ));
        assert!(ALL(Treatment::Refuse).clean("p", stays).is_ok());
        let hidden = [
            "\0",
            "\u{1b}",
            "\u{7f}",
            "\u{9b}",
            "\u{200b}",
            "\u{202e}",
            "\u{2066}",
            "\u{e0041}",
            "\u{feff}",
        ];
        for hidden in hidden {
            let text = format!("a{hidden}b");
            assert_eq!(
                ALL(Treatment::Strip).clean("p", &text).unwrap(),
                "ab",
                "{hidden:?}"
            );
            assert!(
                ALL(Treatment::Refuse).clean("p", &text).is_err(),
                "{hidden:?}"
            );
        }
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let config = InputConfig {
            chars_max: Some(3),
            ..InputConfig::default()
        };
        assert!(config.clean("p", "漢漢漢").is_ok());
        let error = config.clean("p", "abcd").unwrap_err();
        assert!(
            error.message.contains("has 4 characters: at most 3"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn stripping_leaves_nothing_to_refuse(text in "(?s).{0,50}") {
            let stripped = ALL(Treatment::Strip).clean("p", &text).unwrap();
            prop_assert_eq!(ALL(Treatment::Refuse).clean("p", &stripped), Ok(stripped.clone()));
        }
    }
}
