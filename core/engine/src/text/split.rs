//! Cuts text into the words that BPE works on.

use regex::Regex;

use super::TextError;

/// The names of the supported rules.
pub(super) const SUPPORTED: [&str; 3] = ["llama-bpe", "llama3", "llama-v3"];

/// The rule of Llama 3, less its branch `\s+(?!\S)`: [`Splitter::words`] does what that says.
/// Without look-ahead the expression runs in linear time, and cannot run into the backtracking
/// limit on which an engine with look-ahead gives up in the middle of a long text.
const LLAMA_BPE: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

/// A rule that cuts text into words.
#[derive(Debug)]
pub(super) struct Splitter {
    regex: Regex,
}

impl Splitter {
    /// The rule called `pre`. Architectures whose published files forgot to name theirs (2B4T) get
    /// the one that they were trained with; the second value says so.
    pub(super) fn new(
        pre: Option<&str>,
        architecture: &str,
    ) -> Result<(Self, Option<String>), TextError> {
        let notice = match pre {
            Some(name) if SUPPORTED.contains(&name) => None,
            None if matches!(architecture, "bitnet-b1.58" | "bitnet-25") => Some(format!(
                "the file does not name its pre-tokenizer; using `{}`, with which {architecture} \
                 models were trained",
                SUPPORTED[0]
            )),
            _ => {
                return Err(TextError::UnsupportedSplitter {
                    pre: pre.map(str::to_owned),
                });
            }
        };
        let regex = Regex::new(LLAMA_BPE).map_err(|err| TextError::Internal(err.to_string()))?;
        Ok((Self { regex }, notice))
    }

    /// The words of `text`, in order; together they are the whole text.
    pub(super) fn words<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let mut start = 0;
        std::iter::from_fn(move || {
            if start == text.len() {
                return None;
            }
            let mut end = self
                .regex
                .find_at(text, start)
                .map_or(text.len(), |found| found.end());
            // Only the last branch ends in white space that is not a line end. Where something
            // follows such a run, its last character belongs to what follows.
            let word = &text[start..end];
            if end < text.len()
                && let Some((last, char)) = word.char_indices().next_back()
                && char.is_whitespace()
                && !matches!(char, '\r' | '\n')
                && last > 0
            {
                end = start + last;
            }
            let word = &text[start..end];
            start = end;
            Some(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let (splitter, _) = Splitter::new(Some("llama-bpe"), "llama").unwrap();
        splitter.words(text).collect()
    }

    #[test]
    fn a_space_goes_with_the_word_that_follows() {
        assert_eq!(words("a  b"), ["a", " ", " b"]);
        assert_eq!(words("a   "), ["a", "   "]);
        assert_eq!(words("a \t1"), ["a", " ", "\t", "1"]);
        assert_eq!(words("a \n  b"), ["a", " \n", " ", " b"]);
        assert_eq!(words("it's 12345"), ["it", "'s", " ", "123", "45"]);
    }

    #[test]
    fn a_missing_name_is_forced_only_where_it_is_known() {
        let (_, notice) = Splitter::new(None, "bitnet-b1.58").unwrap();
        assert!(notice.unwrap().contains("llama-bpe"));
        let err = Splitter::new(None, "llama").unwrap_err().to_string();
        assert!(
            err.contains("(missing)") && err.contains("llama-bpe"),
            "{err}"
        );
        let err = Splitter::new(Some("falcon_e"), "bitnet-b1.58")
            .unwrap_err()
            .to_string();
        assert!(err.contains("`falcon_e`"), "{err}");
    }
}
