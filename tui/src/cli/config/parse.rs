//! The file as TOML: what it says, and all that is wrong with it.
//!
//! What is wrong is left out and the rest holds, so that a slip of the pen in one line does not
//! change the keys of somebody's whole day.

mod strategies;

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use tritone_engine::sample::{SampleError, Sampling};
use tritone_profile::nearest;

use super::fault::{Fault, Text, shown};
use super::schema::{Config, Kind, Origin, SAMPLING, UI};
use crate::app::chord::Chord;
use crate::app::commands::COMMANDS;
use crate::app::keymap;

const TABLES: [&str; 4] = ["ui", "keys", "sampling", "strategies"];

type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

/// Reads the content of a file; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> (Config, Vec<Fault>) {
    let lossy = String::from_utf8_lossy(bytes);
    let source = Text::new(path, &lossy);
    let mut reader = Reader {
        source,
        config: Config::default(),
        faults: Vec::new(),
    };
    match std::str::from_utf8(bytes) {
        Err(error) => {
            let at = error.valid_up_to();
            reader.fault(at..at + 1, "this is not UTF-8 text".to_owned(), |f| f);
        }
        Ok(text) => match DeTable::parse(text) {
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                reader.fault(span, shown(error.message().trim()), |f| f);
            }
            Ok(document) => reader.document(document.get_ref()),
        },
    }
    reader.faults.sort_by_key(Fault::line);
    (reader.config, reader.faults)
}

struct Reader {
    source: Text,
    config: Config,
    faults: Vec<Fault>,
}

/// The entries in the order of the file; the parser sorts by name.
fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The name that was meant, or all there are.
fn instead<'a>(name: &str, possible: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, possible.clone()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("there are: {}", possible.collect::<Vec<_>>().join(", ")),
    }
}

impl Reader {
    fn fault(&mut self, at: Range<usize>, message: String, more: impl FnOnce(Fault) -> Fault) {
        self.faults.push(more(self.source.fault(at, message)));
    }

    fn document(&mut self, document: &DeTable<'_>) {
        strategies::secrets(document).for_each(|at| self.source.hide(at));
        for (key, value) in entries(document) {
            let name = key.get_ref().as_ref();
            let table = match value.get_ref() {
                DeValue::Table(table) => table,
                _ => {
                    let message = format!("\"{}\" stands outside of a table", shown(name));
                    let help = match UI.iter().find(|row| row.name == name) {
                        Some(_) => format!("write it below a line [ui]: {name} = ..."),
                        None => {
                            "settings stand in the tables [ui], [keys], [sampling.NAME] and [strategies]"
                                .to_owned()
                        }
                    };
                    self.fault(key.span(), message, |f| f.help(help));
                    continue;
                }
            };
            match name {
                "ui" => entries(table).into_iter().for_each(|entry| self.ui(entry)),
                "keys" => self.keys(table),
                "sampling" => entries(table)
                    .into_iter()
                    .for_each(|entry| self.preset(entry)),
                "strategies" => self.strategies(table),
                _ => {
                    let message = format!("there is no table [{}]", shown(name));
                    let help = instead(name, TABLES.into_iter());
                    self.fault(key.span(), message, |f| f.help(help));
                }
            }
        }
    }

    fn ui(&mut self, (key, value): Entry<'_>) {
        let name = key.get_ref().as_ref();
        let Some(row) = UI.iter().find(|row| row.name == name) else {
            let message = format!("there is no setting \"{}\" in [ui]", shown(name));
            let help = instead(name, UI.iter().map(|row| row.name));
            return self.fault(key.span(), message, |f| f.help(help));
        };
        let accepted = match (row.kind, value.get_ref()) {
            (Kind::Word(words), DeValue::String(word)) if words.contains(&word.as_ref()) => {
                Some(format!("\"{word}\""))
            }
            (Kind::Truth, DeValue::Boolean(truth)) => Some(truth.to_string()),
            (Kind::Whole(least, most), DeValue::Integer(number)) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                let number = number.filter(|number| (least..=most).contains(number));
                number.map(|number| number.to_string())
            }
            _ => None,
        };
        match accepted {
            Some(value) => {
                let line = self.source.line(key.span().start);
                self.config.set(row.name, value, Origin::Line(line));
            }
            None => {
                let message = format!("{name} is {}", found(value.get_ref()));
                let meant = match (row.kind, value.get_ref()) {
                    (Kind::Word(words), DeValue::String(word)) => {
                        nearest(word, words.iter().copied())
                    }
                    _ => None,
                };
                let expected = row.kind.expected();
                let help = match meant {
                    Some(meant) => format!("did you mean \"{meant}\"? Expected {expected}"),
                    None => format!("expected {expected}"),
                };
                self.fault(value.span(), message, |f| f.help(help));
            }
        }
    }

    fn keys(&mut self, table: &DeTable<'_>) {
        for (key, value) in entries(table) {
            let name = key.get_ref().as_ref();
            let Some(action) = keymap::action(name) else {
                let names: Vec<String> = COMMANDS
                    .iter()
                    .map(|command| keymap::name(command.action))
                    .collect();
                let message = format!("there is no command \"{}\"", shown(name));
                let typed = COMMANDS
                    .iter()
                    .find(|command| command.names.contains(&name));
                let help = match typed {
                    Some(command) => {
                        let name = keymap::name(command.action);
                        format!("did you mean \"{name}\"?")
                    }
                    None => instead(name, names.iter().map(String::as_str)),
                };
                self.fault(key.span(), message, |f| f.help(help));
                continue;
            };
            let Some(texts) = self.texts(value) else {
                continue;
            };
            let mut chords = Vec::new();
            for (text, at) in &texts {
                if let Some(chord) = self.chord(text, at.clone()) {
                    chords.push(chord);
                }
            }
            if texts.is_empty() && keymap::is_needed(action) {
                let message = format!("{name} needs a key");
                self.fault(value.span(), message, |f| {
                    f.help("without one there is no way to do it at all")
                });
            } else if texts.is_empty() || !chords.is_empty() {
                let line = self.source.line(key.span().start);
                self.config.keys.push((action, chords, line));
            }
        }
        if let Some((_, value)) = table.iter().next() {
            self.keep_the_needed(value.span());
        }
    }

    /// The key of one command may be all that another had.
    fn keep_the_needed(&mut self, at: Range<usize>) {
        let (keymap, taken) = self.config.keymap();
        for taken in taken {
            let (from, by) = (keymap::name(taken.from), keymap::name(taken.by));
            if keymap::is_needed(taken.from) && keymap.chords(taken.from).is_empty() {
                let message = format!("{from} has no key left: {} calls {by}", taken.chord);
                let help = format!("give {from} another one: {from} = \"...\"");
                self.fault(at.clone(), message, |f| f.help(help));
                self.config.keys.retain(|(action, ..)| *action != taken.by);
            }
        }
    }

    /// A text, or a list of them.
    fn texts(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<(String, Range<usize>)>> {
        let mut texts = Vec::new();
        let one = std::slice::from_ref(value);
        let all: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            _ => one.iter().collect(),
        };
        for value in all {
            let DeValue::String(text) = value.get_ref() else {
                let message = format!("a key is {}", found(value.get_ref()));
                self.fault(value.span(), message, |f| {
                    f.help("expected text, such as \"ctrl+x\", or a list of such; [] for no key")
                });
                return None;
            };
            texts.push((text.to_string(), value.span()));
        }
        Some(texts)
    }

    fn chord(&mut self, text: &str, at: Range<usize>) -> Option<Chord> {
        let chord = match Chord::parse(text) {
            Ok(chord) => chord,
            Err(why) => {
                self.fault(at, format!("\"{}\" is no key", shown(text)), |f| {
                    f.help(why)
                });
                return None;
            }
        };
        if chord.writes() {
            self.fault(at, format!("{chord} could not be typed any more"), |f| {
                f.help("use it with ctrl or alt, or a function key")
            });
            return None;
        }
        let other = self
            .config
            .keys
            .iter()
            .find(|(_, of, _)| of.contains(&chord));
        if let Some((other, _, line)) = other {
            let message = format!("{chord} calls {} already", keymap::name(*other));
            let help = format!("that is said in line {line}; a key calls one command");
            self.fault(at, message, |f| f.help(help));
            return None;
        }
        Some(chord)
    }

    /// Whether a key can be a name that a person gives; if not, that is said.
    fn is_name(&mut self, key: &Spanned<DeString<'_>>) -> bool {
        let name = key.get_ref().as_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let fine = !name.is_empty() && name.chars().all(plain);
        if !fine {
            let message = format!("\"{}\" cannot be a name", shown(name));
            self.fault(key.span(), message, |f| {
                f.help("letters, digits, - and _ can be in one")
            });
        }
        fine
    }

    fn preset(&mut self, (key, value): Entry<'_>) {
        let name = key.get_ref().as_ref();
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("{} is no table", shown(name));
            return self.fault(key.span(), message, |f| {
                f.help("it begins with a line such as [sampling.precise]")
            });
        };
        if !self.is_name(key) {
            return;
        }
        let mut sampling = Sampling::default();
        let before = self.faults.len();
        for (key, value) in entries(table) {
            let setting = key.get_ref().as_ref();
            if !SAMPLING.contains(&setting) {
                let message = format!("there is no setting \"{}\" in [sampling]", shown(setting));
                let help = instead(setting, SAMPLING.into_iter());
                self.fault(key.span(), message, |f| f.help(help));
                continue;
            }
            let changed = number(value.get_ref()).and_then(|number| {
                let changed = changed(&sampling, setting, number)?;
                changed.validate().map_err(|error| match error {
                    SampleError::Setting { expected, .. } => format!("expected {expected}"),
                    error => error.to_string(),
                })?;
                Ok(changed)
            });
            match changed {
                Ok(changed) => sampling = changed,
                Err(why) => {
                    let message = format!("{setting} is {}", found(value.get_ref()));
                    self.fault(value.span(), message, |f| f.help(why));
                }
            }
        }
        if self.faults.len() == before {
            self.config.sampling.push((name.to_owned(), sampling));
        }
    }
}

fn number(value: &DeValue<'_>) -> Result<f64, String> {
    let read = match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number as f64),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| "expected a number".to_owned())
}

fn changed(sampling: &Sampling, setting: &str, number: f64) -> Result<Sampling, String> {
    let mut changed = sampling.clone();
    let small = number as f32;
    match setting {
        "temperature" => changed.temperature = small,
        "top_k" => {
            let whole = (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number))
                .then_some(number as u32);
            changed.top_k = whole.ok_or("expected a whole number, 0 for all")?;
        }
        "top_p" => changed.top_p = small,
        "min_p" => changed.min_p = small,
        "repetition_penalty" => changed.repetition_penalty = small,
        "frequency_penalty" => changed.frequency_penalty = small,
        "presence_penalty" => changed.presence_penalty = small,
        _ => return Err("there is no such setting".to_owned()),
    }
    Ok(changed)
}

/// A value as it may be shown.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(number) => shown(number.as_str()),
        DeValue::Float(number) => shown(number.as_str()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests;
