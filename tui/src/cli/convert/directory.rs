//! A directory in the layout of the transformers library as the source.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use tritone_engine::{ModelBytes, ModelSource};
use tritone_formats::TensorType;
use tritone_formats::codec::{CodecError, Rounding};
use tritone_formats::hf::{HfError, HfFiles, HfModel};

use super::Job;

/// Longest text file that is read; tokenizers of 250 000 tokens take 20 MB.
const MOST_TEXT: u64 = 64 << 20;

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// `chat_template.json`.
#[derive(Deserialize)]
struct ChatTemplate {
    chat_template: String,
}

/// Reads the model of `directory`, and goes on with it, its name and its size in bytes.
pub(super) fn with_model<R>(
    directory: &Path,
    then: impl FnOnce(&HfModel<'_>, &str, u64) -> anyhow::Result<R>,
) -> anyhow::Result<R> {
    let reading = || format!("cannot read '{}'", directory.display());
    let text = |name: &str| read(&directory.join(name));
    let config = text("config.json")?.with_context(|| {
        let place = directory.display();
        format!("'{place}' has no config.json: it is no model directory")
    })?;
    let mut template = text("chat_template.jinja")?;
    if template.is_none()
        && let Some(json) = text("chat_template.json")?
    {
        let parsed: ChatTemplate = serde_json::from_str(&json).context("chat_template.json")?;
        template = Some(parsed.chat_template);
    }
    let (tokenizer, tokenizer_config, generation_config) = (
        text("tokenizer.json")?,
        text("tokenizer_config.json")?,
        text("generation_config.json")?,
    );
    let maps = shards(directory)?
        .iter()
        .map(|name| ModelBytes::open(&ModelSource::File(directory.join(name))))
        .collect::<Result<Vec<_>, _>>()?;
    let shards: Vec<&[u8]> = maps.iter().map(AsRef::as_ref).collect();
    let files = HfFiles {
        config: &config,
        tokenizer: tokenizer.as_deref(),
        tokenizer_config: tokenizer_config.as_deref(),
        generation_config: generation_config.as_deref(),
        chat_template: template.as_deref(),
        shards: &shards,
    };
    let model = HfModel::new(&files).with_context(reading)?;
    let name = directory.file_name().unwrap_or(directory.as_os_str());
    let size = shards.iter().map(|shard| shard.len() as u64).sum();
    then(&model, &name.to_string_lossy(), size)
}

/// Writes the model of `directory` as a GGUF file.
pub(super) fn convert(
    directory: &Path,
    job: &Job<'_>,
    rounding: Rounding,
) -> anyhow::Result<ExitCode> {
    with_model(directory, |model, name, size| {
        for notice in model.notices() {
            job.console.note(&notice);
        }
        let plan = model
            .plan(name, job.ty.unwrap_or(TensorType::I2S))
            .with_context(|| format!("cannot read '{}'", directory.display()))?;
        let tensors = plan.tensors.iter().map(|tensor| {
            let bytes: super::Bytes<'_> = Box::new(|| {
                let bytes = model.bytes(tensor, rounding);
                Ok(Cow::Owned(bytes.map_err(with_advice)?))
            });
            (tensor.name.clone(), bytes)
        });
        job.write(plan.writer, (name, size), tensors)
    })
}

fn with_advice(error: HfError) -> anyhow::Error {
    let inexact = matches!(
        &error,
        HfError::Codec {
            source: CodecError::InexactScale { .. },
            ..
        }
    );
    let error = anyhow::Error::new(error);
    if inexact {
        error.context("--lossy allows the nearest scale")
    } else {
        error
    }
}

/// The text of a file; `None` if it is not there.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let reading = || format!("cannot read '{}'", path.display());
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut text = String::new();
    let read = file.take(MOST_TEXT + 1).read_to_string(&mut text);
    let read = read.with_context(reading)?;
    anyhow::ensure!(
        read as u64 <= MOST_TEXT,
        "'{}' is longer than any file of its kind",
        path.display()
    );
    Ok(Some(text))
}

/// Names of the safetensors files.
fn shards(directory: &Path) -> anyhow::Result<BTreeSet<String>> {
    const INDEX: &str = "model.safetensors.index.json";
    let Some(index) = read(&directory.join(INDEX))? else {
        return Ok(BTreeSet::from(["model.safetensors".to_owned()]));
    };
    let index: Index = serde_json::from_str(&index).context(INDEX)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    for name in &names {
        let plain = !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref());
        anyhow::ensure!(
            plain,
            "{INDEX} names '{}', which is no file beside it",
            name.escape_default()
        );
    }
    Ok(names)
}
