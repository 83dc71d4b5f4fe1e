use super::TextError;
use super::lookup::Lookup;
use super::merges::Merge;
use super::vocabulary::Vocabulary;

/// Longer pieces are not looked for: SentencePiece makes none of more than 512 bytes.
const LONGEST: usize = 1024;

/// The order of merges in a vocabulary that lists none: whatever two pieces together are a piece can
/// be merged, and the piece with the highest score comes first.
///
/// Kudo, Richardson: "SentencePiece" (2018); its model type `bpe`.
#[derive(Debug)]
pub(super) struct Scores {
    /// For every token how many different scores are higher.
    ranks: Vec<u32>,
    /// Bytes of the longest token, within limits.
    longest: usize,
}

impl Scores {
    /// The order that `scores` say.
    ///
    /// # Errors
    ///
    /// If there is not one number for each token.
    pub(super) fn new(scores: &[f32], vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let tokens = vocabulary.len();
        if scores.len() != tokens {
            let scores = scores.len();
            return Err(TextError::Scores { tokens, scores });
        }
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(TextError::ScoreNotANumber { id });
        }
        let mut order: Vec<u32> = (0..).take(tokens).collect();
        let score = |id: u32| scores[id as usize];
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        let mut ranks = vec![0; tokens];
        let mut rank = 0;
        let mut last = None;
        for &id in &order {
            if last.is_some_and(|last| last != score(id)) {
                rank += 1;
            }
            last = Some(score(id));
            ranks[id as usize] = rank;
        }
        let lengths = (0..).take(tokens).map(|id| vocabulary.bytes(id).len());
        Ok(Self {
            ranks,
            longest: lengths.max().unwrap_or(0).min(LONGEST),
        })
    }

    /// What becomes of two pieces that are `whole` together.
    pub(super) fn get(&self, vocabulary: &Vocabulary, lookup: &Lookup, whole: &[u8]) -> Merge {
        if whole.len() > self.longest {
            return Merge::NONE;
        }
        match lookup.word(vocabulary, whole) {
            Some(id) => Merge {
                rank: self.ranks[id as usize],
                id,
            },
            None => Merge::NONE,
        }
    }
}
