use std::borrow::Cow;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::bpe::{Bpe, Buffers, Order};
use super::shield::Rendered;
use super::split::Splitter;
use super::stream::TokenStream;
use super::tokens::Tokens;
use super::vocabulary::{Kind, SPACE, Spelling, Vocabulary};
use super::{SpacePrefix, TextError, TokenizerSpec};

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

/// A BPE tokenizer with the vocabulary of one model: of bytes, or of the pieces that SentencePiece
/// makes.
///
/// Every text can be encoded. With a vocabulary of bytes it decodes to itself, but for
/// normalization where the model was trained with it (Qwen); with one of pieces U+2581 becomes a
/// space. Encoding takes time proportional to the text, but for a logarithm of the length of its
/// longest word; in a vocabulary of pieces all text between two control tokens is one.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    bpe: Bpe,
    /// Cuts text into words, for a vocabulary of bytes.
    splitter: Option<Splitter>,
    space_prefix: SpacePrefix,
    nfc: bool,
    /// A word that is a token is that token.
    ignore_merges: bool,
    /// Finds control and user-defined tokens, the longest of those that begin first.
    literals: AhoCorasick,
    /// The token of each literal.
    literal_ids: Vec<u32>,
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
        let spelling = match spec.model {
            "gpt2" => Spelling::Bytes,
            "llama" => Spelling::Pieces,
            model => {
                return Err(TextError::UnsupportedModel {
                    model: model.to_owned(),
                });
            }
        };
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
        let (splitter, notice) = match spelling {
            Spelling::Bytes => {
                let (splitter, notice) = Splitter::new(spec.pre, spec.architecture)?;
                (Some(splitter), notice)
            }
            Spelling::Pieces => (None, None),
        };
        let tokens = Tokens::collect(spec, spelling)?;
        let by_rule = |rule: fn(&Splitter) -> bool| splitter.as_ref().is_some_and(rule);
        let tokenizer = Self {
            vocabulary: tokens.vocabulary,
            bpe: tokens.bpe,
            space_prefix: match spelling {
                Spelling::Bytes => SpacePrefix::None,
                Spelling::Pieces => spec.space_prefix,
            },
            nfc: spec.nfc.unwrap_or_else(|| by_rule(|rule| rule.nfc)),
            ignore_merges: (spec.ignore_merges)
                .unwrap_or_else(|| by_rule(|rule| rule.ignore_merges)),
            splitter,
            literals: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&tokens.literals)
                .map_err(|err| TextError::Internal(err.to_string()))?,
            literal_ids: tokens.literal_ids,
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
    /// If the text contains a word of more than 4 GiB.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 1);
        self.encode_into(text, specials, true, &mut ids)?;
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
        self.encode_into(text, Specials::Plain, true, &mut ids)?;
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
            self.encode_into(&part, Specials::Plain, done == 0, &mut ids)?;
            ids.push(id);
            done = end;
        }
        let part = rendered.restore(&text[done..]);
        self.encode_into(&part, Specials::Plain, done == 0, &mut ids)?;
        if let Some(bos) = self.bos
            && self.add_bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// `first`: nothing is in front of the text.
    fn encode_into(
        &self,
        text: &str,
        specials: Specials,
        first: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        // SentencePiece looks for user-defined pieces where spaces are replaced already, the library
        // that lists merges before that.
        let replaced = matches!(self.bpe.order, Order::Scores(_)) && text.contains(SPACE);
        let text = if replaced {
            Cow::Owned(text.replace(SPACE, " "))
        } else {
            Cow::Borrowed(text)
        };
        let mut done = 0;
        for (start, end, id) in self.literals_in(&text, specials) {
            self.encode_part(&text[done..start], first && done == 0, ids)?;
            ids.push(id);
            done = end;
        }
        self.encode_part(&text[done..], first && done == 0, ids)
    }

    /// Encodes text that has no literals.
    fn encode_part(&self, text: &str, first: bool, ids: &mut Vec<u32>) -> Result<(), TextError> {
        if text.is_empty() {
            return Ok(());
        }
        let text = if self.nfc && is_nfc_quick(text.chars()) != IsNormalized::Yes {
            Cow::Owned(text.nfc().collect())
        } else {
            Cow::Borrowed(text)
        };
        let mut buffers = Buffers::default();
        let Some(splitter) = &self.splitter else {
            let piece = self.as_piece(&text, first);
            let whole = self.ignore_merges;
            return (self.bpe).encode(&self.vocabulary, whole, &piece, &mut buffers, ids);
        };
        splitter.words(&text, &mut |word| {
            let whole = self.ignore_merges;
            (self.bpe).encode(&self.vocabulary, whole, word, &mut buffers, ids)
        })
    }

    /// Text with the space that a vocabulary of pieces wants in front.
    fn as_piece<'t>(&self, text: &'t str, first: bool) -> Cow<'t, str> {
        let begins = text.starts_with([' ', SPACE]);
        let prefixed = match self.space_prefix {
            SpacePrefix::None => false,
            SpacePrefix::Always => true,
            SpacePrefix::Missing => !begins,
            SpacePrefix::First => first && !begins,
        };
        if !prefixed && !text.contains(SPACE) {
            return Cow::Borrowed(text);
        }
        let space = if prefixed { " " } else { "" };
        Cow::Owned(format!("{space}{}", text.replace(SPACE, " ")))
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

    /// The text of `ids`, without control tokens and the space that encoding put in front; U+FFFD
    /// where the bytes are not UTF-8.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = TokenStream::after(self, None);
        let mut text: String = ids.iter().map(|&id| stream.push(self, id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// Whether encoding puts a space in front of text that comes after `token`, or with `None` at the
    /// beginning.
    pub(super) fn puts_space_after(&self, token: Option<u32>) -> bool {
        match self.space_prefix {
            SpacePrefix::None => false,
            SpacePrefix::Always | SpacePrefix::Missing => {
                token.is_none_or(|token| self.is_control(token))
            }
            SpacePrefix::First => token.is_none(),
        }
    }

    /// The text of token `id` to show in lists: U+FFFD for partial characters, control tokens by
    /// their name. `None` outside the vocabulary.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.vocabulary.kind(id)?;
        Some(String::from_utf8_lossy(self.decode_bytes(id)).into_owned())
    }

    /// The token whose whole text is `text`: a control token by its name, or an ordinary one.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        let (lookup, bytes) = (&self.bpe.lookup, text.as_bytes());
        let special = lookup.special(&self.vocabulary, bytes);
        special.or_else(|| lookup.word(&self.vocabulary, bytes))
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
            Some(Kind::Normal | Kind::UserDefined | Kind::Byte)
        )
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The tokens that [`encode_document`](Self::encode_document) puts before and after a text, if
    /// the model wants them.
    pub fn around_document(&self) -> (Option<u32>, Option<u32>) {
        (
            self.bos.filter(|_| self.add_bos),
            self.eos.filter(|_| self.add_eos),
        )
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
