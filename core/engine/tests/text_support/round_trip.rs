//! What must be true of every text and vocabulary; for tests and the fuzz target `tokenizer`.

use std::borrow::Cow;
use std::sync::OnceLock;

use tritone_engine::text::{SpacePrefix, Specials, TokenStream, Tokenizer, TokenizerSpec};

/// Control tokens of every vocabulary.
const CONTROLS: [&str; 3] = ["<s>", "</s>", "<|im_end|>"];

/// Pieces that meet each other in many ways. The last two are user-defined.
const PIECES: [&str; 30] = [
    "a",
    "b",
    "e",
    "\u{301}",
    "é",
    "▁",
    "▁▁",
    "▁a",
    "▁▁▁▁",
    "aa",
    "ab",
    "ba",
    "aaa",
    "aab",
    "abab",
    "b▁",
    "a▁b",
    "1",
    "12",
    "\n",
    "字",
    "字字",
    "👍",
    "▁字",
    "é字",
    "ab▁ab",
    "<",
    "s>",
    "\n\n",
    "<think>",
];

/// Takes the first byte for a vocabulary and the rest for a text, and panics where something is wrong.
pub(crate) fn exercise(input: &[u8]) {
    // They take longer to build than a text to encode.
    static TOKENIZERS: [OnceLock<Tokenizer>; 256] = [const { OnceLock::new() }; 256];
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    // The bits choose the kind, and the order of merges where there are several.
    let (kind, order) = (first % 8, first / 8);
    let place = if kind < 5 { kind } else { first };
    let tokenizer = TOKENIZERS[usize::from(place)].get_or_init(|| match kind {
        0..=4 => {
            of_bytes(["llama-bpe", "qwen2", "qwen35", "falcon_e", "default"][usize::from(kind)])
        }
        5 => of_pieces(order, false, SpacePrefix::Always),
        6 => of_pieces(order, true, SpacePrefix::None),
        _ => of_pieces(order, order % 2 == 0, SpacePrefix::First),
    });
    match kind {
        0..=4 => check(tokenizer, &text, &text, false),
        6 => check(tokenizer, &text, &text.replace('\u{2581}', " "), false),
        // A space that was there looks like one that was put in front, and one is put behind
        // literals too.
        _ => check(tokenizer, &text, &text.replace(['\u{2581}', ' '], ""), true),
    }
}

fn of_bytes(pre: &str) -> Tokenizer {
    let mut tokens: Vec<String> = (0..=255)
        .map(|byte| tritone_formats::alphabet::letter(byte).into())
        .collect();
    let merges = [
        "a a", "a b", "Ġ a", "aa a", "Ġ Ġ", "1 2", "Ì ģ", "e Ì", "Ã ©",
    ];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    tokens.push("eÌģ".to_owned());
    let ordinary = tokens.len();
    tokens.extend(CONTROLS.map(str::to_owned));
    tokens.push("<think>".to_owned());
    let mut types = vec![1; ordinary];
    types.extend([3, 3, 3, 4]);
    let spec = TokenizerSpec {
        model: "gpt2",
        pre: Some(pre),
        tokens: tokens.iter().map(String::as_bytes).collect(),
        merges: merges.iter().map(|merge| merge.as_bytes()).collect(),
        token_types: Cow::Borrowed(&types),
        nfc: Some(false),
        ..TokenizerSpec::default()
    };
    Tokenizer::from_spec(&spec).expect("a sound vocabulary").0
}

fn of_pieces(order: u8, with_merges: bool, space_prefix: SpacePrefix) -> Tokenizer {
    let mut tokens: Vec<String> = (0..=255)
        .map(|byte: u8| format!("<0x{byte:02X}>"))
        .collect();
    tokens.extend(PIECES.map(str::to_owned));
    tokens.extend(CONTROLS.map(str::to_owned));
    let mut types = vec![6; 256];
    types.extend([1; PIECES.len() - 2]);
    types.extend([4, 4, 3, 3, 3]);
    // Some order, with pieces of equal rank.
    let score = |id: usize| -(((id * (usize::from(order) * 2 + 1)) % 17) as f32);
    let scores: Vec<f32> = (0..tokens.len()).map(score).collect();
    let mut merges = Vec::new();
    for piece in &PIECES[..PIECES.len() - 2] {
        let middles = piece
            .char_indices()
            .skip(1)
            .map(|(at, _)| piece.split_at(at));
        let known = |part: &str| PIECES.contains(&part);
        merges.extend(
            middles
                .filter(|(left, right)| known(left) && known(right))
                .map(|(left, right)| format!("{left} {right}")),
        );
    }
    let count = merges.len();
    merges.rotate_left(usize::from(order) % count);
    let spec = TokenizerSpec {
        model: "llama",
        tokens: tokens.iter().map(String::as_bytes).collect(),
        merges: match with_merges {
            true => merges.iter().map(String::as_bytes).collect(),
            false => Vec::new(),
        },
        scores: Cow::Borrowed(&scores),
        token_types: Cow::Borrowed(&types),
        space_prefix,
        ..TokenizerSpec::default()
    };
    Tokenizer::from_spec(&spec).expect("a sound vocabulary").0
}

/// Encodes and decodes `text`; `expected` is what has to come back, spaces left out if `without`.
fn check(tokenizer: &Tokenizer, text: &str, expected: &str, without: bool) {
    let kept = |text: String| match without {
        true => text.replace(' ', ""),
        false => text,
    };
    let ids = tokenizer
        .encode(text, Specials::Plain)
        .expect("all text has tokens");
    assert!(!ids.iter().any(|&id| tokenizer.is_control(id)), "{text:?}");
    assert_eq!(kept(tokenizer.decode(&ids)), expected);
    let mut stream = TokenStream::after(tokenizer, None);
    let mut streamed: String = ids.iter().map(|&id| stream.push(tokenizer, id)).collect();
    streamed.push_str(&stream.finish());
    assert_eq!(kept(streamed), expected);
    // Where control tokens are looked for, the rest stays what it was.
    let parsed = tokenizer
        .encode(text, Specials::Parse)
        .expect("all text has tokens");
    let all: Vec<u8> = parsed
        .iter()
        .flat_map(|&id| tokenizer.decode_bytes(id))
        .copied()
        .collect();
    let all = String::from_utf8(all).expect("whole characters");
    let all = kept(all);
    assert_eq!(all, expected);
}
