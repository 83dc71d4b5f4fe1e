//! A resolved profile as a TOML file for people.

use std::fmt::Write as _;

use toml::Value;

use crate::keys::KEYS;
use crate::resolve::Resolved;
use crate::source::wrapped;

impl Resolved {
    /// The value of a setting as TOML has it, on one line; `None` if there is no such setting.
    pub fn toml_of(&self, key: &str) -> Option<String> {
        let table = toml::Table::try_from(self.profile()).ok()?;
        let value = match key.split_once('.') {
            None => table.get(key),
            Some((outer, name)) => table.get(outer)?.get(name),
        };
        value.map(ToString::to_string)
    }

    /// The whole profile as TOML: every setting with what it is for, its value, and where that came
    /// from. Read again, it is the same profile whatever stands below it.
    pub fn to_toml(&self) -> String {
        let table = toml::Table::try_from(self.profile()).unwrap_or_default();
        let mut text = String::new();
        let mut inside = "";
        for key in KEYS
            .iter()
            .filter(|key| !key.name.contains('.'))
            .chain(KEYS.iter().filter(|key| key.name.contains('.')))
        {
            let (outer, name) = key.name.split_once('.').unwrap_or(("", key.name));
            let values = match outer {
                "" => Some(&table),
                outer => table.get(outer).and_then(Value::as_table),
            };
            let (Some(value), Some(entry)) = (
                values.and_then(|values| values.get(name)),
                self.origin_of(key.name),
            ) else {
                continue;
            };
            if !text.is_empty() {
                text.push('\n');
            }
            if outer != inside {
                inside = outer;
                let _ = writeln!(text, "[{outer}]");
            }
            for line in wrapped(key.help, 96) {
                let _ = writeln!(text, "# {line}");
            }
            // A path in an origin may hold anything.
            let origin: String = entry
                .origin
                .to_string()
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            match value {
                Value::Array(items) if !items.is_empty() => {
                    let _ = writeln!(text, "{name} = [ # {origin}");
                    for item in items {
                        let _ = writeln!(text, "    {item},");
                    }
                    text.push_str("]\n");
                }
                value => {
                    let _ = writeln!(text, "{name} = {value} # {origin}");
                }
            }
        }
        text
    }
}
