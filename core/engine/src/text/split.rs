//! Cuts text into the words that BPE works on.

use regex::Regex;

use super::TextError;

/// The rule of Llama 3, less its branch `\s+(?!\S)`, which [`Spaces`] stands for. Without
/// look-ahead an expression runs in linear time, and cannot run into the backtracking limit on
/// which an engine with look-ahead gives up in the middle of a long text.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

/// As Llama 3, with every digit by itself.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

/// As Qwen2, with combining marks in words.
const QWEN35: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    r"|\p{N}",
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// What becomes of the last character of a run of white space in front of something else: the
/// branch `\s+(?!\S)` leaves it to what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spaces {
    /// The expression has no such branch.
    Kept,
    /// It is left over; runs that end a line have a branch of their own.
    WithinLine,
    /// It is left over.
    Any,
}

/// A rule: names in files, and expressions, each of which cuts the pieces of the one before.
struct Rule {
    names: &'static [&'static str],
    ignore_merges: bool,
    nfc: bool,
    stages: &'static [(&'static str, Spaces)],
}

/// The rules. Names are those of llama.cpp, bitnet.cpp and their converters.
const RULES: &[Rule] = &[
    Rule {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        ignore_merges: true,
        nfc: false,
        stages: &[(LLAMA3, Spaces::WithinLine)],
    },
    Rule {
        names: &["qwen2"],
        ignore_merges: false,
        nfc: true,
        stages: &[(QWEN2, Spaces::WithinLine)],
    },
    Rule {
        names: &["qwen35"],
        ignore_merges: false,
        nfc: true,
        stages: &[(QWEN35, Spaces::WithinLine)],
    },
    Rule {
        names: &["gpt-2", "gpt2", "gpt-neox", "olmo", "phi-2"],
        ignore_merges: false,
        nfc: false,
        stages: &[(GPT2, Spaces::Any)],
    },
    Rule {
        names: &["falcon_e", "falcon-e"],
        ignore_merges: false,
        nfc: false,
        stages: &[
            (r"[\p{P}$+<=>^~|`]+", Spaces::Kept),
            (GPT2, Spaces::Any),
            (r"[0-9]", Spaces::Kept),
        ],
    },
    Rule {
        names: &["falcon"],
        ignore_merges: false,
        nfc: false,
        stages: &[
            (r"[\p{P}$+<=>^~|`]+", Spaces::Kept),
            (GPT2, Spaces::Any),
            (r"[0-9][0-9][0-9]", Spaces::Kept),
        ],
    },
    Rule {
        names: &["default"],
        ignore_merges: false,
        nfc: false,
        stages: &[
            (r"[\p{P}$+<=>^~|]+", Spaces::Kept),
            (GPT2, Spaces::Any),
            (r"\p{N}+", Spaces::Kept),
            (r"[0-9][0-9][0-9]", Spaces::Kept),
        ],
    },
];

/// All names, for people.
pub(super) fn supported() -> String {
    let names: Vec<_> = RULES.iter().flat_map(|rule| rule.names).copied().collect();
    names.join(", ")
}

/// A rule that cuts text into words.
#[derive(Debug)]
pub(super) struct Splitter {
    stages: Vec<(Regex, Spaces)>,
    /// A word that is a token is that token, whatever the merges would make of it.
    pub(super) ignore_merges: bool,
    /// Text is brought to normalization form C first, as the library does that these models are
    /// trained with.
    pub(super) nfc: bool,
}

impl Splitter {
    /// The rule called `pre`. Architectures whose published files forgot to name theirs (2B4T) get
    /// the one that they were trained with, others the one that llama.cpp takes; the second value
    /// says so.
    pub(super) fn new(
        pre: Option<&str>,
        architecture: &str,
    ) -> Result<(Self, Option<String>), TextError> {
        let (name, notice) = match pre {
            Some(name) => (name, None),
            None if matches!(architecture, "bitnet-b1.58" | "bitnet-25") => (
                "llama-bpe",
                Some(format!(
                    "the file does not name its pre-tokenizer; using `llama-bpe`, with which \
                     {architecture} models were trained"
                )),
            ),
            None => (
                "default",
                Some(
                    "the file does not name its pre-tokenizer; using `default`, with which numbers \
                     and punctuation may become other tokens than those the model was trained with"
                        .to_owned(),
                ),
            ),
        };
        let rule = RULES.iter().find(|rule| rule.names.contains(&name));
        let rule = rule.ok_or_else(|| TextError::UnsupportedSplitter {
            pre: name.to_owned(),
        })?;
        let compile = |(source, spaces): &(&str, Spaces)| Ok((Regex::new(source)?, *spaces));
        let stages: Result<_, regex::Error> = rule.stages.iter().map(compile).collect();
        let splitter = Self {
            stages: stages.map_err(|err| TextError::Internal(err.to_string()))?,
            ignore_merges: rule.ignore_merges,
            nfc: rule.nfc,
        };
        Ok((splitter, notice))
    }

    /// Calls `each` with the words of `text`, in order; together they are the whole text.
    ///
    /// # Errors
    ///
    /// The first of `each`.
    pub(super) fn words<'t>(
        &self,
        text: &'t str,
        each: &mut dyn FnMut(&'t str) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        cut(&self.stages, text, each)
    }
}

fn cut<'t>(
    stages: &[(Regex, Spaces)],
    text: &'t str,
    each: &mut dyn FnMut(&'t str) -> Result<(), TextError>,
) -> Result<(), TextError> {
    let Some(((regex, spaces), rest)) = stages.split_first() else {
        return each(text);
    };
    let mut done = 0;
    while done < text.len() {
        let Some(found) = regex.find_at(text, done).filter(|found| !found.is_empty()) else {
            return cut(rest, &text[done..], each);
        };
        // What lies between two words is one as well.
        if found.start() > done {
            cut(rest, &text[done..found.start()], each)?;
        }
        let mut end = found.end();
        if end < text.len()
            && let Some((last, char)) = found.as_str().char_indices().next_back()
            && last > 0
            && spaces.leaves(char)
        {
            end = found.start() + last;
        }
        cut(rest, &text[found.start()..end], each)?;
        done = end;
    }
    Ok(())
}

impl Spaces {
    /// Whether the last character of a match is left to what follows. Only the branch for white
    /// space ends in white space, and only the one for line ends in one of those.
    fn leaves(self, last: char) -> bool {
        match self {
            Self::Kept => false,
            Self::WithinLine => last.is_whitespace() && !matches!(last, '\r' | '\n'),
            Self::Any => last.is_whitespace(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    fn words_of<'t>(pre: &str, text: &'t str) -> Vec<&'t str> {
        words(&Splitter::new(Some(pre), "llama").unwrap().0, text)
    }

    fn words<'t>(splitter: &Splitter, text: &'t str) -> Vec<&'t str> {
        let mut words = Vec::new();
        let mut push = |word| {
            words.push(word);
            Ok(())
        };
        splitter.words(text, &mut push).unwrap();
        words
    }

    /// The published expressions, with their look-ahead.
    const PUBLISHED: [(&str, &[&str]); 6] = [
        (
            "llama-bpe",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "qwen2",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "qwen35",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "gpt-2",
            &[r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
        ),
        (
            "falcon_e",
            &[
                r"[\p{P}\$\+<=>\^~\|`]+",
                r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
                r"[0-9]",
            ],
        ),
        (
            "default",
            &[
                r"[\p{P}\$\+<=>\^~\|]+",
                r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
                r"\p{N}+",
                r"[0-9][0-9][0-9]",
            ],
        ),
    ];

    type Compiled = (&'static str, Splitter, Vec<fancy_regex::Regex>);

    static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
        let compile = |source: &&str| fancy_regex::Regex::new(source).unwrap();
        let one = |(pre, stages): (&'static str, &[&str])| {
            let (splitter, _) = Splitter::new(Some(pre), "llama").unwrap();
            (pre, splitter, stages.iter().map(compile).collect())
        };
        PUBLISHED.map(one).into()
    });

    fn by_the_published<'t>(stages: &[fancy_regex::Regex], text: &'t str) -> Vec<&'t str> {
        let mut pieces = vec![text];
        for stage in stages {
            let mut next = Vec::new();
            for piece in pieces {
                let mut done = 0;
                for found in stage.find_iter(piece) {
                    let found = found.unwrap();
                    next.extend([&piece[done..found.start()], found.as_str()]);
                    done = found.end();
                }
                next.push(&piece[done..]);
            }
            next.retain(|piece| !piece.is_empty());
            pieces = next;
        }
        pieces
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[ \t\r\n\u{a0}\u{3000}]{1,4}",
            "[a-zA-Z]{1,6}",
            "'(s|T|re|LL|d|x)",
            "[0-9]{1,7}",
            "[.,;:!?$+<=>^~|`#@()-]{1,4}",
            "[äßéжщ中文字あ한글]{1,4}",
            "[e\u{301}n\u{303}\u{94d}क]{1,4}",
            "[²¾Ⅷ٣३]{1,3}",
            "(👩‍👩‍👧|🇵🇪|👍🏽|\u{200b}|\u{feff}|\0)",
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_published_expressions(texts in prop::collection::vec(text(), 16)) {
            for (pre, splitter, stages) in COMPILED.iter() {
                for text in &texts {
                    let words = words(splitter, text);
                    prop_assert_eq!(&words, &by_the_published(stages, text), "{}", pre);
                    prop_assert_eq!(&words.concat(), text);
                }
            }
        }
    }

    #[test]
    fn a_space_goes_with_the_word_that_follows() {
        let words = |text| words_of("llama-bpe", text);
        assert_eq!(words("a  b"), ["a", " ", " b"]);
        assert_eq!(words("a   "), ["a", "   "]);
        assert_eq!(words("a \t1"), ["a", " ", "\t", "1"]);
        assert_eq!(words("a \n  b"), ["a", " \n", " ", " b"]);
        assert_eq!(words("it's 12345"), ["it", "'s", " ", "123", "45"]);
        assert_eq!(words_of("qwen2", "12345"), ["1", "2", "3", "4", "5"]);
        assert_eq!(words_of("default", "12345!"), ["123", "45", "!"]);
    }

    #[test]
    fn a_missing_name_is_filled_in_and_said() {
        let (_, notice) = Splitter::new(None, "bitnet-b1.58").unwrap();
        assert!(notice.unwrap().contains("llama-bpe"));
        let (_, notice) = Splitter::new(None, "llama").unwrap();
        assert!(notice.unwrap().contains("default"));
        let err = Splitter::new(Some("klingon"), "bitnet-b1.58").unwrap_err();
        let err = err.to_string();
        assert!(err.contains("`klingon`") && err.contains("qwen2"), "{err}");
    }
}
