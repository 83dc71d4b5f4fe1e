//! Rules in TOML.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use serde::Deserialize;
use toml::Spanned;

/// Bytes that a compiled pattern may take.
const SIZE: usize = 1 << 20;
/// Bytes of a file of rules.
const FILE: u64 = 1 << 20;
/// Rules of a file.
const RULES: usize = 256;

/// Where a rule applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// To what is asked.
    Prompt,
    /// To what is answered.
    Answer,
    /// To both.
    #[default]
    Both,
}

/// What is done where a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The prompt is refused, the answer ends before the match.
    Refuse,
    /// The match is replaced by a text, as it stands.
    Replace(String),
    /// The match stays, the request is marked in the log and counted.
    Flag,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the owner of the server calls it.
    pub name: Arc<str>,
    /// Where it applies.
    pub applies: Applies,
    /// What it does.
    pub action: Action,
    pub(super) regex: Regex,
    pub(super) nfa: NFA,
}

/// Why rules were not taken.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file cannot be read.
    #[error("cannot read the rules in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}{what}", path.as_ref().map(|path| format!("{}, ", path.display())).unwrap_or_default())]
    Wrong {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// The line and the rule, and what is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    rule: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    pattern: Spanned<String>,
    #[serde(default)]
    applies: Applies,
    action: Spanned<String>,
    with: Option<String>,
}

/// The rules of a file.
pub(super) fn load(path: &Path) -> Result<Vec<Rule>, RuleError> {
    let failed = |source| RuleError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE {
        return Err(failed(io::Error::other("it is longer than 1 MiB")));
    }
    parse_rules(&text).map_err(|error| match error {
        RuleError::Wrong { what, .. } => RuleError::Wrong {
            path: Some(path.to_owned()),
            what,
        },
        other => other,
    })
}

/// The rules of a text: tables `[[rule]]` with `name`, `pattern`, `applies` (`prompt`, `answer`, `both`),
/// `action` (`refuse`, `replace`, `flag`) and, for `replace`, `with`.
///
/// # Errors
///
/// The first mistake, with its line and rule.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    let wrong = |what: String| RuleError::Wrong { path: None, what };
    let table: Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        wrong(format!("line {line}: {}", error.message()))
    })?;
    if table.rule.len() > RULES {
        return Err(wrong(format!(
            "{} rules: at most {RULES} are taken",
            table.rule.len()
        )));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(table.rule.len());
    for entry in table.rule {
        let start = entry.span().start;
        let entry = entry.into_inner();
        let at = |offset: usize, what: String| {
            wrong(format!(
                "line {}, rule {:?}: {what}",
                line_of(text, offset),
                entry.name
            ))
        };
        if entry.name.is_empty() || entry.name.len() > 64 || entry.name.contains(char::is_control) {
            return Err(at(start, "the name should have 1 to 64 characters".into()));
        }
        if rules.iter().any(|rule| *rule.name == *entry.name) {
            return Err(at(start, "there is another rule of this name".into()));
        }
        let action = match (entry.action.get_ref().as_str(), entry.with) {
            ("refuse", None) => Action::Refuse,
            ("flag", None) => Action::Flag,
            ("replace", Some(with)) => Action::Replace(with),
            ("replace", None) => {
                return Err(at(
                    start,
                    "`replace` needs the text to put there: with = \"...\"".into(),
                ));
            }
            ("refuse" | "flag", Some(_)) => {
                return Err(at(
                    start,
                    "`with` belongs to the action `replace` only".into(),
                ));
            }
            (other, _) => {
                let what = format!("the action {other:?} should be `refuse`, `replace` or `flag`");
                return Err(at(entry.action.span().start, what));
            }
        };
        let pattern_at = entry.pattern.span().start;
        let (regex, nfa) = compile(entry.pattern.get_ref()).map_err(|what| at(pattern_at, what))?;
        rules.push(Rule {
            name: entry.name.as_str().into(),
            applies: entry.applies,
            action,
            regex,
            nfa,
        });
    }
    Ok(rules)
}

/// A pattern in two forms: one that is fast with a whole text, one that can wait for more of it.
fn compile(pattern: &str) -> Result<(Regex, NFA), String> {
    let regex = RegexBuilder::new(pattern)
        .size_limit(SIZE)
        .dfa_size_limit(SIZE)
        .build()
        .map_err(|error| {
            format!("the pattern is no regular expression that can be used: {error}")
        })?;
    let config = thompson::Config::new()
        .nfa_size_limit(Some(SIZE))
        .which_captures(WhichCaptures::None);
    let nfa = thompson::Compiler::new()
        .configure(config)
        .build(pattern)
        .map_err(|error| {
            format!("the pattern is no regular expression that can be used: {error}")
        })?;
    if matches_nothing(&nfa) {
        return Err(
            "the pattern can match where there is no character: it would match everywhere".into(),
        );
    }
    Ok((regex, nfa))
}

/// Whether a match can be empty.
fn matches_nothing(nfa: &NFA) -> bool {
    let mut seen = vec![false; nfa.states().len()];
    let mut next: Vec<StateID> = vec![nfa.start_anchored()];
    while let Some(id) = next.pop() {
        if std::mem::replace(&mut seen[id.as_usize()], true) {
            continue;
        }
        match nfa.state(id) {
            State::Match { .. } => return true,
            State::Look { next: id, .. } | State::Capture { next: id, .. } => next.push(*id),
            State::Union { alternates } => next.extend(alternates.iter()),
            State::BinaryUnion { alt1, alt2 } => next.extend([alt1, alt2]),
            State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Fail => {}
        }
    }
    false
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mistakes_name_the_line_and_the_rule() {
        let rule = |pattern: &str, action: &str| {
            format!("# rules\n[[rule]]\nname = \"a\"\npattern = '{pattern}'\n{action}\n")
        };
        let refuse = "action = 'refuse'";
        let table = [
            (
                rule("a(", refuse),
                "line 4, rule \"a\": the pattern is no regular",
            ),
            (
                rule(r"(\w{100}){100}", refuse),
                "line 4, rule \"a\": the pattern is no regular",
            ),
            (
                rule("x*", refuse),
                "line 4, rule \"a\": the pattern can match where",
            ),
            (
                rule(r"\b", refuse),
                "line 4, rule \"a\": the pattern can match where",
            ),
            (
                rule("(?:a|)$", refuse),
                "line 4, rule \"a\": the pattern can match where",
            ),
            (
                rule(r"(a)\1", refuse),
                "line 4, rule \"a\": the pattern is no regular",
            ),
            (
                rule("x", "action = 'block'"),
                "line 5, rule \"a\": the action \"block\" should",
            ),
            (
                rule("x", "action = 'replace'"),
                "line 2, rule \"a\": `replace` needs",
            ),
            (
                rule("x", "action = 'flag'\nwith = 'y'"),
                "line 2, rule \"a\": `with` belongs",
            ),
            (
                rule("x", "action = 'flag'\nextra = 1"),
                "line 6: unknown field `extra`",
            ),
            (
                rule("x", "action = 'flag'\napplies = 'all'"),
                "line 6: unknown variant `all`",
            ),
            (rule("x", ""), "line 2: missing field `action`"),
            ("[[rule]\n".into(), "line 1: "),
            (
                rule("x", refuse) + &rule("y", refuse),
                "line 7, rule \"a\": there is another rule",
            ),
        ];
        for (text, message) in table {
            let error = parse_rules(&text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}\n  expected {message}");
        }
        assert!(parse_rules("").unwrap().is_empty());
        let many = "[[rule]]\nname='x'\npattern='x'\naction='flag'\n".repeat(RULES + 1);
        assert!(
            parse_rules(&many)
                .unwrap_err()
                .to_string()
                .starts_with("257 rules")
        );
    }

    #[test]
    fn a_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.toml");
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("rules.toml"), "{error}");
        std::fs::write(&path, "x").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("rules.toml, line 1: "), "{error}");
        std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("1 MiB"));
    }

    proptest! {
        #[test]
        fn any_pattern_is_taken_or_refused(pattern in "[a(){}*+?|\\\\\\[\\]bwd0-9,^$.]{0,20}") {
            let _ = compile(&pattern);
        }
    }
}
