//! Byte pair encoding by its definition: slow, and short enough to be read.

use std::collections::HashMap;

use regex::Regex;

use super::large::spelled;

/// The tokens and merges of a tokenizer, as a file spells them.
pub(crate) struct Oracle {
    ids: HashMap<String, u32>,
    /// The place and the result of a merge.
    merges: HashMap<(u32, u32), (usize, u32)>,
    /// Tokens that are found in the text before anything else.
    literals: Vec<(String, u32)>,
    letter: Regex,
}

impl Oracle {
    pub(crate) fn new<'a>(
        tokens: impl Iterator<Item = (&'a str, u32)>,
        merges: impl Iterator<Item = (&'a str, &'a str)>,
        literals: Vec<(String, u32)>,
    ) -> Self {
        let ids: HashMap<_, _> = tokens.map(|(text, id)| (text.to_owned(), id)).collect();
        // Of several entries for one pair the last counts.
        let merges = merges.enumerate().map(|(rank, (left, right))| {
            let whole = ids[&[left, right].concat()];
            ((ids[left], ids[right]), (rank, whole))
        });
        Self {
            merges: merges.collect(),
            literals,
            letter: Regex::new(r"^\p{L}$").unwrap(),
            ids,
        }
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut done = 0;
        for at in 0..text.len() {
            if at < done || !text.is_char_boundary(at) {
                continue;
            }
            let here = |literal: &&(String, u32)| text[at..].starts_with(&literal.0);
            let found = self.literals.iter().filter(here);
            if let Some((name, id)) = found.max_by_key(|literal| literal.0.len()) {
                ids.extend(self.encode_plain(&text[done..at]));
                ids.push(*id);
                done = at + name.len();
            }
        }
        ids.extend(self.encode_plain(&text[done..]));
        ids
    }

    fn encode_plain(&self, text: &str) -> Vec<u32> {
        let chars: Vec<char> = text.chars().collect();
        let mut rest = &chars[..];
        let mut ids = Vec::new();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(self.word(rest));
            ids.extend(self.encode_word(&spelled(word.iter().collect::<String>().as_bytes())));
            rest = after;
        }
        ids
    }

    fn encode_word(&self, word: &str) -> Vec<u32> {
        if let Some(&id) = self.ids.get(word) {
            return vec![id];
        }
        let letters = word.chars().map(|letter| self.ids[&letter.to_string()]);
        let mut parts: Vec<u32> = letters.collect();
        loop {
            let merge = |(at, pair): (usize, &[u32])| {
                let (rank, id) = self.merges.get(&(pair[0], pair[1]))?;
                Some((*rank, at, *id))
            };
            let Some((_, at, id)) = parts.windows(2).enumerate().filter_map(merge).min() else {
                return parts;
            };
            parts.splice(at..at + 2, [id]);
        }
    }

    /// How many of `chars` are the first word: the branches of Llama 3's expression, one by one.
    fn word(&self, chars: &[char]) -> usize {
        let at = |index: usize| chars.get(index).copied();
        let is_letter = |c: char| self.letter.is_match(c.encode_utf8(&mut [0; 4]));
        let is_end = |c: char| matches!(c, '\r' | '\n');
        let is_other = |c: char| !c.is_whitespace() && !is_letter(c) && !c.is_numeric();
        let run = |from: usize, is_it: &dyn Fn(char) -> bool| {
            let count = chars[from..].iter().take_while(|&&c| is_it(c)).count();
            from + count
        };
        // (?i:'s|'t|'re|'ve|'m|'ll|'d)
        let folded = |c: char| {
            if c == 'ſ' {
                's'
            } else {
                c.to_ascii_lowercase()
            }
        };
        if at(0) == Some('\'') {
            match (at(1).map(folded), at(2).map(folded)) {
                (Some('s' | 't' | 'm' | 'd'), _) => return 2,
                (Some('r' | 'v'), Some('e')) | (Some('l'), Some('l')) => return 3,
                _ => {}
            }
        }
        // [^\r\n\p{L}\p{N}]?\p{L}+
        let is_before = !is_letter(chars[0]) && !is_end(chars[0]) && !chars[0].is_numeric();
        let letters = run(usize::from(is_before), &is_letter);
        if letters > usize::from(is_before) {
            return letters;
        }
        // \p{N}{1,3}
        let digits = run(0, &char::is_numeric);
        if digits > 0 {
            return digits.min(3);
        }
        //  ?[^\s\p{L}\p{N}]+[\r\n]*
        let space = usize::from(chars[0] == ' ');
        let others = run(space, &is_other);
        if others > space {
            return run(others, &is_end);
        }
        // \s*[\r\n]+, then \s+(?!\S), then \s+
        let blank = run(0, &char::is_whitespace);
        match chars[..blank].iter().rposition(|&c| is_end(c)) {
            Some(last) => last + 1,
            None if blank < chars.len() && blank > 1 => blank - 1,
            None => blank,
        }
    }
}
