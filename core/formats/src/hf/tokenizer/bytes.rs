//! Byte-level BPE: the rule that cuts text into words, and what is done to text before.

use serde_json::Value;

use super::super::HfError;
use super::raw::{flag, kind, steps, text};
use super::refused;

/// Published expressions and the names of their rules. Look-alikes are refused: one that differs in a
/// branch makes other tokens of some text.
const RULES: [(&str, &str); 4] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama-bpe",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen35",
    ),
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        "gpt-2",
    ),
];

/// The name of the rule that cuts text into words.
pub(super) fn rule(pre_tokenizer: Option<&Value>) -> Result<&'static str, HfError> {
    let mut expressions = Vec::new();
    let (mut bytes, mut words_of_gpt2) = (false, false);
    let (mut punctuation, mut digits) = (false, false);
    for step in steps(pre_tokenizer, "pretokenizers") {
        match kind(step) {
            "Split" => {
                let isolated = text(step, "behavior") == "Isolated";
                if !isolated || flag(step, "invert") == Some(true) {
                    return refused(
                        "a pre-tokenizer 'Split' that is not isolated is not supported",
                    );
                }
                let regex = step.pointer("/pattern/Regex").and_then(Value::as_str);
                let Some(regex) = regex else {
                    return refused("a pre-tokenizer 'Split' without an expression is not known");
                };
                expressions.push(regex);
            }
            "ByteLevel" => {
                bytes = true;
                words_of_gpt2 = flag(step, "use_regex").unwrap_or(true);
                if flag(step, "add_prefix_space").unwrap_or(true) {
                    return refused("'add_prefix_space' of 'ByteLevel' is not supported");
                }
            }
            "Punctuation" if text(step, "behavior") == "Contiguous" => punctuation = true,
            // It also cuts at letters that stand for bytes and happen to be digits; no merge of a
            // vocabulary that was trained with it joins there.
            "Digits" => digits = flag(step, "individual_digits").unwrap_or(false),
            other => {
                let other = other.escape_default();
                return refused(format!("pre-tokenizer '{other}' is not supported"));
            }
        }
    }
    if !bytes {
        return refused("there is no pre-tokenizer 'ByteLevel'");
    }
    match (expressions.as_slice(), words_of_gpt2, punctuation, digits) {
        ([], true, false, false) => Ok("gpt-2"),
        ([], true, true, true) => Ok("falcon_e"),
        (["[0-9][0-9][0-9]"], true, true, false) => Ok("falcon"),
        ([one], false, false, false) => match RULES.iter().find(|(known, _)| known == one) {
            Some((_, name)) => Ok(name),
            None => {
                let one = one.escape_default();
                refused(format!("the expression '{one}' is not known"))
            }
        },
        _ => refused(
            "the pre-tokenizers are not those of a known family: Llama 3, Qwen, GPT-2 or Falcon",
        ),
    }
}

/// Whether text is brought to normalization form C first.
pub(super) fn nfc(normalizer: Option<&Value>) -> Result<bool, HfError> {
    let mut nfc = false;
    for step in steps(normalizer, "normalizers") {
        match kind(step) {
            "NFC" => nfc = true,
            other => {
                let other = other.escape_default();
                return refused(format!("normalizer '{other}' is not supported"));
            }
        }
    }
    Ok(nfc)
}

/// Refuses a decoder that does something else than to join bytes.
pub(super) fn check_decoder(decoder: Option<&Value>) -> Result<(), HfError> {
    for step in steps(decoder, "decoders") {
        if kind(step) != "ByteLevel" {
            let other = kind(step).escape_default();
            return refused(format!("decoder '{other}' is not supported"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(parts: &str) -> Result<&'static str, HfError> {
        let text = format!(r#"{{"type": "Sequence", "pretokenizers": [{parts}]}}"#);
        rule(Some(&serde_json::from_str(&text).unwrap()))
    }

    fn split(expression: &str) -> String {
        let expression = serde_json::to_string(expression).unwrap();
        format!(
            r#"{{"type": "Split", "pattern": {{"Regex": {expression}}}, "behavior": "Isolated"}}"#
        )
    }

    #[test]
    fn rules_are_told_by_their_parts() {
        let bytes = r#"{"type": "ByteLevel", "use_regex": false, "add_prefix_space": false}"#;
        let own = r#"{"type": "ByteLevel", "add_prefix_space": false}"#;
        for (expression, name) in RULES {
            let found = rule_of(&format!("{}, {bytes}", split(expression)));
            assert_eq!(found.unwrap(), name);
        }
        let like = RULES[0].0.replace(r"| ?[^\s", r"|[^\s");
        let err = rule_of(&format!("{}, {bytes}", split(&like))).unwrap_err();
        assert!(err.to_string().contains("is not known"), "{err}");
        assert_eq!(rule_of(own).unwrap(), "gpt-2");
        assert!(rule_of(bytes).is_err(), "nothing cuts words");
        assert!(rule_of(&split(RULES[0].0)).is_err(), "nothing spells bytes");
        assert!(rule(None).is_err());
        let spaced = r#"{"type": "ByteLevel", "add_prefix_space": true}"#;
        assert!(rule_of(spaced).is_err());
        let gone = split(RULES[0].0).replace("Isolated", "Removed");
        assert!(rule_of(&format!("{gone}, {bytes}")).is_err());
        let falcon = format!(r#"{{"type": "Punctuation", "behavior": "Contiguous"}}, {own}, "#);
        let digits = r#"{"type": "Digits", "individual_digits": true}"#;
        assert_eq!(rule_of(&format!("{falcon}{digits}")).unwrap(), "falcon_e");
        let three = split("[0-9][0-9][0-9]");
        let old = format!(r#"{falcon}{{"type": "Digits", "individual_digits": false}}, {three}"#);
        assert_eq!(rule_of(&old).unwrap(), "falcon");
        assert!(rule_of(r#"{"type": "Metaspace"}"#).is_err());
    }
}
