//! What a person types into a search, as what SQLite understands.

/// A search. Every word has to be there; the beginning of a word is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// For the index: quoted words, so that nothing in them is syntax.
    pub(crate) index: Option<String>,
    /// Words that the index does not have: of scripts without spaces between words, or without a letter.
    pub(crate) parts: Vec<String>,
}

/// Most words that count.
const MOST_WORDS: usize = 32;

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        let mut index = String::new();
        let mut parts = Vec::new();
        for word in text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .take(MOST_WORDS)
        {
            if word.is_empty() {
                continue;
            }
            if !word.chars().any(char::is_alphanumeric) || word.chars().any(is_unspaced) {
                parts.push(word.to_owned());
                continue;
            }
            if !index.is_empty() {
                index.push(' ');
            }
            index.push('"');
            index.push_str(&word.replace('"', "\"\""));
            index.push_str("\"*");
        }
        Self {
            index: Some(index).filter(|index| !index.is_empty()),
            parts,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_none() && self.parts.is_empty()
    }
}

/// Letters of scripts that are written without spaces between words: Thai, Lao, Burmese, Khmer, Japanese,
/// Chinese.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_what_the_index_lacks_is_set_apart() {
        let query = Query::new("say \"hi\" NOT x* -> 東京 a\0b");
        let index = r#""say"* """hi"""* "NOT"* "x*"* "a"* "b"*"#;
        assert_eq!(query.index.as_deref(), Some(index));
        assert_eq!(query.parts, ["->", "東京"]);
        assert!(Query::new(" \t\0").is_empty());
    }
}
