//! Presets, layers, origins and refusals, through the public interface only.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot write its file fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tritone_profile::{
    Head, KEYS, Kind, KvType, Layers, MAX_FILE_BYTES, PRESETS, Priority, Profile, ProfileError,
    Situation, Vectors, default_batch, project_file_path, resolve, select, user_file_path,
};

/// A machine with nothing remarkable but its size.
fn machine(cores: usize, memory_mb: u64) -> Situation {
    Situation {
        cores,
        cpus: cores,
        quota: None,
        memory_mb: Some(memory_mb),
        memory_limit_mb: None,
        vectors: Vectors::Wide,
        battery: None,
        load: None,
    }
}

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// The message for a profile file of this content.
fn refusal(text: impl AsRef<[u8]>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "my.toml", text);
    let error = resolve(path.to_str(), &Layers::none())
        .unwrap_err()
        .to_string();
    error.replace(dir.path().to_str().unwrap(), "DIR")
}

#[test]
fn presets_hold_the_published_table() {
    let expected = [
        ("mobile", 2, 512, Priority::Latency, 2),
        ("edge", 4, 1024, Priority::Efficiency, 12),
        ("server", 8, 2048, Priority::Throughput, 32),
        ("cloud", 16, 4096, Priority::Scalability, 73),
    ];
    for (name, threads, memory, priority, batch) in expected {
        let resolved = resolve(Some(name), &Layers::none()).unwrap();
        let p = resolved.profile();
        assert_eq!(p.name, name);
        assert_eq!(
            (p.threads, p.memory_mb, p.priority, p.batch),
            (threads, memory, priority, batch)
        );
        assert_eq!(
            (p.head, p.kv_type, p.kernel.as_str()),
            (Head::Auto, KvType::F16, "auto")
        );
        assert_eq!(p.memory_bytes(), memory << 20);
        let a = &p.alerts;
        assert_eq!((a.memory_mb, a.latency_ms), (1024, 5000));
        assert_eq!(
            (a.cpu_percent, a.min_tokens_per_second, a.error_rate_percent),
            (80.0, 5.0, 5.0)
        );
        assert!(!p.tips.is_empty() && !p.description.is_empty());
    }
}

#[test]
fn a_preset_says_everything_but_the_batch() {
    for preset in PRESETS {
        let resolved = resolve(Some(preset.name), &Layers::none()).unwrap();
        let names: Vec<_> = resolved.origins().iter().map(|entry| entry.key).collect();
        assert_eq!(names, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
        for entry in resolved.origins() {
            let origin = entry.origin.to_string();
            if entry.key == "batch" {
                assert!(origin.starts_with("derived: max(1, ("), "{origin}");
            } else {
                assert_eq!(origin, format!("preset {}", preset.name));
            }
            assert!(entry.replaced.is_empty());
        }
    }
}

#[test]
fn every_layer_overrides_the_one_below() {
    let dir = tempfile::tempdir().unwrap();
    let user = write(
        dir.path(),
        "user.toml",
        "threads = 3\ncontext = 100\nprefill_chunk = 30\nmemory_mb = 600\n",
    );
    let project = write(
        dir.path(),
        "tritone.toml",
        "[profile]\ncontext = 200\nprefill_chunk = 40\n\nmemory_mb = 700\n",
    );
    let env = |name: &str| match name {
        "TRITONE_PREFILL_CHUNK" => Some("50".to_owned()),
        "TRITONE_MEMORY_MB" => Some(" 800 ".to_owned()),
        "TRITONE_THREADS" => Some(String::new()),
        _ => None,
    };
    let layers = Layers {
        user_file: Some(user.clone()),
        project_file: Some(project.clone()),
        env: &env,
        ..Layers::none()
    }
    .with_flag("--memory", "memory_mb", "900");
    let resolved = resolve(Some("server"), &layers).unwrap();
    let p = resolved.profile();
    assert_eq!(
        (p.threads, p.context, p.prefill_chunk, p.memory_mb),
        (3, 200, 50, 900)
    );
    assert_eq!(p.batch, 10);

    let entry = |key| resolved.origin_of(key).unwrap();
    let origin = |key| entry(key).origin.to_string();
    assert_eq!(
        origin("threads"),
        format!("user file {}, line 1", user.display())
    );
    assert_eq!(
        origin("context"),
        format!("project file {}, line 2", project.display())
    );
    assert_eq!(origin("prefill_chunk"), "environment TRITONE_PREFILL_CHUNK");
    assert_eq!(origin("memory_mb"), "flag --memory");
    assert_eq!(origin("priority"), "preset server");
    assert_eq!(
        origin("batch"),
        "derived: max(1, (900 - 400) / 50) from memory_mb"
    );
    let replaced: Vec<_> = entry("memory_mb")
        .replaced
        .iter()
        .map(|(v, _)| v.as_str())
        .collect();
    assert_eq!(replaced, ["2048", "600", "700", "800"]);
    assert_eq!(entry("memory_mb").value, "900");
    assert_eq!(resolved.preset(), "server");
    assert_eq!(resolved.chosen(), "asked for by flag --profile");
}

#[test]
fn a_batch_that_is_set_is_not_derived() {
    let layers = Layers::none().with_flag("--batch", "batch", "5");
    let resolved = resolve(Some("cloud"), &layers).unwrap();
    assert_eq!(resolved.profile().batch, 5);
    let largest = Layers::none().with_flag("--memory", "memory_mb", "67108864");
    assert_eq!(
        resolve(Some("cloud"), &largest).unwrap().profile().batch,
        4096
    );
    assert_eq!(default_batch(0), 1);
    assert_eq!(default_batch(499), 1);
    assert_eq!(default_batch(500), 2);
}

#[test]
fn who_picks_the_preset() {
    let dir = tempfile::tempdir().unwrap();
    let user = write(dir.path(), "user.toml", "base = \"cloud\"\n");
    let project = write(dir.path(), "tritone.toml", "[profile]\nbase = \"mobile\"\n");
    let auto = Some(select(&machine(8, 4096)));
    let env = |name: &str| (name == "TRITONE_PROFILE").then(|| "edge".to_owned());

    let mut layers = Layers {
        auto,
        user_file: Some(user),
        env: &env,
        ..Layers::none()
    };
    layers.project_file = Some(project.clone());
    let preset = |asked, layers: &Layers<'_>| resolve(asked, layers).unwrap().preset();
    assert_eq!(preset(Some("server"), &layers), "server");
    assert_eq!(preset(None, &layers), "edge");
    layers.env = &|_| None;
    let resolved = resolve(None, &layers).unwrap();
    assert_eq!(resolved.preset(), "mobile");
    assert_eq!(
        resolved.chosen(),
        format!(
            "named as base by project file {}, line 2",
            project.display()
        )
    );
    layers.project_file = None;
    assert_eq!(preset(None, &layers), "cloud");
    layers.user_file = None;
    assert_eq!(preset(None, &layers), "server");
    let resolved = resolve(None, &layers).unwrap();
    assert!(
        resolved.chosen().contains("because of 8 cores, 4096 MiB"),
        "{}",
        resolved.chosen()
    );
    assert!(resolved.is_automatic());
    let asked = resolve(Some("auto"), &layers).unwrap();
    assert!(asked.is_automatic() && asked.preset() == "server");
    layers.user_file = Some(write(dir.path(), "user.toml", "base = \"cloud\"\n"));
    assert_eq!(resolve(None, &layers).unwrap().preset(), "cloud");
    assert_eq!(resolve(Some("auto"), &layers).unwrap().preset(), "server");
    layers.user_file = None;
    layers.auto = None;
    assert_eq!(preset(None, &layers), "edge");
}

#[test]
fn a_profile_file_stands_on_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let text = "base = \"cloud\"\nhead = \"q6\"\nalerts.cpu_percent = 95\n\
                [admission]\nqueue_max = 0x10\n";
    let path = write(dir.path(), "lab.toml", text);
    let resolved = resolve(path.to_str(), &Layers::none()).unwrap();
    let p = resolved.profile();
    assert_eq!(
        (resolved.preset(), p.name.as_str(), p.threads),
        ("cloud", "lab", 16)
    );
    assert_eq!(
        (p.head, p.alerts.cpu_percent, p.admission.queue_max),
        (Head::Q6, 95.0, 16)
    );
    assert!(p.description.contains("based on cloud"));
    assert_eq!(
        resolved
            .origin_of("admission.queue_max")
            .unwrap()
            .origin
            .to_string(),
        format!("profile file {}, line 5", path.display())
    );

    let plain = write(dir.path(), "plain.toml", "threads = 1\n");
    let layers = Layers {
        auto: Some(select(&machine(1, 4096))),
        ..Layers::none()
    };
    let resolved = resolve(plain.to_str(), &layers).unwrap();
    assert_eq!(
        (resolved.preset(), resolved.profile().threads),
        ("mobile", 1)
    );
    assert!(!resolved.is_automatic());
    assert!(
        resolved
            .chosen()
            .contains("plain.toml (flag --profile) names no base; chosen for this machine"),
        "{}",
        resolved.chosen()
    );
}

#[test]
fn unknown_profiles_are_refused_with_the_presets() {
    let error = resolve(Some("sever"), &Layers::none()).unwrap_err();
    assert!(matches!(
        &error,
        ProfileError::UnknownProfile { nearest: Some(name), .. } if name == "server"
    ));
    let text = error.to_string();
    assert!(
        text.contains("flag --profile: no profile is called \"sever\""),
        "{text}"
    );
    assert!(text.contains("did you mean \"server\"?"), "{text}");
    assert!(text.contains("mobile, edge, server and cloud"), "{text}");
    let text = refusal("\nbase = \"clod\"\n");
    assert!(
        text.contains("my.toml, line 2: no profile is called \"clod\""),
        "{text}"
    );
    let text = resolve(Some("no/such.toml"), &Layers::none())
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("cannot read no/such.toml: "), "{text}");
}

#[test]
fn refusals_name_line_setting_and_range() {
    for (text, expected) in [
        (
            "\nthreads = 0",
            "line 2: threads is 0, expected a whole number from 1 to 1024",
        ),
        (
            "threads = 99999999999999999999",
            "threads is 99999999999999999999, expected a whole",
        ),
        (
            "threads = \"2\"",
            "threads is \"2\", expected a whole number",
        ),
        (
            "context = 15",
            "context is 15, expected a whole number from 16 to 1048576",
        ),
        (
            "memory_mb = 63",
            "memory_mb is 63, expected a whole number from 64",
        ),
        (
            "head = \"q5\"",
            "head is \"q5\", expected one of \"f16\", \"q8\", \"q6\", \"q4\", \"q4+exact\"",
        ),
        (
            "kv_type = \"q4\"",
            "kv_type is \"q4\", expected one of \"f16\", \"q8\"",
        ),
        (
            "[alerts]\n\ncpu_percent = nan",
            "line 3: alerts.cpu_percent is nan, expected a number",
        ),
        (
            "name = \"a\\u001b[2J\"",
            "name is \"a\\u{1b}[2J\", expected text of 1 to 64",
        ),
        (
            "tips = [1]",
            "tips is a list of 1, expected a list of at most 32 texts",
        ),
        ("base = 1", "base is 1, expected the name of a preset or of"),
        ("alerts = 1", "there is no setting \"alerts\""),
        (
            "x = 1\n\n# c\nthraeds = 1",
            "line 1: there is no setting \"x\"; there are: name, ",
        ),
        (
            "\n\nthraeds = 1",
            "line 3: there is no setting \"thraeds\" (did you mean \"threads\"?)",
        ),
        ("queue_max = 1", "(did you mean \"admission.queue_max\"?)"),
        (
            "[admission]\nlatency_ms = 1",
            "(did you mean \"alerts.latency_ms\"?)",
        ),
        ("[alert]\nlatency_ms = 1", "there is no setting \"alert\""),
        (
            "threads = 1\nthreads = 2",
            "line 2, column 1: duplicate key",
        ),
        ("threads = \n", "line 1, column "),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text:?}: {message}");
        assert!(message.contains("DIR/my.toml, line "), "{message}");
    }
    let message = refusal(b"threads = 1\n# \xff\n");
    assert!(
        message.ends_with("my.toml, line 2, column 3: not UTF-8 text"),
        "{message}"
    );
    let message = refusal(vec![b'#'; MAX_FILE_BYTES as usize + 1]);
    assert!(message.contains("longer than 1048576 bytes"), "{message}");
    assert!(refusal("a = [".to_owned() + &"[".repeat(100_000)).contains("line 1"));
}

#[test]
fn flags_and_variables_are_checked_too() {
    let error = |layers: &Layers<'_>| resolve(Some("edge"), layers).unwrap_err().to_string();
    let text = error(&Layers::none().with_flag("--ctx", "context", "many"));
    assert_eq!(
        text,
        "flag --ctx: context is \"many\", expected a whole number from 16 to 1048576"
    );
    let text = error(&Layers::none().with_flag("--set", "alert.latency_ms", "1"));
    assert!(
        text.contains("did you mean \"alerts.latency_ms\"?"),
        "{text}"
    );
    let env = |name: &str| (name == "TRITONE_CTX").then(|| "8".to_owned());
    let text = error(&Layers {
        env: &env,
        ..Layers::none()
    });
    assert!(
        text.starts_with("environment TRITONE_CTX: context is \"8\""),
        "{text}"
    );
}

#[test]
fn project_files_hold_only_the_profile_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut layers = Layers {
        project_file: Some(project_file_path(dir.path())),
        ..Layers::none()
    };
    assert!(
        resolve(Some("edge"), &layers).is_ok(),
        "the file need not exist"
    );
    for (text, expected) in [
        ("[profil]\nthreads = 1\n", "did you mean \"profile\"?"),
        (
            "profile = 3\n",
            "profile is 3, expected a table of settings",
        ),
    ] {
        write(dir.path(), "tritone.toml", text);
        let message = resolve(Some("edge"), &layers).unwrap_err().to_string();
        assert!(
            message.contains("project file") && message.contains(expected),
            "{message}"
        );
    }
    layers.project_file = Some(dir.path().to_owned());
    assert!(matches!(
        resolve(None, &layers),
        Err(ProfileError::Read { .. })
    ));
}

#[test]
fn the_user_file_is_where_xdg_says() {
    let path = |config: Option<&str>, home: Option<&str>| {
        user_file_path(&|name| match name {
            "XDG_CONFIG_HOME" => config.map(str::to_owned),
            "HOME" => home.map(str::to_owned),
            _ => None,
        })
    };
    let own = |dir: &str| Some(Path::new(dir).join("tritone/profile.toml"));
    assert_eq!(path(Some("/c"), Some("/h")), own("/c"));
    assert_eq!(path(Some("relative"), Some("/h")), own("/h/.config"));
    assert_eq!(path(None, Some("/h")), own("/h/.config"));
    assert_eq!(path(None, None), None);
}

#[test]
fn every_word_is_a_value() {
    for key in KEYS {
        let Kind::Word(words) = key.kind else {
            continue;
        };
        for word in words {
            let layers = Layers::none().with_flag("--x", key.name, word);
            let resolved = resolve(Some("edge"), &layers).unwrap();
            let p = resolved.profile();
            let written = match key.name {
                "priority" => p.priority.to_string(),
                "head" => p.head.to_string(),
                "kv_type" => p.kv_type.to_string(),
                other => panic!("{other} is not covered here"),
            };
            assert_eq!(written, *word);
        }
    }
}

#[test]
fn variables_are_distinct() {
    let mut names: Vec<_> = KEYS.iter().filter_map(|key| key.env).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("TRITONE_") && *name != "TRITONE_PROFILE")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_profile_that_is_written_is_read_back(
        threads in 1usize..=1024,
        memory in 64u64..100_000,
        batch in 1usize..=4096,
        cpu in 0.0f64..=100.0,
        name in "[a-zA-Z\u{e4}\u{6f22} \"'#\\\\]{1,40}",
        tips in prop::collection::vec("[ -~]{1,60}", 0..4),
    ) {
        let mut profile: Profile = resolve(Some("server"), &Layers::none()).unwrap().into_profile();
        profile.threads = threads;
        profile.memory_mb = memory;
        profile.batch = batch;
        profile.alerts.cpu_percent = cpu;
        profile.name = name;
        profile.tips = tips;
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "saved.toml", toml::to_string(&profile).unwrap());
        let read = resolve(path.to_str(), &Layers::none()).unwrap().into_profile();
        prop_assert_eq!(read, profile);
    }
}
