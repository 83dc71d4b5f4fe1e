//! Profile files as TOML: which settings they hold, and on which line.

use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use crate::error::{ProfileError, shown};
use crate::keys::{self, KEYS};
use crate::origin::{FileKind, Origin};
use crate::source::{Setting, Source, refused, unknown};

/// Names the preset under a file's settings; no setting itself.
const BASE: &str = "base";

/// Parses the content of a file; `path` is for messages.
pub(crate) fn parse(kind: FileKind, path: &Path, bytes: &[u8]) -> Result<Source, ProfileError> {
    let syntax = |at: usize, message: String| {
        let before = String::from_utf8_lossy(&bytes[..at.min(bytes.len())]);
        let (line, start) = line_of(&before, before.len());
        ProfileError::Syntax {
            path: path.to_owned(),
            line,
            column: before[start..].chars().count() + 1,
            message,
        }
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| syntax(error.valid_up_to(), "not UTF-8 text".to_owned()))?;
    let document = DeTable::parse(text).map_err(|error| {
        syntax(
            error.span().map_or(0, |span| span.start),
            shown(error.message()),
        )
    })?;
    let mut reader = Reader {
        kind,
        path,
        text,
        source: Source::default(),
    };
    if kind == FileKind::Project {
        reader.project(document.get_ref())?;
    } else {
        reader.table("", document.get_ref())?;
    }
    Ok(reader.source)
}

/// Number of the line that holds byte `at`, from 1, and where it starts.
fn line_of(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    (line, start)
}

struct Reader<'t> {
    kind: FileKind,
    path: &'t Path,
    text: &'t str,
    source: Source,
}

impl Reader<'_> {
    fn origin(&self, at: usize) -> Origin {
        let (line, _) = line_of(self.text, at);
        Origin::File {
            kind: self.kind,
            path: self.path.to_owned(),
            line,
        }
    }

    /// A project file: only its `profile` table is ours, and nothing else is known yet.
    fn project(&mut self, document: &DeTable<'_>) -> Result<(), ProfileError> {
        for (key, value) in document {
            if key.get_ref() != "profile" {
                return Err(self.unknown(key.get_ref(), key.span().start, vec!["profile"]));
            }
            match value.get_ref() {
                DeValue::Table(table) => self.table("", table)?,
                other => {
                    return Err(ProfileError::Value {
                        origin: self.origin(key.span().start),
                        key: "profile".to_owned(),
                        found: describe(other),
                        expected: "a table of settings".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The settings of a table; `prefix` is empty or ends with a dot.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), ProfileError> {
        // The parser sorts by name; the first mistake in the file should be named first.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let at = key.span().start;
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(setting) = keys::find(&name) {
                let origin = self.origin(at);
                let accepted =
                    convert(value.get_ref()).and_then(|value| setting.kind.accept(value));
                let value = accepted
                    .ok_or_else(|| refused(setting, origin.clone(), describe(value.get_ref())))?;
                self.source.settings.push(Setting {
                    key: setting,
                    value,
                    origin,
                });
            } else if name == BASE && self.kind != FileKind::Preset {
                let origin = self.origin(at);
                let Some(base) = value.get_ref().as_str() else {
                    return Err(ProfileError::Value {
                        origin,
                        key: name,
                        found: describe(value.get_ref()),
                        expected: "the name of a preset".to_owned(),
                    });
                };
                self.source.base = Some((base.to_owned(), origin));
            } else if let Some(inner) = value.get_ref().as_table()
                && KEYS
                    .iter()
                    .any(|key| key.name.starts_with(&format!("{name}.")))
            {
                self.table(&format!("{name}."), inner)?;
            } else {
                let possible = KEYS.iter().map(|key| key.name);
                let possible = possible.filter(|key| key.starts_with(prefix));
                let base = (prefix.is_empty() && self.kind != FileKind::Preset).then_some(BASE);
                return Err(self.unknown(&name, at, possible.chain(base).collect()));
            }
        }
        Ok(())
    }

    fn unknown(&self, key: &str, at: usize, possible: Vec<&'static str>) -> ProfileError {
        unknown(self.origin(at), key, possible)
    }
}

/// The value where a setting can have such a one; `None` otherwise.
fn convert(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .map(Value::Integer),
        DeValue::Float(digits) => digits.as_str().parse().ok().map(Value::Float),
        DeValue::Array(items) => items
            .iter()
            .map(|item| convert(item.get_ref()))
            .collect::<Option<_>>()
            .map(Value::Array),
        DeValue::Boolean(value) => Some(Value::Boolean(*value)),
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The value as a message shows it.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(digits) => shown(&digits.to_string()),
        DeValue::Float(digits) => shown(digits.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(items) => format!("a list of {}", items.len()),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::from_text;

    /// Lines that are nearly a profile, to reach past the TOML parser.
    fn line() -> impl Strategy<Value = String> {
        let name = prop::sample::select(
            KEYS.iter()
                .map(|key| key.name)
                .chain(["base", "alerts", "x"])
                .collect::<Vec<_>>(),
        );
        let value = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|x| format!("{x:?}")),
            "\"[a-z0-9\\\\ ]{0,8}\"",
            "\\[[0-9\", ]{0,8}\\]",
            any::<bool>().prop_map(|b| b.to_string()),
            Just("nan".to_owned()),
            Just("99999999999999999999".to_owned()),
            Just("{ a = 1 }".to_owned()),
            Just("1979-05-27".to_owned()),
        ];
        prop_oneof![
            4 => (name, value).prop_map(|(name, value)| format!("{name} = {value}")),
            1 => Just("[alerts]".to_owned()),
            1 => Just("[profile]".to_owned()),
            1 => "\\PC{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for kind in [FileKind::Profile, FileKind::Project] {
                if let Err(error) = parse(kind, Path::new("x.toml"), &bytes) {
                    prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
                }
            }
        }

        #[test]
        fn near_profiles_are_read_or_refused(lines in prop::collection::vec(line(), 0..6)) {
            let text = lines.join("\n");
            for kind in [FileKind::Profile, FileKind::Project] {
                match parse(kind, Path::new("x.toml"), text.as_bytes()) {
                    Ok(source) => for setting in source.settings {
                        prop_assert_eq!(
                            setting.key.kind.accept(setting.value.clone()), Some(setting.value)
                        );
                    },
                    Err(error) => {
                        prop_assert!(!error.to_string().chars().any(char::is_control));
                    }
                }
            }
        }

        #[test]
        fn any_text_for_any_setting_is_read_or_refused(text in any::<String>()) {
            for key in KEYS {
                if let Ok(setting) = from_text(key, &text, Origin::Flag("--x".to_owned())) {
                    prop_assert!(key.kind.accept(setting.value).is_some());
                }
            }
        }
    }
}
