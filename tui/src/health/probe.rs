//! What one kernel says to the probe.

use std::fmt::Write as _;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use tritone_abi::Kernel;
use tritone_engine::{
    Capacity, EngineOptions, LoadError, Model, Runner, RunnerOptions, Slice, StepError, Want,
};

use super::Watch;

/// Tokens that every kernel adds.
const TOKENS: usize = 8;

/// What a kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The likeliest tokens, one after the other.
    tokens: Vec<u32>,
    /// SHA-256 of all logits, bit for bit, in hexadecimal.
    pub(super) logits: String,
}

/// Asks `kernel` to go on after `prompt`.
///
/// # Errors
/// When the kernel does not take the model, memory is missing, or `watch` ended it.
pub(super) fn ask(
    model: &Arc<Model>,
    kernel: &Arc<dyn Kernel>,
    options: &EngineOptions,
    prompt: &[u32],
    watch: Watch<'_>,
) -> Result<Said, LoadError> {
    let capacity = Capacity::new(prompt.len() + TOKENS, 1, prompt.len());
    let wanted = RunnerOptions {
        threads: options.threads,
        forms: options.forms,
        memory_limit: options.memory_limit,
        pack_cache: options.pack_cache.clone(),
        ..RunnerOptions::new(Arc::clone(kernel), capacity)
    };
    let mut runner = Runner::load(Arc::clone(model), wanted, &mut |progress| {
        watch(progress.stage)
    })?;
    let broken = |error: StepError| LoadError::Recipe {
        model: model.source().to_owned(),
        what: format!("kernel {} failed: {error}", kernel.facts().name),
    };
    let Some(pages) = runner.reserve(prompt.len() + TOKENS) else {
        return Err(LoadError::Recipe {
            model: model.source().to_owned(),
            what: "the KV cache has no room for the probe".to_owned(),
        });
    };
    let mut hash = Context::new(&SHA256);
    let mut said = Vec::with_capacity(TOKENS);
    let mut next = prompt.to_vec();
    let mut start = 0;
    for _ in 0..TOKENS {
        let slice = Slice {
            tokens: &next,
            start,
            pages: &pages,
            want: Want::Last,
        };
        runner.step(&[slice]).map_err(broken)?;
        start += next.len();
        let logits = runner.logits(0);
        for logit in logits.iter() {
            hash.update(&logit.to_le_bytes());
        }
        let token = likeliest(logits);
        said.push(token);
        next = vec![token];
    }
    runner.release(pages);
    let mut hex = String::new();
    for byte in hash.finish().as_ref() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(Said {
        tokens: said,
        logits: hex,
    })
}

/// The place of the highest logit, the lower of equals.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            best = (place, *logit);
        }
    }
    u32::try_from(best.0).unwrap_or(u32::MAX)
}
