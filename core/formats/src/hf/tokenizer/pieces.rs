//! BPE over pieces of text, as SentencePiece models become in the library: a space is written U+2581,
//! and what is no piece becomes tokens of single bytes.

use serde_json::Value;

use super::super::HfError;
use super::raw::{flag, kind, steps, text};
use super::refused;

/// Stands for a space.
pub(super) const SPACE: &str = "\u{2581}";

/// Whether this is one: bytes stand in for what is no piece, and nothing spells all text in bytes.
pub(super) fn is_it(byte_fallback: bool, pre_tokenizer: Option<&Value>) -> bool {
    let parts = steps(pre_tokenizer, "pretokenizers");
    byte_fallback && !parts.iter().any(|step| kind(step) == "ByteLevel")
}

/// Where a space is put in front of text: a value of `tritone.tokenizer.space_prefix`.
pub(super) fn space_prefix(
    normalizer: Option<&Value>,
    pre_tokenizer: Option<&Value>,
    decoder: Option<&Value>,
) -> Result<&'static str, HfError> {
    let (mut prefix, mut replaced) = ("none", false);
    for step in steps(normalizer, "normalizers") {
        match kind(step) {
            // In front of it, so that the space is replaced as well; or spelled already.
            "Prepend" if matches!(text(step, "prepend"), SPACE | " ") && !replaced => {
                prefix = "always";
            }
            "Replace" if is_space(step) && text(step, "content") == SPACE => replaced = true,
            other => {
                let other = other.escape_default();
                return refused(format!(
                    "normalizer '{other}', as it is set, is not supported"
                ));
            }
        }
    }
    for step in steps(pre_tokenizer, "pretokenizers") {
        match kind(step) {
            "Metaspace" => {
                let scheme = match step.get("prepend_scheme").and_then(Value::as_str) {
                    Some(scheme) => scheme,
                    None if flag(step, "add_prefix_space").unwrap_or(true) => "always",
                    None => "never",
                };
                if flag(step, "split").unwrap_or(true) {
                    return refused("'Metaspace' that splits at spaces is not supported");
                }
                if text(step, "replacement") != SPACE || prefix != "none" {
                    return refused("'Metaspace', as it is set, is not supported");
                }
                replaced = true;
                prefix = match scheme {
                    "always" => "missing",
                    "first" => "first",
                    "never" => "none",
                    other => {
                        let other = other.escape_default();
                        return refused(format!("prepend_scheme '{other}' is not supported"));
                    }
                };
            }
            // There is no space left that it could find.
            "Split" if is_space(step) && replaced => {}
            other => {
                let other = other.escape_default();
                return refused(format!(
                    "pre-tokenizer '{other}', as it is set, is not supported"
                ));
            }
        }
    }
    if !replaced {
        return refused("nothing replaces spaces by U+2581");
    }
    for step in steps(decoder, "decoders") {
        let known = ["Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"];
        if !known.contains(&kind(step)) {
            let other = kind(step).escape_default();
            return refused(format!("decoder '{other}' is not supported"));
        }
    }
    Ok(prefix)
}

/// Whether a step looks for single spaces.
fn is_space(step: &Value) -> bool {
    step.pointer("/pattern/String").and_then(Value::as_str) == Some(" ")
}

/// Scores for other programs, which do not look for merges: the piece that is made first has the
/// highest.
pub(super) fn scores(tokens: &[String], merges: &[(String, String)]) -> Vec<f32> {
    let mut first = std::collections::HashMap::new();
    for (rank, (left, right)) in merges.iter().enumerate() {
        first.entry([left.as_str(), right].concat()).or_insert(rank);
    }
    // Below all that are made, of which there are fewer than a float counts.
    const NOT_MADE: f32 = -1e8;
    let score = |token: &String| first.get(token).map_or(NOT_MADE, |&rank| -(rank as f32));
    tokens.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prefixes_are_told_by_normalizer_and_pre_tokenizer() {
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let prepend = json!({"type": "Prepend", "prepend": "▁"});
        let both = json!({"type": "Sequence", "normalizers": [prepend, replace]});
        let metaspace = |scheme: &str| {
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme,
                "split": false})
        };
        let split = json!({"type": "Split", "pattern": {"String": " "},
            "behavior": "MergedWithPrevious", "invert": false});
        let of = |normalizer: Option<&Value>, pre: Option<&Value>| {
            space_prefix(normalizer, pre, None).map_err(|err| err.to_string())
        };
        assert_eq!(of(Some(&both), None).unwrap(), "always");
        assert_eq!(of(Some(&replace), None).unwrap(), "none");
        assert_eq!(of(Some(&replace), Some(&split)).unwrap(), "none");
        assert_eq!(of(None, Some(&metaspace("always"))).unwrap(), "missing");
        assert_eq!(of(None, Some(&metaspace("first"))).unwrap(), "first");
        assert_eq!(of(None, Some(&metaspace("never"))).unwrap(), "none");
        let old = json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true});
        for (normalizer, pre, part) in [
            (None, None, "nothing replaces spaces"),
            (Some(&prepend), None, "nothing replaces spaces"),
            (Some(&json!({"type": "NFKC"})), None, "normalizer 'NFKC'"),
            (None, Some(&old), "splits at spaces"),
            (None, Some(&split), "pre-tokenizer 'Split'"),
            (Some(&both), Some(&metaspace("first")), "as it is set"),
            (None, Some(&metaspace("sometimes")), "'sometimes'"),
        ] {
            let err = of(normalizer, pre).unwrap_err();
            assert!(err.contains(part), "{err}");
        }
        let decoder = json!({"type": "WordPiece"});
        let err = space_prefix(Some(&both), None, Some(&decoder)).unwrap_err();
        assert!(err.to_string().contains("'WordPiece'"), "{err}");
    }
}
