//! `transformers serve`, on the directory of the built-in model.

use tritone_engine::sample::Sampling;
use tritone_engine::{Input, Request};
use tritone_strategy::transformers::Settings;
use tritone_strategy::{Guard, ModelRef, Strategy as _, Transformers};
use tritone_tests::{tiny, tritone};

use crate::harness::{chat, give_up, given, shut_down, try_out};

#[test]
fn a_directory_is_run() {
    let settings = Settings {
        program: Some(given("TRITONE_TRANSFORMERS")),
        ..Settings::default()
    };
    let strategy = Transformers::new(settings, Guard::of(tritone())).unwrap();
    let directory = std::path::absolute(tiny().join("hf")).unwrap();
    let same = try_out(
        &strategy,
        ModelRef::Directory(directory.clone()),
        &directory,
    );
    assert_eq!(same, 3, "it computes what Tritone does");

    let text = Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(5),
        ..Request::new(Input::Text("The capital of".to_owned()))
    };
    let (text, _) = strategy.generate(text).unwrap().wait(None).unwrap();
    println!("  a text was continued: {text:?}");
    // What is chosen at random is chosen so, whatever the model was published with.
    let random = |seed| Request {
        sampling: Sampling {
            temperature: 2.0,
            top_k: 0,
            top_p: 1.0,
            seed,
            ..Sampling::default()
        },
        ..chat("Tell me a story.")
    };
    let answers: Vec<String> = [1, 2, 1]
        .map(|seed| {
            strategy
                .generate(random(seed))
                .unwrap()
                .wait(None)
                .unwrap()
                .0
        })
        .into();
    assert_ne!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    give_up(&strategy, "Count from one to ten.");
    assert!(strategy.embed(&["one".to_owned()]).is_err());
    shut_down(&strategy, directory.to_str().unwrap());
}
