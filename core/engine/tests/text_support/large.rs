//! A made-up tokenizer of the size of a real one: 128 256 tokens, 280 000 merges.

use std::collections::HashMap;

use tritone_engine::text::TokenizerSpec;

/// The letters that its words are made of: few, so that random text is full of merges.
pub(crate) const LETTERS: &[u8] = b"abcdefghijklmnop \xc3\xa9\xe6\xbc\xa2\xf0\x9f\x91\x8d";

const TOKENS: usize = 128_256;
const MERGES: usize = 280_000;

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * end as u128) >> 64) as usize
    }
}

/// The character of GPT-2's alphabet that stands for a byte.
fn char_of(byte: u8) -> char {
    let is_itself = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if is_itself(byte) {
        return char::from(byte);
    }
    let moved = (0..byte).filter(|&byte| !is_itself(byte)).count();
    char::from_u32(0x100 + moved as u32).unwrap_or_default()
}

/// Bytes as a file spells them.
pub(crate) fn spelled(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char_of(byte)).collect()
}

/// Its lists, as a file spells them.
pub(crate) struct Large {
    pub(crate) tokens: Vec<String>,
    pub(crate) merges: Vec<(String, String)>,
    joined: Vec<String>,
}

impl Large {
    pub(crate) fn new() -> Self {
        let mut random = Random(1);
        let letters: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut tokens = letters.clone();
        let mut ids: HashMap<Vec<u8>, usize> = (letters.into_iter()).zip(0..).collect();
        let mut merges = Vec::new();
        let usual: Vec<usize> = LETTERS.iter().map(|&byte| usize::from(byte)).collect();
        while tokens.len() < TOKENS {
            // Half of the time a short one, so that all lengths occur.
            let mut pick = || match random.below(2) {
                0 => usual[random.below(usual.len())],
                _ => match random.below(tokens.len()) {
                    letter @ 0..256 => usual[letter % usual.len()],
                    other => other,
                },
            };
            let token = [&tokens[pick()][..], &tokens[pick()]].concat();
            if token.len() > 16 || ids.contains_key(&token) {
                continue;
            }
            // All ways to put it together, as in files made by converters.
            for middle in 1..token.len() {
                let (left, right) = token.split_at(middle);
                if merges.len() < MERGES && ids.contains_key(left) && ids.contains_key(right) {
                    merges.push((left.to_vec(), right.to_vec()));
                }
            }
            ids.insert(token.clone(), tokens.len());
            tokens.push(token);
        }
        // The rest repeats earlier merges, of which the last counts.
        while merges.len() < MERGES {
            merges.push(merges[random.below(merges.len())].clone());
        }
        let merges: Vec<_> = merges
            .iter()
            .map(|(left, right)| (spelled(left), spelled(right)))
            .collect();
        Self {
            tokens: tokens.iter().map(|token| spelled(token)).collect(),
            joined: merges.iter().map(|(l, r)| format!("{l} {r}")).collect(),
            merges,
        }
    }

    pub(crate) fn spec(&self) -> TokenizerSpec<'_> {
        TokenizerSpec {
            model: "gpt2",
            pre: Some("llama-bpe"),
            architecture: "llama",
            tokens: self.tokens.iter().map(|token| token.as_bytes()).collect(),
            merges: self.joined.iter().map(|merge| merge.as_bytes()).collect(),
            ..TokenizerSpec::default()
        }
    }
}

/// Text of whole characters of [`LETTERS`], of `count` of them.
pub(crate) fn text(random: &mut Random, count: usize) -> String {
    let letters = String::from_utf8_lossy(LETTERS);
    let letters: Vec<char> = letters.chars().collect();
    let char = |_| letters[random.below(letters.len())];
    (0..count).map(char).collect()
}
