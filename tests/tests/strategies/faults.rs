//! What goes wrong, with its message, its kind and its remedy.

use std::path::PathBuf;
use std::time::Duration;

use tritone_engine::{Event, GenerateError};
use tritone_strategy::bitnet_cpp::Settings;
use tritone_strategy::{
    BitnetCpp, Deployment, Fault, Guard, ModelRef, State, Strategy as _, StrategyError,
};
use tritone_tests::{tiny, tritone};

use crate::harness::{Fake, events, model, runs, settings, until};

fn refused(strategy: &BitnetCpp, model: ModelRef) -> StrategyError {
    let error = strategy
        .deploy_model(&Deployment::of(model), &mut |_| true)
        .unwrap_err();
    assert_eq!(strategy.deployed(), None);
    assert_eq!(strategy.health().state, State::Off);
    error
}

#[test]
fn a_program_that_is_missing() {
    let settings = Settings {
        program: Some(PathBuf::from("/nowhere/llama-server")),
        ..Settings::default()
    };
    let strategy = BitnetCpp::new(settings, Guard::of(tritone()));
    let environment = strategy.setup_environment();
    let missing = environment.missing().unwrap();
    assert!(missing.remedy.contains("bitnet.cpp"), "{missing:?}");
    let error = refused(&strategy, model());
    assert_eq!(error.fault, Fault::Missing);
    assert!(
        error.what.contains("/nowhere/llama-server is missing"),
        "{error}"
    );
}

#[test]
fn a_port_that_another_took() {
    let fake = Fake::new(&[]);
    let flag = fake.place.path().join("taken");
    let settings = settings(fake.place.path(), &["--taken", flag.to_str().unwrap()]);
    let strategy = BitnetCpp::new(settings, Guard::of(tritone()));
    // The first start finds it taken, the second takes another.
    strategy
        .deploy_model(&Deployment::of(model()), &mut |_| true)
        .unwrap();
    let fake = Fake::new(&["--say", "bind: Address already in use", "--exit", "1"]);
    let error = refused(&fake.strategy, model());
    assert_eq!(error.fault, Fault::Port);
    assert!(error.remedy.contains("free port"), "{error}");
}

#[test]
fn a_crash_at_the_start() {
    let fake = Fake::new(&["--say", "the dog ate it", "--exit", "3"]);
    let error = refused(&fake.strategy, model());
    assert_eq!(error.fault, Fault::Crashed);
    assert!(
        error.what.contains("ended with exit code 3 at its start"),
        "{error}"
    );
    assert!(error.what.contains("the dog ate it"), "{error}");
    assert!(error.remedy.contains("by hand"), "{error}");
}

#[test]
fn a_model_that_the_server_does_not_read() {
    let line = "gguf_init_from_file_impl: tensor 'blk.0.attn_q.weight' has invalid ggml type 36";
    let fake = Fake::new(&["--say", line, "--exit", "1"]);
    let error = refused(&fake.strategy, model());
    assert_eq!(error.fault, Fault::Model);
    assert!(error.what.contains("invalid ggml type 36"), "{error}");
    assert!(error.remedy.contains("tritone convert"), "{error}");
    let fake = Fake::new(&["--say", "std::bad_alloc", "--exit", "1"]);
    assert_eq!(refused(&fake.strategy, model()).fault, Fault::Memory);
}

#[test]
fn a_model_that_is_none() {
    let fake = Fake::new(&[]);
    let broken = fake.place.path().join("broken.gguf");
    let whole = std::fs::read(tiny().join("tritone-tiny-i2_s.gguf")).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let error = refused(&fake.strategy, ModelRef::File(broken));
    assert_eq!(error.fault, Fault::Model);
    assert!(error.what.contains("broken.gguf"), "{error}");
    let error = refused(&fake.strategy, ModelRef::Directory(tiny().join("hf")));
    assert_eq!(error.fault, Fault::Model);
    assert!(error.remedy.contains("tritone convert"), "{error}");
    assert_eq!(
        refused(&fake.strategy, ModelRef::Embedded).fault,
        Fault::Model
    );
    assert!(
        fake.pids().is_empty(),
        "no server was started for any of them"
    );
}

#[test]
fn a_crash_in_the_middle_of_an_answer() {
    let fake = Fake::deployed(&["--say", "loaded well", "--grandchild"]);
    let events = events(fake.ask("crash"));
    let Some(Event::Failed(GenerateError::Text(why))) = events.last() else {
        panic!("{events:?}");
    };
    assert!(why.contains("was ended by signal 9"), "{why}");
    assert!(why.contains("loaded well"), "{why}");
    assert!(why.contains("it is started again"), "{why}");
    let texts = events
        .iter()
        .filter(|event| matches!(event, Event::Text { .. }));
    assert_eq!(texts.count(), 3, "what was written stands");
    let state = fake.strategy.health();
    assert_eq!(state.state, State::Starting, "{state:?}");
    let error = fake
        .strategy
        .generate(crate::harness::chat("Hi"))
        .unwrap_err();
    assert_eq!(error.fault, Fault::Crashed);
    // Its child has gone with it, and it comes back by itself.
    let old = fake.pids();
    assert!(old.iter().all(|pid| !runs(*pid)), "{old:?}");
    until("it answers again", || fake.strategy.health().is_ready());
    assert_eq!(fake.ask("Hi").wait(None).unwrap().0, "Hello there.");
}

#[test]
fn a_server_that_hangs() {
    let fake = Fake::deployed(&[]);
    let before = fake.pids();
    let events = events(fake.ask("hang"));
    let Some(Event::Failed(GenerateError::Text(why))) = events.last() else {
        panic!("{events:?}");
    };
    assert!(why.contains("took longer than 2 s"), "{why}");
    assert!(why.contains("hangs and is started again"), "{why}");
    until("it has been started again", || {
        fake.pids().len() == 2 && fake.strategy.health().is_ready()
    });
    assert!(!runs(before[0]));
    assert_eq!(fake.ask("Hi").wait(None).unwrap().0, "Hello there.");
}

#[test]
fn a_server_that_computes_for_long_is_left_alone() {
    let fake = Fake::deployed(&[]);
    let events = events(fake.ask("think"));
    let Some(Event::Failed(GenerateError::Text(why))) = events.last() else {
        panic!("{events:?}");
    };
    assert!(why.contains("still computing"), "{why}");
    assert!(fake.strategy.health().is_ready());
    assert_eq!(fake.pids().len(), 1, "it was not started again");
}

#[test]
fn a_start_that_takes_long() {
    let fake = Fake::new(&["--loads", "0.6"]);
    let mut looks = 0;
    let look = &mut |progress: tritone_engine::LoadProgress| {
        if progress.stage == "starting the server" {
            assert!(progress.total > 1 << 20 && progress.done <= progress.total);
            looks += 1;
        }
        true
    };
    fake.strategy
        .deploy_model(&Deployment::of(model()), look)
        .unwrap();
    assert!(looks >= 3, "{looks}");

    // Given up.
    let fake = Fake::new(&["--loads", "1000"]);
    let give_up = &mut |_| fake.pids().is_empty();
    let error = fake
        .strategy
        .deploy_model(&Deployment::of(model()), give_up)
        .unwrap_err();
    assert_eq!(error.fault, Fault::Cancelled);
    assert!(fake.pids().iter().all(|pid| !runs(*pid)));

    // Given up while the server answers everything but the question.
    let fake = Fake::new(&["--mute"]);
    let give_up =
        &mut |progress: tritone_engine::LoadProgress| progress.stage != "waiting for a first token";
    let error = fake
        .strategy
        .deploy_model(&Deployment::of(model()), give_up)
        .unwrap_err();
    assert_eq!(error.fault, Fault::Cancelled);
    assert!(fake.pids().iter().all(|pid| !runs(*pid)));

    // Too long.
    let limited = Settings {
        start_limit_s: Some(1),
        ..settings(fake.place.path(), &["--loads", "1000", "--say", "reading"])
    };
    let strategy = BitnetCpp::new(limited, Guard::of(tritone()));
    let error = refused(&strategy, model());
    assert_eq!(error.fault, Fault::TimedOut);
    assert!(error.what.contains("did not answer within 1 s"), "{error}");
    assert!(error.remedy.contains("start_limit_s"), "{error}");
    std::thread::sleep(Duration::from_millis(50));
    assert!(
        fake.pids().iter().all(|pid| !runs(*pid)),
        "{:?}",
        fake.record()
    );
}
