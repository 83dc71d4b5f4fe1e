//! Small tokenizers with the settings of published families, and what the libraries made of some
//! texts: `families/*.json`, written by `families.py`.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tritone_engine::text::{Tokenizer, TokenizerSpec};
use tritone_formats::GgufFile;
use tritone_formats::hf::{HfError, HfFiles, HfTokenizer};
use tritone_formats::write::GgufWriter;

/// A file of the directory.
pub(crate) fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/text_support/families")
        .join(name)
        .with_extension("json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A `config.json` for a vocabulary.
pub(crate) fn config(vocab: usize) -> String {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": vocab,
        "hidden_size": 256,
        "intermediate_size": 256,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "quantization_config": {"quant_method": "bitnet"},
    })
    .to_string()
}

/// The number of tokens of a `tokenizer.json`.
pub(crate) fn vocab_size(tokenizer: &Value) -> usize {
    let ids = tokenizer["model"]["vocab"].as_object().unwrap().values();
    let added = tokenizer["added_tokens"].as_array().unwrap().iter();
    let ids = ids.chain(added.map(|added| &added["id"]));
    1 + ids.map(|id| id.as_u64().unwrap() as usize).max().unwrap()
}

/// A GGUF file with the tokenizer of a directory, and what the user is told.
pub(crate) fn converted(
    tokenizer: &Value,
    config_of: &Value,
) -> Result<(GgufFile<Vec<u8>>, Vec<String>), HfError> {
    let (text, companion) = (tokenizer.to_string(), config_of.to_string());
    let config = config(vocab_size(tokenizer));
    let made = HfTokenizer::new(&HfFiles {
        config: &config,
        tokenizer: Some(&text),
        tokenizer_config: Some(&companion),
        ..HfFiles::default()
    })?;
    let mut plan = GgufWriter::new();
    made.plan(&mut plan).unwrap();
    let bytes = plan.begin(Vec::new()).unwrap().finish().unwrap();
    Ok((GgufFile::new(bytes).unwrap(), made.notices().to_vec()))
}

/// The tokenizer of a family, by way of a GGUF file.
pub(crate) fn tokenizer(family: &Value) -> Tokenizer {
    let (gguf, notices) = converted(&family["tokenizer"], &family["config"]).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let spec = TokenizerSpec::from_gguf(&gguf, "llama").unwrap();
    let (tokenizer, notices) = Tokenizer::from_spec(&spec).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    tokenizer
}

/// As `default` cuts words: there is no such setting of the library, so no directory has it.
pub(crate) fn default_tokenizer(family: &Value) -> Tokenizer {
    let mut like = family["tokenizer"].clone();
    like["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": false});
    let (gguf, _) = converted(&like, &family["config"]).unwrap();
    let mut spec = TokenizerSpec::from_gguf(&gguf, "llama").unwrap();
    spec.pre = Some("default");
    Tokenizer::from_spec(&spec).unwrap().0
}

/// A vocabulary with scores and without merges.
pub(crate) struct Scored {
    pub(crate) tokens: Vec<String>,
    pub(crate) scores: Vec<f32>,
    pub(crate) types: Vec<i32>,
}

impl Scored {
    pub(crate) fn new(file: &Value) -> Self {
        let list = |name: &str| file[name].as_array().unwrap().iter();
        Self {
            tokens: list("tokens")
                .map(|token| token.as_str().unwrap().into())
                .collect(),
            scores: list("scores")
                .map(|score| score.as_f64().unwrap() as f32)
                .collect(),
            types: list("types")
                .map(|kind| kind.as_i64().unwrap() as i32)
                .collect(),
        }
    }

    pub(crate) fn spec(&self) -> TokenizerSpec<'_> {
        TokenizerSpec {
            model: "llama",
            architecture: "bitnet",
            tokens: self.tokens.iter().map(String::as_bytes).collect(),
            scores: Cow::Borrowed(&self.scores),
            token_types: Cow::Borrowed(&self.types),
            ..TokenizerSpec::default()
        }
    }
}

/// A text and what a library makes of it.
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) plain: Ids,
    pub(crate) parsed: Ids,
    /// What the ids of `plain` decode to.
    pub(crate) decoded: String,
}

/// Ids, or their number and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    List(Vec<u32>),
    Hash(u64, String),
}

impl Ids {
    fn new(value: &Value) -> Self {
        match value.as_array() {
            Some(ids) => Self::List(ids.iter().map(|id| id.as_u64().unwrap() as u32).collect()),
            None => {
                let hash = value["fnv"].as_str().unwrap();
                Self::Hash(value["count"].as_u64().unwrap(), hash.to_owned())
            }
        }
    }

    /// Ids in the form that the file has for so many.
    pub(crate) fn of(ids: &[u32]) -> Self {
        if ids.len() <= 300 {
            return Self::List(ids.to_vec());
        }
        let step = |hash: u64, &id: &u32| (hash ^ u64::from(id)).wrapping_mul(0x0100_0000_01b3);
        let hash = ids.iter().fold(0xcbf2_9ce4_8422_2325, step);
        Self::Hash(ids.len() as u64, format!("{hash:016x}"))
    }
}

pub(crate) fn cases(file: &Value) -> Vec<Case> {
    let case = |case: &Value| {
        let times = case.get("times").map_or(1, |times| times.as_u64().unwrap());
        let text = case["text"].as_str().unwrap().repeat(times as usize);
        let plain = Ids::new(&case["plain"]);
        let decoded = case
            .get("decoded")
            .map(|text| text.as_str().unwrap().to_owned());
        Case {
            parsed: case.get("parsed").map_or_else(|| plain.clone(), Ids::new),
            plain,
            decoded: decoded.unwrap_or_else(|| text.clone()),
            text,
        }
    };
    file["cases"].as_array().unwrap().iter().map(case).collect()
}
