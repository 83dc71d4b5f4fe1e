//! A line of a question set.

use serde::Deserialize;
use serde_json::Value;
use tritone_engine::Input;
use tritone_engine::api::{Message, Role};

/// What a line may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Option<Value>,
    prompt: Option<String>,
    messages: Option<Vec<RawMessage>>,
    answer: Option<Value>,
    answers: Option<Vec<Value>>,
    choices: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawMessage {
    role: String,
    content: String,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Its name: what the line says, or its number.
    pub(super) id: String,
    /// What the model is asked.
    pub(super) input: Input,
    /// What is right.
    pub(super) wanted: Wanted,
}

/// What is right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// One of these texts.
    Texts(Vec<String>),
    /// The one of the choices with this index.
    Choice {
        /// All of them.
        choices: Vec<String>,
        /// The right one.
        right: usize,
    },
}

/// The name of a line: its `id`, or its number. Of a line that cannot be read the number.
pub(super) fn id(line: &str, number: usize) -> String {
    #[derive(Deserialize)]
    struct Named {
        id: Option<Value>,
    }
    let named: Option<Named> = serde_json::from_str(line).ok();
    named
        .and_then(|named| text(&named.id?))
        .unwrap_or_else(|| number.to_string())
}

/// Text, or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Question {
    /// Reads line `number`, counted from 1.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &str, number: usize, raw: bool) -> Result<Self, String> {
        let parsed: Raw = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let id = match &parsed.id {
            None => number.to_string(),
            Some(id) => text(id).ok_or("\"id\" is neither text nor a number")?,
        };
        let input = match (parsed.prompt, parsed.messages) {
            (Some(prompt), None) if raw => Input::Text(prompt),
            (Some(prompt), None) => Input::Chat(vec![Message::new(Role::User, prompt)]),
            (None, Some(_)) if raw => {
                return Err("\"messages\" need a chat template; --raw goes without one".to_owned());
            }
            (None, Some(messages)) => Input::Chat(chat(messages)?),
            _ => return Err("expected either \"prompt\" or \"messages\"".to_owned()),
        };
        let wanted = match (parsed.choices, parsed.answer, parsed.answers) {
            (Some(choices), Some(answer), None) => choice(choices, &answer)?,
            (None, Some(answer), None) => Wanted::Texts(texts(&[answer])?),
            (None, None, Some(answers)) => Wanted::Texts(texts(&answers)?),
            (Some(_), ..) => {
                return Err(
                    "of \"choices\" one is right: \"answer\" is its text, or its number from 0"
                        .to_owned(),
                );
            }
            _ => return Err("expected either \"answer\" or \"answers\"".to_owned()),
        };
        Ok(Self { id, input, wanted })
    }
}

fn chat(messages: Vec<RawMessage>) -> Result<Vec<Message>, String> {
    let message = |message: RawMessage| {
        let role = Role::from_name(&message.role).ok_or_else(|| {
            let role = message.role.escape_default();
            format!("there is no role '{role}'; system, user, assistant and tool are")
        })?;
        Ok(Message::new(role, message.content))
    };
    messages.into_iter().map(message).collect()
}

fn texts(answers: &[Value]) -> Result<Vec<String>, String> {
    let all: Option<Vec<String>> = answers.iter().map(text).collect();
    all.filter(|all| !all.is_empty())
        .ok_or_else(|| "answers are texts or numbers, one at least".to_owned())
}

fn choice(choices: Vec<String>, answer: &Value) -> Result<Wanted, String> {
    if choices.len() < 2 || choices.iter().any(String::is_empty) {
        return Err("\"choices\" are two texts or more, none of them empty".to_owned());
    }
    let right = match answer {
        Value::Number(number) => number.as_u64().and_then(|at| usize::try_from(at).ok()),
        Value::String(text) => choices
            .iter()
            .position(|choice| choice.trim() == text.trim()),
        _ => None,
    };
    match right.filter(|right| *right < choices.len()) {
        Some(right) => Ok(Wanted::Choice { choices, right }),
        None => Err("\"answer\" is none of the choices, nor the number of one from 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Question, String> {
        Question::parse(line, 3, false)
    }

    #[test]
    fn lines_are_read_and_refused_with_the_reason() {
        let one = parse(r#"{"prompt": "7 + 5?", "answer": 12}"#).unwrap();
        assert_eq!(
            (one.id.as_str(), one.wanted),
            ("3", Wanted::Texts(vec!["12".to_owned()]))
        );
        let line =
            r#"{"id": 9, "messages": [{"role": "user", "content": "x"}], "answers": ["a", "b"]}"#;
        assert_eq!(parse(line).unwrap().id, "9");
        let line = r#"{"prompt": "Water is", "choices": [" wet", " dry"], "answer": "wet"}"#;
        let Wanted::Choice { right, .. } = parse(line).unwrap().wanted else {
            panic!("a choice")
        };
        assert_eq!(right, 0);
        for (line, why) in [
            ("{", "EOF"),
            (r#"{"prompt": "x", "answr": "y"}"#, "answr"),
            (r#"{"prompt": "x"}"#, "\"answers\""),
            (r#"{"answer": "y"}"#, "\"prompt\""),
            (r#"{"prompt": "x", "answers": []}"#, "one at least"),
            (r#"{"prompt": "x", "answer": null}"#, "\"answer\""),
            (
                r#"{"prompt": "x", "choices": ["a"], "answer": 0}"#,
                "two texts",
            ),
            (
                r#"{"prompt": "x", "choices": ["a", "b"], "answer": 2}"#,
                "none of the choices",
            ),
            (r#"{"prompt": "x", "choices": ["a", "b"]}"#, "one is right"),
            (
                r#"{"messages": [{"role": "pope", "content": "x"}], "answer": "y"}"#,
                "pope",
            ),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why), "{error} for {line}");
        }
        let messages = r#"{"messages": [], "answer": "y"}"#;
        assert!(
            Question::parse(messages, 1, true)
                .unwrap_err()
                .contains("--raw")
        );
        assert_eq!(
            (id(r#"{"id": "a"}"#, 4), id("{", 4)),
            ("a".into(), "4".into())
        );
    }
}
