//! `tritone profile`, and profiles of the user's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{Run, command, finish};

const QUESTION: &str = "What is the capital of Peru?";

/// A configuration directory of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.profiles()).unwrap();
        for (name, text) in files {
            fs::write(home.own(name), text).unwrap();
        }
        home
    }

    fn profiles(&self) -> PathBuf {
        self.0.path().join("tritone/profiles")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.profiles().join(format!("{name}.toml"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command
            .env("XDG_CONFIG_HOME", self.0.path())
            .env_remove("VISUAL")
            .env_remove("EDITOR")
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    /// An editor that does this to the file `$1`.
    fn edit(&self, name: &str, script: &str) -> Run {
        let path = self.0.path().join("editor.sh");
        fs::write(&path, script).unwrap();
        let editor = format!("sh {}", path.display());
        finish(
            self.command(&["profile", "edit", name])
                .env("EDITOR", editor),
        )
    }

    /// What lies in the directory of profiles, but the schema.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.profiles()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "profile.schema.json")
            .collect();
        names.sort();
        names
    }
}

#[test]
fn the_list_has_presets_and_own_profiles_and_marks_the_one_in_use() {
    let home = Home::new(&[
        ("lab", "base = \"server\"\nthreads = 3\n"),
        ("bad", "threads = 0\n"),
    ]);
    let text = home.run(&["profile", "--profile", "lab"]).ok();
    for words in [
        "  mobile        2     512 MiB  latency          2",
        "  edge          4    1024 MiB  efficiency      12",
        "  server        8    2048 MiB  throughput      32",
        "  cloud        16    4096 MiB  scalability     73",
        "* lab           3    2048 MiB  throughput      32  A profile of your own, based on server.",
        "bad     cannot be used: user profile",
        "* lab is used here, asked for by flag --profile",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    let json = home.run(&["profile", "list", "--json"]).json();
    let rows = json["profiles"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[5]["name"], "lab");
    assert_eq!(rows[5]["lineage"], serde_json::json!(["server", "lab"]));
    assert!(rows[4]["error"].as_str().unwrap().contains("threads is 0"));
    assert_eq!(json["used"]["automatic"], true);
    let used: Vec<_> = rows.iter().filter(|row| row["used"] == true).collect();
    assert_eq!(used.len(), 1);
    assert_eq!(used[0]["name"], json["used"]["name"]);
}

#[test]
fn own_profiles_work_wherever_a_profile_does() {
    let home = Home::new(&[("lab", "base = \"mobile\"\nthreads = 1\n")]);
    let answer = |command: &mut Command| finish(command).json();
    let json = answer(&mut home.command(&["run", "--json", "--profile", "lab", QUESTION]));
    assert_eq!(
        (&json["profile"], &json["threads"]),
        (&"lab".into(), &1.into())
    );
    let json = answer(
        home.command(&["run", "--json", QUESTION])
            .env("TRITONE_PROFILE", "lab"),
    );
    assert_eq!(json["profile"], "lab");
    fs::write(
        home.0.path().join("tritone.toml"),
        "[profile]\nbase = \"lab\"\n",
    )
    .unwrap();
    let json = answer(&mut home.command(&["run", "--json", QUESTION]));
    assert_eq!(
        (&json["profile"], &json["text"]),
        (&"lab".into(), &"The capital of Peru is Lima.".into())
    );
}

#[test]
fn show_prints_toml_that_is_a_profile() {
    let home = Home::new(&[("lab", "base = \"edge\"\nkv_type = \"q8\"\n")]);
    let text = home.run(&["profile", "show", "lab", "--ctx", "1000"]).ok();
    assert!(text.starts_with("# edge < lab\n"), "{text}");
    assert!(text.contains("context = 1000 # flag --ctx"), "{text}");
    assert!(text.contains("threads = 4 # preset edge"), "{text}");
    fs::write(home.own("copy"), &text).unwrap();
    let json = |name: &str| home.run(&["profile", "show", name, "--json"]).json();
    let copy = json("copy")["profile"].clone();
    assert_eq!(
        (&copy["context"], &copy["kv_type"]),
        (&1000.into(), &"q8".into())
    );
    assert_eq!(copy["alerts"], json("edge")["profile"]["alerts"]);
}

#[test]
fn explain_names_origins_and_what_was_replaced() {
    let home = Home::new(&[("lab", "base = \"edge\"\ncontext = 1000\n")]);
    let args = ["profile", "explain", "--profile", "lab", "--ctx", "2000"];
    let text = home.run(&args).ok();
    for words in [
        "Profile edge < lab: asked for by flag --profile.",
        "2000          flag --ctx",
        "instead of 1000 from user profile ",
        "instead of 4096 from preset edge",
        "derived: max(1, (1024 - 400) / 50) from memory_mb",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    let text = home
        .run(&["profile", "explain", "context", "--ctx", "2000"])
        .ok();
    for words in [
        "context = 2000",
        "from          flag --ctx",
        "TRITONE_CTX",
        "after the running answer",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    home.run(&["profile", "explain", "contxt"])
        .fails(2, &["did you mean context?"]);
    let json = home
        .run(&["profile", "explain", "--json", "threads"])
        .json();
    assert_eq!(json["values"][0]["key"], "threads");
    assert_eq!(json["values"][0]["applies"], "at_once");
}

#[test]
fn the_automatic_choice_is_explained_in_words() {
    let home = Home::new(&[]);
    let text = home.run(&["profile", "explain"]).ok();
    for words in [
        "chosen for this machine: ",
        "  cores  ",
        "  memory  ",
        "  instructions  ",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    let json = home.run(&["profile", "explain", "--json"]).json();
    assert_eq!(json["automatic"]["preset"], json["lineage"][0]);
    // Overridden, it is no longer the reason.
    let json = home
        .run(&["profile", "explain", "--json", "--profile", "cloud"])
        .json();
    assert_eq!(json["automatic"], serde_json::Value::Null);
}

#[test]
fn validate_names_all_mistakes() {
    let home = Home::new(&[("good", "base = \"edge\"\n")]);
    let bad = "thraeds = 4\nhead = \"q4exact\"\n";
    fs::write(home.0.path().join("bad.toml"), bad).unwrap();
    let run = home.run(&["profile", "validate", "good", "bad.toml"]);
    assert_eq!(run.code, Some(2));
    assert!(run.out.ends_with("good.toml: valid\n"), "{}", run.out);
    for words in [
        "error: profile file bad.toml, line 1: there is no setting \"thraeds\" (did you mean \"threads\"?)",
        "error: profile file bad.toml, line 2: head is \"q4exact\"",
        "help: did you mean \"q4+exact\"?",
    ] {
        assert!(run.err.contains(words), "no {words:?} in:\n{}", run.err);
    }
    let run = home.run(&["profile", "validate", "--json", "bad.toml"]);
    assert_eq!(run.code, Some(2));
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let mistakes = &json["files"][0]["mistakes"];
    assert_eq!(
        (&mistakes[0]["line"], &mistakes[1]["column"]),
        (&1.into(), &8.into())
    );
    // Without a file: all that count here.
    fs::write(
        home.0.path().join("tritone.toml"),
        "[profile]\nthreads = 0\n",
    )
    .unwrap();
    let run = home.run(&["profile", "validate"]);
    assert_eq!(run.code, Some(2));
    assert!(run.out.contains("good.toml: valid"), "{}", run.out);
    assert!(run.err.contains("project file "), "{}", run.err);
    let run = home.run(&["profile", "validate", "none.toml"]);
    assert!(
        run.code == Some(2) && run.err.contains("cannot read none.toml"),
        "{}",
        run.err
    );
}

#[test]
fn every_command_says_all_that_is_wrong_with_a_profile() {
    let home = Home::new(&[
        ("a", "base = \"b\"\n"),
        ("b", "base = \"a\"\n"),
        ("bad", "x = 1\ny = 2\n"),
    ]);
    home.run(&["run", "--profile", "bad", QUESTION]).fails(
        2,
        &["bad.toml, line 1: ", "\"x\"", "bad.toml, line 2: ", "\"y\""],
    );
    home.run(&["run", "--profile", "a", QUESTION])
        .fails(2, &["in a circle: a -> b -> a"]);
    home.run(&["profile", "show", "bda"])
        .fails(2, &["did you mean \"bad\"?", "tritone profile list"]);
}

#[test]
fn new_makes_a_profile_that_stands_on_another() {
    let home = Home::new(&[]);
    let text = home.run(&["profile", "new", "lab", "--base", "cloud"]).ok();
    assert!(
        text.contains("lab.toml") && text.contains("tritone --profile lab"),
        "{text}"
    );
    let json = home.run(&["profile", "show", "lab", "--json"]).json();
    assert_eq!(
        (&json["profile"]["name"], &json["profile"]["threads"]),
        (&"lab".into(), &16.into())
    );
    home.run(&["profile", "validate", "lab"]).ok();
    home.run(&["profile", "new", "lab"])
        .fails(2, &["there is a profile lab already"]);
    home.run(&["profile", "new", "edge"])
        .fails(2, &["edge is a preset"]);
    home.run(&["profile", "new", "../x"])
        .fails(2, &["a name has 1 to 60 letters"]);
    home.run(&["profile", "new", "x", "--base", "clod"])
        .fails(2, &["did you mean \"cloud\"?"]);
    assert_eq!(home.names(), ["lab.toml"]);
    let mut homeless = home.command(&["profile", "new", "lab"]);
    finish(homeless.env_remove("XDG_CONFIG_HOME").env_remove("HOME"))
        .fails(2, &["XDG_CONFIG_HOME"]);
}

#[test]
fn edit_replaces_only_by_what_is_valid() {
    let home = Home::new(&[("lab", "base = \"edge\"\n")]);
    let text = |name: &str| fs::read_to_string(home.own(name)).unwrap();
    let run = home.edit("lab", "echo 'threads = 3' >> \"$1\"");
    assert!(run.ok().ends_with("lab.toml: saved\n"));
    assert_eq!(text("lab"), "base = \"edge\"\nthreads = 3\n");
    assert!(home.edit("lab", "true").ok().contains("not changed"));

    let run = home.edit("lab", "echo 'thraeds = 3' > \"$1\"");
    assert_eq!(run.code, Some(2), "{}", run.err);
    for words in [
        "line 1: there is no setting \"thraeds\"",
        "is as it was; what you wrote is kept in ",
    ] {
        assert!(run.err.contains(words), "no {words:?} in:\n{}", run.err);
    }
    assert_eq!(text("lab"), "base = \"edge\"\nthreads = 3\n");
    let kept: Vec<_> = home
        .names()
        .into_iter()
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        fs::read_to_string(home.profiles().join(&kept[0])).unwrap(),
        "thraeds = 3\n"
    );
    fs::remove_file(home.profiles().join(&kept[0])).unwrap();

    // An editor that fails changes nothing; neither does one that is too late.
    let run = home.edit("lab", "echo x > \"$1\"; exit 3");
    assert!(
        run.code == Some(1) && run.err.contains("nothing was changed"),
        "{}",
        run.err
    );
    let late = format!(
        "echo 'threads = 2' > '{}'; echo 'threads = 5' > \"$1\"",
        home.own("lab").display()
    );
    let run = home.edit("lab", &late);
    assert!(
        run.code == Some(1) && run.err.contains("by another program"),
        "{}",
        run.err
    );
    assert_eq!(text("lab"), "threads = 2\n");

    // A preset stays as it is.
    let run = home.edit("server", "echo 'context = 999' >> \"$1\"");
    assert!(
        run.err.contains("my-server is a profile of yours"),
        "{}",
        run.err
    );
    run.ok();
    let json = home.run(&["profile", "show", "my-server", "--json"]).json();
    assert_eq!(
        (&json["profile"]["threads"], &json["lineage"][0]),
        (&8.into(), &"server".into())
    );
    home.edit("nightly", "true")
        .fails(2, &["no profile is called \"nightly\""]);
    home.run(&["profile", "edit", "lab"])
        .fails(2, &["VISUAL or EDITOR"]);
}

#[test]
fn schema_is_the_committed_one() {
    let printed = Home::new(&[]).run(&["profile", "schema"]).ok();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/profile.schema.json");
    assert_eq!(printed, fs::read_to_string(path).unwrap());
}
