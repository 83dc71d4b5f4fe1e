use std::borrow::Cow;

use tritone_formats::{GgufError, GgufFile, StrArray};

/// Where a space is put in front of text that a vocabulary of pieces is to encode. Text between two
/// control tokens is a part of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpacePrefix {
    /// Nowhere.
    #[default]
    None,
    /// In front of every part.
    Always,
    /// In front of every part that does not begin with one.
    Missing,
    /// In front of a text that begins with neither a control token nor a space.
    First,
}

impl SpacePrefix {
    /// The value of `tritone.tokenizer.space_prefix`, which says what `add_space_prefix` cannot.
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "always" => Some(Self::Always),
            "missing" => Some(Self::Missing),
            "first" => Some(Self::First),
            _ => None,
        }
    }
}

/// What a tokenizer is built from: the `tokenizer.ggml.*` keys of a GGUF file, or their equals
/// from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct TokenizerSpec<'a> {
    /// `tokenizer.ggml.model`: the family. `gpt2` is byte-level BPE; `llama` has pieces of text, as
    /// SentencePiece makes them, and tokens for single bytes.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`: the rule that cuts text into words; for `gpt2` only.
    pub pre: Option<&'a str>,
    /// `general.architecture`: decides what to do where keys are missing.
    pub architecture: &'a str,
    /// `tokenizer.ggml.tokens`, by id. Ordinary ones are spelled in the byte alphabet of GPT-2, or
    /// for `llama` with U+2581 for a space.
    pub tokens: Vec<&'a [u8]>,
    /// `tokenizer.ggml.merges` by rank: two tokens with a space between them. A `llama` file need not
    /// have any: then `scores` tell what is merged first.
    pub merges: Vec<&'a [u8]>,
    /// `tokenizer.ggml.scores` by id, for `llama`: of the pieces that two others can become the one
    /// with the highest score comes first.
    pub scores: Cow<'a, [f32]>,
    /// `tokenizer.ggml.token_type` by id (1 normal, 2 unknown, 3 control, 4 user-defined,
    /// 5 unused, 6 byte). Empty if the file has none.
    pub token_types: Cow<'a, [i32]>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub pad: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`: a prompt begins with the BOS token.
    pub add_bos: bool,
    /// `tokenizer.ggml.add_eos_token`: a document for embedding ends with the EOS token.
    pub add_eos: bool,
    /// `tokenizer.ggml.add_space_prefix`, or `tritone.tokenizer.space_prefix`; for `llama` only.
    pub space_prefix: SpacePrefix,
    /// `tritone.tokenizer.nfc`: text is brought to normalization form C first. By `pre` if the file
    /// does not say it, as no other program's files do.
    pub nfc: Option<bool>,
    /// `tritone.tokenizer.ignore_merges`: a word that is a token is that token, whatever the merges
    /// would make of it. By `pre` if the file does not say it.
    pub ignore_merges: Option<bool>,
}

impl<'a> TokenizerSpec<'a> {
    /// The keys of a file.
    ///
    /// # Errors
    ///
    /// If a key that every file must have is missing, or one has another type.
    pub fn from_gguf<B: AsRef<[u8]>>(
        file: &'a GgufFile<B>,
        architecture: &'a str,
    ) -> Result<Self, GgufError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let id = |name: &str| file.value::<u32>(&key(name));
        let flag = |name: &str| file.value::<bool>(name);
        let model = file.require(&key("model"))?;
        let pre = file.value(&key("pre"))?;
        let tokens: StrArray<'_> = file.require(&key("tokens"))?;
        let merges: Option<StrArray<'_>> = file.value(&key("merges"))?;
        let scores: Option<Vec<f32>> = file.value(&key("scores"))?;
        let types: Option<Vec<i32>> = file.value(&key("token_type"))?;
        let named = file.value::<&str>("tritone.tokenizer.space_prefix")?;
        let space_prefix = match named.and_then(SpacePrefix::from_name) {
            Some(prefix) => prefix,
            None if model != "llama" => SpacePrefix::None,
            None => match flag(&key("add_space_prefix"))? {
                Some(false) => SpacePrefix::None,
                Some(true) | None => SpacePrefix::Always,
            },
        };
        // These families have no BOS token, though their files name one.
        let without_bos = matches!(pre, Some("qwen2" | "qwen35"));
        Ok(Self {
            model,
            pre,
            architecture,
            tokens: tokens.iter().collect(),
            merges: merges.iter().flat_map(StrArray::iter).collect(),
            scores: scores.unwrap_or_default().into(),
            token_types: types.unwrap_or_default().into(),
            bos: id("bos_token_id")?,
            eos: id("eos_token_id")?,
            eot: id("eot_token_id")?,
            pad: id("padding_token_id")?,
            add_bos: flag(&key("add_bos_token"))?.unwrap_or(!without_bos),
            add_eos: flag(&key("add_eos_token"))?.unwrap_or(false),
            space_prefix,
            nfc: flag("tritone.tokenizer.nfc")?,
            ignore_merges: flag("tritone.tokenizer.ignore_merges")?,
        })
    }
}
