//! A model file before a foreign program reads it. Such programs add up sizes without looking whether they fit; a file that
//! our own reader has refused never reaches them.

use std::path::Path;

use tritone_engine::{ModelSource, open_gguf};

use crate::child::Log;
use crate::deployment::ModelRef;
use crate::error::{Fault, StrategyError};

/// What a model file says of itself.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) architecture: String,
    /// Positions it was trained for.
    pub(super) context: Option<usize>,
    pub(super) parameters: u64,
    pub(super) bytes: u64,
}

/// The file of a model, by its whole path.
///
/// # Errors
/// When it is no file.
pub(super) fn file_of(model: &ModelRef) -> Result<&Path, StrategyError> {
    let no = |what: &str, remedy: &str| Err(StrategyError::new(Fault::Model, what).remedy(remedy));
    match model {
        ModelRef::File(path) => Ok(path),
        ModelRef::Directory(path) => no(
            &format!(
                "{} is a directory, and a server of llama.cpp's family reads GGUF files",
                path.display()
            ),
            &format!(
                "convert it first: tritone convert {} --type tq2_0",
                path.display()
            ),
        ),
        ModelRef::Embedded => no(
            "the embedded model has no file that another program could read",
            "name a GGUF file",
        ),
        ModelRef::Named(name) => no(
            &format!("'{name}' is the name of a model at some server, and not a GGUF file"),
            "name a GGUF file",
        ),
    }
}

/// Reads the head of a model file, with all sizes checked.
///
/// # Errors
/// When it is not a sound GGUF file.
pub(super) fn check(path: &Path) -> Result<Facts, StrategyError> {
    let file = open_gguf(&ModelSource::File(path.to_owned())).map_err(|error| {
        StrategyError::not_loaded(&error).remedy("take another file, or fetch it again")
    })?;
    let word = |key: &str| file.value::<&str>(key).ok().flatten();
    let architecture = word("general.architecture").unwrap_or_default().to_owned();
    let context = file
        .get(&format!("{architecture}.context_length"))
        .and_then(|value| usize::try_from(value.integer()?).ok());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = word("general.name").unwrap_or(&stem).to_owned();
    let parameters = file.tensors().map(|tensor| tensor.elements() as u64).sum();
    let bytes = file.parts().map(|part| part.bytes().len() as u64).sum();
    Ok(Facts {
        name,
        architecture,
        context,
        parameters,
        bytes,
    })
}

/// Why a server did not start with a model, as its lines tell.
pub(super) fn read_log(log: &Log, server: &str, model: &Path) -> Option<StrategyError> {
    let model = model.display();
    let convert = format!(
        "write the weights in a type that it reads: tritone convert {model} --type tq2_0 (with --lossy where scales do not fit)"
    );
    let own = "use Tritone's own engine for it (the strategy `native`)".to_owned();
    let faults: [(&[&str], &str, &String); 4] = [
        (
            &[
                "invalid ggml type",
                "unknown type",
                "unknown ggml type",
                "removed, use",
                "multiple of block size",
            ],
            "does not read its types",
            &convert,
        ),
        (
            &["unknown model architecture", "unknown architecture"],
            "does not know its architecture",
            &own,
        ),
        (
            &[
                "failed to load model",
                "error loading model",
                "failed to load",
            ],
            "does not load it",
            &own,
        ),
        (
            &[
                "unrecognized argument",
                "invalid argument",
                "unknown argument",
                "error while handling argument",
            ],
            "does not take an argument",
            &own,
        ),
    ];
    faults.iter().find_map(|(words, what, remedy)| {
        let line = log.find(words)?;
        let text = format!("{server} {what} ({model}): {}", line.trim());
        let fault = if *what == "does not take an argument" {
            Fault::Unsupported
        } else {
            Fault::Model
        };
        Some(StrategyError::new(fault, text).remedy(*remedy))
    })
}
