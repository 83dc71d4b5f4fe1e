//! What was probably meant by a value that a setting cannot have.

use toml::Value;

use crate::keys::{Key, Kind};
use crate::nearest::nearest;

/// How to put `value` right for `key`, if that can be guessed.
pub(crate) fn for_value(key: &Key, value: &Value) -> Option<String> {
    let name = key.name.rsplit('.').next().unwrap_or(key.name);
    match (key.kind, value) {
        (Kind::Word(words), Value::String(word)) => {
            nearest(word, words.iter().copied()).map(|word| format!("did you mean \"{word}\"?"))
        }
        (Kind::Whole { .. } | Kind::Number { .. } | Kind::Switch, Value::String(text)) => {
            let read = key.kind.accept(key.kind.read(text))?;
            Some(format!("write it without quotes: {name} = {read}"))
        }
        (Kind::Whole { min, max }, Value::Integer(n)) => Some(if *n < min {
            format!("the smallest possible is {min}")
        } else {
            format!("the largest possible is {max}")
        }),
        (Kind::Whole { min, max }, Value::Float(x)) if x.is_finite() => {
            // `as` saturates, and the range decides.
            let whole = (x.round() as i64).clamp(min, max);
            Some(format!("write a whole number: {name} = {whole}"))
        }
        (Kind::Number { min, max }, Value::Float(x)) if !x.is_nan() => Some(if *x < min {
            format!("the smallest possible is {min}")
        } else {
            format!("the largest possible is {max}")
        }),
        (Kind::Number { .. }, Value::Integer(n)) => for_value(key, &Value::Float(*n as f64)),
        (Kind::Word(_) | Kind::Text { .. }, Value::Integer(_) | Value::Boolean(_)) => {
            let text = Value::String(value.to_string());
            key.kind
                .accept(text)
                .map(|text| format!("write it in quotes: {name} = {text}"))
        }
        (Kind::Texts { .. }, Value::String(_)) => {
            let list = Value::Array(vec![value.clone()]);
            key.kind
                .accept(list)
                .map(|list| format!("write a list: {name} = {list}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[track_caller]
    fn advice(name: &str, value: impl Into<Value>) -> String {
        for_value(keys::find(name).unwrap(), &value.into()).unwrap_or_default()
    }

    #[test]
    fn the_nearest_right_value_is_named() {
        assert_eq!(advice("head", "q4exact"), "did you mean \"q4+exact\"?");
        assert_eq!(advice("priority", "latncy"), "did you mean \"latency\"?");
        assert_eq!(
            advice("threads", "2"),
            "write it without quotes: threads = 2"
        );
        assert_eq!(advice("threads", 5000), "the largest possible is 1024");
        assert_eq!(advice("threads", 2.6), "write a whole number: threads = 3");
        assert_eq!(
            advice("alerts.cpu_percent", 300),
            "the largest possible is 100"
        );
        assert_eq!(advice("alerts.cpu_percent", f64::NAN), "");
        assert_eq!(
            advice("kernel", 512),
            "write it in quotes: kernel = \"512\""
        );
        assert_eq!(advice("tips", "one"), "write a list: tips = [\"one\"]");
        assert_eq!(
            advice("mlock", "true"),
            "write it without quotes: mlock = true"
        );
        assert_eq!(advice("mlock", "maybe"), "");
    }
}
