//! `tritone logits`: what the model says after every token, in a file.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tritone_abi::{KvFormat, PAGE_TOKENS};
use tritone_engine::api::{Message, Role};
use tritone_engine::{
    Capacity, GenerateError, Input, LoadError, Model, Runner, RunnerOptions, Slice, Want,
};

use super::args::{CommonArgs, LogitsArgs};
use super::atomic::AtomicFile;
use super::console::Console;
use super::failure::BadRequest;
use super::interrupt::Interrupt;
use super::setup::Setup;

/// The longest file of token ids that is read.
const MAX_INPUT: u64 = 64 << 20;

/// Runs the command.
pub(crate) fn run(
    args: &LogitsArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common)?;
    let input = input(args)?;
    let interrupt = Interrupt::listen()?;
    let model = Arc::new(setup.open_and_say(console, &interrupt)?);
    let tokens = model.encode(&input)?;
    let trained = model.recipe().trained_context;
    if common.ctx.is_some() && tokens.len() > setup.profile().context {
        let (prompt, context) = (tokens.len(), setup.profile().context);
        return Err(GenerateError::PromptTooLong { prompt, context }.into());
    }
    let capacity = capacity(tokens.len(), args.chunk as usize);
    let mut forms = setup.forms(&model);
    if !setup.names_kv() {
        // Made to be compared with other programs, most of which round no keys and values.
        forms.kv = KvFormat::F32;
    }
    let kernel = setup.choose(&model).kernel;
    let planned = setup.plan_for(&model, &*kernel, forms, capacity);
    let mut notes = setup.notes.clone();
    notes.extend(planned.note);
    notes.extend(model.notices().iter().cloned());
    if tokens.len() > trained {
        notes.push(format!(
            "{} tokens, but the model was trained for {trained}",
            tokens.len()
        ));
    }
    for note in &notes {
        console.note(note);
    }
    let mut out = AtomicFile::create(&args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    let options = RunnerOptions {
        kernel,
        threads: setup.threads,
        capacity,
        forms,
        memory_limit: Some(planned.limit),
        pack_cache: setup.pack_cache(),
        mlock: setup.profile().mlock,
    };
    let mut line = console.progress();
    let mut runner = Runner::load(Arc::clone(&model), options, &mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    out.write_all(&header(&model, &runner, &tokens))
        .context("cannot write the logits")?;
    steps(&mut runner, &tokens, args.chunk as usize, |done, rows| {
        line.show(|| format!("computing: {done} of {} tokens", tokens.len()));
        if interrupt.is_pressed() {
            return Err(LoadError::Cancelled.into());
        }
        out.write_all(rows).context("cannot write the logits")
    })?;
    let ids: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token.to_le_bytes())
        .collect();
    out.write_all(&ids).context("cannot write the logits")?;
    out.finish()
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// One sequence, all of whose positions want logits.
fn capacity(tokens: usize, chunk: usize) -> Capacity {
    let rows = chunk.min(tokens);
    Capacity {
        context: tokens,
        batch: 1,
        rows,
        logit_rows: rows,
        kv_pages: tokens.div_ceil(PAGE_TOKENS),
        states: 1,
        beside: 0,
    }
}

/// Runs the tokens in chunks and gives the logits of each as little-endian bytes, with the number
/// of tokens done before.
fn steps(
    runner: &mut Runner,
    tokens: &[u32],
    chunk: usize,
    mut take: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pages = runner
        .reserve(tokens.len())
        .context("the KV cache is too small")?;
    let vocab = runner.model().recipe().vocab;
    let mut bytes = Vec::with_capacity(4 * vocab);
    let mut start = 0;
    for tokens in tokens.chunks(chunk) {
        runner.step(&[Slice {
            tokens,
            start,
            pages: &pages,
            want: Want::All,
        }])?;
        for row in 0..tokens.len() {
            bytes.clear();
            bytes.extend(
                runner
                    .logits(row)
                    .iter()
                    .flat_map(|logit| logit.to_le_bytes()),
            );
            take(start + row, &bytes)?;
        }
        start += tokens.len();
    }
    runner.release(pages);
    Ok(())
}

/// Length and JSON of a safetensors file: a little-endian `u64`, then the tensors' types, shapes
/// and places in the data, padded with spaces so that the data is aligned to 8 bytes.
fn header(model: &Model, runner: &Runner, tokens: &[u32]) -> Vec<u8> {
    let (positions, vocab) = (tokens.len(), model.recipe().vocab);
    let logits = 4 * positions * vocab;
    let tensors = json!({
        "__metadata__": {
            "model": model.recipe().name,
            "kernel": runner.kernel().facts().name,
            "program": concat!("tritone ", env!("CARGO_PKG_VERSION")),
        },
        "logits": { "dtype": "F32", "shape": [positions, vocab], "data_offsets": [0, logits] },
        "tokens": {
            "dtype": "U32",
            "shape": [positions],
            "data_offsets": [logits, logits + 4 * positions],
        },
    });
    let mut text = tensors.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    header
}

fn input(args: &LogitsArgs) -> anyhow::Result<Input> {
    match (&args.tokens, &args.prompt) {
        (Some(path), _) => Ok(Input::Tokens(token_ids(path)?)),
        (None, Some(text)) if args.chat => Ok(Input::Chat(vec![Message {
            role: Role::User,
            content: text.clone(),
        }])),
        (None, text) => Ok(Input::Text(text.clone().unwrap_or_default())),
    }
}

/// The ids in a JSON file.
fn token_ids(path: &Path) -> anyhow::Result<Vec<u32>> {
    use std::io::Read as _;
    let name = path.display();
    let mut text = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    file.take(MAX_INPUT + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {name}"))?;
    let bad = |why: String| BadRequest(format!("{name}: {why}"));
    if text.len() as u64 > MAX_INPUT {
        return Err(bad(format!("longer than {} MiB", MAX_INPUT >> 20)).into());
    }
    let ids = ids_of(&text).map_err(bad)?;
    Ok(ids)
}

fn ids_of(text: &[u8]) -> Result<Vec<u32>, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Array(items) = value else {
        return Err("expected a JSON array of token ids, such as [1, 2, 3]".to_owned());
    };
    let id = |(index, item): (usize, Value)| match item {
        Value::Array(_) => Err(format!(
            "element {index} is an array: a batch has to be written one sequence a file"
        )),
        item => item
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| format!("element {index} is no token id, which is a number from 0")),
    };
    items.into_iter().enumerate().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_are_one_array_of_numbers() {
        assert_eq!(ids_of(b" [0, 7, 4294967295] "), Ok(vec![0, 7, u32::MAX]));
        assert_eq!(ids_of(b"[]"), Ok(vec![]));
        let error = |text: &[u8]| ids_of(text).unwrap_err();
        assert!(error(b"[[1, 2]]").contains("one sequence a file"));
        assert!(error(b"[1, -2]").contains("element 1"));
        assert!(error(b"[1.5]").contains("element 0"));
        assert!(error(b"[4294967296]").contains("element 0"));
        assert!(error(b"{}").contains("JSON array"));
        assert!(error(b"[1,").contains("no JSON"));
    }
}
