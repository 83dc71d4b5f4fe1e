use super::split::supported;

/// Why a tokenizer, a chat template or a rendering was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The file holds no tokens.
    #[error("the vocabulary is empty: the file has no tokenizer tokens")]
    EmptyVocabulary,
    /// The tokenizer family is not known.
    #[error(
        "tokenizer model `{model}` is not supported: expected `gpt2` (byte-level BPE) or `llama` \
         (SentencePiece)"
    )]
    UnsupportedModel {
        /// The name in the file.
        model: String,
    },
    /// The rule that cuts text into words is unknown.
    #[error(
        "pre-tokenizer `{pre}` is not supported: expected one of {}",
        supported()
    )]
    UnsupportedSplitter {
        /// The name in the file.
        pre: String,
    },
    /// The list of token types does not have one entry per token.
    #[error("the file lists {types} token types for {tokens} tokens: expected one for each")]
    TokenTypes {
        /// Tokens in the vocabulary.
        tokens: usize,
        /// Entries in the list of types.
        types: usize,
    },
    /// The list of scores does not have one entry per token.
    #[error(
        "the file lists {scores} scores for {tokens} tokens, and no merges: expected a score for each"
    )]
    Scores {
        /// Tokens in the vocabulary.
        tokens: usize,
        /// Entries in the list of scores.
        scores: usize,
    },
    /// A score has no place in an order.
    #[error("the score of token {id} is not a number")]
    ScoreNotANumber {
        /// Its id.
        id: usize,
    },
    /// A token is not text.
    #[error("token {id} is not UTF-8")]
    TokenNotUtf8 {
        /// Its id.
        id: usize,
    },
    /// Two ids have the same text.
    #[error("token {second} repeats the text of token {first}: {text:?}")]
    DuplicateToken {
        /// The text, shortened.
        text: String,
        /// The lower id.
        first: u32,
        /// The higher id.
        second: u32,
    },
    /// Some byte has no token, so that some text could not be written.
    #[error(
        "the vocabulary has no token for byte 0x{byte:02x}: without all 256 there is text that it cannot write"
    )]
    MissingByte {
        /// The first such byte.
        byte: u8,
    },
    /// A merge is not two parts with one space between them.
    #[error("merge {index} is not of the form `left right`: {text:?}")]
    MergeSyntax {
        /// Its place in the list.
        index: usize,
        /// The text, shortened.
        text: String,
    },
    /// A merge names a token that the vocabulary lacks.
    #[error("merge {index} refers to {token:?}, which is not a token of the vocabulary")]
    MergeUnknown {
        /// Its place in the list.
        index: usize,
        /// The token, shortened.
        token: String,
    },
    /// A declared token id lies outside the vocabulary.
    #[error("{what} is {id}, but the vocabulary ends at {}", size.saturating_sub(1))]
    IdOutOfRange {
        /// Which declaration.
        what: &'static str,
        /// The id.
        id: u32,
        /// Tokens in the vocabulary.
        size: usize,
    },
    /// The BPE model or one of its matchers could not be built, or failed.
    #[error("the tokenizer failed: {0}")]
    Internal(String),
    /// The chat template is longer than any sensible one.
    #[error("the chat template has {bytes} bytes: at most {limit} are accepted")]
    TemplateTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The chat template is not valid.
    #[error("the chat template does not compile: {0}")]
    TemplateSyntax(String),
    /// The chat template stopped with an error, or raised one about the messages.
    #[error("the chat template failed: {0}")]
    TemplateFailed(String),
    /// The chat template did more work than a prompt can need.
    #[error("the chat template was stopped after {fuel} units of work: it does not come to an end")]
    TemplateFuel {
        /// The work it was allowed.
        fuel: u64,
    },
    /// The chat template wrote more than a prompt can need.
    #[error("the chat template wrote more than {limit} bytes")]
    TemplateOutput {
        /// The limit for these messages.
        limit: usize,
    },
    /// An answer was to go on with the last message, and cannot.
    #[error(
        "the last message cannot be gone on with: there is none, or the chat template changes it"
    )]
    NothingToContinue,
    /// The built-in template needs a control token that the vocabulary lacks.
    #[error("the built-in chat template needs the control token `{token}`, which the file lacks")]
    TemplateToken {
        /// The token.
        token: &'static str,
    },
    /// The messages use every private-use character, so none is left to mark them with.
    #[error("the messages use up the private-use characters of Unicode: {needed} must stay free")]
    NoStandIn {
        /// How many must be free.
        needed: usize,
    },
    /// A stop string is empty or too long, or there are too many.
    #[error("stop strings: {0}")]
    StopStrings(String),
}

/// `text` for an error message: at most 40 characters.
pub(super) fn shortened(text: &str) -> String {
    shortened_to(text, 40)
}

/// The first `count` characters of `text`.
pub(super) fn shortened_to(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
