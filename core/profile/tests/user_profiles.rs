//! Profiles of the user's own: found by name, standing on each other, reported with all mistakes.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot write its file fails the test"
)]

use std::fs;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use tritone_profile::{
    FileKind, Layers, ProfileError, check, check_text, profiles_dir_path, resolve,
};

struct Home(tempfile::TempDir);

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(home.0.path().join(format!("{name}.toml")), text).unwrap();
        }
        home
    }

    fn layers(&self) -> Layers<'static> {
        Layers {
            profiles_dir: Some(self.0.path().to_owned()),
            ..Layers::none()
        }
    }

    fn refusal(&self, name: &str) -> String {
        let error = resolve(Some(name), &self.layers()).unwrap_err();
        self.hidden(&error.to_string())
    }

    fn hidden(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

/// The report as a terminal without colours shows it.
fn report(error: &ProfileError) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(90)
        .render_report(&mut text, error)
        .unwrap();
    text
}

#[test]
fn profiles_inherit_by_name() {
    let home = Home::new(&[
        ("mine", "base = \"server\"\nthreads = 6\ncontext = 1000\n"),
        (
            "lab",
            "base = \"mine\"\ncontext = 2000\nname = \"the lab\"\n",
        ),
        ("late", "base = \"lab\"\n"),
    ]);
    let layers = home.layers().with_flag("--ctx", "context", "3000");
    let resolved = resolve(Some("lab"), &layers).unwrap();
    let p = resolved.profile();
    assert_eq!((p.threads, p.context, p.batch), (6, 3000, 32));
    assert_eq!(p.name, "the lab");
    assert_eq!(resolved.preset(), "server");
    assert_eq!(resolved.lineage(), ["server", "mine", "lab"]);
    let entry = resolved.origin_of("context").unwrap();
    let replaced: Vec<_> = entry
        .replaced
        .iter()
        .map(|(value, origin)| (value.as_str(), home.hidden(&origin.to_string())))
        .collect();
    assert_eq!(
        replaced,
        [
            ("4096", "preset server".to_owned()),
            ("1000", "user profile DIR/mine.toml, line 3".to_owned()),
            ("2000", "user profile DIR/lab.toml, line 2".to_owned()),
        ]
    );
    let late = resolve(Some("late"), &home.layers()).unwrap();
    assert_eq!(late.profile().name, "late", "a name is not inherited");
    assert_eq!(
        late.profile().description,
        "A profile of your own, based on lab."
    );
}

#[test]
fn a_user_profile_is_a_base_and_a_wish_of_the_environment() {
    let home = Home::new(&[("mine", "base = \"cloud\"\nthreads = 3\n")]);
    let project = home.0.path().join("project.toml");
    fs::write(&project, "[profile]\nbase = \"mine\"\n").unwrap();
    let layers = Layers {
        project_file: Some(project),
        ..home.layers()
    };
    let resolved = resolve(None, &layers).unwrap();
    assert_eq!(
        (resolved.preset(), resolved.profile().threads),
        ("cloud", 3)
    );
    let env = |name: &str| (name == "TRITONE_PROFILE").then(|| "mine".to_owned());
    let layers = Layers {
        env: &env,
        ..home.layers()
    };
    assert_eq!(resolve(None, &layers).unwrap().lineage(), ["cloud", "mine"]);
}

#[test]
fn circles_are_refused_with_the_chain() {
    let home = Home::new(&[
        ("a", "base = \"b\"\n"),
        ("b", "\nbase = \"c\"\n"),
        ("c", "base = \"a\"\n"),
        ("self", "base = \"self\"\n"),
    ]);
    assert_eq!(
        home.refusal("a"),
        "user profile DIR/c.toml, line 1: profiles stand on each other in a circle: a -> b -> c -> a"
    );
    assert!(home.refusal("self").contains("self -> self"));
    let names: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
    let texts: Vec<String> = (0..12).map(|n| format!("base = \"p{}\"", n + 1)).collect();
    let files: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let deep = Home::new(&files);
    assert!(
        deep.refusal("p0")
            .contains("more than 8 profiles stand on each other: p0 -> p1")
    );
    assert_eq!(
        resolve(Some("p11"), &Home::new(&[("p11", "")]).layers())
            .unwrap()
            .lineage(),
        ["edge", "p11"]
    );
}

#[test]
fn unknown_names_suggest_the_users_own_too() {
    let home = Home::new(&[
        ("nightly", "base = \"edge\"\n"),
        ("x", "base = \"nigthly\"\n"),
    ]);
    let text = home.refusal("nighly");
    assert!(text.contains("did you mean \"nightly\"?"), "{text}");
    assert!(text.contains("your own are nightly, x"), "{text}");
    let text = home.refusal("x");
    assert!(
        text.starts_with(
            "user profile DIR/x.toml, line 1: no profile is called \"nigthly\" (did you"
        ),
        "{text}"
    );
    // A name is no way out of the directory.
    fs::create_dir(home.0.path().join("sub")).unwrap();
    assert!(home.refusal("..").contains("no profile is called"));
}

#[test]
fn all_mistakes_of_a_file_are_reported_with_their_place() {
    let text = "base = \"edge\"\nthraeds = 4\nhead = \"q4exact\"\n\n[alerts]\ncpu_percent = 300\n";
    let home = Home::new(&[("lab", text)]);
    let error = resolve(Some("lab"), &home.layers()).unwrap_err();
    let ProfileError::File(mistakes) = &error else {
        panic!("{error:?}");
    };
    let places: Vec<_> = mistakes.iter().map(|m| (m.line(), m.column())).collect();
    assert_eq!(places, [(2, 1), (3, 8), (6, 15)]);
    let advice: Vec<_> = mistakes.iter().filter_map(|m| m.advice()).collect();
    assert!(
        advice[0].starts_with("did you mean `threads`? Worker threads"),
        "{advice:?}"
    );
    assert_eq!(advice[1], "did you mean \"q4+exact\"?");
    assert_eq!(advice[2], "the largest possible is 100");
    assert!(
        error
            .to_string()
            .ends_with("(and 2 more mistakes in this file)"),
        "{error}"
    );
    let report = home.hidden(&report(&error));
    for piece in [
        "thraeds = 4",
        "lab.toml:2:1",
        "did you mean `threads`?",
        "head = \"q4exact\"",
        "lab.toml:3:8",
        "cpu_percent = 300",
        "the largest possible is 100",
    ] {
        assert!(report.contains(piece), "no {piece:?} in:\n{report}");
    }
}

#[test]
fn several_faults_of_syntax_are_reported() {
    let home = Home::new(&[("lab", "threads = \ncontext = [1\nhead == \"q4\"\n")]);
    let error = resolve(Some("lab"), &home.layers()).unwrap_err();
    let ProfileError::File(mistakes) = &error else {
        panic!("{error:?}");
    };
    assert!(mistakes.iter().count() > 1, "{error:?}");
    assert_eq!(mistakes.iter().next().map(|m| m.line()), Some(1));
    assert!(error.help().is_some());
}

#[test]
fn reports_of_hostile_files_hold_no_control_characters() {
    let text = "th\u{1b}[2Jreads = 1 \u{202e}\nname = \"\\u001b]0;x\\u0007\"\r\n";
    let home = Home::new(&[("lab", text)]);
    let error = resolve(Some("lab"), &home.layers()).unwrap_err();
    let report = report(&error);
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!report.contains(harmful), "{report:?}");
}

#[test]
fn a_file_or_a_text_can_be_checked_alone() {
    let home = Home::new(&[("mine", "base = \"edge\"\n"), ("bad", "base = \"mien\"\n")]);
    let path = home.0.path().join("bad.toml");
    assert!(
        check(FileKind::Named, &path, &home.layers())
            .unwrap_err()
            .to_string()
            .contains("mien")
    );
    assert!(
        check(
            FileKind::Profile,
            &home.0.path().join("mine.toml"),
            &home.layers()
        )
        .is_ok()
    );
    let text = |text: &str| check_text(Path::new("new.toml"), text.as_bytes(), &home.layers());
    assert!(text("base = \"mine\"\nthreads = 2\n").is_ok());
    assert!(text("base = \"bad\"\n").is_err());
    assert!(text("threads = 0\n").is_err());
}

#[test]
fn the_directory_is_where_xdg_says() {
    let dir = profiles_dir_path(&|name| (name == "HOME").then(|| "/h".to_owned()));
    assert_eq!(
        dir.as_deref(),
        Some(Path::new("/h/.config/tritone/profiles"))
    );
    assert_eq!(profiles_dir_path(&|_| None), None);
}
