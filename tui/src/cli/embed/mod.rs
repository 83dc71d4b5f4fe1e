//! `tritone embed`: vectors of texts.

mod args;
mod texts;
mod write;

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use tritone_engine::{
    Capacity, EmbedRequest, Embedding, Engine, GenerateError, Input, Model, PendingEmbedding,
};

pub(crate) use args::EmbedArgs;
use write::About;

use super::args::CommonArgs;
use super::console::Console;
use super::interrupt::Interrupt;
use super::setup::Setup;

/// Runs the command.
pub(crate) fn run(
    args: &EmbedArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common)?;
    let interrupt = Interrupt::listen()?;
    let texts = texts::texts(args)?;
    let model = Arc::new(setup.open_and_say(console, &interrupt)?);
    let sequences = sequences(&setup, &model, texts.len().min(args.parallel.into()));
    let (options, more) = setup.options(&model, sequences);
    let mut line = console.progress();
    let engine = Engine::start(model, &options, &mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    line.clear();
    let (pooling, note) = engine.pooling(args.pooling);
    let mut notes = setup.notes.clone();
    notes.extend(more);
    notes.extend(engine.info().notices.iter().cloned());
    notes.extend(note);
    for note in &notes {
        console.note(note);
    }

    let mut work = Work {
        args,
        engine: &engine,
        // Enough that no place in a step stays empty.
        most: 2 * sequences,
        pending: VecDeque::new(),
    };
    let mut embeddings = Vec::new();
    for index in 0..texts.len() {
        line.show(|| format!("embedding: {index} of {} texts", texts.len()));
        let embedding = work.next(&texts, index, &interrupt)?;
        if embedding.cut > 0 {
            let (all, context) = (embedding.tokens + embedding.cut, embedding.tokens);
            let note = format!(
                "text {} has {all} tokens and was cut to {context}; `--ctx` sets how many fit",
                index + 1
            );
            line.clear();
            console.note(&note);
            notes.push(note);
        }
        if args.compare.is_none() {
            write::one(args, index, &embedding)?;
        }
        // What is printed as it comes is not kept.
        if args.compare.is_some() || args.json || args.npy.is_some() || args.safetensors.is_some() {
            embeddings.push(embedding);
        }
    }
    line.clear();
    let about = About {
        model: &engine.info().name,
        pooling,
        normalized: !args.no_normalize,
        notices: &notes,
    };
    match &embeddings[..] {
        [a, b] if args.compare.is_some() => compare(args, &about, a, b)?,
        _ => write::all(args, &about, &embeddings)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Texts to read together: as many as wanted, or as fit the memory limit.
fn sequences(setup: &Setup, model: &Model, wanted: usize) -> usize {
    let chunk = setup.profile().prefill_chunk;
    let mut sequences = wanted.max(1);
    while sequences > 1 {
        let capacity = Capacity::new(setup.context(model), sequences, chunk);
        let plan = setup.plan(model, capacity).plan;
        if plan.is_some_and(|plan| plan.fits()) {
            break;
        }
        sequences /= 2;
    }
    sequences
}

/// Texts on their way.
struct Work<'a> {
    args: &'a EmbedArgs,
    engine: &'a Engine,
    /// Texts to hand in before the first is done.
    most: usize,
    pending: VecDeque<PendingEmbedding>,
}

impl Work<'_> {
    /// The vector of text `index`, those after it being read already.
    fn next(
        &mut self,
        texts: &[String],
        index: usize,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Embedding> {
        while self.pending.len() < self.most
            && let Some(text) = texts.get(index + self.pending.len())
        {
            let request = EmbedRequest {
                input: Input::Text(text.clone()),
                pooling: self.args.pooling,
                normalize: !self.args.no_normalize,
                truncate: !self.args.no_truncate,
            };
            self.pending.push_back(self.engine.embed(&request)?);
        }
        let first = self.pending.pop_front().ok_or(GenerateError::Stopped)?;
        interrupt.cancels(first.cancel_handle());
        Ok(first.wait()?)
    }
}

/// Prints how alike two vectors of length 1 are.
fn compare(
    args: &EmbedArgs,
    about: &About<'_>,
    a: &Embedding,
    b: &Embedding,
) -> anyhow::Result<()> {
    let products = a.vector.iter().zip(&b.vector);
    let cosine: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let mut out = io::stdout().lock();
    if args.json {
        let object = json!({
            "model": about.model,
            "pooling": about.pooling.name(),
            "tokens": [a.tokens, b.tokens],
            "cosine": cosine,
            "notices": about.notices,
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(out, "{cosine:.6}")?;
    }
    Ok(())
}
