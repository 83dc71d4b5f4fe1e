use super::{TextError, Tokenizer};

/// Tokens that end an answer in some model family, whatever the file declares.
const STOP_NAMES: [&str; 7] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
    "<end_of_turn>",
    // Where a Falcon 3 model would write the next question itself.
    "<|user|>",
];

/// Whether a token of this name ends an answer.
pub(super) fn is_stop_name(text: &[u8]) -> bool {
    STOP_NAMES.iter().any(|name| name.as_bytes() == text)
}

/// The tokens that end an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSet {
    ids: Vec<u32>,
}

impl StopSet {
    /// The declared EOS and EOT tokens, and every token with one of the well-known names: files
    /// often declare only one, and not the one that chats end with.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let named = STOP_NAMES.iter().filter_map(|name| tokenizer.id_of(name));
        let mut ids: Vec<u32> = named
            .chain(tokenizer.eos())
            .chain(tokenizer.eot())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Self { ids }
    }

    /// Whether `token` ends an answer.
    pub fn contains(&self, token: u32) -> bool {
        self.ids.contains(&token)
    }

    /// The tokens, in increasing order.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
}

/// What [`StopStrings`] releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopText {
    /// Text that is certainly not part of a stop string.
    pub text: String,
    /// The stop string that ended the answer, as its place in the list.
    pub stopped: Option<usize>,
}

/// One stop string, with the failure table of Knuth, Morris and Pratt.
#[derive(Debug, Clone)]
struct Pattern {
    bytes: Vec<u8>,
    /// For each length of a matched prefix, the length of its longest proper suffix that is also
    /// a prefix.
    failure: Vec<usize>,
    /// Bytes of the prefix that the text so far ends with.
    matched: usize,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let mut failure = vec![0; bytes.len() + 1];
        let mut matched = 0;
        for end in 1..bytes.len() {
            while matched > 0 && bytes[matched] != bytes[end] {
                matched = failure[matched];
            }
            matched += usize::from(bytes[matched] == bytes[end]);
            failure[end + 1] = matched;
        }
        Self {
            bytes,
            failure,
            matched: 0,
        }
    }

    /// Takes in one byte; true if it completes the string.
    fn step(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.bytes[self.matched] != byte {
            self.matched = self.failure[self.matched];
        }
        self.matched += usize::from(self.bytes[self.matched] == byte);
        self.matched == self.bytes.len()
    }
}

/// Finds stop strings in an answer while it is written.
///
/// Text that may yet turn out to be the beginning of a stop string is held back, so that no part
/// of one is ever released. The answer ends with the stop string that is complete first (of
/// several that end at the same byte, the longest), however the text is cut into pieces.
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    patterns: Vec<Pattern>,
    held: String,
    stopped: bool,
}

impl StopStrings {
    /// At most this many stop strings.
    pub const MAX_COUNT: usize = 64;
    /// A stop string has at most this many bytes.
    pub const MAX_BYTES: usize = 4096;

    /// A matcher for `stops`; with none of them all text passes.
    ///
    /// # Errors
    ///
    /// If a string is empty or longer than [`MAX_BYTES`](Self::MAX_BYTES), or if there are more
    /// than [`MAX_COUNT`](Self::MAX_COUNT).
    pub fn new<S: AsRef<str>>(stops: &[S]) -> Result<Self, TextError> {
        let (most, longest) = (Self::MAX_COUNT, Self::MAX_BYTES);
        if stops.len() > most {
            let problem = format!("{} were given: at most {most} are accepted", stops.len());
            return Err(TextError::StopStrings(problem));
        }
        for (index, stop) in stops.iter().map(AsRef::as_ref).enumerate() {
            if !(1..=longest).contains(&stop.len()) {
                let bytes = stop.len();
                let problem = format!("number {index} has {bytes} bytes: expected 1 to {longest}");
                return Err(TextError::StopStrings(problem));
            }
        }
        let patterns = stops
            .iter()
            .map(|stop| Pattern::new(stop.as_ref()))
            .collect();
        Ok(Self {
            patterns,
            held: String::new(),
            stopped: false,
        })
    }

    /// Takes in the next piece of the answer, and releases what can be shown. After a stop string
    /// nothing more is released.
    pub fn push(&mut self, piece: &str) -> StopText {
        if self.stopped {
            return StopText {
                text: String::new(),
                stopped: None,
            };
        }
        let before = self.held.len();
        self.held.push_str(piece);
        for (at, &byte) in piece.as_bytes().iter().enumerate() {
            let mut complete: Option<(usize, usize)> = None;
            for (index, pattern) in self.patterns.iter_mut().enumerate() {
                let length = pattern.bytes.len();
                if pattern.step(byte) && complete.is_none_or(|(longest, _)| length > longest) {
                    complete = Some((length, index));
                }
            }
            if let Some((length, index)) = complete {
                self.held.truncate(before + at + 1 - length);
                self.stopped = true;
                return StopText {
                    text: std::mem::take(&mut self.held),
                    stopped: Some(index),
                };
            }
        }
        let open = self
            .patterns
            .iter()
            .map(|pattern| pattern.matched)
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - open);
        StopText {
            text: std::mem::replace(&mut self.held, rest),
            stopped: None,
        }
    }

    /// Ends the answer for another reason: what was held back is ordinary text after all.
    pub fn finish(&mut self) -> String {
        for pattern in &mut self.patterns {
            pattern.matched = 0;
        }
        std::mem::take(&mut self.held)
    }
}
