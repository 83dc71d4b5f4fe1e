//! Colours of program text.
//!
//! Done by somebody else than who draws: loading the grammars takes a tenth of a second, and a
//! line may take a grammar long. A [`Job`] goes out, lines come back, each under a key that stands
//! for the language and everything up to that line; until then, and without end for what has no
//! grammar, code is plain.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

use super::code::{first_key, next_key};
use super::look::{Look, Role, Span, Token, extend};

/// Lines of a block that get colours, at most.
pub(crate) const MOST_LINES: usize = 4000;

/// Longest line that gets colours, in bytes. What follows a longer one stays plain, too.
const LONGEST_LINE: usize = 2000;

/// Lines whose colours are kept.
const MOST_KNOWN: usize = 20_000;

/// Blocks that can be gone on with.
const MOST_STATES: usize = 16;

/// Lines of a program to be coloured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The language, as the text names it.
    pub(crate) language: String,
    /// The whole lines from the first on.
    pub(crate) lines: Vec<String>,
}

/// A line's key and how it looks; no spans stand for a plain line.
pub(crate) type Colored = (u64, Arc<[Span]>);

/// The lines whose colours are known or asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Colors {
    known: HashMap<u64, Arc<[Span]>>,
    asked: HashSet<u64>,
}

impl Colors {
    /// How the line with this key looks.
    pub(crate) fn of(&self, key: u64) -> Option<&[Span]> {
        self.known.get(&key).map(AsRef::as_ref)
    }

    /// Whether the line with this key was asked for.
    pub(crate) fn is_asked(&self, key: u64) -> bool {
        self.asked.contains(&key)
    }

    /// The job for the whole lines of a program, unless all of them were asked for.
    pub(crate) fn ask(&mut self, language: &str, text: &str) -> Option<Job> {
        let whole = &text[..text.rfind('\n')?];
        let lines: Vec<String> = whole
            .split('\n')
            .take(MOST_LINES)
            .map(str::to_owned)
            .collect();
        let mut key = first_key(language);
        let mut new = false;
        for line in &lines {
            key = next_key(key, line);
            new |= self.asked.insert(key);
        }
        let language = language.to_owned();
        new.then_some(Job { language, lines })
    }

    /// Takes in what came back.
    pub(crate) fn learn(&mut self, colored: Vec<Colored>) {
        if self.known.len() > MOST_KNOWN {
            // What is still seen is asked for again.
            *self = Self::default();
        }
        self.asked.extend(colored.iter().map(|(key, _)| *key));
        self.known.extend(colored);
    }
}

/// What stands behind a line, to go on from.
#[derive(Clone)]
struct Behind {
    key: u64,
    parse: ParseState,
    stack: ScopeStack,
}

/// Colours programs.
pub(crate) struct Highlighter {
    syntaxes: SyntaxSet,
    classes: Vec<(Scope, Token)>,
    /// Where the last jobs ended, the newest last.
    behind: Vec<Behind>,
}

impl Highlighter {
    /// Loads the grammars.
    pub(crate) fn new() -> Self {
        let classes = CLASSES.iter().filter_map(|(name, token)| {
            let scope = Scope::new(name).ok()?;
            Some((scope, *token))
        });
        Self {
            syntaxes: two_face::syntax::extra_newlines(),
            classes: classes.collect(),
            behind: Vec::new(),
        }
    }

    /// Does a job as long as it may `go_on`. What is not done then is plain.
    pub(crate) fn run(&mut self, job: &Job, go_on: &mut dyn FnMut() -> bool) -> Vec<Colored> {
        let mut keys = Vec::with_capacity(job.lines.len());
        let mut key = first_key(&job.language);
        for line in &job.lines {
            key = next_key(key, line);
            keys.push(key);
        }
        let plain: Arc<[Span]> = Arc::from([]);
        let Some(syntax) = self.syntaxes.find_syntax_by_token(&job.language) else {
            return keys
                .into_iter()
                .map(|key| (key, Arc::clone(&plain)))
                .collect();
        };
        let known = self
            .behind
            .iter()
            .rposition(|behind| keys.contains(&behind.key));
        let (first, mut parse, mut stack) = match known.map(|at| self.behind.remove(at)) {
            Some(Behind { key, parse, stack }) => {
                let first = keys.iter().position(|&other| other == key);
                (first.map_or(0, |at| at + 1), parse, stack)
            }
            None => (0, ParseState::new(syntax), ScopeStack::new()),
        };
        let mut colored = Vec::with_capacity(job.lines.len() - first);
        let mut given_up = false;
        for (line, &key) in job.lines.iter().zip(&keys).skip(first) {
            given_up |= line.len() > LONGEST_LINE || !go_on();
            let spans = if given_up {
                None
            } else {
                self.line(&mut parse, &mut stack, line)
            };
            given_up |= spans.is_none();
            colored.push((key, spans.map_or_else(|| Arc::clone(&plain), Arc::from)));
        }
        if let Some(&key) = keys.last().filter(|_| !given_up) {
            self.behind.push(Behind { key, parse, stack });
            if self.behind.len() > MOST_STATES {
                self.behind.remove(0);
            }
        }
        colored
    }

    fn line(
        &self,
        parse: &mut ParseState,
        stack: &mut ScopeStack,
        line: &str,
    ) -> Option<Vec<Span>> {
        let text = format!("{line}\n");
        let operations = parse.parse_line(&text, &self.syntaxes).ok()?;
        let mut spans = Vec::new();
        let mut at = 0;
        for (place, operation) in operations {
            let place = place.min(line.len());
            if place > at {
                let look = Look::from(Role::Token(self.class(stack)));
                extend(&mut spans, 0, place - at, look);
                at = place;
            }
            stack.apply(&operation).ok()?;
        }
        let look = Look::from(Role::Token(self.class(stack)));
        extend(&mut spans, 0, line.len() - at, look);
        Some(spans)
    }

    /// What the innermost scope that says something says.
    fn class(&self, stack: &ScopeStack) -> Token {
        let found = stack.scopes.iter().rev().find_map(|scope| {
            let class = self
                .classes
                .iter()
                .find(|(prefix, _)| prefix.is_prefix_of(*scope));
            class.map(|(_, token)| *token)
        });
        found.unwrap_or_default()
    }
}

/// What scopes mean; the first prefix that fits counts.
const CLASSES: &[(&str, Token)] = &[
    ("comment", Token::Comment),
    ("punctuation.definition.comment", Token::Comment),
    ("meta.interpolation", Token::Plain),
    ("meta.template.expression", Token::Plain),
    ("constant.character.escape", Token::Constant),
    ("string", Token::String),
    ("constant", Token::Constant),
    ("variable.language", Token::Keyword),
    ("keyword.operator.word", Token::Keyword),
    ("keyword.operator", Token::Plain),
    ("keyword", Token::Keyword),
    ("storage.type.function", Token::Keyword),
    ("storage", Token::Keyword),
    ("entity.name.function", Token::Function),
    ("support.function", Token::Function),
    ("support.macro", Token::Function),
    ("variable.function", Token::Function),
    ("entity.name.tag", Token::Name),
    ("entity.other.attribute-name", Token::Name),
    ("support.type.property-name", Token::Name),
    ("meta.mapping.key", Token::Name),
    ("entity.name", Token::Type),
    ("entity.other.inherited-class", Token::Type),
    ("support.type", Token::Type),
    ("support.class", Token::Type),
    ("support.constant", Token::Constant),
    ("markup.inserted", Token::Inserted),
    ("markup.deleted", Token::Deleted),
    ("markup.heading", Token::Type),
    ("markup.raw", Token::String),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(language: &str, text: &str) -> Vec<Vec<(String, Token)>> {
        let mut colors = Colors::default();
        let job = colors.ask(language, text).unwrap();
        let colored = Highlighter::new().run(&job, &mut || true);
        let lines = job.lines.iter().zip(&colored);
        lines
            .map(|(line, (_, spans))| {
                let mut at = 0;
                let tokens = spans.iter().map(|span| {
                    let text = line[at..at + span.len].to_owned();
                    at += span.len;
                    let Role::Token(token) = span.look.role else {
                        panic!("{span:?} is not of a program")
                    };
                    (text, token)
                });
                tokens.filter(|(text, _)| !text.trim().is_empty()).collect()
            })
            .collect()
    }

    fn has(line: &[(String, Token)], text: &str, token: Token) -> bool {
        line.iter().any(|(t, k)| t.contains(text) && *k == token)
    }

    #[test]
    fn programs_have_classes() {
        let rust = tokens(
            "rust",
            "// hello\nfn main() {\n    let x = \"a\\n\"; 42\n}\n",
        );
        assert!(has(&rust[0], "hello", Token::Comment), "{rust:?}");
        assert!(has(&rust[1], "fn", Token::Keyword) && has(&rust[1], "main", Token::Function));
        assert!(has(&rust[2], "a", Token::String) && has(&rust[2], "42", Token::Constant));
        let python = tokens("python", "def f(x):\n    return None  # none\n");
        assert!(has(&python[0], "def", Token::Keyword) && has(&python[0], "f", Token::Function));
        assert!(has(&python[1], "none", Token::Comment), "{python:?}");
        for language in [
            "js", "ts", "c", "go", "json", "toml", "yaml", "bash", "sh", "html", "sql",
        ] {
            let lines = tokens(language, "x = \"text\"\n");
            assert!(!lines[0].is_empty(), "no grammar for {language}");
        }
        let unknown = tokens("no-such-language", "if x\n");
        assert_eq!(unknown, [Vec::new()]);
    }

    #[test]
    fn a_program_that_grows_is_coloured_as_the_whole() {
        let text = "/* a\nb */ fn x() {\n    \"s\n t\" }\n";
        let mut whole = Colors::default();
        let job = whole.ask("rust", text).unwrap();
        let mut highlighter = Highlighter::new();
        let expected = highlighter.run(&job, &mut || true);
        let mut grown = Colors::default();
        let mut highlighter = Highlighter::new();
        let mut found = Vec::new();
        for end in 1..=text.len() {
            if let Some(job) = grown.ask("rust", &text[..end]) {
                found.extend(highlighter.run(&job, &mut || true));
            }
        }
        assert_eq!(found, expected);
        assert_eq!(grown.ask("rust", text), None, "everything was asked for");
    }

    #[test]
    fn what_takes_too_long_stays_plain() {
        let mut colors = Colors::default();
        let long = format!("let a = 1;\n{}\nlet b = 2;\n", "x ".repeat(LONGEST_LINE));
        let job = colors.ask("rust", &long).unwrap();
        let colored = Highlighter::new().run(&job, &mut || true);
        let plain: Vec<bool> = colored.iter().map(|(_, spans)| spans.is_empty()).collect();
        assert_eq!(plain, [false, true, true]);
        let colored = Highlighter::new().run(&job, &mut || false);
        assert!(colored.iter().all(|(_, spans)| spans.is_empty()));
        assert_eq!(colored.len(), 3, "nothing is asked for twice");
    }
}
