//! Keeps what a user typed from becoming control tokens.
//!
//! A template turns messages into one string, and trims, compares and cuts their contents on the
//! way, so the contents cannot be wrapped in marks. Instead, before rendering, every character in
//! a content with which the text of some control token begins is replaced by a private-use
//! character that occurs nowhere else. In the rendered text a control token that begins with the
//! true character can only be the template's own; afterwards the stand-ins are put back.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::TextError;

/// Private-use characters: the planes 15 and 16.
const STAND_INS: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{10FFFD}';

/// Real templates have a handful; more are treated like any other text.
const MAX_LITERALS: usize = 64;

/// What must be replaced in the contents of messages, for one vocabulary and template.
#[derive(Debug, Clone, Default)]
pub(super) struct Shield {
    /// First characters of control tokens.
    first: Vec<char>,
    /// Literals of the template that begin with such a character but not like a control token,
    /// such as `</think>`. They stay readable, so that a template can find them in a content.
    literals: Vec<String>,
    /// Private-use characters that are taken: those of the template and of control tokens.
    taken: BTreeSet<char>,
}

impl Shield {
    pub(super) fn new<'a>(controls: impl Iterator<Item = &'a str> + Clone, source: &str) -> Self {
        let first: BTreeSet<char> = controls
            .clone()
            .filter_map(|text| text.chars().next())
            .collect();
        let taken = controls
            .clone()
            .flat_map(str::chars)
            .chain(source.chars())
            .filter(|char| STAND_INS.contains(char))
            .collect();
        // A template that cut such a literal in two could leave the beginning of a control token, which
        // a message would complete. Of a whole tag (`</think>`, where there is `</s>`) two characters
        // may be the same: templates cut at tags, not in them.
        let openings = |count| {
            controls
                .clone()
                .map(move |text| head(text, count))
                .collect()
        };
        let (two, three): (BTreeSet<&str>, BTreeSet<&str>) = (openings(2), openings(3));
        let is_like_control = |text: &str| {
            let (openings, most) = match text.ends_with('>') {
                true => (&three, 3),
                false => (&two, 2),
            };
            (1..=most).any(|count| openings.contains(head(text, count)))
        };
        let literals: BTreeSet<&str> = source
            .char_indices()
            .filter(|(_, char)| first.contains(char))
            .map(|(at, _)| literal_at(&source[at..]))
            .filter(|literal| literal.chars().nth(1).is_some())
            .filter(|text| !is_like_control(text))
            .take(MAX_LITERALS)
            .collect();
        let first = first.into_iter().collect();
        Self {
            first,
            literals: literals.into_iter().map(str::to_owned).collect(),
            taken,
        }
    }

    /// Chooses the stand-ins for one rendering of `contents`.
    pub(super) fn raise<'a>(
        &self,
        contents: impl Iterator<Item = &'a str>,
    ) -> Result<Raised<'_>, TextError> {
        let mut taken = self.taken.clone();
        taken.extend(
            contents
                .flat_map(str::chars)
                .filter(|char| STAND_INS.contains(char)),
        );
        let mut free = STAND_INS.filter(|char| !taken.contains(char));
        let pairs: Vec<(char, char)> = free.by_ref().zip(self.first.iter().copied()).collect();
        let mark = free.next().filter(|_| pairs.len() == self.first.len());
        // One more, to mark a place with.
        let mark = mark.ok_or(TextError::NoStandIn {
            needed: self.first.len() + 1,
        })?;
        Ok(Raised {
            shield: self,
            pairs,
            mark,
        })
    }
}

/// The literal that `text` begins with: up to `>`, a quote, a backslash or white space.
fn literal_at(text: &str) -> &str {
    let end = text.char_indices().find_map(|(at, char)| match char {
        '>' => Some(at + 1),
        '\'' | '"' | '\\' => Some(at),
        _ if char.is_whitespace() => Some(at),
        _ => None,
    });
    &text[..end.unwrap_or(text.len())]
}

/// The first `count` characters of `text`, or all.
fn head(text: &str, count: usize) -> &str {
    text.char_indices()
        .nth(count)
        .map_or(text, |(end, _)| &text[..end])
}

/// A shield with the stand-ins of one rendering.
#[derive(Debug)]
pub(super) struct Raised<'a> {
    shield: &'a Shield,
    /// (stand-in, what it stands for), sorted by both.
    pairs: Vec<(char, char)>,
    mark: char,
}

impl Raised<'_> {
    /// A character that is in no content, no control token and not in the template.
    pub(super) fn mark(&self) -> char {
        self.mark
    }

    /// `content` with its dangerous characters replaced.
    pub(super) fn cover<'t>(&self, content: &'t str) -> Cow<'t, str> {
        let first = |char| {
            self.pairs
                .binary_search_by_key(&char, |&(_, original)| original)
        };
        if !content.chars().any(|char| first(char).is_ok()) {
            return Cow::Borrowed(content);
        }
        let mut covered = String::with_capacity(content.len() + 16);
        for (at, char) in content.char_indices() {
            let rest = &content[at..];
            match first(char) {
                Ok(index)
                    if !self
                        .shield
                        .literals
                        .iter()
                        .any(|lit| rest.starts_with(lit.as_str())) =>
                {
                    covered.push(self.pairs[index].0);
                }
                _ => covered.push(char),
            }
        }
        Cow::Owned(covered)
    }

    pub(super) fn finish(self, text: String) -> Rendered {
        Rendered {
            text,
            pairs: self.pairs,
        }
    }
}

/// A rendered chat, which remembers which of its text a user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    text: String,
    pairs: Vec<(char, char)>,
}

impl Rendered {
    /// The prompt as text, to be looked at. To encode it use
    /// [`Tokenizer::encode_rendered`](super::Tokenizer::encode_rendered): in this form it is no
    /// longer known which control tokens the template wrote.
    pub fn text(&self) -> String {
        self.restore(&self.text).into_owned()
    }

    /// The text with stand-ins, in which every control token is the template's.
    pub(super) fn covered(&self) -> &str {
        &self.text
    }

    /// Puts the true characters back into a part of [`covered`](Self::covered).
    pub(super) fn restore<'t>(&self, part: &'t str) -> Cow<'t, str> {
        let stand_in = |char| {
            self.pairs
                .binary_search_by_key(&char, |&(stand_in, _)| stand_in)
        };
        if !part.chars().any(|char| stand_in(char).is_ok()) {
            return Cow::Borrowed(part);
        }
        let original = |char| stand_in(char).map_or(char, |index| self.pairs[index].1);
        Cow::Owned(part.chars().map(original).collect())
    }
}
