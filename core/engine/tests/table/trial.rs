//! Whether a model runs as it should.

use std::path::Path;
use std::sync::Arc;

use tritone_engine::{Capacity, Model, ModelSource, Runner, RunnerOptions};

use crate::common::{kernels, logits};
use crate::reference::{Random, Shape, VOCAB};

/// Positions of the runners.
const CONTEXT: usize = 64;

/// What was found.
pub(crate) enum Outcome {
    /// One answer on all kernels, and the right one.
    Runs,
    /// What went wrong.
    Fails(String),
}

fn tokens() -> Vec<u32> {
    (0..24_u32)
        .map(|i| (i * i * 31 + i * 7) % VOCAB as u32)
        .collect()
}

/// Logits of the first kernel; all others have to give the same bits.
pub(crate) fn run(file: &Path) -> Result<Vec<Vec<f32>>, String> {
    let source = ModelSource::File(file.to_path_buf());
    let model = Model::open(&source).map_err(|error| error.to_string())?;
    let model = Arc::new(model);
    let mut first: Option<Vec<Vec<f32>>> = None;
    for kernel in kernels() {
        for (threads, chunk) in [(1, 24), (2, 7)] {
            let name = kernel.facts().name.clone();
            let capacity = Capacity {
                rows: 48,
                logit_rows: 48,
                ..Capacity::new(CONTEXT, 1, 64)
            };
            let options = RunnerOptions {
                threads,
                ..RunnerOptions::new(Arc::clone(&kernel), capacity)
            };
            let runner = Runner::load(Arc::clone(&model), options, &mut |_| true);
            let mut runner = runner.map_err(|error| error.to_string())?;
            let got = logits(&mut runner, &tokens(), chunk);
            let bits = |rows: &[Vec<f32>]| -> Vec<u32> {
                rows.iter().flatten().map(|x| x.to_bits()).collect()
            };
            if bits(first.get_or_insert_with(|| got.clone())) != bits(&got) {
                return Err(format!("{name} with {threads} threads differs"));
            }
        }
    }
    first.ok_or_else(|| "there is no kernel".to_owned())
}

/// Runs a random model of this shape.
pub(crate) fn trial(shape: Shape) -> Outcome {
    let model = Random::new(shape, 7);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), model.file()).unwrap();
    let got = match run(file.path()) {
        Ok(got) => got,
        Err(why) => return Outcome::Fails(why),
    };
    let want = model.logits(&tokens(), CONTEXT);
    let (mut error, mut norm) = (0.0, 0.0);
    for (want, got) in want.iter().flatten().zip(got.iter().flatten()) {
        error += (want - f64::from(*got)).powi(2);
        norm += want.powi(2);
    }
    // A last bit may change a rounded activation by a step; anything wrong is off by much more.
    match (error / norm).sqrt() {
        off if off <= 0.02 => Outcome::Runs,
        off => Outcome::Fails(format!("off by {:.0} %", 100.0 * off)),
    }
}
