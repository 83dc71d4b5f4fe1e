//! What is remembered of strategies: which is preferred, and what tests measured.

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tritone_profile::process_environment;

use crate::cli::{cache_file, paths};

/// What the file is called inside; the number grows when the meaning of a field changes.
const SCHEMA: &str = "tritone-strategies/1";

/// Tests that are kept, the latest.
const MOST: usize = 200;

/// What a test of a strategy measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tested {
    /// Name of the strategy.
    pub(crate) name: String,
    /// The model, as it was named.
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) unix_time: u64,
    /// Nothing was wrong.
    pub(crate) works: bool,
    /// From asking to the first token, in seconds.
    pub(crate) first_token_s: Option<f64>,
    /// Tokens a second after the first.
    pub(crate) decode_rate: Option<f64>,
    /// Bytes of what runs the model, where they are known.
    pub(crate) resident_bytes: Option<u64>,
    /// The texts are those of `native`, where both were tested.
    pub(crate) same_text: Option<bool>,
    /// The same request got the same text again.
    pub(crate) repeats: Option<bool>,
    /// It promises one answer.
    pub(crate) one_answer: bool,
    /// It tells probabilities.
    pub(crate) logprobs: bool,
    /// What is said leaves the machine.
    pub(crate) leaves_machine: bool,
    /// What it ran on.
    pub(crate) runs_on: String,
    /// What is wrong.
    pub(crate) faults: Vec<String>,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    schema: String,
    /// The strategy that the chat uses, if the user said so.
    #[serde(default)]
    pub(crate) preferred: Option<String>,
    /// What was measured, one for each strategy and model.
    #[serde(default)]
    pub(crate) tests: Vec<Tested>,
}

/// `$XDG_STATE_HOME/tritone/strategies.json`.
fn path() -> Option<PathBuf> {
    Some(paths::state(&process_environment)?.join("strategies.json"))
}

impl Record {
    /// Reads the file; no file is an empty record. What is wrong with it is told to `note`, and it is left out.
    pub(crate) fn load(note: impl FnOnce(String)) -> Self {
        let Some(path) = path() else {
            return Self::default();
        };
        let read = cache_file::read::<Self>(&path).and_then(|record| match record {
            Some(record) => cache_file::expect_schema(&record.schema, SCHEMA).map(|()| record),
            None => Ok(Self::default()),
        });
        read.unwrap_or_else(|why| {
            note(format!(
                "what was measured of strategies, in {path:?}, is left out: {why}; the next test replaces it"
            ));
            Self::default()
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When there is no place for it, or the system says so.
    pub(crate) fn save(&mut self) -> anyhow::Result<()> {
        let path = path().ok_or_else(|| {
            let why = "there is no place for it: set XDG_STATE_HOME or HOME to a directory";
            io::Error::new(io::ErrorKind::NotFound, why)
        })?;
        SCHEMA.clone_into(&mut self.schema);
        cache_file::write(&path, self).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts what was measured in place of what was before.
    pub(crate) fn add(&mut self, tested: Tested) {
        self.tests
            .retain(|other| other.name != tested.name || other.model != tested.model);
        self.tests.push(tested);
        let over = self.tests.len().saturating_sub(MOST);
        self.tests.drain(..over);
    }

    /// What was measured last of a strategy, with whatever model.
    pub(crate) fn last(&self, name: &str) -> Option<&Tested> {
        self.tests.iter().rev().find(|tested| tested.name == name)
    }

    /// What was measured with a model.
    pub(crate) fn of_model(&self, model: &str) -> Vec<&Tested> {
        let tests = self.tests.iter();
        tests.filter(|tested| tested.model == model).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_test_of_a_strategy_and_model_counts() {
        let mut record = Record::default();
        let tested = |name: &str, model: &str, unix_time| Tested {
            name: name.to_owned(),
            model: model.to_owned(),
            unix_time,
            ..Tested::default()
        };
        record.add(tested("a", "m", 1));
        record.add(tested("a", "n", 2));
        record.add(tested("a", "m", 3));
        assert_eq!(record.tests.len(), 2);
        assert_eq!(record.last("a").unwrap().unix_time, 3);
        assert_eq!(record.of_model("n").len(), 1);
        for i in 0..300 {
            record.add(tested(&i.to_string(), "m", 4));
        }
        assert_eq!(record.tests.len(), MOST);
    }
}
