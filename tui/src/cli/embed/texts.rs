//! The texts of `tritone embed`.

use std::io::{self, IsTerminal as _};

use serde_json::Value;
use tritone_engine::GenerateError;

use super::args::{EmbedArgs, InputForm};
use crate::cli::failure::{BadRequest, Usage};
use crate::cli::run::piped;

/// What a search is told to do when nobody says anything else, in the words models were trained
/// with.
const SEARCH: &str = "Given a web search query, retrieve relevant passages that answer the query";

/// The texts as they are read, prefixes included.
///
/// # Errors
/// When there are none, or standard input is not what `--input` says.
pub(super) fn texts(args: &EmbedArgs) -> anyhow::Result<Vec<String>> {
    let prefix = prefix(args);
    if let Some(pair) = &args.compare {
        let before = |i: usize| match (&args.prefix, i) {
            (None, 1) => "",
            _ => prefix.as_str(),
        };
        let pair = pair.iter().enumerate();
        return Ok(pair.map(|(i, text)| before(i).to_owned() + text).collect());
    }
    let texts = if args.texts.is_empty() {
        if io::stdin().is_terminal() {
            let why = "no text: give some (`tritone embed \"A text.\"`), or pipe them in";
            return Err(Usage(why.to_owned()).into());
        }
        split(args.input, piped()?).map_err(BadRequest)?
    } else {
        args.texts.clone()
    };
    if texts.is_empty() {
        return Err(GenerateError::EmptyPrompt.into());
    }
    Ok(texts
        .into_iter()
        .map(|text| prefix.clone() + &text)
        .collect())
}

/// What comes before a text.
fn prefix(args: &EmbedArgs) -> String {
    if let Some(prefix) = &args.prefix {
        return prefix.clone();
    }
    match (&args.instruction, args.query) {
        (Some(task), _) => format!("Instruct: {task}\nQuery: "),
        (None, true) => format!("Instruct: {SEARCH}\nQuery: "),
        (None, false) => String::new(),
    }
}

/// The texts in `input`.
fn split(form: InputForm, input: String) -> Result<Vec<String>, String> {
    let lines = || {
        let lines = input.lines().enumerate();
        lines.filter(|(_, line)| !line.trim().is_empty())
    };
    match form {
        InputForm::Text => Ok(vec![input]),
        InputForm::Lines => Ok(lines().map(|(_, line)| line.to_owned()).collect()),
        InputForm::Jsonl => lines()
            .map(|(number, line)| {
                text_of(line).map_err(|why| format!("line {}: {why}", number + 1))
            })
            .collect(),
    }
}

/// The text in a line of JSON.
fn text_of(line: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let text = match value {
        Value::String(text) => Some(text),
        Value::Object(mut object) => match object.remove("text") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    text.ok_or_else(|| "expected a string, or an object whose `text` is one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_cut_as_its_form_says() {
        let input = "one\n\n two \r\n";
        let cut = |form| split(form, input.to_owned()).unwrap();
        assert_eq!(cut(InputForm::Lines), ["one", " two "]);
        assert_eq!(cut(InputForm::Text), [input]);
        let json = "\"a\\nb\"\n{\"id\": 1, \"text\": \"c\"}\n";
        let texts = split(InputForm::Jsonl, json.to_owned());
        assert_eq!(texts, Ok(vec!["a\nb".to_owned(), "c".to_owned()]));
        let error = |input: &str| split(InputForm::Jsonl, input.to_owned()).unwrap_err();
        assert!(error("\"a\"\n[1]").contains("line 2: expected a string"));
        assert!(error("{\"text\": 1}").contains("line 1"));
        assert!(error("a").contains("no JSON"));
    }
}
