//! The filter `tojson` as the Python library for chat templates has it: `json.dumps`, and not for HTML.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// Deeper values are refused; those of templates are flat.
const DEEPEST: usize = 64;

/// Writes a value as JSON. Options are `indent`, `separators` and `sort_keys`, of those of the library;
/// characters outside ASCII are always written as they are.
pub(super) fn filter(
    state: &mut State<'_, '_>,
    value: &Value,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let indent: Option<Option<usize>> = kwargs.get("indent")?;
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    let sorted: Option<bool> = kwargs.get("sort_keys")?;
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    kwargs.assert_all_used()?;
    let indent = indent.flatten();
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        _ if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        _ => (", ".to_owned(), ": ".to_owned()),
    };
    let mut writer = Writer {
        out: String::new(),
        indent: indent.map(|indent| indent.min(32)),
        item,
        key,
        sorted: sorted.unwrap_or(false),
    };
    writer.value(state, value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    indent: Option<usize>,
    /// Between items, and between a key and its value.
    item: String,
    key: String,
    sorted: bool,
}

impl Writer {
    fn value(
        &mut self,
        state: &mut State<'_, '_>,
        value: &Value,
        depth: usize,
    ) -> Result<(), Error> {
        let refuse = |what: &str| {
            let what = format!("tojson: {what}");
            Err(Error::new(ErrorKind::InvalidOperation, what))
        };
        if depth > DEEPEST {
            return refuse("the value is too deep");
        }
        state.consume_fuel(1)?;
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => {
                let text = if value.is_true() { "true" } else { "false" };
                self.out.push_str(text);
            }
            ValueKind::Number => self.out.push_str(&value.to_string()),
            ValueKind::String => {
                let text = value.as_str().unwrap_or_default();
                state.consume_fuel(text.len() as u64 / 64)?;
                self.string(text);
            }
            ValueKind::Seq | ValueKind::Iterable => {
                self.out.push('[');
                let mut count = 0;
                for item in value.try_iter()? {
                    self.next(state, count, depth)?;
                    self.value(state, &item, depth + 1)?;
                    count += 1;
                }
                self.end(']', count, depth);
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                self.out.push('{');
                for (count, key) in keys.iter().enumerate() {
                    self.next(state, count, depth)?;
                    match key.as_str() {
                        Some(text) => self.string(text),
                        None => self.string(&key.to_string()),
                    }
                    self.out.push_str(&self.key);
                    self.value(state, &value.get_item(key)?, depth + 1)?;
                }
                self.end('}', keys.len(), depth);
            }
            other => return refuse(&format!("a value of kind {other} is not JSON")),
        }
        Ok(())
    }

    /// What comes in front of the item that `count` others are in front of.
    fn next(&mut self, state: &mut State<'_, '_>, count: usize, depth: usize) -> Result<(), Error> {
        let blank = self.indent.map_or(0, |indent| indent * (depth + 1));
        state.consume_fuel((blank + self.item.len() + self.key.len()) as u64 / 64)?;
        if count > 0 {
            self.out.push_str(&self.item);
        }
        self.line(depth + 1);
        Ok(())
    }

    fn end(&mut self, bracket: char, count: usize, depth: usize) {
        if count > 0 {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                '\0'..='\x1f' => {
                    let code = format!("\\u{:04x}", u32::from(char));
                    self.out.push_str(&code);
                }
                _ => self.out.push(char),
            }
        }
        self.out.push('"');
    }
}
