//! The log of a command.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::run;

#[test]
fn the_log_is_text_or_an_object_a_line() {
    let directory = TempDir::new().unwrap();
    let log = |form: &str| {
        let path = directory.path().join(form);
        let file = path.display().to_string();
        let arguments = ["run", "Hello", "--log", "debug", "--log-file", &file];
        run(&[&arguments[..], &["--log-format", form]].concat()).ok();
        fs::read_to_string(path).unwrap()
    };
    let json = log("json");
    assert!(!json.is_empty());
    for line in json.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(
            entry["timestamp"].as_str().unwrap().ends_with('Z'),
            "{line}"
        );
        assert!(
            entry["level"].is_string() && entry["target"].is_string(),
            "{line}"
        );
    }
    let text = log("text");
    assert!(text.lines().next().unwrap().contains("DEBUG"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a file");
    run(&["run", "Hello", "--log-format", "xml"]).fails(2, &["xml", "json"]);
}
