//! Directories of the transformers library, at servers that are played.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use tritone_strategy::transformers::Settings;
use tritone_strategy::{Deployment, Fault, Guard, ModelRef, State, Strategy as _, Transformers};
use tritone_tests::{tiny, tritone};

use crate::harness::{chat, runs, settings as fake};

fn strategy(settings: Settings) -> Transformers {
    Transformers::new(settings, Guard::of(tritone())).unwrap()
}

fn directory() -> Deployment {
    Deployment::of(ModelRef::Directory(tiny().join("hf")))
}

#[test]
fn a_directory_is_given_to_a_configured_command() {
    let place = tempfile::tempdir().unwrap();
    let strategy = strategy(Settings {
        command: fake(place.path(), &[]).command,
        ..Settings::default()
    });
    let deployed = strategy.deploy_model(&directory(), &mut |_| true).unwrap();
    assert_eq!((&*deployed.model, deployed.context), ("hf", Some(1024)));
    assert_eq!(deployed.architecture.as_deref(), Some("bitnet"));
    let (text, _) = strategy.generate(chat("Hi")).unwrap().wait(None).unwrap();
    assert_eq!(text, "Hello there.");
    // Nothing of what OpenAI's API does not have is sent.
    let record = std::fs::read_to_string(place.path().join("record")).unwrap();
    assert!(
        record.contains("max_tokens") && !record.contains("top_k"),
        "{record}"
    );
    let pid = record
        .lines()
        .next()
        .and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let pid = pid.unwrap()["pid"].as_u64().unwrap();
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(
        String::from_utf8_lossy(&environ).contains("\0HF_HUB_OFFLINE=1\0"),
        "nothing is fetched"
    );
    strategy.shutdown();
    assert!(!runs(pid));
}

#[test]
fn libraries_that_are_missing_are_named() {
    let place = tempfile::tempdir().unwrap();
    let python = Command::new("sh")
        .args(["-c", "command -v python3"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    // -S: without the packages that are installed.
    let script = place.path().join("python");
    std::fs::write(
        &script,
        format!("#!/bin/sh\nexec {} -I -S \"$@\"\n", python.trim()),
    )
    .unwrap();
    let program = place.path().join("transformers");
    std::fs::write(
        &program,
        format!("#!{}\nimport transformers\n", script.display()),
    )
    .unwrap();
    for file in [&script, &program] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let strategy = strategy(Settings {
        program: Some(program),
        ..Settings::default()
    });
    let environment = strategy.setup_environment();
    let missing = environment.missing().unwrap();
    assert!(
        missing.found.contains("lacks transformers, torch"),
        "{missing:?}"
    );
    assert!(
        missing
            .remedy
            .contains("pip install 'transformers[serving]' torch"),
        "{missing:?}"
    );
    let error = strategy
        .deploy_model(&directory(), &mut |_| true)
        .unwrap_err();
    assert_eq!(error.fault, Fault::Missing);
    assert_eq!(strategy.health().state, State::Off);
}

#[test]
fn what_is_no_directory_is_refused_with_a_way_out() {
    let place = tempfile::tempdir().unwrap();
    let strategy = strategy(Settings {
        command: fake(place.path(), &[]).command,
        ..Settings::default()
    });
    let refused = |model| {
        let error = strategy
            .deploy_model(&Deployment::of(model), &mut |_| true)
            .unwrap_err();
        assert_eq!(error.fault, Fault::Model);
        error.to_string()
    };
    let file = refused(ModelRef::File("m.gguf".into()));
    assert!(
        file.contains("tritone convert m.gguf --type safetensors"),
        "{file}"
    );
    let empty = refused(ModelRef::Directory(place.path().to_owned()));
    assert!(empty.contains("config.json"), "{empty}");
    assert!(
        !place.path().join("record").exists(),
        "no server was started"
    );
}

#[test]
fn a_server_that_runs_already_is_attached_to_and_left_running() {
    let place = tempfile::tempdir().unwrap();
    let mut command = fake(place.path(), &[]).command;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let at = command.iter().position(|word| word == "{port}").unwrap();
    command[at] = port.to_string();
    let mut server = Command::new(&command[0])
        .args(&command[1..])
        .env("LLAMA_API_KEY", env!("CARGO_PKG_NAME"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let at = |key_variable: &str| Settings {
        url: Some(format!("http://127.0.0.1:{port}")),
        key_variable: Some(key_variable.to_owned()),
        ..Settings::default()
    };
    let guard = || Guard::of(tritone());
    let unset = Transformers::new(at("TRITONE_NO_SUCH_VARIABLE"), guard())
        .err()
        .unwrap();
    assert_eq!(unset.fault, Fault::Missing);
    // Cargo sets it: the name of this package.
    let strategy = Transformers::new(at("CARGO_PKG_NAME"), guard()).unwrap();
    // It has just begun to listen, or will in a moment.
    crate::harness::until("it answers", || strategy.setup_environment().is_usable());
    strategy.deploy_model(&directory(), &mut |_| true).unwrap();
    assert_eq!(
        strategy.generate(chat("Hi")).unwrap().wait(None).unwrap().0,
        "Hello there."
    );
    strategy.shutdown();
    drop(strategy);
    assert!(runs(u64::from(server.id())));
    server.kill().unwrap();
    server.wait().unwrap();
}
