//! A directory of the transformers library before a server reads it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::child::Log;
use crate::deployment::ModelRef;
use crate::error::{Fault, StrategyError};

/// Longest `config.json` that is read, in bytes.
const MOST_CONFIG: u64 = 4 << 20;

/// Files of one directory that are looked at.
const MOST_FILES: usize = 4096;

/// Files of which a directory has one at least, for the tokenizer.
const TOKENIZERS: [&str; 4] = [
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
];

/// What a directory says of its model.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) architecture: Option<String>,
    /// Positions it was trained for.
    pub(super) context: Option<usize>,
    /// Bytes of its weights.
    pub(super) bytes: u64,
}

/// The directory of a model.
///
/// # Errors
/// When it is none.
pub(super) fn directory_of(model: &ModelRef) -> Result<&Path, StrategyError> {
    let no =
        |what: String, remedy: String| Err(StrategyError::new(Fault::Model, what).remedy(remedy));
    match model {
        ModelRef::Directory(path) => Ok(path),
        ModelRef::File(path) => no(
            format!(
                "{} is a file, and the transformers library reads directories",
                path.display()
            ),
            format!(
                "write one: tritone convert {} --type safetensors",
                path.display()
            ),
        ),
        ModelRef::Embedded => no(
            "the embedded model has no directory that another program could read".to_owned(),
            "name a directory with config.json and safetensors files".to_owned(),
        ),
        ModelRef::Named(name) => no(
            format!("'{name}' is the name of a model, and not a directory"),
            "fetch it first (tritone pull), and name its directory".to_owned(),
        ),
    }
}

/// Looks whether a directory has what the library reads.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn check(directory: &Path) -> Result<Facts, StrategyError> {
    let shown = directory.display();
    let wrong = |what: String| {
        StrategyError::new(Fault::Model, what)
            .remedy("name a directory with config.json, tokenizer.json and safetensors files")
    };
    let config = directory.join("config.json");
    let mut text = String::new();
    fs::File::open(&config)
        .and_then(|file| file.take(MOST_CONFIG).read_to_string(&mut text))
        .map_err(|error| wrong(format!("cannot read {}: {error}", config.display())))?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("{} is not sound JSON: {error}", config.display())))?;
    let entries = fs::read_dir(directory)
        .map_err(|error| wrong(format!("cannot read the directory {shown}: {error}")))?;
    let weights = entries.take(MOST_FILES).flatten().filter(|entry| {
        let name = entry.file_name();
        let extension = Path::new(&name).extension().unwrap_or_default();
        extension == "safetensors" || extension == "bin"
    });
    // Directories of a download cache hold links.
    let bytes = weights.filter_map(|entry| fs::metadata(entry.path()).ok());
    let bytes: u64 = bytes.map(|facts| facts.len()).sum();
    if bytes == 0 {
        return Err(wrong(format!("{shown} has no weights (*.safetensors)")));
    }
    if !TOKENIZERS.iter().any(|name| directory.join(name).is_file()) {
        return Err(wrong(format!("{shown} has no tokenizer (tokenizer.json)")));
    }
    let number = |config: &Value| config["max_position_embeddings"].as_u64();
    let context = number(&config).or_else(|| number(&config["text_config"]));
    let name = directory.file_name().unwrap_or_default();
    Ok(Facts {
        name: name.to_string_lossy().into_owned(),
        architecture: config["model_type"].as_str().map(str::to_owned),
        context: context.and_then(|context| usize::try_from(context).ok()),
        bytes,
    })
}

/// Why a server did not start with a model, as its lines tell.
pub(super) fn read_log(log: &Log, server: &str, directory: &Path) -> Option<StrategyError> {
    let install = "install what it needs: pip install 'transformers[serving]' torch";
    let own = "use Tritone's own engine for it (the strategy `native`)";
    let faults: [(&[&str], Fault, &str, &str); 3] = [
        (
            &["no module named", "missing dependencies", "importerror"],
            Fault::Missing,
            "lacks a library",
            install,
        ),
        (
            &[
                "does not recognize this architecture",
                "unrecognized model",
                "not supported for now",
            ],
            Fault::Model,
            "does not know the architecture",
            own,
        ),
        (
            &[
                "safetensorerror",
                "does not appear to have",
                "size mismatch",
                "can't load tokenizer",
                "unrecognized processing class",
            ],
            Fault::Model,
            "does not load it",
            own,
        ),
    ];
    faults.iter().find_map(|(words, fault, what, remedy)| {
        let line = log.find(words)?;
        let text = format!("{server} {what} ({}): {}", directory.display(), line.trim());
        Some(StrategyError::new(*fault, text).remedy(*remedy))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_config_and_weights() {
        let place = tempfile::tempdir().unwrap();
        let said = |place: &Path| check(place).unwrap_err().to_string();
        assert!(said(place.path()).contains("config.json"));
        fs::write(place.path().join("config.json"), "{").unwrap();
        assert!(said(place.path()).contains("not sound JSON"));
        let config = r#"{"model_type": "bitnet", "text_config": {"max_position_embeddings": 99}}"#;
        fs::write(place.path().join("config.json"), config).unwrap();
        assert!(said(place.path()).contains("no weights"));
        fs::write(place.path().join("model.safetensors"), "1234567").unwrap();
        assert!(said(place.path()).contains("no tokenizer"));
        fs::write(place.path().join("tokenizer.json"), "{}").unwrap();
        let facts = check(place.path()).unwrap();
        assert_eq!((facts.context, facts.bytes), (Some(99), 7));
        assert_eq!(facts.architecture.as_deref(), Some("bitnet"));
        let file = ModelRef::File("m.gguf".into());
        let error = directory_of(&file).unwrap_err();
        assert!(error.remedy.contains("--type safetensors"), "{error}");
    }
}
