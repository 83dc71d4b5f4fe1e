//! llama.cpp's own server, with the arguments that the strategy gives it.

use tritone_strategy::bitnet_cpp::Settings;
use tritone_strategy::{BitnetCpp, Guard};
use tritone_tests::tritone;

use crate::harness::given;
use crate::llama::{run, told};

fn strategy() -> BitnetCpp {
    let settings = Settings {
        program: Some(given("TRITONE_LLAMA_SERVER")),
        embeddings: true,
        ..Settings::default()
    };
    BitnetCpp::new(settings, Guard::of(tritone()))
}

#[test]
fn a_model_is_run() {
    run(&strategy());
}

#[test]
fn a_model_that_it_does_not_know_is_told() {
    told(&strategy());
}
