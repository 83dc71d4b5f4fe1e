//! The methods of Python's strings and dictionaries that chat templates call.

use minijinja::value::{Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Calls `method` on `value` as Python would, as far as templates need it.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        // The engine charges for results, but not for what these methods read.
        state.consume_fuel(text.len() as u64 / 64)?;
        string_method(state, value, text, method, args)
    } else if value.kind() == ValueKind::Map {
        map_method(state, value, method, args)
    } else {
        Err(ErrorKind::UnknownMethod.into())
    }
}

/// What Python takes for white space: four separators more than Unicode.
pub(super) fn is_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\x1c'..='\x1f')
}

/// The filter `trim`.
pub(super) fn trim(text: &str, set: Option<&str>) -> String {
    let strip = |char: char| set.map_or(is_space(char), |set| set.contains(char));
    text.trim_matches(strip).to_owned()
}

fn string_method(
    state: &mut State<'_, '_>,
    value: &Value,
    text: &str,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match method {
        "strip" | "lstrip" | "rstrip" => {
            let (set,): (Option<&str>,) = from_args(args)?;
            let strip = |char: char| set.map_or(is_space(char), |set| set.contains(char));
            Ok(Value::from(match method {
                "strip" => text.trim_matches(strip),
                "lstrip" => text.trim_start_matches(strip),
                _ => text.trim_end_matches(strip),
            }))
        }
        "startswith" => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(text.starts_with(prefix).into())
        }
        "endswith" => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(text.ends_with(suffix).into())
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(text.strip_prefix(prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(text.strip_suffix(suffix).unwrap_or(text).into())
        }
        "find" => {
            let (part,): (&str,) = from_args(args)?;
            let at = text.find(part).map(|at| text[..at].chars().count());
            Ok(at.map_or(Value::from(-1), Value::from))
        }
        "rfind" => {
            let (part,): (&str,) = from_args(args)?;
            let at = text.rfind(part).map(|at| text[..at].chars().count());
            Ok(at.map_or(Value::from(-1), Value::from))
        }
        "count" => {
            let (part,): (&str,) = from_args(args)?;
            Ok(text.matches(part).count().into())
        }
        "isdigit" => Ok((!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into()),
        "rsplit" => {
            let (part, most): (&str, Option<i64>) = from_args(args)?;
            let most = most.and_then(|most| usize::try_from(most).ok());
            let most = most.map_or(usize::MAX, |most| most.saturating_add(1));
            if part.is_empty() {
                let what = "rsplit: the separator is empty";
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
            state.consume_fuel(text.len() as u64)?;
            let mut parts: Vec<_> = text.rsplitn(most, part).map(Value::from).collect();
            parts.reverse();
            Ok(parts.into())
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            state.apply_filter("join", &[items, value.clone()])
        }
        "splitlines" => filter(state, "lines", value, args),
        "title" => {
            let () = from_args(args)?;
            state.consume_fuel(text.len() as u64)?;
            Ok(title(text).into())
        }
        "split" | "replace" | "upper" | "lower" | "capitalize" => {
            filter(state, method, value, args)
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

/// Every word with one capital; a word is a run of letters.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = char.is_alphabetic();
    }
    out
}

fn map_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match method {
        "items" => filter(state, "items", value, args),
        "keys" => filter(state, "list", value, args),
        "values" => {
            let () = from_args(args)?;
            let keys: Vec<Value> = value.try_iter()?.collect();
            keys.iter()
                .map(|key| value.get_item(key))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::from)
        }
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(key)?;
            let default = default.unwrap_or_else(|| Value::from(()));
            Ok(if found.is_undefined() { default } else { found })
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

/// The filter that does the same; filters charge for their work before they do it.
fn filter(
    state: &mut State<'_, '_>,
    name: &str,
    value: &Value,
    args: &[Value],
) -> Result<Value, Error> {
    let args: Vec<Value> = std::iter::once(value).chain(args).cloned().collect();
    state.apply_filter(name, &args)
}
