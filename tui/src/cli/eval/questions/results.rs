//! The file of results: what was asked, and with what.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::failure::BadRequest;

/// The longest file of results that is read.
const MOST: u64 = 1 << 30;

/// What became of a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// The question's name.
    pub(super) id: String,
    /// Whether the answer is right; of choices, by the sum of log-probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) right: Option<bool>,
    /// Of choices, by the sum for each byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) right_by_length: Option<bool>,
    /// What the model wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<String>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finish: Option<String>,
    /// Sums of the log-probabilities of the choices, in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_probabilities: Option<Vec<f64>>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl Outcome {
    /// A question that could not be asked or answered.
    pub(super) fn failed(id: String, why: impl Into<String>) -> Self {
        Self {
            id,
            error: Some(why.into()),
            ..Self::default()
        }
    }
}

/// The file of results, while it is written.
pub(super) struct Results {
    file: Option<File>,
}

impl Results {
    /// Opens the file for results of a run with `settings`, and returns what is in it already.
    /// Questions that failed are to be asked again. A last line that was not finished is removed.
    ///
    /// # Errors
    /// When it holds something else, or results of other settings.
    pub(super) fn open(
        path: Option<&Path>,
        settings: &Value,
    ) -> anyhow::Result<(Self, HashMap<String, Outcome>)> {
        let Some(path) = path else {
            return Ok((Self { file: None }, HashMap::new()));
        };
        let name = path.display();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut file = opened.with_context(|| format!("cannot write '{name}'"))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(MOST + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read '{name}'"))?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let known = (bytes.len() as u64 <= MOST)
            .then(|| std::str::from_utf8(&bytes[..whole]).ok())
            .flatten()
            .and_then(|text| known(text, settings).transpose());
        let known = match known {
            Some(known) => known.map_err(|why| BadRequest(format!("'{name}' {why}")))?,
            // Only what begins like a file of ours is taken for a line that was not finished.
            None if whole == 0 && (bytes.is_empty() || bytes.starts_with(b"{\"settings\"")) => {
                HashMap::new()
            }
            None => {
                let why =
                    format!("'{name}' holds something else than results; choose another file");
                return Err(BadRequest(why).into());
            }
        };
        let writing = || format!("cannot write '{name}'");
        file.set_len(whole as u64).with_context(writing)?;
        file.seek(SeekFrom::End(0)).with_context(writing)?;
        let mut results = Self { file: Some(file) };
        if whole == 0 {
            results.write(&serde_json::json!({ "settings": settings }))?;
        }
        Ok((results, known))
    }

    /// Adds a result.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn add(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        self.write(outcome)
    }

    fn write(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(value)?;
            line.push(b'\n');
            file.write_all(&line).context("cannot write the results")?;
        }
        Ok(())
    }
}

/// Results by name; `None` for a text that holds no settings, and an error for other ones.
fn known(text: &str, settings: &Value) -> Result<Option<HashMap<String, Outcome>>, String> {
    #[derive(Deserialize)]
    struct First {
        settings: Value,
    }
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let Ok(First { settings: old }) = serde_json::from_str(first) else {
        return Ok(None);
    };
    if old != *settings {
        let keys = settings.as_object().into_iter().flatten();
        let other: Vec<&str> = keys
            .filter(|(key, value)| old.get(key) != Some(value))
            .map(|(key, _)| key.as_str())
            .collect();
        return Err(format!(
            "holds results of another run, with other {}; choose another file",
            other.join(", ")
        ));
    }
    let mut results = HashMap::new();
    for (i, line) in lines.enumerate() {
        let outcome: Outcome = serde_json::from_str(line)
            .map_err(|error| format!("is damaged in line {}: {error}", i + 2))?;
        if outcome.error.is_none() {
            results.insert(outcome.id.clone(), outcome);
        }
    }
    Ok(Some(results))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn right(id: &str) -> Outcome {
        Outcome {
            id: id.to_owned(),
            right: Some(true),
            ..Outcome::default()
        }
    }

    #[test]
    fn results_are_found_again_but_for_failures_and_torn_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results.jsonl");
        let settings = json!({"model": "m", "match": "normal"});
        let open = |settings: &Value| Results::open(Some(&path), settings);
        let (mut results, known) = open(&settings).unwrap();
        assert!(known.is_empty());
        results.add(&right("a")).unwrap();
        results.add(&Outcome::failed("b".to_owned(), "no")).unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}{{\"id\": \"c")).unwrap();
        let (mut results, known) = open(&settings).unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!(known["a"], right("a"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        results.add(&right("b")).unwrap();
        drop(results);
        assert_eq!(open(&settings).unwrap().1.len(), 2);

        let other = open(&json!({"model": "n", "match": "normal"}));
        let why = other.err().unwrap().to_string();
        assert!(why.contains("with other model;"), "{why}");
        for foreign in ["mine", "{\"a\": 1}\n", "\n", "{\"settings\""] {
            std::fs::write(&path, foreign).unwrap();
            let opened = open(&settings);
            assert_eq!(
                opened.is_ok(),
                foreign.starts_with("{\"settings"),
                "{foreign}"
            );
            if opened.is_err() {
                assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
            }
        }
        let (none, known) = Results::open(None, &settings).unwrap();
        assert!(none.file.is_none() && known.is_empty());
    }
}
