use std::collections::HashMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};

use super::error::shortened;
use super::shield::Rendered;
use super::split::Splitter;
use super::stop::is_stop_name;
use super::vocabulary::{Kind, Vocabulary};
use super::{TextError, TokenizerSpec, alphabet};

/// Whether text may contain control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Specials {
    /// The text is only text: `<|eot_id|>` in it is encoded like any other ten characters. Right
    /// for everything that comes from outside.
    Plain,
    /// Control tokens written out in the text become those tokens. Only for text that the caller
    /// wrote.
    Parse,
}

/// A byte-level BPE tokenizer with the vocabulary of one model.
///
/// Every text can be encoded and decodes to itself. Encoding takes time proportional to the text,
/// but for a logarithm of the length of its longest word.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    bpe: BPE,
    splitter: Splitter,
    /// Finds control and user-defined tokens, the longest of those that begin first.
    literals: AhoCorasick,
    /// The token of each literal.
    literal_ids: Vec<u32>,
    /// Ids of the tokens that are not part of BPE, by text.
    special_ids: HashMap<String, u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    add_bos: bool,
    add_eos: bool,
}

impl Tokenizer {
    /// Builds the tokenizer that `spec` describes. The second value is what the user should be
    /// told: where the file had to be corrected.
    ///
    /// # Errors
    ///
    /// If the family or the pre-tokenizer is not supported, or the lists do not fit together; the
    /// error names the entry.
    pub fn from_spec(spec: &TokenizerSpec<'_>) -> Result<(Self, Vec<String>), TextError> {
        if spec.model != "gpt2" {
            return Err(TextError::UnsupportedModel {
                model: spec.model.to_owned(),
            });
        }
        let size = spec.tokens.len();
        if size == 0 {
            return Err(TextError::EmptyVocabulary);
        }
        if !spec.token_types.is_empty() && spec.token_types.len() != size {
            let types = spec.token_types.len();
            return Err(TextError::TokenTypes {
                tokens: size,
                types,
            });
        }
        let declared = [
            ("the BOS token", spec.bos),
            ("the EOS token", spec.eos),
            ("the EOT token", spec.eot),
            ("the padding token", spec.pad),
        ];
        for (what, id) in declared {
            if let Some(id) = id
                && id as usize >= size
            {
                return Err(TextError::IdOutOfRange { what, id, size });
            }
        }
        let (splitter, notice) = Splitter::new(spec.pre, spec.architecture)?;
        let tokens = Tokens::collect(spec)?;
        let merges = merges(spec, &tokens.normal)?;
        let bpe = BPE::builder()
            .vocab_and_merges(tokens.normal, merges)
            .ignore_merges(true)
            // The cache of words would grow in every thread that ever encoded something.
            .cache_capacity(0)
            .build()
            .map_err(|err| TextError::Internal(err.to_string()))?;
        let tokenizer = Self {
            vocabulary: tokens.vocabulary,
            bpe,
            splitter,
            literals: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&tokens.literals)
                .map_err(|err| TextError::Internal(err.to_string()))?,
            literal_ids: tokens.literal_ids,
            special_ids: tokens.special,
            bos: spec.bos,
            eos: spec.eos,
            eot: spec.eot,
            add_bos: spec.add_bos,
            add_eos: spec.add_eos,
        };
        Ok((tokenizer, notice.into_iter().collect()))
    }

    /// The tokens of `text`, without BOS or EOS.
    ///
    /// # Errors
    ///
    /// None for a text are known; the BPE model's own are passed on.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 1);
        self.encode_into(text, specials, &mut ids)?;
        Ok(ids)
    }

    /// The tokens of a plain document to be continued or embedded: [`encode`](Self::encode) with
    /// [`Specials::Plain`] between BOS and EOS, each if the model wants it.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode).
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 3);
        ids.extend(self.bos.filter(|_| self.add_bos));
        self.encode_into(text, Specials::Plain, &mut ids)?;
        ids.extend(self.eos.filter(|_| self.add_eos));
        Ok(ids)
    }

    /// The tokens of a chat. Control tokens of the template become those tokens; in what the
    /// messages contained they stay text. Everything between two control tokens is encoded
    /// together, whoever wrote it. If the model wants a BOS token and the template wrote none, it
    /// comes first.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode).
    pub fn encode_rendered(&self, rendered: &Rendered) -> Result<Vec<u32>, TextError> {
        let text = rendered.covered();
        let mut ids = Vec::with_capacity(text.len() / 3 + 1);
        let mut done = 0;
        for (start, end, id) in self.literals_in(text, Specials::Parse) {
            let part = rendered.restore(&text[done..start]);
            self.encode_into(&part, Specials::Plain, &mut ids)?;
            ids.push(id);
            done = end;
        }
        let part = rendered.restore(&text[done..]);
        self.encode_into(&part, Specials::Plain, &mut ids)?;
        if let Some(bos) = self.bos
            && self.add_bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    fn encode_into(
        &self,
        text: &str,
        specials: Specials,
        ids: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let mut done = 0;
        for (start, end, id) in self.literals_in(text, specials) {
            self.encode_words(&text[done..start], ids)?;
            ids.push(id);
            done = end;
        }
        self.encode_words(&text[done..], ids)
    }

    fn encode_words(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
        let mut spelled = String::new();
        for word in self.splitter.words(text) {
            spelled.clear();
            alphabet::spell(word.as_bytes(), &mut spelled);
            let tokens = self.bpe.tokenize(&spelled);
            let tokens = tokens.map_err(|err| TextError::Internal(err.to_string()))?;
            ids.extend(tokens.iter().map(|token| token.id));
        }
        Ok(())
    }

    /// Start, end and token of the literals in `text`.
    fn literals_in(
        &self,
        text: &str,
        specials: Specials,
    ) -> impl Iterator<Item = (usize, usize, u32)> {
        self.literals.find_iter(text).filter_map(move |found| {
            let id = self.literal_ids[found.pattern()];
            let wanted = specials == Specials::Parse || !self.is_control(id);
            wanted.then_some((found.start(), found.end(), id))
        })
    }

    /// The bytes that token `id` writes; not always whole characters. None for an id outside the
    /// vocabulary.
    pub fn decode_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.bytes(id)
    }

    /// The text of `ids`, without control tokens; U+FFFD where the bytes are not UTF-8.
    pub fn decode(&self, ids: &[u32]) -> String {
        let shown = ids.iter().filter(|&&id| !self.is_hidden(id));
        let bytes: Vec<u8> = shown
            .flat_map(|&id| self.decode_bytes(id))
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The text of token `id` to show in lists: U+FFFD for partial characters, control tokens by
    /// their name. `None` outside the vocabulary.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.vocabulary.kind(id)?;
        Some(String::from_utf8_lossy(self.decode_bytes(id)).into_owned())
    }

    /// The token whose whole text is `text`: a control token by its name, or an ordinary one.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        let mut spelled = String::with_capacity(text.len());
        alphabet::spell(text.as_bytes(), &mut spelled);
        self.special_ids
            .get(text)
            .copied()
            .or_else(|| self.bpe.token_to_id(&spelled))
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether `id` is a control token: only templates and the model write it.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocabulary.kind(id) == Some(Kind::Control)
    }

    /// Whether `id` writes nothing in an answer.
    pub fn is_hidden(&self, id: u32) -> bool {
        !matches!(
            self.vocabulary.kind(id),
            Some(Kind::Normal | Kind::UserDefined)
        )
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The token that ends a message of a chat.
    pub fn eot(&self) -> Option<u32> {
        self.eot
    }

    /// The names of the control tokens.
    pub(super) fn controls(&self) -> impl Iterator<Item = &str> + Clone {
        let ids = self.literal_ids.iter().filter(|&&id| self.is_control(id));
        ids.filter_map(|&id| std::str::from_utf8(self.decode_bytes(id)).ok())
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("literals", &self.literal_ids.len())
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .field("eot", &self.eot)
            .finish_non_exhaustive()
    }
}

/// The tokens of a file, sorted by what they are for.
struct Tokens {
    vocabulary: Vocabulary,
    normal: Vocab,
    special: HashMap<String, u32>,
    literals: Vec<String>,
    literal_ids: Vec<u32>,
}

impl Tokens {
    fn collect(spec: &TokenizerSpec<'_>) -> Result<Self, TextError> {
        let size = spec.tokens.len();
        let mut tokens = Self {
            vocabulary: Vocabulary::with_capacity(size),
            normal: Vocab::with_capacity(size),
            special: HashMap::new(),
            literals: Vec::new(),
            literal_ids: Vec::new(),
        };
        for (index, bytes) in spec.tokens.iter().enumerate() {
            let text =
                std::str::from_utf8(bytes).map_err(|_| TextError::TokenNotUtf8 { id: index })?;
            let id =
                u32::try_from(index).map_err(|_| TextError::Internal("too many tokens".into()))?;
            let kind = kind_of(spec, id, text);
            tokens.vocabulary.push(text, kind)?;
            // Only ordinary tokens take part in BPE: a text must not become a control token
            // because it happens to be one word and to have the same letters.
            let earlier = match kind {
                Kind::Normal => tokens.normal.insert(text.to_owned(), id),
                _ => tokens.special.insert(text.to_owned(), id),
            };
            if let Some(first) = earlier {
                let text = shortened(text);
                return Err(TextError::DuplicateToken {
                    text,
                    first,
                    second: id,
                });
            }
            if matches!(kind, Kind::Control | Kind::UserDefined) && !text.is_empty() {
                tokens.literals.push(text.to_owned());
                tokens.literal_ids.push(id);
            }
        }
        let mut letter = [0; 4];
        match (0..=255).find(|&b| {
            !tokens
                .normal
                .contains_key(&*alphabet::char_of(b).encode_utf8(&mut letter))
        }) {
            Some(byte) => Err(TextError::MissingByte { byte }),
            None => Ok(tokens),
        }
    }
}

/// What token `id` is for. Tokens that begin or end texts are control tokens, whatever the file
/// says about them: some converters mark them as ordinary.
fn kind_of(spec: &TokenizerSpec<'_>, id: u32, text: &str) -> Kind {
    let declared = [spec.bos, spec.eos, spec.eot, spec.pad].contains(&Some(id));
    if declared || is_stop_name(text) {
        return Kind::Control;
    }
    match spec.token_types.get(id as usize) {
        Some(3) => Kind::Control,
        Some(4) => Kind::UserDefined,
        Some(2 | 5) => Kind::Unused,
        _ => Kind::Normal,
    }
}

/// The merges as the BPE model wants them. It panics on a merge whose result is not a token, so
/// all three parts are looked up here.
fn merges(spec: &TokenizerSpec<'_>, vocab: &Vocab) -> Result<Vec<(String, String)>, TextError> {
    let mut merged = String::new();
    let mut merges = Vec::with_capacity(spec.merges.len());
    for (index, bytes) in spec.merges.iter().enumerate() {
        let syntax = || {
            let text = shortened(&String::from_utf8_lossy(bytes));
            TextError::MergeSyntax { index, text }
        };
        let text = std::str::from_utf8(bytes).map_err(|_| syntax())?;
        let (left, right) = text.split_once(' ').ok_or_else(syntax)?;
        if left.is_empty() || right.is_empty() || right.contains(' ') {
            return Err(syntax());
        }
        merged.clear();
        merged.push_str(left);
        merged.push_str(right);
        for token in [left, right, &merged] {
            if !vocab.contains_key(token) {
                return Err(TextError::MergeUnknown {
                    index,
                    token: shortened(token),
                });
            }
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}
