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
            let strip = |char: char| set.map_or(char.is_whitespace(), |set| set.contains(char));
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
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            state.apply_filter("join", &[items, value.clone()])
        }
        "splitlines" => filter(state, "lines", value, args),
        "split" | "replace" | "upper" | "lower" | "title" | "capitalize" => {
            filter(state, method, value, args)
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
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
