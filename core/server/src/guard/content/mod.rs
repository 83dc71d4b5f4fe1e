//! What may be asked and answered: rules of the owner of the server, and what is done with characters that
//! are not there to be read.

mod filter;
mod input;
mod matcher;
mod rule;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use regex::NoExpand;
use serde::Deserialize;

use super::counts::{SecurityCounts, SecurityEvent};
use crate::error::ApiError;

pub use filter::{Filtered, StreamFilter};
pub use input::{InputConfig, Treatment};
pub use rule::{Action, Applies, Rule, RuleError, parse_rules};

/// Rules and the treatment of input: the table `[server.guard.content]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentConfig {
    /// Files of rules, applied in this order.
    pub rules: Vec<PathBuf>,
    /// Longest match in an answer, in bytes: so much of a stream is held back at most.
    pub window: usize,
    /// Characters of prompts.
    pub input: InputConfig,
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            window: 1024,
            input: InputConfig::default(),
        }
    }
}

/// The rules of a server.
#[derive(Clone, Debug, Default)]
pub struct Content {
    rules: Vec<Arc<Rule>>,
    window: usize,
    input: InputConfig,
    counts: Arc<SecurityCounts>,
}

/// A text of a prompt that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The text, with what was replaced or left out.
    pub text: Cow<'a, str>,
    /// Names of the rules that flagged it.
    pub flags: Vec<Arc<str>>,
}

impl Content {
    /// Reads the files of a configuration; what the rules do is counted.
    ///
    /// # Errors
    ///
    /// A file, line and rule that is wrong.
    pub fn load(config: &ContentConfig, counts: Arc<SecurityCounts>) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for path in &config.rules {
            rules.extend(rule::load(path)?);
        }
        Ok(Self::new(
            rules,
            config.window,
            config.input.clone(),
            counts,
        ))
    }

    /// Rules that are applied in this order, each to what the one before it left.
    #[must_use]
    pub fn new(
        rules: Vec<Rule>,
        window: usize,
        input: InputConfig,
        counts: Arc<SecurityCounts>,
    ) -> Self {
        Self {
            rules: rules.into_iter().map(Arc::new).collect(),
            window: window.max(1),
            input,
            counts,
        }
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Looks at a text of a prompt; `param` is the field it came in.
    ///
    /// # Errors
    ///
    /// 400 with the code `content_filter` where a rule refuses it, and with `invalid_text` where the
    /// characters do.
    pub fn prompt<'a>(&self, param: &str, text: &'a str) -> Result<Checked<'a>, ApiError> {
        let clean = self.input.clean(param, text);
        let mut checked = Checked {
            text: clean.inspect_err(|_| self.counts.note(SecurityEvent::PromptInvalid))?,
            flags: Vec::new(),
        };
        for rule in self.rules_for(Applies::Prompt) {
            match &rule.action {
                Action::Refuse if rule.regex.is_match(&checked.text) => {
                    self.counts.note(SecurityEvent::PromptRefused);
                    return Err(refused(param, rule));
                }
                Action::Replace(with) => {
                    if let Cow::Owned(text) = rule.regex.replace_all(&checked.text, NoExpand(with))
                    {
                        checked.text = Cow::Owned(text);
                    }
                }
                Action::Flag if rule.regex.is_match(&checked.text) => {
                    self.counts.note(SecurityEvent::PromptFlagged);
                    checked.flags.push(rule.name.clone());
                }
                Action::Refuse | Action::Flag => {}
            }
        }
        if matches!(checked.text, Cow::Owned(_)) {
            self.counts.note(SecurityEvent::PromptChanged);
        }
        Ok(checked)
    }

    /// Whether any rule is for answers.
    #[must_use]
    pub fn rules_answers(&self) -> bool {
        self.rules_for(Applies::Answer).next().is_some()
    }

    /// The rules that apply to prompts or to answers.
    fn rules_for(&self, what: Applies) -> impl Iterator<Item = &Arc<Rule>> {
        let applies = move |rule: &&Arc<Rule>| [what, Applies::Both].contains(&rule.applies);
        self.rules.iter().filter(applies)
    }

    /// A filter for an answer that comes piece by piece; `None` where no rule is for answers.
    #[must_use]
    pub fn stream(&self) -> Option<StreamFilter> {
        self.rules_answers().then(|| {
            let rules = self.rules_for(Applies::Answer).cloned();
            StreamFilter::new(rules, self.window, self.counts.clone())
        })
    }
}

fn refused(param: &str, rule: &Rule) -> ApiError {
    let text = format!(
        "{param} is refused by the rule {:?} of this server",
        rule.name
    );
    ApiError::invalid(param.to_owned(), text).code("content_filter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn content(rules: &str) -> Content {
        let rules = parse_rules(rules).unwrap();
        Content::new(rules, 1024, InputConfig::default(), Arc::default())
    }

    const RULES: &str = r#"
        [[rule]]
        name = "card number"
        pattern = '\b\d{4}(?:[ -]?\d{4}){3}\b'
        action = "replace"
        with = "[$0 number]"

        [[rule]]
        name = "project"
        pattern = '(?i)\bbluebird\b'
        applies = "prompt"
        action = "refuse"

        [[rule]]
        name = "mood"
        pattern = 'angry'
        action = "flag"
    "#;

    #[test]
    fn a_prompt_is_refused_replaced_or_flagged() {
        let content = content(RULES);
        let check = |text| content.prompt("messages[0].content", text);
        assert_eq!(
            check("hello").unwrap(),
            Checked {
                text: "hello".into(),
                flags: vec![]
            }
        );
        let text = check("my card 1234 5678-90123456!").unwrap().text;
        assert_eq!(text, "my card [$0 number]!", "no expansion");
        assert_eq!(check("an angry bird").unwrap().flags, ["mood".into()]);
        let error = check("what is Bluebird?").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert_eq!(error.code, Some("content_filter"));
        assert_eq!(error.param.as_deref(), Some("messages[0].content"));
        assert!(error.message.contains("\"project\"") && !error.message.contains("Bluebird"));
        assert!(check("a\0").is_err());
        for event in [
            SecurityEvent::PromptChanged,
            SecurityEvent::PromptFlagged,
            SecurityEvent::PromptRefused,
            SecurityEvent::PromptInvalid,
        ] {
            assert_eq!(content.counts.get(event), 1, "{event:?}");
        }
    }

    #[test]
    fn rules_for_prompts_do_not_touch_answers() {
        let only_prompts =
            "[[rule]]\nname = 'p'\npattern = 'x'\napplies = 'prompt'\naction = 'refuse'";
        assert!(content(only_prompts).stream().is_none());
        assert!(Content::default().stream().is_none());
        let content = content(RULES);
        let mut filter = content.stream().unwrap();
        let mut text = filter.push("Bluebird is angry: 1234567890123456").text;
        text += &filter.finish().text;
        assert_eq!(text, "Bluebird is angry: [$0 number]");
        assert_eq!(filter.flags(), ["mood".into()]);
        drop(filter);
        assert_eq!(content.counts.get(SecurityEvent::AnswerChanged), 1);
        assert_eq!(content.counts.get(SecurityEvent::AnswerFlagged), 1);
    }
}
