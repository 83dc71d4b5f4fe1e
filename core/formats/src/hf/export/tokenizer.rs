//! `tokenizer.json` and its companions out of the keys of a GGUF file: byte-level BPE.

use serde_json::{Value, json};

use super::config::{Model, maybe, need, pretty};
use super::refuse;
use crate::gguf::{GgufFile, StrArray};
use crate::hf::HfError;

/// The expression of Llama 3, and what others have in its place.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Tokens that end an answer in one model or another.
const ENDS: [&str; 6] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
    "<end_of_turn>",
];

/// Occurs in the template that the converter of 2B4T wrote into files by mistake.
const WRONG_TEMPLATE: &str = "BITNETAssistant";

/// Names and contents of the files that have to do with text.
pub(super) fn texts<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    model: &Model,
    notices: &mut Vec<String>,
) -> Result<Vec<(&'static str, String)>, HfError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let kind: &str = need(file, &key("model"))?;
    if kind != "gpt2" {
        return refuse(format!(
            "a tokenizer of the family '{}' cannot be written; byte-level BPE ('gpt2') can",
            kind.escape_default()
        ));
    }
    let tokens: StrArray<'_> = need(file, &key("tokens"))?;
    let tokens = strings(&tokens, "token")?;
    let merges: Option<StrArray<'_>> = maybe(file, &key("merges"))?;
    let merges = merges.map(|merges| strings(&merges, "merge")).transpose()?;
    let types: Option<Vec<i32>> = maybe(file, &key("token_type"))?;
    let types = types.unwrap_or_default();
    if tokens.len() > model.vocab || !(types.is_empty() || types.len() == tokens.len()) {
        return refuse(format!(
            "{} tokens with {} types do not suit an embedding of {} rows",
            tokens.len(),
            types.len(),
            model.vocab
        ));
    }
    let vocabulary = Vocabulary {
        tokens,
        types,
        merges: merges.unwrap_or_default(),
    };
    let pre: Option<&str> = maybe(file, &key("pre"))?;
    let mut rule = Rule::find(pre, &model.architecture)?;
    // Where a file says something else than the name of the rule does.
    if let Some(nfc) = maybe::<bool, B>(file, "tritone.tokenizer.nfc")? {
        rule.normalizer = if nfc {
            json!({ "type": "NFC" })
        } else {
            Value::Null
        };
    }
    if let Some(ignore) = maybe::<bool, B>(file, "tritone.tokenizer.ignore_merges")? {
        rule.ignore_merges = ignore;
    }
    let add_bos = maybe(file, &key("add_bos_token"))?.unwrap_or(true);
    let add_eos = maybe(file, &key("add_eos_token"))?.unwrap_or(false);
    let bos = model
        .bos
        .and_then(|id| vocabulary.name(id).map(|name| (id, name)));

    let mut texts = vec![
        (
            "tokenizer.json",
            vocabulary.json(&rule, bos.filter(|_| add_bos))?,
        ),
        (
            "generation_config.json",
            pretty(&json!({
                "bos_token_id": model.bos,
                "eos_token_id": vocabulary.ends(model),
                "pad_token_id": model.pad,
            })),
        ),
    ];
    let name = |id: Option<u32>| id.and_then(|id| vocabulary.name(id));
    let mut companion = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.context,
        "clean_up_tokenization_spaces": false,
        "add_bos_token": add_bos,
        "add_eos_token": add_eos,
    });
    for (key, id) in [
        ("bos_token", model.bos),
        ("eos_token", model.eos),
        ("pad_token", model.pad),
    ] {
        if let Some(name) = name(id) {
            companion[key] = json!(name);
        }
    }
    texts.push(("tokenizer_config.json", pretty(&companion)));
    match maybe::<&str, B>(file, "tokenizer.chat_template")? {
        Some(wrong) if wrong.contains(WRONG_TEMPLATE) => notices.push(
            "the chat template of the file is left out: it was put there by mistake and makes the \
             model's answers worse"
                .to_owned(),
        ),
        Some(template) => texts.push(("chat_template.jinja", template.to_owned())),
        None => {}
    }
    Ok(texts)
}

fn strings<'a>(array: &StrArray<'a>, what: &str) -> Result<Vec<&'a str>, HfError> {
    let text = |(i, bytes): (usize, &'a [u8])| {
        std::str::from_utf8(bytes).or_else(|_| refuse(format!("{what} {i} is not UTF-8 text")))
    };
    array.iter().enumerate().map(text).collect()
}

struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    /// By token; empty if all are ordinary ones.
    types: Vec<i32>,
    merges: Vec<&'a str>,
}

impl Vocabulary<'_> {
    fn name(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).copied()
    }

    fn kind(&self, id: usize) -> i32 {
        self.types.get(id).copied().unwrap_or(1)
    }

    /// Control tokens and those that users defined: they are found in text before anything else.
    fn is_added(&self, id: usize) -> bool {
        matches!(self.kind(id), 3 | 4)
    }

    /// Tokens that end an answer: those the file names, then those with such a name.
    fn ends(&self, model: &Model) -> Vec<u32> {
        let mut ends: Vec<u32> = model.eos.into_iter().chain(model.eot).collect();
        let named = (0_u32..)
            .zip(&self.tokens)
            .filter(|(id, name)| self.kind(*id as usize) == 3 && ENDS.contains(name));
        ends.extend(named.map(|(id, _)| id));
        let mut seen = std::collections::HashSet::new();
        ends.retain(|id| seen.insert(*id));
        ends
    }

    /// The text of `tokenizer.json`. Tokens stand in the order of their numbers.
    fn json(&self, rule: &Rule, bos: Option<(u32, &str)>) -> Result<String, HfError> {
        let added: Vec<Value> = (0..self.tokens.len())
            .filter(|id| self.is_added(*id))
            .map(|id| {
                json!({
                    "id": id,
                    "content": self.tokens[id],
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": self.kind(id) == 3,
                })
            })
            .collect();
        let post = bos.map(|(id, name)| {
            json!({
                "type": "TemplateProcessing",
                "single": [
                    { "SpecialToken": { "id": name, "type_id": 0 } },
                    { "Sequence": { "id": "A", "type_id": 0 } },
                ],
                "pair": [
                    { "SpecialToken": { "id": name, "type_id": 0 } },
                    { "Sequence": { "id": "A", "type_id": 0 } },
                    { "SpecialToken": { "id": name, "type_id": 1 } },
                    { "Sequence": { "id": "B", "type_id": 1 } },
                ],
                "special_tokens": { name: { "id": name, "ids": [id], "tokens": [name] } },
            })
        });
        let outer = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": rule.normalizer,
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": rule.parts },
            "post_processor": post,
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": true,
                "trim_offsets": true,
                "use_regex": true,
            },
        });
        // A map of the library of JSON would sort the tokens by name.
        let mut text = outer.to_string();
        text.pop();
        text += r#","model":{"type":"BPE","dropout":null,"unk_token":null,"#;
        text += r#""continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"#;
        text += &format!(
            r#""byte_fallback":false,"ignore_merges":{},"vocab":{{"#,
            rule.ignore_merges
        );
        let mut comma = "";
        for (id, name) in self.tokens.iter().enumerate() {
            // Unused ones have no text.
            if !self.is_added(id) && self.kind(id) != 5 {
                text += &format!("{comma}{}:{id}", quoted(name));
                comma = ",";
            }
        }
        text += r#"},"merges":["#;
        for (i, merge) in self.merges.iter().enumerate() {
            let Some((left, right)) = merge.split_once(' ') else {
                return refuse(format!("merge {i} is not of two tokens"));
            };
            let comma = if i > 0 { "," } else { "" };
            text += &format!("{comma}[{},{}]", quoted(left), quoted(right));
        }
        text += "]}}\n";
        Ok(text)
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// How the library cuts text into words.
struct Rule {
    normalizer: Value,
    parts: Vec<Value>,
    ignore_merges: bool,
}

impl Rule {
    /// The rule that GGUF files call `pre`.
    fn find(pre: Option<&str>, architecture: &str) -> Result<Self, HfError> {
        let split = |expression: &str| {
            json!({
                "type": "Split",
                "pattern": { "Regex": expression },
                "behavior": "Isolated",
                "invert": false,
            })
        };
        let bytes = |own: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": false,
                "trim_offsets": true,
                "use_regex": own,
            })
        };
        let punctuation = || json!({ "type": "Punctuation", "behavior": "Contiguous" });
        let digits = |each: bool| json!({ "type": "Digits", "individual_digits": each });
        let rule = |parts: Vec<Value>| Self {
            normalizer: Value::Null,
            parts,
            ignore_merges: false,
        };
        let qwen = |expression: &str| Self {
            normalizer: json!({ "type": "NFC" }),
            ..rule(vec![split(expression), bytes(false)])
        };
        let pre = match pre {
            // Published files of this model do not name theirs.
            None if architecture.starts_with("bitnet-") => "llama-bpe",
            None => "",
            Some(pre) => pre,
        };
        match pre {
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => Ok(Self {
                ignore_merges: true,
                ..rule(vec![split(LLAMA3), bytes(false)])
            }),
            "qwen2" => Ok(qwen(QWEN2)),
            "qwen35" => Ok(qwen(QWEN35)),
            "gpt-2" | "gpt2" | "gpt-neox" | "olmo" | "phi-2" => Ok(rule(vec![bytes(true)])),
            "falcon_e" | "falcon-e" => Ok(rule(vec![punctuation(), bytes(true), digits(true)])),
            "falcon" => Ok(rule(vec![
                punctuation(),
                bytes(true),
                digits(false),
                split("[0-9][0-9][0-9]"),
            ])),
            other => refuse(format!(
                "the rule that cuts text into words ('{}') has no form in a tokenizer.json that is \
                 known here",
                other.escape_default()
            )),
        }
    }
}
