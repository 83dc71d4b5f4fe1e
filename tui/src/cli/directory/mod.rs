//! Model directories in the layout of the transformers library: `config.json`, safetensors, tokenizer.

pub(crate) mod cache;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use tritone_engine::{ModelBytes, ModelSource};
use tritone_formats::codec::CodecError;
use tritone_formats::hf::{HfError, HfFiles, HfModel};

/// Longest text file that is read; tokenizers of 250 000 tokens take 20 MB.
const MOST_TEXT: u64 = 64 << 20;
/// Lists the safetensors files where there are several.
const INDEX: &str = "model.safetensors.index.json";

/// What is read of [`INDEX`].
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// `chat_template.json`.
#[derive(Deserialize)]
struct ChatTemplate {
    chat_template: String,
}

/// The directory that `path` names, itself or by one of the files in it; `None` for other files.
pub(crate) fn of(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let name = path.file_name()?.to_str()?;
    let inside = name == "config.json" || name == INDEX || name.ends_with(".safetensors");
    let parent = path.parent().filter(|parent| *parent != OsStr::new(""));
    inside.then(|| parent.unwrap_or(Path::new(".")).to_owned())
}

/// The files of a directory: texts read, weights mapped.
pub(crate) struct Directory {
    /// Where it is.
    pub(crate) place: PathBuf,
    /// Name and content of the text files that are there.
    texts: BTreeMap<&'static str, String>,
    chat_template: Option<String>,
    /// Name and content of the safetensors files.
    weights: BTreeMap<String, ModelBytes>,
}

/// The text files that are read.
const TEXTS: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

impl Directory {
    /// Reads and maps the files; what is in them is not looked at.
    ///
    /// # Errors
    /// When it is no model directory, or a file cannot be read.
    pub(crate) fn read(place: &Path) -> anyhow::Result<Self> {
        let mut texts = BTreeMap::new();
        for name in TEXTS {
            if let Some(text) = read(&place.join(name))? {
                texts.insert(name, text);
            }
        }
        if !texts.contains_key("config.json") {
            let file = a_model_file(place);
            let place = place.display();
            return Err(match file {
                Some(file) => anyhow::anyhow!(
                    "'{place}' has no config.json: it is no model directory; name a file in it, such as \
                     '{}'",
                    file.display()
                ),
                None => anyhow::anyhow!("'{place}' has no config.json: it is no model directory"),
            });
        }
        let chat_template = match texts.get("chat_template.json") {
            Some(json) if !texts.contains_key("chat_template.jinja") => {
                let parsed: ChatTemplate =
                    serde_json::from_str(json).context("chat_template.json")?;
                Some(parsed.chat_template)
            }
            _ => texts.get("chat_template.jinja").cloned(),
        };
        let mut weights = BTreeMap::new();
        for name in shards(place)? {
            let bytes = ModelBytes::open(&ModelSource::File(place.join(&name)))?;
            weights.insert(name, bytes);
        }
        Ok(Self {
            place: place.to_owned(),
            texts,
            chat_template,
            weights,
        })
    }

    /// The last part of its path, for people.
    pub(crate) fn name(&self) -> String {
        let whole = self.place.canonicalize();
        let name = match &whole {
            Ok(whole) => whole.file_name(),
            Err(_) => self.place.file_name(),
        };
        let name = name.unwrap_or(self.place.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Bytes of the safetensors files.
    pub(crate) fn shards(&self) -> Vec<&[u8]> {
        self.weights.values().map(AsRef::as_ref).collect()
    }

    /// The model in it; `shards` are those of [`shards`](Self::shards).
    ///
    /// # Errors
    /// When a file is damaged or the model is not supported.
    pub(crate) fn model<'a>(&'a self, shards: &'a [&'a [u8]]) -> anyhow::Result<HfModel<'a>> {
        let text = |name: &str| self.texts.get(name).map(String::as_str);
        let files = HfFiles {
            config: text("config.json").unwrap_or_default(),
            tokenizer: text("tokenizer.json"),
            tokenizer_config: text("tokenizer_config.json"),
            generation_config: text("generation_config.json"),
            chat_template: self.chat_template.as_deref(),
            shards,
        };
        let names: Vec<&String> = self.weights.keys().collect();
        HfModel::new(&files).map_err(|error| match error {
            // Files have names here.
            HfError::Shard { number, source } => {
                let name = number.checked_sub(1).and_then(|i| names.get(i));
                let name = name.map_or("a safetensors file", |name| name.as_str());
                anyhow::Error::new(source).context(name.to_owned())
            }
            error => error.into(),
        })
    }
}

/// Says what helps, where something does.
pub(crate) fn with_advice(error: HfError) -> anyhow::Error {
    let advice = match &error {
        HfError::Codec {
            source: CodecError::InexactScale { .. },
            ..
        } => Some("--lossy allows the nearest scale"),
        HfError::OffGrid { .. } => Some(
            "only ternary models are run; `tritone convert DIRECTORY --ternarise absmean` rounds master \
             weights to ternary ones, which is right for models that were trained so, and ruins others",
        ),
        HfError::NoType { .. } => {
            Some("`tritone convert` with --type and --lossy rounds the scales")
        }
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match advice {
        Some(advice) => error.context(advice),
        None => error,
    }
}

/// A GGUF file in a directory.
fn a_model_file(directory: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(directory).ok()?.flatten();
    let mut files: Vec<_> = files
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("gguf")))
        .collect();
    files.sort();
    files.into_iter().next()
}

/// The text of a file; `None` if it is not there.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let reading = || format!("cannot read '{}'", path.display());
    // Something that is no file could block when it is opened.
    match path.metadata() {
        Ok(meta) => anyhow::ensure!(meta.is_file(), "{}: it is no file", reading()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    }
    let mut text = String::new();
    let file = fs::File::open(path).with_context(reading)?;
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
    let Some(index) = read(&directory.join(INDEX))? else {
        return Ok(BTreeSet::from(["model.safetensors".to_owned()]));
    };
    let index: Index = serde_json::from_str(&index).context(INDEX)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    anyhow::ensure!(!names.is_empty(), "{INDEX} names no file");
    for name in &names {
        let plain = Path::new(name).file_name() == Some(name.as_ref());
        anyhow::ensure!(
            plain && name.ends_with(".safetensors"),
            "{INDEX} names '{}', which is no safetensors file beside it",
            name.escape_default()
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_by_itself_or_by_its_files() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().to_owned();
        assert_eq!(of(&place), Some(place.clone()));
        for name in [
            "config.json",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            INDEX,
        ] {
            assert_eq!(of(&place.join(name)), Some(place.clone()), "{name}");
            assert_eq!(of(Path::new(name)), Some(PathBuf::from(".")), "{name}");
        }
        for name in ["model.gguf", "tokenizer.json", "safetensors", ""] {
            assert_eq!(of(&home.path().join("none").join(name)), None, "{name}");
        }
    }
}
