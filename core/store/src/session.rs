//! What is known of a session besides what was said.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;

/// The number of a session.
pub type SessionId = i64;

/// Longest title in characters.
pub const MOST_TITLE: usize = 200;
/// Longest tag in characters.
pub const MOST_TAG: usize = 40;
/// Most tags of a session.
pub const MOST_TAGS: usize = 32;

/// Longest title that is made from a message.
const MADE_TITLE: usize = 60;

/// What a session is held under.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Its title.
    pub title: String,
    /// Name of the model.
    pub model: Option<String>,
    /// Name of the profile.
    pub profile: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// How tokens are chosen, as its reader understands it.
    pub sampling: Option<Value>,
    /// Tags in order.
    pub tags: Vec<String>,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// What it is held under.
    #[serde(flatten)]
    pub details: Details,
    /// When it began, in milliseconds since 1970.
    pub created: u64,
    /// When something was last said or changed.
    pub updated: u64,
    /// Messages on all branches.
    pub messages: u64,
    /// When it was deleted.
    pub deleted: Option<u64>,
    /// An answer was never finished: the program ended, or is at it.
    pub unfinished: bool,
}

/// A title from the first message: its first line with something on it, cut between two words.
#[must_use]
pub fn title_of(message: &str) -> String {
    let mut title = String::new();
    let line = message
        .lines()
        .find(|line| line.chars().any(char::is_alphanumeric));
    for word in line.unwrap_or_default().split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let length = title.chars().count() + word.chars().count() + 1;
        if length > MADE_TITLE && !title.is_empty() {
            title.push('…');
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        if word.chars().count() > MADE_TITLE {
            title.extend(word.chars().take(MADE_TITLE - 1));
            title.push('…');
            break;
        }
        title.push_str(&word);
    }
    if title.is_empty() {
        "untitled".to_owned()
    } else {
        title
    }
}

/// The title without what no title has; an error for one that is empty or too long.
pub(crate) fn checked_title(title: &str) -> Result<String, StoreError> {
    let clean: String = title.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim();
    match clean.chars().count() {
        0 => Err(StoreError::Refused(
            "a title needs at least one character".to_owned(),
        )),
        length if length > MOST_TITLE => Err(StoreError::Refused(format!(
            "a title has at most {MOST_TITLE} characters, this one has {length}"
        ))),
        _ => Ok(clean.to_owned()),
    }
}

/// The tags, each once, in order; an error for one that is empty, too long or one too many.
pub(crate) fn checked_tags<'a>(
    tags: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>, StoreError> {
    let mut checked: Vec<String> = Vec::new();
    for tag in tags {
        let tag = tag.trim().trim_start_matches('#');
        let length = tag.chars().count();
        if length == 0
            || length > MOST_TAG
            || tag
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == ',')
        {
            return Err(StoreError::Refused(format!(
                "'{}' is no tag: one word of at most {MOST_TAG} characters, without commas",
                tag.chars()
                    .filter(|c| !c.is_control())
                    .take(MOST_TAG)
                    .collect::<String>()
            )));
        }
        let known = checked.iter().any(|other| other.eq_ignore_ascii_case(tag));
        if !known {
            checked.push(tag.to_owned());
        }
    }
    if checked.len() > MOST_TAGS {
        return Err(StoreError::Refused(format!(
            "a session has at most {MOST_TAGS} tags, these are {}",
            checked.len()
        )));
    }
    checked.sort_by_key(|tag| tag.to_ascii_lowercase());
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_the_first_line_that_says_something() {
        assert_eq!(title_of("What is 7 + 5?"), "What is 7 + 5?");
        assert_eq!(
            title_of("\n---\n  Review \t this\u{1b}[2J change.\nSecond"),
            "Review this[2J change."
        );
        assert_eq!(title_of(" \n"), "untitled");
        let long = title_of(&"word ".repeat(40));
        assert!(
            long.ends_with("word…") && long.chars().count() <= 61,
            "{long}"
        );
        let one = title_of(&"x".repeat(500));
        assert_eq!((one.chars().count(), one.ends_with('…')), (60, true));
    }

    #[test]
    fn titles_and_tags_are_checked() {
        assert_eq!(checked_title("  a\u{7}b ").unwrap(), "ab");
        assert!(checked_title(" \n").is_err() && checked_title(&"x".repeat(201)).is_err());
        assert_eq!(
            checked_tags(["work", "#Home", "WORK"]).unwrap(),
            ["Home", "work"]
        );
        for bad in ["", "two words", "a,b", &"x".repeat(41)] {
            assert!(checked_tags([bad]).is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|i| format!("t{i}")).collect();
        assert!(checked_tags(many.iter().map(String::as_str)).is_err());
    }
}
