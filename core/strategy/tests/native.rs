//! The engine of this process as a strategy.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::path::PathBuf;
use std::sync::Arc;

use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Engine, EngineOptions, Event, FinishReason, Input, LoadProgress, ModelSource, Request,
};
use tritone_strategy::{
    Deployment, Fault, Loader, ModelRef, Native, State, Strategy as _, StrategyError,
};

/// Loads what it is told to on the scalar kernel.
struct Plain;

impl Loader for Plain {
    fn ready(&self) -> Result<String, String> {
        Ok("kernel scalar".to_owned())
    }

    fn load(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Engine, StrategyError> {
        let path = match &deployment.model {
            ModelRef::File(path) => path.clone(),
            _ => tiny(),
        };
        let options = EngineOptions {
            memory_limit: deployment.memory_limit,
            ..EngineOptions::new(Arc::new(tritone_scalar::Scalar))
        };
        Engine::load(&ModelSource::File(path), &options, progress)
            .map_err(|error| StrategyError::not_loaded(&error))
    }
}

fn tiny() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/tritone-tiny/tritone-tiny-i2_s.gguf")
}

fn chat(text: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(12),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
    }
}

#[test]
fn a_model_is_deployed_tried_and_ended() {
    let native = Native::new(Box::new(Plain));
    assert!(native.setup_environment().is_usable());
    assert_eq!(native.health().state, State::Off);
    let error = native.generate(chat("hi")).unwrap_err();
    assert_eq!(error.fault, Fault::NotDeployed);

    let deployment = Deployment::of(ModelRef::Embedded);
    let deployed = native.deploy_model(&deployment, &mut |_| true).unwrap();
    assert!(deployed.context.unwrap() > 0);
    assert_eq!(deployed.runs_on, "kernel scalar, 1 thread");
    assert!(native.health().is_ready());

    let trial = native.test_deployment();
    assert!(trial.works(), "{:?}", trial.faults);
    assert_eq!(trial.repeats, Some(true));
    assert_eq!(trial.same_text(&native.test_deployment()), Some(true));
    let found = native.performance_metrics();
    assert_eq!((found.answers, found.failed), (8, 0));
    assert!(found.decode_rate.unwrap() > 0.0);

    let width = native.embed(&["one".to_owned(), "two".to_owned()]).unwrap();
    assert_eq!(width.len(), 2);
    assert_eq!(width[0].len(), width[1].len());

    native.shutdown();
    assert_eq!(native.deployed(), None);
    native.deploy_model(&deployment, &mut |_| true).unwrap();
}

#[test]
fn an_answer_can_be_given_up() {
    let native = Native::new(Box::new(Plain));
    native
        .deploy_model(&Deployment::of(ModelRef::Embedded), &mut |_| true)
        .unwrap();
    let endless = Request {
        max_tokens: None,
        ignore_eos: true,
        ..chat("Count.")
    };
    let mut answer = native.generate(endless).unwrap();
    while !matches!(answer.next_event(), Some(Event::Text { .. })) {}
    answer.cancel_handle().cancel();
    let last = std::iter::from_fn(|| answer.next_event()).last();
    let Some(Event::Finished(finished)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(finished.reason, FinishReason::Cancelled);
    drop(answer);
    assert_eq!(native.performance_metrics().cancelled, 1);
}

#[test]
fn what_is_not_loaded_says_why() {
    let native = Native::new(Box::new(Plain));
    let mut deployment = Deployment::of(ModelRef::File("no such file.gguf".into()));
    let error = native.deploy_model(&deployment, &mut |_| true).unwrap_err();
    assert_eq!(error.fault, Fault::Model);
    assert!(error.what.contains("no such file"), "{error}");
    deployment = Deployment {
        memory_limit: Some(1 << 10),
        ..Deployment::of(ModelRef::Embedded)
    };
    let error = native.deploy_model(&deployment, &mut |_| true).unwrap_err();
    assert_eq!(error.fault, Fault::Memory);
    assert_eq!(native.health().state, State::Off);
}
