//! `tokenizer.json` and its companions, as the keys of a GGUF file.

mod bytes;
mod pieces;
mod post;
mod raw;

use raw::{Added, Companion, Generation, Merge, Model, Name, Raw, Template};

use super::config::{Config, Ids};
use super::{HfError, HfFiles, json};
use crate::alphabet;
use crate::write::{GgufWriter, Strings, WriteError};

/// Numbers of `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// What the files of a directory say about its tokenizer, ready to be keys of a GGUF file.
///
/// Keys that begin with `tritone.` say what the usual ones cannot, and only where that is needed.
#[derive(Debug)]
pub struct HfTokenizer {
    family: Family,
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<(String, String)>,
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    pad: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    ignore_merges: bool,
    chat_template: Option<String>,
    notices: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Family {
    /// Byte-level BPE with a rule that cuts words.
    Bytes { pre: &'static str, nfc: bool },
    /// Pieces of text.
    Pieces { space_prefix: &'static str },
}

impl HfTokenizer {
    /// Reads the files that say something about the tokenizer; the weights are not needed.
    ///
    /// # Errors
    ///
    /// When a file is damaged, or the tokenizer does something that would be done differently here;
    /// the error names it.
    pub fn new(files: &HfFiles<'_>) -> Result<Self, HfError> {
        Self::with(files, &Config::new(files.config)?)
    }

    pub(super) fn with(files: &HfFiles<'_>, config: &Config) -> Result<Self, HfError> {
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
        let id = |name: &Option<Name>| this.id_of(name.as_ref()?.text());
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
        let second = |id: &u32, first: Option<u32>| inside(id) && Some(*id) != first;
        let first_end = ends.iter().copied().find(inside);
        let ids = (
            // The post-processor's, where there is one.
            this.bos.or(config.bos).or(bos).filter(inside),
            config.pad.or(pad).filter(inside),
            first_end,
            ends.iter().copied().find(|id| second(id, first_end)),
        );
        (this.bos, this.pad, this.eos, this.eot) = ids;
        let named = companion.chat_template.and_then(|template| match template {
            Template::One(text) => Some(text),
            Template::Named(list) => list
                .into_iter()
                .find(|one| one.name == "default")
                .map(|one| one.template),
        });
        this.chat_template = files.chat_template.map(str::to_owned).or(named);
        Ok(this)
    }

    fn read(mut raw: Raw, config: &Config, companion: &Companion) -> Result<Self, HfError> {
        check_model(&raw.model)?;
        let vocab = raw.model.take_vocab().map_err(|source| HfError::Json {
            file: "tokenizer.json",
            source,
        })?;
        let pre_tokenizer = raw.pre_tokenizer.as_ref();
        let (normalizer, decoder) = (raw.normalizer.as_ref(), raw.decoder.as_ref());
        let family = if pieces::is_it(raw.model.byte_fallback, pre_tokenizer) {
            Family::Pieces {
                space_prefix: pieces::space_prefix(normalizer, pre_tokenizer, decoder)?,
            }
        } else {
            bytes::check_decoder(decoder)?;
            Family::Bytes {
                pre: bytes::rule(pre_tokenizer)?,
                nfc: bytes::nfc(normalizer)?,
            }
        };
        let size = config.vocab as usize;
        let mut tokens = vec![None; size];
        let mut types = vec![UNUSED; size];
        let unknown = raw.model.unk_token.as_deref();
        let ordinary = vocab.into_iter().map(|(text, id)| {
            let kind = match family {
                Family::Pieces { .. } if is_byte(&text) => BYTE,
                Family::Pieces { .. } if Some(text.as_str()) == unknown => UNKNOWN,
                _ => NORMAL,
            };
            (id, text, kind)
        });
        let mut put = |(id, text, kind): (u32, String, i32)| {
            let Some(place) = tokens.get_mut(id as usize) else {
                return refused(format!(
                    "token {id} lies outside the vocabulary of {size} tokens in config.json"
                ));
            };
            *place = Some(text);
            types[id as usize] = kind;
            Ok(())
        };
        ordinary.into_iter().try_for_each(&mut put)?;
        let mut notices = Vec::new();
        for added in raw.added_tokens {
            let kind = kind_of(&added, family, unknown, &mut notices)?;
            put((added.id, added.content, kind))?;
        }
        let filler = |(id, token): (usize, Option<String>)| {
            token.unwrap_or_else(|| format!("<|filler_{id}|>"))
        };
        let merges = raw.model.merges.into_iter().map(|merge| match merge {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Text(text) => match text.split_once(' ') {
                Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
                None => {
                    let text = text.escape_default();
                    refused(format!("merge '{text}' is not two tokens"))
                }
            },
        });
        let mut this = Self {
            family,
            tokens: tokens.into_iter().enumerate().map(filler).collect(),
            types,
            merges: merges.collect::<Result<_, _>>()?,
            bos: None,
            eos: None,
            eot: None,
            pad: None,
            add_bos: false,
            add_eos: false,
            ignore_merges: raw.model.ignore_merges,
            chat_template: None,
            notices,
        };
        this.ends(raw.post_processor.as_ref(), companion)?;
        Ok(this)
    }

    /// What is written around a text.
    fn ends(
        &mut self,
        post_processor: Option<&serde_json::Value>,
        companion: &Companion,
    ) -> Result<(), HfError> {
        let around = post::around(post_processor)?;
        let bos = companion.bos_token.as_ref().map(Name::text);
        if let (Some(written), Some(bos)) = (around.before.as_deref(), bos)
            && written != bos
        {
            return refused(format!(
                "the post-processor begins texts with '{}', but the BOS token is '{}'",
                written.escape_default(),
                bos.escape_default()
            ));
        }
        self.bos = around.before.as_deref().and_then(|name| self.id_of(name));
        let default = match self.family {
            _ if around.is_known => around.before.is_some(),
            // As the library builds it for such models, and as llama.cpp takes it.
            Family::Pieces { .. } => true,
            Family::Bytes { pre, .. } => pre == "llama-bpe",
        };
        self.add_bos = companion.add_bos_token.unwrap_or(default);
        let ended = around.after.is_some();
        self.add_eos = companion.add_eos_token.unwrap_or(ended);
        Ok(())
    }

    fn id_of(&self, name: &str) -> Option<u32> {
        let at = self.tokens.iter().position(|token| token == name)?;
        u32::try_from(at).ok()
    }

    /// A token for every byte, where there is no tokenizer.
    fn bytes(config: &Config) -> Result<Self, HfError> {
        let size = config.vocab as usize;
        if size < 256 {
            return refused("there is none, and the vocabulary has less than 256 tokens");
        }
        let mut tokens: Vec<String> = (0..=255)
            .map(|byte| alphabet::letter(byte).into())
            .collect();
        tokens.extend((tokens.len()..size).map(|id| format!("<|filler_{id}|>")));
        let mut types = vec![NORMAL; 256];
        types.resize(size, UNUSED);
        Ok(Self {
            family: Family::Bytes {
                pre: "gpt-2",
                nfc: false,
            },
            tokens,
            types,
            merges: Vec::new(),
            bos: None,
            eos: None,
            eot: None,
            pad: None,
            add_bos: false,
            add_eos: false,
            ignore_merges: false,
            chat_template: None,
            notices: vec![
                "there is no tokenizer.json: every byte is taken for a token, so that text means \
                 nothing to the model; token ids do"
                    .to_owned(),
            ],
        })
    }

    /// What the user should know.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Plans the keys, and that of the chat template if there is one.
    ///
    /// # Errors
    ///
    /// When one of them is planned already.
    pub fn plan(&self, plan: &mut GgufWriter) -> Result<(), WriteError> {
        let joined = |(left, right): &(String, String)| format!("{left} {right}");
        let merges: Vec<String> = self.merges.iter().map(joined).collect();
        match self.family {
            Family::Bytes { pre, nfc } => {
                plan.metadata("tokenizer.ggml.model", "gpt2")?
                    .metadata("tokenizer.ggml.pre", pre)?;
                // What other programs and ours take from the name of the rule.
                if nfc != matches!(pre, "qwen2" | "qwen35") {
                    plan.metadata("tritone.tokenizer.nfc", nfc)?;
                }
                if self.ignore_merges != (pre == "llama-bpe") {
                    plan.metadata("tritone.tokenizer.ignore_merges", self.ignore_merges)?;
                }
            }
            Family::Pieces { space_prefix } => {
                let scores = pieces::scores(&self.tokens, &self.merges);
                plan.metadata("tokenizer.ggml.model", "llama")?
                    .metadata("tokenizer.ggml.pre", "default")?
                    .metadata("tokenizer.ggml.scores", &scores[..])?
                    .metadata("tokenizer.ggml.add_space_prefix", space_prefix != "none")?;
                if !matches!(space_prefix, "none" | "always") {
                    plan.metadata("tritone.tokenizer.space_prefix", space_prefix)?;
                }
                if self.ignore_merges {
                    plan.metadata("tritone.tokenizer.ignore_merges", true)?;
                }
            }
        }
        plan.metadata("tokenizer.ggml.tokens", Strings(&self.tokens))?
            .metadata("tokenizer.ggml.token_type", &self.types[..])?
            .metadata("tokenizer.ggml.merges", Strings(&merges))?
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
        if let Some(template) = &self.chat_template {
            plan.metadata("tokenizer.chat_template", template.as_str())?;
        }
        Ok(())
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, HfError> {
    Err(HfError::Tokenizer(what.into()))
}

/// Refuses models that would make other tokens than plain BPE.
fn check_model(model: &Model) -> Result<(), HfError> {
    // Early files do not say it.
    let is_bpe = match model.kind.as_str() {
        "" => !model.merges.is_empty(),
        kind => kind == "BPE",
    };
    if !is_bpe {
        let kind = model.kind.escape_default();
        return refused(format!("model type '{kind}' is not supported; 'BPE' is"));
    }
    let affixes = [
        (
            "continuing_subword_prefix",
            &model.continuing_subword_prefix,
        ),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ];
    for (name, value) in affixes {
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            return refused(format!("'{name}' is not supported"));
        }
    }
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return refused(
            "'dropout' is not supported: the same text would have other tokens each time",
        );
    }
    Ok(())
}

/// The type of a token beside the model's own.
fn kind_of(
    added: &Added,
    family: Family,
    unknown: Option<&str>,
    notices: &mut Vec<String>,
) -> Result<i32, HfError> {
    let name = || added.content.escape_default().to_string();
    for (flag, is_set) in [
        ("lstrip", added.lstrip),
        ("rstrip", added.rstrip),
        ("single_word", added.single_word),
    ] {
        if is_set {
            let name = name();
            return refused(format!("'{flag}' of added token '{name}' is not supported"));
        }
    }
    let Family::Pieces { space_prefix } = family else {
        return Ok(if added.special { CONTROL } else { USER_DEFINED });
    };
    if Some(added.content.as_str()) == unknown {
        return Ok(UNKNOWN);
    }
    if added.special {
        return Ok(CONTROL);
    }
    if added.normalized && space_prefix == "always" {
        notices.push(format!(
            "the library finds token '{}' only after a space, here it is found everywhere",
            name()
        ));
    }
    Ok(USER_DEFINED)
}

/// Whether a token stands for a single byte.
fn is_byte(text: &str) -> bool {
    let digits = text
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| {
        digits.len() == 2
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
    })
}
