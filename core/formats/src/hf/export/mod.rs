//! GGUF files as model directories of the transformers library.
//!
//! Ternary matrices become packed bytes with a direct `weight_scale` (`linear_class` `autobitlinear`,
//! `quantization_mode` `offline`): four codes a byte, the first quarter of the rows in the lowest bits.
//! That form has one scale a matrix, so that weights with scales of rows or groups are refused. Rows of
//! queries and keys of arch `llama` go back to the order of the library. Floats keep their values:
//! they are stored in bfloat16 where it holds all of a tensor, which is what they mostly came from.

mod config;
mod tensors;
mod tokenizer;

pub use tensors::{HfDtype, HfPart};

use super::HfError;
use crate::gguf::GgufFile;

/// A directory, planned: texts that are written as they are, and tensors.
#[derive(Debug)]
pub struct HfExport {
    /// Names and contents of files.
    pub texts: Vec<(&'static str, String)>,
    /// Tensors, in the order in which they are best written.
    pub tensors: Vec<HfPart>,
    /// What the user should know.
    pub notices: Vec<String>,
}

impl HfExport {
    /// Plans the directory of a model file. All scales are read.
    ///
    /// # Errors
    ///
    /// When the library has no class for the architecture that reads packed weights, or something in
    /// the file has no place in a directory; the reason says what to do.
    pub fn new<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Self, HfError> {
        let (mut this, model) = Self::plan(file)?;
        let texts = tokenizer::texts(file, &model, &mut this.notices)?;
        this.texts.extend(texts);
        Ok(this)
    }

    /// As [`new`](Self::new), without the files of the tokenizer, which are there already.
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn weights<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Self, HfError> {
        Self::plan(file).map(|(this, _)| this)
    }

    fn plan<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<(Self, config::Model), HfError> {
        let model = config::Model::new(file)?;
        let this = Self {
            texts: vec![("config.json", config::config(&model))],
            tensors: tensors::plan(file, &model)?,
            notices: Vec::new(),
        };
        Ok((this, model))
    }
}

/// What cannot be written, and the way out.
fn refuse<T>(what: impl Into<String>) -> Result<T, HfError> {
    Err(HfError::Export(what.into()))
}
