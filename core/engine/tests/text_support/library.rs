//! What the library made of some texts that published tokenizers are made with; its name and version
//! are in the file.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

static FILE: LazyLock<Value> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/text_support/library.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
});

/// A text and its ids.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) text: String,
    /// With all text as text.
    pub(crate) plain: Vec<u32>,
    /// With control tokens where their names are.
    pub(crate) parsed: Vec<u32>,
}

/// The cases of a list of the file.
pub(crate) fn cases(list: &str) -> Vec<Case> {
    cases_of(&FILE[list])
}

/// Lists of merges, and cases with them.
pub(crate) fn merges() -> Vec<(Vec<String>, Vec<Case>)> {
    let lists = FILE["merges"].as_array().unwrap().iter().map(|list| {
        let merges = list["merges"].as_array().unwrap().iter();
        let merges = merges.map(|merge| merge.as_str().unwrap().to_owned());
        (merges.collect(), cases_of(&list["cases"]))
    });
    lists.collect()
}

fn cases_of(list: &Value) -> Vec<Case> {
    let case = |case: &Value| {
        let times = case.get("times").map_or(1, |times| times.as_u64().unwrap());
        let plain = ids(&case["plain"]);
        Case {
            text: case["text"].as_str().unwrap().repeat(times as usize),
            parsed: case.get("parsed").map_or_else(|| plain.clone(), ids),
            plain,
        }
    };
    list.as_array().unwrap().iter().map(case).collect()
}

/// Ids, or pairs of an id and how often it comes.
fn ids(list: &Value) -> Vec<u32> {
    let number = |value: &Value| value.as_u64().unwrap() as u32;
    let entries = list.as_array().unwrap().iter();
    let ids = entries.flat_map(|entry| match entry.as_array() {
        Some(run) => vec![number(&run[0]); number(&run[1]) as usize],
        None => vec![number(entry)],
    });
    ids.collect()
}
