//! The rules over an answer that comes piece by piece.

use std::sync::Arc;

use super::matcher::{Matcher, Refused};
use super::rule::{Action, Rule};
use crate::guard::counts::{SecurityCounts, SecurityEvent};

/// Rules over one answer. Each rule sees what the one before it let through; however the answer is cut into
/// pieces, the same text comes out.
///
/// A match that is longer than the window (in bytes) is not seen. What may still become a match is held back,
/// so a rule that matches much of any text, such as `.*x`, holds back as much as the window.
#[derive(Debug)]
pub struct StreamFilter {
    rules: Vec<Matcher>,
    refused: Option<Arc<str>>,
    counts: Arc<SecurityCounts>,
}

/// What comes out of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Text that may be shown now.
    pub text: String,
    /// The rule that ends the answer after this text; the finish reason is then `content_filter`.
    pub refused: Option<Arc<str>>,
}

impl StreamFilter {
    /// A filter of these rules, with matches of at most `window` bytes.
    pub(super) fn new(
        rules: impl Iterator<Item = Arc<Rule>>,
        window: usize,
        counts: Arc<SecurityCounts>,
    ) -> Self {
        Self {
            rules: rules.map(|rule| Matcher::new(rule, window)).collect(),
            refused: None,
            counts,
        }
    }

    /// Takes a piece of the answer. After a refusal nothing comes out any more.
    pub fn push(&mut self, piece: &str) -> Filtered {
        if self.refused.is_some() {
            return Filtered::default();
        }
        let mut text = piece.to_owned();
        for index in 0..self.rules.len() {
            let mut out = String::new();
            if self.rules[index].push(&text, &mut out) == Err(Refused) {
                let name = self.rules[index].rule().name.clone();
                return self.end(index + 1, out, Some(name));
            }
            text = out;
        }
        Filtered {
            text,
            refused: None,
        }
    }

    /// The answer has ended: gives what was held back.
    pub fn finish(&mut self) -> Filtered {
        if self.refused.is_some() {
            return Filtered::default();
        }
        self.end(0, String::new(), None)
    }

    /// Ends the rules from one on, the first of which gets this text as its last.
    fn end(&mut self, from: usize, mut text: String, mut refused: Option<Arc<str>>) -> Filtered {
        for rule in &mut self.rules[from..] {
            let mut out = String::new();
            let done = rule
                .push(&text, &mut out)
                .and_then(|()| rule.finish(&mut out));
            if done == Err(Refused) {
                refused = Some(rule.rule().name.clone());
            }
            text = out;
        }
        if refused.is_some() {
            self.counts.note(SecurityEvent::AnswerRefused);
        }
        self.refused = refused.clone();
        Filtered { text, refused }
    }

    /// Names of the rules that flagged the answer so far.
    #[must_use]
    pub fn flags(&self) -> Vec<Arc<str>> {
        let matched = self.rules.iter().filter(|rule| rule.matched());
        let flagged = matched.filter(|rule| rule.rule().action == Action::Flag);
        flagged.map(|rule| rule.rule().name.clone()).collect()
    }
}

impl Drop for StreamFilter {
    fn drop(&mut self) {
        let matched = |action: fn(&Action) -> bool| {
            let mut matched = self.rules.iter().filter(|rule| rule.matched());
            matched.any(|rule| action(&rule.rule().action))
        };
        if matched(|action| matches!(action, Action::Replace(_))) {
            self.counts.note(SecurityEvent::AnswerChanged);
        }
        if matched(|action| *action == Action::Flag) {
            self.counts.note(SecurityEvent::AnswerFlagged);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::NoExpand;

    use super::super::rule::parse_rules;
    use super::*;

    fn compile(rules: &[(&str, &Action)]) -> Vec<Arc<Rule>> {
        let rules = rules.iter().enumerate().map(|(index, (pattern, action))| {
            let action = match action {
                Action::Refuse => "'refuse'".to_owned(),
                Action::Flag => "'flag'".to_owned(),
                Action::Replace(with) => format!("'replace'\nwith = '{with}'"),
            };
            format!("[[rule]]\nname = '{index}'\npattern = '{pattern}'\naction = {action}\n")
        });
        let rules = parse_rules(&rules.collect::<String>()).unwrap();
        rules.into_iter().map(Arc::new).collect()
    }

    fn filter(rules: &[Arc<Rule>], window: usize) -> StreamFilter {
        StreamFilter::new(rules.iter().cloned(), window, Arc::default())
    }

    /// All that comes out, and the rule that ended it.
    fn through(mut filter: StreamFilter, pieces: &[&str]) -> (String, Option<String>) {
        let (mut text, mut refused) = (String::new(), None);
        let mut take = |filtered: Filtered| {
            text += &filtered.text;
            refused = refused.take().or(filtered.refused);
        };
        for piece in pieces {
            take(filter.push(piece));
        }
        take(filter.finish());
        (text, refused.map(|name: Arc<str>| name.to_string()))
    }

    /// The same with `regex` over the whole text.
    fn at_once(rules: &[Arc<Rule>], text: &str) -> (String, Option<String>) {
        let (mut text, mut refused) = (text.to_owned(), None);
        for rule in rules {
            match &rule.action {
                Action::Refuse => {
                    if let Some(found) = rule.regex.find(&text) {
                        text.truncate(found.start());
                        refused = Some(rule.name.to_string());
                    }
                }
                Action::Replace(with) => {
                    text = rule.regex.replace_all(&text, NoExpand(with)).into_owned();
                }
                Action::Flag => {}
            }
        }
        (text, refused)
    }

    fn cut<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
        let mut places: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        places.retain(|place| text.is_char_boundary(*place));
        places.extend([0, text.len()]);
        places.sort_unstable();
        places
            .windows(2)
            .map(|pair| &text[pair[0]..pair[1]])
            .collect()
    }

    const PATTERNS: &[&str] = &[
        "ab",
        "a|ab",
        "ab|a",
        "a+",
        "a+?",
        "a+b",
        "a*b",
        "(?:ab)+",
        "a.b",
        "(?s)a.b",
        "a.*b",
        "a.*?b",
        r"\bab\b",
        r"\ba",
        r"a\b",
        r"\Ba",
        r"^a",
        r"a$",
        r"(?m)^a",
        r"(?m)a$",
        r"\Aa",
        r"a\z",
        "é",
        "[aé]+",
        "[^a]b",
        r"\w+é",
        r"\s+",
        r"(?i)AB",
        "é+ ?b",
        "a{2,3}",
        "(?:a|b|ab)(?:c|bcd)?",
        r"(?-u:\b)é",
        r"(?mR)a$",
        r"(?mR)^b",
        r"\b{start}a",
        r"b\b{end-half}",
        "ab*a|b",
        "漢",
        r"\pL b",
    ];

    #[test]
    fn every_pattern_over_every_short_text_cut_anywhere() {
        let letters = ["a", "b", "é", " "];
        for pattern in PATTERNS {
            let rules = compile(&[(*pattern, &Action::Replace("X".into()))]);
            for number in 0..letters.len().pow(4) {
                let text: String = (0..4)
                    .map(|at| letters[number / letters.len().pow(at) % letters.len()])
                    .collect();
                let expected = at_once(&rules, &text);
                let pieces: Vec<&str> = text.split_inclusive(|_| true).collect();
                assert_eq!(
                    through(filter(&rules, 64), &pieces),
                    expected,
                    "{pattern} over {text:?}, cut up"
                );
                assert_eq!(
                    through(filter(&rules, 64), &[&text]),
                    expected,
                    "{pattern} over {text:?}"
                );
            }
        }
    }

    #[test]
    fn only_what_may_become_a_match_is_held_back() {
        let replace = Action::Replace("***".into());
        let mut filter = filter(&compile(&[("secret word", &replace)]), 64);
        for (piece, out) in [
            ("a s", "a "),
            ("ec", ""),
            ("onds", "second"),
            ("ecret w", ""),
            ("ord", ""),
            (", s", "***, "),
        ] {
            assert_eq!(filter.push(piece).text, out, "{piece:?}");
        }
        assert_eq!(filter.finish().text, "s");
    }

    #[test]
    fn a_refusal_ends_the_answer_before_the_match() {
        let mut filter = filter(&compile(&[("bomb", &Action::Refuse)]), 64);
        assert_eq!(filter.push("how to build a bo").text, "how to build a ");
        let refused = filter.push("mb: first");
        assert_eq!(
            refused,
            Filtered {
                text: String::new(),
                refused: Some("0".into())
            }
        );
        assert_eq!(filter.push("more"), Filtered::default());
        assert_eq!(filter.finish(), Filtered::default());
    }

    #[test]
    fn a_match_longer_than_the_window_is_not_seen_and_no_more_is_held() {
        let replace = Action::Replace("X".into());
        let rules = compile(&[("a[^b]*b", &replace)]);
        let mut held = filter(&rules, 16);
        let (mut out, mut given) = (0, 0);
        for _ in 0..100 {
            given += 3;
            out += held.push("acc").text.len();
            assert!(given - out <= 16 + 3, "{given} {out}");
        }
        let short = format!("a{}b", "c".repeat(14));
        let long = format!("a{}b", "c".repeat(15));
        assert_eq!(through(filter(&rules, 16), &[&short]).0, "X");
        assert_eq!(through(filter(&rules, 16), &[&long]).0, long);
    }

    proptest! {
        #[test]
        fn any_splitting_gives_what_the_whole_text_gives(
            text in "[ab é漢\r\n]{0,40}",
            cuts in proptest::collection::vec(0_usize..1000, 0..20),
            picked in proptest::collection::vec((0..PATTERNS.len(), 0_usize..4), 1..4),
        ) {
            let actions = [Action::Refuse, Action::Flag, Action::Replace("ab".into()), Action::Replace(String::new())];
            let rules: Vec<_> = picked.iter().map(|(pattern, action)| (PATTERNS[*pattern], &actions[*action])).collect();
            let rules = compile(&rules);
            let (expected, last) = at_once(&rules, &text);
            let (got, refused) = through(filter(&rules, 1024), &cut(&text, &cuts));
            prop_assert_eq!(&got, &expected, "{:?}", rules);
            prop_assert_eq!(refused, last);
        }

        #[test]
        fn a_small_window_does_not_depend_on_the_splitting(
            text in "[ab ]{0,60}",
            cuts in proptest::collection::vec(0_usize..1000, 0..20),
            pattern in 0..PATTERNS.len(),
            window in 1_usize..6,
        ) {
            let replace = Action::Replace("X".into());
            let rules = compile(&[(PATTERNS[pattern], &replace)]);
            let whole = through(filter(&rules, window), &[&text]);
            let pieces = through(filter(&rules, window), &cut(&text, &cuts));
            prop_assert_eq!(whole, pieces);
        }
    }
}
