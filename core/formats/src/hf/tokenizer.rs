//! `tokenizer.json` and its companions, as the keys of a GGUF file.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::config::{Config, Ids};
use super::{HfError, HfFiles, json};
use crate::write::{GgufWriter, Strings, WriteError};

/// Numbers of `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Words of the published expressions that tell the rules apart, and the rules' names.
const RULES: [(&str, &str); 3] = [
    (r"\p{N}{1,3}", "llama-bpe"),
    (r"[\p{L}\p{M}]+|\p{N}|", "qwen35"),
    (r"\p{L}+|\p{N}|", "qwen2"),
];

#[derive(Debug, Deserialize)]
struct Raw {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Debug, Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// A token as text, or as an object with its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Object { content: String },
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Object { content } => content,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Template {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Debug, Default, Deserialize)]
struct Companion {
    bos_token: Option<Name>,
    eos_token: Option<Name>,
    pad_token: Option<Name>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    chat_template: Option<Template>,
}

#[derive(Debug, Default, Deserialize)]
struct Generation {
    eos_token_id: Option<Ids>,
}

/// The keys.
#[derive(Debug)]
pub(super) struct Tokenizer {
    pre: &'static str,
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<String>,
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    pad: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    pub(super) notice: Option<String>,
}

impl Tokenizer {
    /// Reads the files; the second value is the chat template in them.
    pub(super) fn new(
        files: &HfFiles<'_>,
        config: &Config,
    ) -> Result<(Self, Option<String>), HfError> {
        let companion: Companion = match files.tokenizer_config {
            Some(text) => json("tokenizer_config.json", text)?,
            None => Companion::default(),
        };
        let generation: Generation = match files.generation_config {
            Some(text) => json("generation_config.json", text)?,
            None => Generation::default(),
        };
        let mut this = match files.tokenizer {
            Some(text) => Self::read(json("tokenizer.json", text)?, config, &companion)?,
            None => Self::bytes(config)?,
        };
        let named = |name: &Option<Name>| {
            let name = name.as_ref()?.text();
            this.tokens.iter().position(|token| token == name)
        };
        let id = |name: &Option<Name>| named(name).and_then(|id| u32::try_from(id).ok());
        let (bos, eos, pad) = (
            id(&companion.bos_token),
            id(&companion.eos_token),
            id(&companion.pad_token),
        );
        let mut ends = config.eos.clone();
        ends.extend(generation.eos_token_id.iter().flat_map(Ids::list));
        ends.extend(eos);
        // Bytes that stand for tokens are all ordinary ones.
        let known = files.tokenizer.is_some();
        let inside = |id: &u32| known && (*id as usize) < this.tokens.len();
        this.bos = config.bos.or(bos).filter(inside);
        this.pad = config.pad.or(pad).filter(inside);
        this.eos = ends.iter().copied().find(inside);
        let second = |id: &u32| inside(id) && Some(*id) != this.eos;
        this.eot = ends.iter().copied().find(second);
        let template = companion.chat_template.and_then(|template| match template {
            Template::One(text) => Some(text),
            Template::Named(list) => list
                .into_iter()
                .find(|one| one.name == "default")
                .map(|one| one.template),
        });
        Ok((this, template))
    }

    fn read(raw: Raw, config: &Config, companion: &Companion) -> Result<Self, HfError> {
        let refuse = |what: String| Err(HfError::Tokenizer(what));
        if raw.model.kind != "BPE" {
            let kind = raw.model.kind.escape_default();
            return refuse(format!(
                "model type '{kind}' is not supported; byte-level BPE is"
            ));
        }
        let pre = rule(raw.pre_tokenizer.as_ref())?;
        let size = config.vocab as usize;
        let mut tokens = vec![None; size];
        let mut types = vec![UNUSED; size];
        let kinds = raw
            .model
            .vocab
            .into_iter()
            .map(|(text, id)| (id, text, NORMAL));
        let added = raw.added_tokens.iter().map(|added| {
            let kind = if added.special { CONTROL } else { USER_DEFINED };
            (added.id, added.content.clone(), kind)
        });
        for (id, text, kind) in kinds.chain(added) {
            let Some(place) = tokens.get_mut(id as usize) else {
                return refuse(format!(
                    "token {id} lies outside the vocabulary of {size} tokens in config.json"
                ));
            };
            *place = Some(text);
            types[id as usize] = kind;
        }
        let filler = |(id, token): (usize, Option<String>)| {
            token.unwrap_or_else(|| format!("<|filler_{id}|>"))
        };
        let tokens: Vec<String> = tokens.into_iter().enumerate().map(filler).collect();
        let merges = raw.model.merges.into_iter().map(|merge| match merge {
            Merge::Text(text) => text,
            Merge::Pair(left, right) => format!("{left} {right}"),
        });
        let written = raw.post_processor.map(|post| post.to_string());
        let bos = companion.bos_token.as_ref().map(Name::text);
        let processed = match (written, bos) {
            (Some(post), Some(bos)) => post.contains(bos),
            // As llama.cpp takes it.
            _ => pre == "llama-bpe",
        };
        Ok(Self {
            pre,
            tokens,
            types,
            merges: merges.collect(),
            bos: None,
            eos: None,
            eot: None,
            pad: None,
            add_bos: companion.add_bos_token.unwrap_or(processed),
            add_eos: companion.add_eos_token.unwrap_or(false),
            notice: None,
        })
    }

    /// A token for every byte, where there is no tokenizer.
    fn bytes(config: &Config) -> Result<Self, HfError> {
        let size = config.vocab as usize;
        if size < 256 {
            let what = "there is none, and the vocabulary has less than 256 tokens";
            return Err(HfError::Tokenizer(what.to_owned()));
        }
        // The alphabet of GPT-2: printable bytes are themselves, others come from 256 on.
        let mut others = 256..;
        let bytes = (0..256).map(|byte| match byte {
            33..=126 | 161..=172 | 174..=255 => byte,
            _ => others.next().unwrap_or(byte),
        });
        let letter = |code| char::from_u32(code).map(String::from);
        let mut tokens: Vec<String> = bytes.filter_map(letter).collect();
        tokens.extend((tokens.len()..size).map(|id| format!("<|filler_{id}|>")));
        let mut types = vec![NORMAL; 256];
        types.resize(size, UNUSED);
        Ok(Self {
            pre: "gpt-2",
            tokens,
            types,
            merges: Vec::new(),
            bos: None,
            eos: None,
            eot: None,
            pad: None,
            add_bos: false,
            add_eos: false,
            notice: Some(
                "there is no tokenizer.json: every byte is taken for a token, so that text means \
                 nothing to the model; token ids do"
                    .to_owned(),
            ),
        })
    }

    /// Plans the keys.
    pub(super) fn plan(&self, plan: &mut GgufWriter) -> Result<(), WriteError> {
        plan.metadata("tokenizer.ggml.model", "gpt2")?
            .metadata("tokenizer.ggml.pre", self.pre)?
            .metadata("tokenizer.ggml.tokens", Strings(&self.tokens))?
            .metadata("tokenizer.ggml.token_type", &self.types[..])?
            .metadata("tokenizer.ggml.merges", Strings(&self.merges))?
            .metadata("tokenizer.ggml.add_bos_token", self.add_bos)?
            .metadata("tokenizer.ggml.add_eos_token", self.add_eos)?;
        let ids = [
            ("bos", self.bos),
            ("eos", self.eos),
            ("eot", self.eot),
            ("padding", self.pad),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                plan.metadata(&format!("tokenizer.ggml.{name}_token_id"), id)?;
            }
        }
        Ok(())
    }
}

/// The name of the rule that cuts text into words.
fn rule(pre_tokenizer: Option<&Value>) -> Result<&'static str, HfError> {
    let mut expressions = Vec::new();
    let (mut words_of_gpt2, mut punctuation, mut digits) = (false, false, false);
    let parts = pre_tokenizer.map(|one| match one.get("pretokenizers") {
        Some(Value::Array(parts)) => parts.clone(),
        _ => vec![one.clone()],
    });
    for part in parts.iter().flatten() {
        let flag = |name: &str| part.get(name).and_then(Value::as_bool);
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "Split" => expressions.extend(part.pointer("/pattern/Regex").and_then(Value::as_str)),
            "ByteLevel" => words_of_gpt2 = flag("use_regex").unwrap_or(true),
            "Punctuation" => punctuation = true,
            "Digits" => digits = flag("individual_digits").unwrap_or(false),
            other => {
                let other = other.escape_default();
                let what = format!("pre-tokenizer '{other}' is not supported");
                return Err(HfError::Tokenizer(what));
            }
        }
    }
    match (expressions.as_slice(), words_of_gpt2, punctuation, digits) {
        ([], true, false, false) => Ok("gpt-2"),
        ([], true, true, true) => Ok("falcon_e"),
        (["[0-9][0-9][0-9]"], true, true, false) => Ok("falcon"),
        ([one], false, false, false) => {
            let known = RULES.iter().find(|(word, _)| one.contains(word));
            let unknown = || format!("the expression '{}' is not known", one.escape_default());
            known
                .map(|(_, name)| *name)
                .ok_or_else(|| HfError::Tokenizer(unknown()))
        }
        _ => Err(HfError::Tokenizer(
            "the pre-tokenizers are not those of a known family: Llama 3, Qwen, GPT-2 or Falcon"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(parts: &str) -> Result<&'static str, HfError> {
        let text = format!(r#"{{"type": "Sequence", "pretokenizers": [{parts}]}}"#);
        rule(Some(&serde_json::from_str(&text).unwrap()))
    }

    fn split(expression: &str) -> String {
        let expression = serde_json::to_string(expression).unwrap();
        format!(r#"{{"type": "Split", "pattern": {{"Regex": {expression}}}}}"#)
    }

    #[test]
    fn rules_are_told_by_their_parts() {
        let bytes = r#"{"type": "ByteLevel", "use_regex": false}"#;
        let own = r#"{"type": "ByteLevel", "add_prefix_space": false}"#;
        let llama = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+";
        let with = |expression: &str| rule_of(&format!("{}, {bytes}", split(expression)));
        assert_eq!(with(llama).unwrap(), "llama-bpe");
        assert_eq!(with(&llama.replace("{1,3}", "")).unwrap(), "qwen2");
        let marks = llama
            .replace("{1,3}", "")
            .replace(r"?\p{L}+", r"?[\p{L}\p{M}]+");
        assert_eq!(with(&marks).unwrap(), "qwen35");
        assert!(with("[a-z]+").is_err());
        assert_eq!(rule_of(own).unwrap(), "gpt-2");
        assert!(rule_of(bytes).is_err(), "nothing cuts words");
        assert!(rule(None).is_err());
        let falcon = format!(r#"{{"type": "Punctuation"}}, {own}, "#);
        let digits = r#"{"type": "Digits", "individual_digits": true}"#;
        assert_eq!(rule_of(&format!("{falcon}{digits}")).unwrap(), "falcon_e");
        let three = split("[0-9][0-9][0-9]");
        let old = format!(r#"{falcon}{{"type": "Digits", "individual_digits": false}}, {three}"#);
        assert_eq!(rule_of(&old).unwrap(), "falcon");
        assert!(rule_of(r#"{"type": "Metaspace"}"#).is_err());
    }
}
