//! How a text is cut into windows, and which tokens of a window are scored.

use std::ops::Range;

/// A part of the text that is read from an empty cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// What the model reads.
    pub(super) tokens: Vec<u32>,
    /// Those that are scored; the first is not among them.
    pub(super) scored: Range<usize>,
}

/// Where windows begin and what they score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Side by side; the second half is scored.
    Halves,
    /// One every so many tokens; what the one before did not reach is scored.
    Stride(usize),
}

/// The windows of a text.
#[derive(Debug)]
pub(super) struct Windows {
    tokens: Vec<u32>,
    size: usize,
    rule: Rule,
    /// Takes the place of the first token of windows that lie side by side.
    bos: Option<u32>,
}

impl Windows {
    /// Cuts `tokens` into windows of `size`, or of all tokens if there are fewer.
    ///
    /// # Errors
    /// When nothing would be scored.
    pub(super) fn new(
        tokens: Vec<u32>,
        size: usize,
        rule: Rule,
        bos: Option<u32>,
    ) -> Result<Self, String> {
        let size = size.min(tokens.len());
        let least = match rule {
            Rule::Halves => 3,
            Rule::Stride(_) => 2,
        };
        if size < least {
            return Err(format!(
                "a window of {size} tokens has nothing to score; {least} tokens at least are needed"
            ));
        }
        if let Rule::Stride(stride) = rule
            && stride >= size
            && size < tokens.len()
        {
            return Err(format!(
                "a stride of {stride} tokens leaves some out; it has to be smaller than the window, \
                 which has {size}"
            ));
        }
        Ok(Self {
            tokens,
            size,
            rule,
            bos,
        })
    }

    /// Tokens of a window.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Windows there are.
    pub(super) fn count(&self) -> usize {
        match self.rule {
            Rule::Halves => self.tokens.len() / self.size,
            Rule::Stride(stride) => 1 + (self.tokens.len() - self.size).div_ceil(stride),
        }
    }

    /// Whether what a window scores follows on what the one before scored.
    pub(super) fn are_continuous(&self) -> bool {
        matches!(self.rule, Rule::Stride(_))
    }

    /// Window `i`, which is below the count.
    pub(super) fn get(&self, i: usize) -> Window {
        match self.rule {
            Rule::Halves => {
                let mut tokens = self.tokens[i * self.size..(i + 1) * self.size].to_vec();
                if let Some(bos) = self.bos {
                    tokens[0] = bos;
                }
                Window {
                    tokens,
                    scored: self.size / 2 + 1..self.size,
                }
            }
            Rule::Stride(stride) => {
                let begin = i * stride;
                let end = self.tokens.len().min(begin + self.size);
                let reached = match i {
                    0 => 1,
                    _ => (i - 1) * stride + self.size,
                };
                Window {
                    tokens: self.tokens[begin..end].to_vec(),
                    scored: reached - begin..end - begin,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_second_half_is_scored_after_half_a_window() {
        let windows = Windows::new((0..11).collect(), 4, Rule::Halves, Some(99)).unwrap();
        assert_eq!((windows.count(), windows.size()), (2, 4));
        let second = windows.get(1);
        assert_eq!(second.tokens, [99, 5, 6, 7]);
        assert_eq!(second.scored, 3..4);
        let short = Windows::new((0..3).collect(), 512, Rule::Halves, None).unwrap();
        assert_eq!(short.count(), 1);
        assert_eq!(short.get(0).scored, 2..3);
        assert!(Windows::new(vec![1, 2], 512, Rule::Halves, None).is_err());
        assert!(Windows::new(vec![1], 512, Rule::Stride(1), None).is_err());
        assert!(Windows::new(vec![1; 9], 4, Rule::Stride(4), None).is_err());
    }

    proptest! {
        #[test]
        fn a_stride_scores_every_token_but_the_first_once(
            len in 2_usize..80,
            size in 2_usize..20,
            stride in 1_usize..19,
        ) {
            prop_assume!(stride < size);
            let tokens: Vec<u32> = (0..len as u32).collect();
            let windows = Windows::new(tokens.clone(), size, Rule::Stride(stride), None).unwrap();
            let mut scored = Vec::new();
            for i in 0..windows.count() {
                let window = windows.get(i);
                prop_assert!(window.tokens.len() <= size && window.scored.start > 0);
                prop_assert!(!window.scored.is_empty());
                scored.extend_from_slice(&window.tokens[window.scored]);
            }
            prop_assert_eq!(scored, &tokens[1..]);
        }
    }
}
