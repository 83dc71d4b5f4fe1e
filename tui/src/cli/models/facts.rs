//! What a model is and whether it runs here, from headers only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use tritone_engine::{Model, ModelSource, Recipe, open_gguf};
use tritone_formats::hf::check_config;
use tritone_formats::{GgufFile, TensorType};

use super::scan::Entry;

/// Longest header that is read. Vocabularies of 250 000 tokens take 15 MB.
const MOST_HEADER: u64 = 256 << 20;
/// Longest `config.json` that is read.
const MOST_CONFIG: u64 = 1 << 20;

/// Whether this program runs a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    Yes,
    /// Its weights are not ternary, as far as their type tells.
    NotTernary,
    /// Something else is missing.
    No(String),
}

/// What is known of a model.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) architecture: Option<String>,
    /// What the weights of the layers are stored as.
    pub(crate) ty: String,
    pub(crate) parameters: Option<u64>,
    pub(crate) runs: Runs,
}

impl Facts {
    /// Why it does not run; `None` if it does.
    pub(crate) fn why_not(&self) -> Option<&str> {
        // Values of some published models are ternary though their type is not.
        let floats = ["floats", "F32", "F16", "BF16"].contains(&self.ty.as_str());
        match &self.runs {
            Runs::Yes => None,
            Runs::NotTernary if floats => Some(
                "floats; if their values are ternary, `tritone convert` makes a file that runs",
            ),
            Runs::NotTernary => Some("not ternary"),
            Runs::No(why) => Some(why),
        }
    }

    /// Of something that cannot be read.
    fn unknown(why: String) -> Self {
        Self {
            architecture: None,
            ty: "?".to_owned(),
            parameters: None,
            runs: Runs::No(why),
        }
    }
}

/// Reads the header of the model.
#[expect(
    clippy::redundant_closure,
    reason = "the function by itself is not general enough over lifetimes"
)]
pub(crate) fn facts(entry: &Entry) -> Facts {
    if entry.is_directory {
        return directory(&entry.path);
    }
    let source = ModelSource::File(entry.path.clone());
    let read = || {
        if entry.files > 1 {
            // Headers of all parts; their data is mapped and not touched.
            return open_gguf(&source)
                .map(|file| of_header(&file))
                .map_err(|error| error.to_string());
        }
        let mut file = File::open(&entry.path).map_err(|error| error.to_string())?;
        let len = file.metadata().map_err(|error| error.to_string())?.len();
        with_header(&mut file, len, |file| of_header(file))
    };
    let mut facts = read().unwrap_or_else(Facts::unknown);
    // Opening looks at the tokenizer, which takes a while; the usual kind is known to be supported.
    if facts.runs == Runs::Yes
        && needs_a_closer_look(&entry.path)
        && let Err(error) = Model::open(&source)
    {
        facts.runs = Runs::No(error.to_string());
    }
    facts
}

/// Whether the tokenizer is of another kind than byte-level BPE.
fn needs_a_closer_look(path: &Path) -> bool {
    let usual = || {
        let mut file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let usual =
            |file: &GgufFile<&[u8]>| file.value::<&str>("tokenizer.ggml.model") == Ok(Some("gpt2"));
        with_header(&mut file, len, usual).ok()
    };
    usual() != Some(true)
}

/// Hands over the header of a GGUF file of `len` bytes, of which no more is read than is needed.
pub(crate) fn with_header<T>(
    file: &mut impl Read,
    len: u64,
    work: impl FnOnce(&GgufFile<&[u8]>) -> T,
) -> Result<T, String> {
    let mut bytes = Vec::new();
    let mut wanted = 1 << 20;
    loop {
        let more = file.take(wanted - bytes.len() as u64);
        let read = { more }.read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        match GgufFile::header(bytes.as_slice(), len) {
            Ok(Some(header)) => return Ok(work(&header)),
            Ok(None) if wanted >= MOST_HEADER => {
                return Err(format!(
                    "its header is longer than {} MiB",
                    MOST_HEADER >> 20
                ));
            }
            Ok(None) if (bytes.len() as u64) < wanted.min(len) => {
                return Err("it became shorter while it was read".to_owned());
            }
            Ok(None) => wanted *= 2,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What a header tells.
pub(crate) fn of_header<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Facts {
    let mut types: BTreeMap<&str, (u64, TensorType)> = BTreeMap::new();
    let mut parameters = 0_u64;
    for tensor in file.tensors() {
        let elements = tensor.elements() as u64;
        parameters = parameters.saturating_add(elements);
        if tensor.name().starts_with("blk.") {
            let (sum, _) = types.entry(tensor.ty().name()).or_insert((0, tensor.ty()));
            *sum = sum.saturating_add(elements);
        }
    }
    let most = types.values().max_by_key(|(sum, _)| *sum);
    let ty = most.map(|(_, ty)| *ty);
    let architecture = file.value::<&str>("general.architecture").ok().flatten();
    Facts {
        architecture: architecture.map(|name| name.chars().take(40).collect()),
        ty: ty.map_or_else(|| "-".to_owned(), |ty| ty.name().to_owned()),
        parameters: Some(parameters),
        runs: runs(file, ty),
    }
}

fn runs<B: AsRef<[u8]>>(file: &GgufFile<B>, ty: Option<TensorType>) -> Runs {
    // Ternary types of bitnet.cpp that depend on how it was built.
    let unreadable = |ty: TensorType| ["TL1", "TL2"].contains(&ty.name());
    match ty {
        Some(ty) if ty.is_ternary() => {}
        Some(ty) if unreadable(ty) => {
            let advice = ty.advice().unwrap_or("use the I2_S file");
            return Runs::No(format!("type {}: {advice}", ty.name()));
        }
        _ => return Runs::NotTernary,
    }
    match Recipe::from_gguf(file) {
        Err(why) => Runs::No(why),
        Ok(_) => Runs::Yes,
    }
}

/// What of `config.json` tells whether weights are ternary.
#[derive(Deserialize)]
struct Config {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
    quantization_config: Option<Quantization>,
}

#[derive(Deserialize)]
struct Quantization {
    quant_method: Option<String>,
}

/// A directory of the transformers library.
fn directory(path: &Path) -> Facts {
    let read = || {
        let mut text = String::new();
        let file = File::open(path.join("config.json")).map_err(|error| error.to_string())?;
        let read = file.take(MOST_CONFIG).read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        of_config(&text)
    };
    read().unwrap_or_else(|why| Facts::unknown(format!("config.json: {why}")))
}

/// What `config.json` tells.
pub(crate) fn of_config(text: &str) -> Result<Facts, String> {
    let config: Config = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let quantization = config.quantization_config.and_then(|q| q.quant_method);
    let ternary = quantization.as_deref() == Some("bitnet");
    let class = config.architectures.into_iter().flatten().next();
    let architecture = class.or(config.model_type);
    Ok(Facts {
        architecture: architecture.map(|name| name.chars().take(40).collect()),
        ty: if ternary { "packed" } else { "floats" }.to_owned(),
        parameters: None,
        runs: match (ternary, check_config(text)) {
            (true, Ok(())) => Runs::Yes,
            (true, Err(error)) => Runs::No(error.to_string()),
            (false, _) => Runs::NotTernary,
        },
    })
}
