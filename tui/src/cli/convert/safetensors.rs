//! A directory in the layout of the transformers library as the target.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tritone_engine::{ModelBytes, ModelSource, human_bytes, open_gguf};
use tritone_formats::codec::Rounding;
use tritone_formats::hf::{HfError, HfExport, HfPart};
use tritone_formats::{GgufFile, I2sLayout};

use crate::cli::atomic::AtomicDirectory;
use crate::cli::console::Console;
use crate::cli::directory::{self, Directory, with_advice};
use crate::cli::failure::{CANCELLED, Usage};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Meter, check_space};

/// Files of text that a directory is read with, and that are copied as they are.
const TEXTS: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
];

/// The model as a GGUF file, while a directory is converted.
const BETWEEN: &str = "between.gguf";

/// Where a directory is written, and how.
pub(super) struct Target<'a> {
    /// The directory.
    pub(super) path: &'a Path,
    /// Most bytes of a file of weights.
    pub(super) shard: u64,
    /// Where progress goes.
    pub(super) console: &'a Console,
}

/// Writes a model as a directory.
pub(super) fn convert(
    source: &ModelSource,
    layout: I2sLayout,
    target: &Target<'_>,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    if target.path.symlink_metadata().is_ok() {
        let why = format!(
            "'{}' is there already, and a directory is not replaced; choose another name with --out",
            target.path.display()
        );
        return Err(Usage(why).into());
    }
    let interrupt = Interrupt::listen()?;
    let writing = || format!("cannot write '{}'", target.path.display());
    let out = AtomicDirectory::create(target.path).with_context(writing)?;
    let from = match source {
        ModelSource::File(path) => directory::of(path),
        ModelSource::Open { .. } | ModelSource::Embedded { .. } => None,
    };
    let from = from.as_deref();
    let between = out.place().join(BETWEEN);
    let opened = match from {
        Some(directory) => {
            if !gather(directory, &between, target.console, &interrupt)? {
                return Ok(ExitCode::from(CANCELLED));
            }
            ModelSource::File(between.clone())
        }
        None => source.clone(),
    };
    let name = source.name();
    let reading = || format!("cannot convert '{name}'");
    let mut file = open_gguf(&opened)?;
    if from.is_none() {
        file.set_i2s_layout(layout).with_context(reading)?;
    }
    let export = match from {
        Some(_) => HfExport::weights(&file),
        None => HfExport::new(&file),
    };
    let export = export.with_context(reading)?;
    for notice in &export.notices {
        target.console.note(notice);
    }
    for (name, text) in &export.texts {
        fs::write(out.place().join(name), text).with_context(writing)?;
    }
    for name in TEXTS.iter().filter(|_| from.is_some()) {
        let copied = fs::copy(
            from.unwrap_or(Path::new("")).join(name),
            out.place().join(name),
        );
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => drop(copied.with_context(|| format!("cannot copy '{name}'"))?),
        }
    }
    let Some(size) = weights(&file, &export.tensors, &out, target, &interrupt)? else {
        return Ok(ExitCode::from(CANCELLED));
    };
    drop(file);
    if from.is_some() {
        fs::remove_file(between).with_context(writing)?;
    }
    out.finish().with_context(writing)?;
    writeln!(
        io::stdout(),
        "{}: {name} as a model directory, {} of weights in {:.1} s",
        target.path.display(),
        human_bytes(size),
        started.elapsed().as_secs_f64(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a directory as a GGUF file of a type that keeps every scale; whether it was not cancelled.
fn gather(
    place: &Path,
    into: &Path,
    console: &Console,
    interrupt: &Interrupt,
) -> anyhow::Result<bool> {
    let directory = Directory::read(place)?;
    let shards = directory.shards();
    let model = directory.model(&shards)?;
    let plan = model.plan(&directory.name(), None, &mut |_| !interrupt.is_pressed());
    let plan = match plan {
        Err(HfError::Stopped) => return Ok(false),
        plan => plan.map_err(with_advice)?,
    };
    check_space(into, plan.writer.file_len().saturating_mul(2))?;
    let mut meter = Meter::new(console, plan.writer.file_len());
    let out = BufWriter::with_capacity(1 << 20, File::create(into)?);
    let mut body = plan.writer.begin(out)?;
    for tensor in &plan.tensors {
        if interrupt.is_pressed() {
            return Ok(false);
        }
        let bytes = model.bytes(tensor, Rounding::Exact)?;
        body.write(&tensor.name, &bytes)?;
        meter.advance(bytes.len() as u64);
    }
    body.finish()?.flush()?;
    Ok(true)
}

/// Writes all tensors, as one file or several with an index. Their bytes; `None` if it was cancelled.
fn weights(
    file: &GgufFile<ModelBytes>,
    parts: &[HfPart],
    out: &AtomicDirectory,
    target: &Target<'_>,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<u64>> {
    let len = |part: &HfPart| {
        part.byte_len()
            .context("a tensor is too large")
            .map(|n| n as u64)
    };
    let mut shards: Vec<(u64, Vec<&HfPart>)> = Vec::new();
    let mut total = 0_u64;
    for part in parts {
        let bytes = len(part)?;
        total = total.saturating_add(bytes);
        match shards.last_mut() {
            Some((size, shard)) if *size + bytes <= target.shard => {
                *size += bytes;
                shard.push(part);
            }
            _ => shards.push((bytes, vec![part])),
        }
    }
    check_space(&out.place().join("model.safetensors"), total)?;
    let mut meter = Meter::new(target.console, total);
    let mut map = Map::new();
    for (i, (_, shard)) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            all => format!("model-{:05}-of-{all:05}.safetensors", i + 1),
        };
        let writing = || format!("cannot write '{name}'");
        let created = File::create(out.place().join(&name)).with_context(writing)?;
        let mut stream = BufWriter::with_capacity(1 << 20, created);
        stream.write_all(&header(shard)?).with_context(writing)?;
        for part in shard {
            if interrupt.is_pressed() {
                return Ok(None);
            }
            let bytes = part.bytes(file)?;
            stream.write_all(&bytes).with_context(writing)?;
            meter.advance(bytes.len() as u64);
            map.insert(part.name.clone(), Value::from(name.as_str()));
        }
        let written = stream.into_inner().map_err(io::IntoInnerError::into_error);
        written
            .and_then(|file| file.sync_all())
            .with_context(writing)?;
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        let path = out.place().join("model.safetensors.index.json");
        fs::write(&path, format!("{index:#}\n")).context("cannot write the index")?;
    }
    Ok(Some(total))
}

/// Length and JSON of a safetensors file, padded so that the data is aligned to 8 bytes.
fn header(shard: &[&HfPart]) -> anyhow::Result<Vec<u8>> {
    let mut tensors = Map::new();
    tensors.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0_usize;
    for part in shard {
        let len = part.byte_len().context("a tensor is too large")?;
        let end = start
            .checked_add(len)
            .context("the weights are too large")?;
        let entry = json!({
            "dtype": part.dtype.name(),
            "shape": part.shape,
            "data_offsets": [start, end],
        });
        tensors.insert(part.name.clone(), entry);
        start = end;
    }
    let mut text = Value::Object(tensors).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    Ok(header)
}
