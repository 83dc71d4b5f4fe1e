//! `tritone config`: the settings of the terminal.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::{Run, command, finish};

fn config(home: &Path, args: &[&str]) -> Run {
    let mut all = vec!["config"];
    all.extend(args);
    let mut command = command(&all);
    finish(command.env("XDG_CONFIG_HOME", home).env_remove("NO_COLOR"))
}

fn file(home: &TempDir) -> PathBuf {
    home.path().join("tritone/config.toml")
}

#[test]
fn a_file_is_made_found_shown_and_checked() {
    let home = TempDir::new().unwrap();
    let path = config(home.path(), &["path"]).ok();
    assert_eq!(path.trim(), file(&home).to_str().unwrap());
    let validated = config(home.path(), &["validate"]).ok();
    assert!(validated.contains("is not there"), "{validated}");
    let defaults = config(home.path(), &["show"]).ok();

    config(home.path(), &["init"]).ok();
    assert_eq!(config(home.path(), &["show"]).ok(), defaults);
    assert!(
        config(home.path(), &["validate"])
            .ok()
            .contains("nothing is wrong")
    );
    let again = config(home.path(), &["init"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("--force replaces it"), "{}", again.err);
    config(home.path(), &["init", "--force"]).ok();

    // What is shown can be the file.
    fs::write(file(&home), &defaults).unwrap();
    assert_eq!(config(home.path(), &["show"]).ok(), defaults);
}

#[test]
fn every_value_says_where_it_comes_from() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("tritone")).unwrap();
    fs::write(file(&home), "[ui]\nfps = 10\n[keys]\ncopy = \"ctrl+r\"\n").unwrap();
    let shown = config(home.path(), &["show", "--origin", "--theme", "dark"]).ok();
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name}: {shown}"))
            .to_owned()
    };
    assert!(line("fps = 10").ends_with("# line 2"));
    assert!(line("theme = \"dark\"").ends_with("# flag --theme"));
    assert!(line("mouse = false").ends_with("# default"));
    assert!(line("copy = \"ctrl+r\"").ends_with("# line 4"));
    assert!(line("regenerate = []").ends_with("# default; Ctrl+R calls copy"));
}

#[test]
fn mistakes_are_said_with_line_and_remedy_and_an_editor_is_asked_for() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("tritone")).unwrap();
    fs::write(file(&home), "[ui]\nthem = \"dark\"\n").unwrap();
    let validated = config(home.path(), &["validate"]);
    assert_eq!(validated.code, Some(2));
    for part in ["line 2", "\"them\"", "did you mean \"theme\"?"] {
        assert!(validated.err.contains(part), "{}", validated.err);
    }
    let edit = |editor: Option<&str>| {
        let mut command = command(&["config", "edit"]);
        command
            .env("XDG_CONFIG_HOME", home.path())
            .env_remove("VISUAL");
        match editor {
            Some(editor) => command.env("EDITOR", editor),
            None => command.env_remove("EDITOR"),
        };
        finish(&mut command)
    };
    let none = edit(None);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("set VISUAL or EDITOR"), "{}", none.err);
    let fixed = edit(Some("sed -i s/them/theme/")).ok();
    assert!(fixed.contains("nothing is wrong"), "{fixed}");
    // Without a file there is one to begin with.
    fs::remove_file(file(&home)).unwrap();
    edit(Some("true")).ok();
    assert!(
        fs::read_to_string(file(&home))
            .unwrap()
            .contains("# theme = \"auto\"")
    );
}
