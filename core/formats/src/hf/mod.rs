//! Model directories in the layout of the transformers library, as the contents of a GGUF file.
//!
//! | file | what of it |
//! |---|---|
//! | `config.json` | shape, and how weights are stored (`quantization_config`) |
//! | `model.safetensors`, or several | weights |
//! | `tokenizer.json`, `tokenizer_config.json` | BPE of bytes or of SentencePiece's pieces: tokens, merges, the rule that cuts words |
//! | `generation_config.json` | more tokens that end an answer |
//! | chat template | in `tokenizer_config.json`, `chat_template.jinja` or `chat_template.json` |
//!
//! Ternary weights come in four ways. *Packed*: bytes of four codes, the first quarter of the rows
//! in the lowest bits, with `weight_scale`, by which is multiplied (`linear_class` `autobitlinear`)
//! or divided (`bitlinear`, and if nothing is said). *Online*: master weights, of which
//! `round(w / mean|w|)` is taken, as transformers does on every forward pass. *Unpacked*: floats that lie
//! on a ternary grid already, where there is no `quantization_config`.

mod config;
mod export;
mod plan;
mod tensors;
mod tokenizer;

pub use export::{HfDtype, HfExport, HfPart};
pub use plan::{HfPlan, HfTensor};
pub use tokenizer::HfTokenizer;

use config::{Config, Stored};
use tensors::Tensors;

use crate::codec::{CodecError, OffGrid};
use crate::write::WriteError;

/// The files of a directory. Only `config` and `shards` have to be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct HfFiles<'a> {
    /// `config.json`.
    pub config: &'a str,
    /// `tokenizer.json`.
    pub tokenizer: Option<&'a str>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<&'a str>,
    /// `generation_config.json`.
    pub generation_config: Option<&'a str>,
    /// `chat_template.jinja`, or `chat_template` of `chat_template.json`.
    pub chat_template: Option<&'a str>,
    /// All safetensors files.
    pub shards: &'a [&'a [u8]],
}

/// A directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HfError {
    /// A file is not the JSON that is expected.
    #[error("{file}: {source}")]
    Json {
        /// Which one.
        file: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A safetensors file is damaged.
    #[error("safetensors file {number}: {source}")]
    Shard {
        /// Which one, from 1.
        number: usize,
        /// What the parser says.
        source: safetensors::SafeTensorError,
    },
    /// The configuration asks for something that is not supported, or makes no sense.
    #[error("config.json: {0}")]
    Config(String),
    /// The tokenizer is of a kind that is not supported.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
    /// A tensor is missing, or is not what the configuration says.
    #[error("tensor '{name}': {what}")]
    Tensor {
        /// Its name in the directory.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// Weights that are floats and not ternary ones.
    #[error("tensor '{name}': {source}")]
    OffGrid {
        /// Its name in the directory.
        name: String,
        /// The first value that shows it.
        source: OffGrid,
    },
    /// Ternary weights with scales that no type holds exactly.
    #[error("tensor '{name}': no type holds its scales ({scales}) exactly in rows of {columns}")]
    NoType {
        /// Its name in the directory.
        name: String,
        /// How far a scale reaches.
        scales: String,
        /// Its row length.
        columns: usize,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// A tensor that does not fit into the wanted type.
    #[error("tensor '{name}': {source}")]
    Codec {
        /// Its name in the directory.
        name: String,
        /// Why.
        source: CodecError,
    },
    /// A model file that cannot be written as a directory.
    #[error("it cannot be written as a model directory: {0}")]
    Export(String),
    /// The GGUF file cannot be planned.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Checks a `config.json` by itself, as when the weights are not there yet.
///
/// # Errors
///
/// When it is damaged or asks for what is not supported.
pub fn check_config(config: &str) -> Result<(), HfError> {
    Config::new(config).map(|_| ())
}

/// A directory, checked.
#[derive(Debug)]
pub struct HfModel<'a> {
    config: Config,
    tensors: Tensors<'a>,
    tokenizer: HfTokenizer,
}

impl<'a> HfModel<'a> {
    /// Reads configuration, tokenizer and the headers of the weights.
    ///
    /// # Errors
    ///
    /// When a file is damaged or asks for what is not supported.
    pub fn new(files: &HfFiles<'a>) -> Result<Self, HfError> {
        let config = Config::new(files.config)?;
        let tensors = Tensors::new(files.shards)?;
        // Bounds the vocabulary by what is there, before anything is made for every token.
        let table = [config.vocab as usize, config.hidden as usize];
        tensors.floats(&format!("{}embed_tokens.weight", tensors.prefix()), &table)?;
        let tokenizer = HfTokenizer::with(files, &config)?;
        Ok(Self {
            config,
            tensors,
            tokenizer,
        })
    }

    /// Takes floats for master weights, though nothing says that they are.
    pub fn ternarise(&mut self) {
        if self.config.stored == Stored::Grid {
            self.config.stored = Stored::Online;
        }
    }

    /// What the user should know.
    pub fn notices(&self) -> Vec<String> {
        self.tokenizer.notices().to_vec()
    }
}

fn json<'de, T: serde::Deserialize<'de>>(file: &'static str, text: &'de str) -> Result<T, HfError> {
    serde_json::from_str(text).map_err(|source| HfError::Json { file, source })
}
