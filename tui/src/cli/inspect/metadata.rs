//! Metadata values, shortened for people and for programs.

use serde_json::{Value as Json, json};
use tritone_formats::{Array, Value};

/// Characters of a string that are shown.
const MOST_CHARS: usize = 160;
/// Elements of an array that are shown.
const MOST_ITEMS: usize = 6;

/// At most `most` characters of `text`, with everything escaped that is not one printable line.
pub(super) fn escaped(text: &str, most: usize) -> String {
    let (shown, more) = beginning(text, most);
    match more {
        0 => shown,
        _ => format!("{shown}... and {more} more characters"),
    }
}

/// The first `most` characters of `text`, escaped, and how many follow.
fn beginning(text: &str, most: usize) -> (String, usize) {
    let mut shown = String::new();
    for c in text.chars().take(most) {
        if c == '\'' {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    (shown, text.chars().count().saturating_sub(most))
}

/// A value in a line.
pub(super) fn text(value: &Value<'_>) -> String {
    match value {
        Value::Str(bytes) => match beginning(&String::from_utf8_lossy(bytes), MOST_CHARS) {
            (text, 0) => format!("\"{text}\""),
            (text, more) => format!("\"{text}\" and {more} more characters"),
        },
        Value::Array(array) => array_text(array),
        Value::Bool(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        other => other.integer().unwrap_or_default().to_string(),
    }
}

fn array_text(array: &Array<'_>) -> String {
    let first: Vec<_> = array
        .iter()
        .take(MOST_ITEMS)
        .map(|value| text(&value))
        .collect();
    let dots = if array.len() > first.len() {
        ", ..."
    } else {
        ""
    };
    format!(
        "{} of {}: [{}{dots}]",
        array.len(),
        array.elem(),
        first.join(", ")
    )
}

/// A value for programs: arrays are described by type, length and first elements.
pub(super) fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Str(bytes) => Json::from(String::from_utf8_lossy(bytes)),
        Value::Array(array) => {
            let first: Vec<_> = array
                .iter()
                .take(MOST_ITEMS)
                .map(|value| json(&value))
                .collect();
            json!({ "type": array.elem().to_string(), "length": array.len(), "first": first })
        }
        Value::Bool(value) => Json::from(*value),
        // JSON has no NaN and no infinity; those become null.
        Value::F32(value) => Json::from(*value),
        Value::F64(value) => Json::from(*value),
        Value::U64(value) => Json::from(*value),
        other => Json::from(other.integer().and_then(|n| i64::try_from(n).ok())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_one_harmless_line_of_bounded_length() {
        assert_eq!(
            text(&Value::Str(b"a'\n\x1b[2J\"\xff")),
            r#""a'\n\u{1b}[2J\"�""#
        );
        let long = "é".repeat(MOST_CHARS + 3);
        let shown = text(&Value::Str(long.as_bytes()));
        assert!(shown.ends_with("\" and 3 more characters"), "{shown}");
        assert_eq!(shown.matches('é').count(), MOST_CHARS);
        assert_eq!(escaped("abcdef", 4), "abcd... and 2 more characters");
    }

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!(text(&Value::I64(i64::MIN)), i64::MIN.to_string());
        assert_eq!(text(&Value::U64(u64::MAX)), u64::MAX.to_string());
        assert_eq!(json(&Value::U64(u64::MAX)), json!(u64::MAX));
        assert_eq!(json(&Value::I8(-7)), json!(-7));
        assert_eq!(json(&Value::F32(f32::NAN)), Json::Null);
        assert_eq!(json(&Value::Bool(true)), json!(true));
    }
}
