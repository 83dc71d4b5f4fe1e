//! Profile files as TOML: which settings they hold, and on which line.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use crate::advice;
use crate::error::{Mistakes, ProfileError, instead, shown};
use crate::keys::{self, KEYS, Key};
use crate::mistake::{FileText, Mistake, What};
use crate::origin::FileKind;
use crate::source::{Base, Setting, Source, nearest_key};

/// Names the profile under a file's settings; no setting itself.
pub(crate) const BASE: &str = "base";

/// More mistakes than this are not collected.
const MAX_MISTAKES: usize = 50;

/// Parses the content of a file; `path` is for messages.
///
/// # Errors
///
/// All mistakes of the file together, the first in the file first.
pub(crate) fn parse(kind: FileKind, path: &Path, bytes: &[u8]) -> Result<Source, ProfileError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let file = FileText::new(kind, path, &String::from_utf8_lossy(bytes));
            let at = error.valid_up_to();
            return Err(syntax(&file, at..at + 1, "not UTF-8 text").into());
        }
    };
    let file = FileText::new(kind, path, text);
    let (document, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let mut reader = Reader {
        file,
        source: Source::default(),
        mistakes: Vec::new(),
    };
    for error in errors.into_iter().take(MAX_MISTAKES) {
        let at = error.span().unwrap_or(0..0);
        let mistake = syntax(&reader.file, at, &shown(error.message()));
        reader.mistakes.push(mistake);
    }
    // What is wrong with a value that was not understood is said already.
    if reader.mistakes.is_empty() {
        if kind == FileKind::Project {
            reader.project(document.get_ref());
        } else {
            reader.table("", document.get_ref());
        }
    }
    match Mistakes::of(reader.mistakes) {
        Some(mistakes) => Err(ProfileError::File(mistakes)),
        None => Ok(reader.source),
    }
}

fn syntax(file: &FileText, at: Range<usize>, message: &str) -> Mistake {
    let what = What {
        message: message.to_owned(),
        label: "here".to_owned(),
        help: Some("a profile is TOML: `key = value` lines and [tables]".to_owned()),
        exact: true,
        ..What::default()
    };
    file.mistake(at, what)
}

struct Reader {
    file: FileText,
    source: Source,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn wrong(&mut self, at: Range<usize>, what: What) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(self.file.mistake(at, what));
        }
    }

    fn wrong_value(&mut self, at: Range<usize>, key: &str, found: &DeValue<'_>, expected: &str) {
        let what = What {
            message: format!("{key} is {}, expected {expected}", describe(found)),
            label: format!("expected {expected}"),
            ..What::default()
        };
        self.wrong(at, what);
    }

    /// A project file: only its `profile` table is ours, and nothing else is known yet.
    fn project(&mut self, document: &DeTable<'_>) {
        for (key, value) in in_order(document) {
            if key.get_ref() != "profile" {
                self.unknown(key.get_ref(), key.span(), &["profile"]);
                continue;
            }
            match value.get_ref() {
                DeValue::Table(table) => self.table("", table),
                other => self.wrong_value(value.span(), "profile", other, "a table of settings"),
            }
        }
    }

    /// The settings of a table; `prefix` is empty or ends with a dot.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(setting) = keys::find(&name) {
                self.setting(setting, key.span(), value);
            } else if name == BASE && self.file.kind != FileKind::Preset {
                match value.get_ref().as_str() {
                    Some(base) => {
                        self.source.base = Some(Base {
                            name: base.to_owned(),
                            file: self.file.clone(),
                            span: value.span(),
                        });
                    }
                    None => self.wrong_value(
                        value.span(),
                        BASE,
                        value.get_ref(),
                        "the name of a preset or of a profile of yours",
                    ),
                }
            } else if let Some(inner) = value.get_ref().as_table()
                && KEYS
                    .iter()
                    .any(|key| key.name.starts_with(&format!("{name}.")))
            {
                self.table(&format!("{name}."), inner);
            } else {
                let possible = KEYS.iter().map(|key| key.name);
                let possible = possible.filter(|key| key.starts_with(prefix));
                let base =
                    (prefix.is_empty() && self.file.kind != FileKind::Preset).then_some(BASE);
                let possible: Vec<_> = possible.chain(base).collect();
                self.unknown(&name, key.span(), &possible);
            }
        }
    }

    fn setting(&mut self, key: &'static Key, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let found = value.get_ref();
        match convert(found).and_then(|value| key.kind.accept(value)) {
            Some(value) => self.source.settings.push(Setting {
                key,
                value,
                origin: self.file.origin(at.start),
            }),
            None => {
                let expected = key.kind.expected();
                let advice = convert(found).and_then(|value| advice::for_value(key, &value));
                let what = What {
                    message: format!("{} is {}, expected {expected}", key.name, describe(found)),
                    instead: String::new(),
                    label: format!("expected {expected}"),
                    help: Some(advice.unwrap_or_else(|| format!("{}: {}", key.name, key.help))),
                    exact: false,
                };
                self.wrong(value.span(), what);
            }
        }
    }

    fn unknown(&mut self, key: &str, at: Range<usize>, possible: &[&'static str]) {
        let nearest = nearest_key(key, possible);
        let help = match nearest {
            Some(nearest) => match keys::find(nearest) {
                Some(meant) => format!("did you mean `{nearest}`? {}", meant.help),
                None => format!("did you mean `{nearest}`?"),
            },
            None => format!("possible here: {}", possible.join(", ")),
        };
        let what = What {
            message: format!("there is no setting \"{}\"", shown(key)),
            instead: instead(nearest, possible),
            label: "no setting".to_owned(),
            help: Some(help),
            exact: false,
        };
        self.wrong(at, what);
    }
}

type Pair<'t, 'i> = (
    &'t Spanned<std::borrow::Cow<'i, str>>,
    &'t Spanned<DeValue<'i>>,
);

/// The entries of a table as they stand in the file; the parser sorts them by name.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Pair<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
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
    use crate::origin::Origin;
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

    fn is_harmless(error: &ProfileError) -> bool {
        use miette::Diagnostic as _;
        let help = error
            .help()
            .map(|help| help.to_string())
            .unwrap_or_default();
        !format!("{error}{help}").chars().any(char::is_control)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for kind in [FileKind::Profile, FileKind::Project] {
                if let Err(error) = parse(kind, Path::new("x.toml"), &bytes) {
                    prop_assert!(is_harmless(&error), "{error:?}");
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
                    Err(error) => prop_assert!(is_harmless(&error), "{error:?}"),
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
