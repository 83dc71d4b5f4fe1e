//! The tokenizer of the embedded model, built from its Hugging Face file.
#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod families;
pub(crate) mod large;
pub(crate) mod library;
pub(crate) mod oracle;

use std::path::PathBuf;

use oracle::Oracle;
use serde_json::Value;
use tritone_engine::text::{TextError, Tokenizer, TokenizerSpec};

pub(crate) fn model_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/tritone-tiny")
        .join(name)
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(model_file(name)).unwrap()).unwrap()
}

pub(crate) const BOS: u32 = 2032;
pub(crate) const END_OF_TEXT: u32 = 2033;
pub(crate) const EOT: u32 = 2041;

/// The lists of a model file, free to be spoilt by a test.
#[derive(Clone)]
pub(crate) struct Lists {
    pub(crate) tokens: Vec<Vec<u8>>,
    pub(crate) types: Vec<i32>,
    pub(crate) merges: Vec<Vec<u8>>,
}

impl Lists {
    pub(crate) fn tiny() -> Self {
        let file = json("hf/tokenizer.json");
        let mut tokens = vec![Vec::new(); 2048];
        let mut types = vec![1; 2048];
        for (text, id) in file["model"]["vocab"].as_object().unwrap() {
            tokens[id.as_u64().unwrap() as usize] = text.clone().into_bytes();
        }
        for token in file["added_tokens"].as_array().unwrap() {
            let id = token["id"].as_u64().unwrap() as usize;
            tokens[id] = token["content"].as_str().unwrap().to_owned().into_bytes();
            types[id] = 3;
        }
        let merges = file["model"]["merges"].as_array().unwrap();
        let part = |merge: &Value, at: usize| merge[at].as_str().unwrap().to_owned();
        let merges = merges
            .iter()
            .map(|m| format!("{} {}", part(m, 0), part(m, 1)).into_bytes());
        Self {
            tokens,
            types,
            merges: merges.collect(),
        }
    }

    pub(crate) fn spec(&self) -> TokenizerSpec<'_> {
        TokenizerSpec {
            model: "gpt2",
            pre: Some("llama-bpe"),
            architecture: "bitnet-b1.58",
            tokens: self.tokens.iter().map(Vec::as_slice).collect(),
            merges: self.merges.iter().map(Vec::as_slice).collect(),
            token_types: self.types.as_slice().into(),
            bos: Some(BOS),
            eos: Some(END_OF_TEXT),
            eot: Some(EOT),
            pad: Some(2036),
            add_bos: true,
            add_eos: false,
            ..TokenizerSpec::default()
        }
    }

    pub(crate) fn error(&self) -> TextError {
        Tokenizer::from_spec(&self.spec()).unwrap_err()
    }
}

pub(crate) fn tiny() -> Tokenizer {
    let (tokenizer, notices) = Tokenizer::from_spec(&Lists::tiny().spec()).unwrap();
    assert!(notices.is_empty());
    tokenizer
}

/// The same by the definition. With `literals`, the names of control tokens are those tokens.
pub(crate) fn tiny_oracle(literals: bool) -> Oracle {
    let file = json("hf/tokenizer.json");
    let vocab = file["model"]["vocab"].as_object().unwrap();
    let merges = file["model"]["merges"].as_array().unwrap();
    let added = file["added_tokens"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let id = |value: &Value| value.as_u64().unwrap() as u32;
    Oracle::new(
        vocab.iter().map(|(text, value)| (text.as_str(), id(value))),
        merges
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())),
        added
            .iter()
            .filter(|_| literals)
            .map(|token| (text(&token["content"]), id(&token["id"])))
            .collect(),
    )
}
