//! Tokens that may be chosen.

/// A set of tokens of a vocabulary, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMask {
    words: Vec<u32>,
    vocab: usize,
}

impl TokenMask {
    /// No token of a vocabulary of `vocab`.
    #[must_use]
    pub fn none(vocab: usize) -> Self {
        Self {
            words: vec![0; vocab.div_ceil(32)],
            vocab,
        }
    }

    /// Takes all tokens out.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Adds a token; one outside the vocabulary is nothing.
    pub fn allow(&mut self, token: u32) {
        self.set(token, true);
    }

    /// Takes a token out.
    pub fn forbid(&mut self, token: u32) {
        self.set(token, false);
    }

    fn set(&mut self, token: u32, on: bool) {
        if (token as usize) < self.vocab {
            let (word, bit) = (&mut self.words[token as usize / 32], 1 << (token % 32));
            if on {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }

    /// Whether a token is in it.
    #[must_use]
    pub fn allows(&self, token: u32) -> bool {
        let word = self.words.get(token as usize / 32);
        word.is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// Whether no token is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Replaces the set by the bits of `words`: token `t` is bit `t % 32` of word `t / 32`. Words that are
    /// missing have no tokens; bits beyond the vocabulary are left out.
    pub fn copy_from(&mut self, words: &[u32]) {
        let n = words.len().min(self.words.len());
        self.words[..n].copy_from_slice(&words[..n]);
        self.words[n..].fill(0);
        let beyond = self.words.len() * 32 - self.vocab;
        if let Some(last) = self.words.last_mut() {
            *last &= u32::MAX >> beyond;
        }
    }

    /// Makes the logits of all other tokens minus infinity.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (word, logits) in self.words.iter().zip(logits.chunks_mut(32)) {
            if *word == u32::MAX {
                continue;
            }
            for (bit, logit) in logits.iter_mut().enumerate() {
                if word >> bit & 1 == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_holds_the_tokens_of_its_vocabulary() {
        for vocab in [1, 31, 32, 33, 70] {
            let mut mask = TokenMask::none(vocab);
            assert!(mask.is_empty());
            mask.allow(vocab as u32 - 1);
            mask.allow(vocab as u32);
            assert!(mask.allows(vocab as u32 - 1) && !mask.allows(vocab as u32));
            mask.forbid(vocab as u32 - 1);
            assert!(mask.is_empty());
            mask.copy_from(&[u32::MAX; 4]);
            let mut logits = vec![1.0; vocab];
            mask.apply(&mut logits);
            assert!(logits.iter().all(|logit| *logit == 1.0));
            assert!(!mask.allows(vocab as u32));
            mask.copy_from(&[1]);
            mask.apply(&mut logits);
            assert_eq!(logits[0], 1.0);
            assert!(logits[1..].iter().all(|logit| *logit == f32::NEG_INFINITY));
        }
    }
}
