//! The table `[strategies]`.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tritone_strategy::{KeyPlace, ORDER, Server};

use super::{Entry, Reader, entries, found, instead};
use crate::cli::config::fault::shown;

/// What may stand in the table itself.
const HERE: [&str; 4] = ["order", "remote", "bitnet-cpp", "transformers"];

/// What may stand in `[strategies.remote.NAME]`.
const SERVER: [&str; 5] = ["url", "key_env", "key_file", "model", "timeout_s"];

/// Places of keys.
const KEYS: [&str; 3] = ["key_env", "key_file", "key_variable"];

/// What a setting of a program may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Words,
    Variables,
    Truth,
    Seconds,
}

/// What may stand in `[strategies.bitnet-cpp]`.
const BITNET_CPP: &[(&str, Form)] = &[
    ("program", Form::Text),
    ("command", Form::Words),
    ("environment", Form::Variables),
    ("embeddings", Form::Truth),
    ("start_limit_s", Form::Seconds),
    ("silence_limit_s", Form::Seconds),
];

/// What may stand in `[strategies.transformers]`.
const TRANSFORMERS: &[(&str, Form)] = &[
    ("program", Form::Text),
    ("command", Form::Words),
    ("url", Form::Text),
    ("key_variable", Form::Text),
    ("model", Form::Text),
    ("environment", Form::Variables),
    ("start_limit_s", Form::Seconds),
    ("silence_limit_s", Form::Seconds),
];

/// Most seconds of a time-out.
const LONGEST: i64 = 86_400;

/// Most servers that are configured; each is asked when the strategies are listed.
const MOST: usize = 64;

/// Where somebody wrote what should not be there: a key, or an address with a password.
pub(super) fn secrets<'a>(document: &'a DeTable<'a>) -> impl Iterator<Item = Range<usize>> + 'a {
    fn tables<'a>(table: &'a DeTable<'a>, name: &str) -> Vec<&'a DeTable<'a>> {
        let inner = table
            .iter()
            .filter_map(move |(key, value)| match value.get_ref() {
                DeValue::Table(inner) if name.is_empty() || key.get_ref() == name => Some(inner),
                _ => None,
            });
        inner.collect()
    }
    let servers = tables(document, "strategies")
        .into_iter()
        .flat_map(|table| {
            let mut servers = tables(table, "transformers");
            let named = tables(table, "remote").into_iter();
            servers.extend(named.flat_map(|table| tables(table, "")));
            servers
        });
    servers.flat_map(|server| {
        server.iter().filter_map(|(key, value)| {
            let secret = match (key.get_ref().as_ref(), value.get_ref()) {
                ("url", DeValue::String(url)) => url.contains('@'),
                (name, _) => !KEYS.contains(&name) && name.contains("key"),
            };
            secret.then(|| value.span())
        })
    })
}

impl Reader {
    pub(super) fn strategies(&mut self, table: &DeTable<'_>) {
        for (key, value) in entries(table) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("order", _) => {
                    if let Some(order) = self.words(key.get_ref(), value, "\"native\"") {
                        self.config.strategies.order = Some(order);
                    }
                }
                ("remote", DeValue::Table(servers)) => {
                    for entry in entries(servers) {
                        self.server(entry);
                    }
                }
                ("bitnet-cpp", DeValue::Table(table)) => {
                    let settings = self.program("bitnet-cpp", BITNET_CPP, table);
                    self.config.strategies.bitnet_cpp = settings;
                }
                ("transformers", DeValue::Table(table)) => {
                    let settings = self.program("transformers", TRANSFORMERS, table);
                    self.config.strategies.transformers = settings;
                }
                ("remote", _) => {
                    let message = "remote is no table".to_owned();
                    self.fault(key.span(), message, |f| {
                        f.help("a server begins with a line such as [strategies.remote.studio]")
                    });
                }
                (name @ ("bitnet-cpp" | "transformers"), _) => {
                    let message = format!("{name} is no table");
                    let help = format!("it begins with the line [strategies.{name}]");
                    self.fault(key.span(), message, |f| f.help(help));
                }
                (name, _) => {
                    let message =
                        format!("there is no setting \"{}\" in [strategies]", shown(name));
                    let help = instead(name, HERE.into_iter());
                    self.fault(key.span(), message, |f| f.help(help));
                }
            }
        }
        self.order_is_known(table);
    }

    /// Every name of the order has to be one.
    fn order_is_known(&mut self, table: &DeTable<'_>) {
        let order = self.config.strategies.order.clone().unwrap_or_default();
        let servers = self.config.strategies.servers.iter();
        let names: Vec<String> = ORDER
            .iter()
            .map(|name| (*name).to_owned())
            .chain(servers.map(|server| server.name.clone()))
            .collect();
        let at = table.iter().find(|(key, _)| key.get_ref() == "order");
        for name in order {
            if !names.contains(&name)
                && let Some((_, value)) = at
            {
                let message = format!("there is no strategy \"{}\"", shown(&name));
                let help = instead(&name, names.iter().map(String::as_str));
                self.fault(value.span(), message, |f| f.help(help));
            }
        }
    }

    fn server(&mut self, (key, value): Entry<'_>) {
        let name = key.get_ref().as_ref();
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("{} is no table", shown(name));
            return self.fault(key.span(), message, |f| {
                f.help("it begins with a line such as [strategies.remote.studio]")
            });
        };
        if !self.is_name(key) {
            return;
        }
        if ORDER.contains(&name) || name == "auto" {
            let message = format!("\"{name}\" has a meaning already");
            return self.fault(key.span(), message, |f| f.help("choose another name"));
        }
        if self.config.strategies.servers.len() >= MOST {
            let message = format!("there are more than {MOST} servers");
            return self.fault(key.span(), message, |f| f.help("this one is left out"));
        }
        let before = self.faults.len();
        let mut url = None;
        let mut place = KeyPlace::None;
        let (mut model, mut timeout_s) = (String::new(), None);
        for (key, value) in entries(table) {
            let setting = key.get_ref().as_ref();
            match (setting, value.get_ref()) {
                ("url", DeValue::String(text)) => match text.parse() {
                    Ok(address) => url = Some(address),
                    Err(_) => {
                        let message = "url is no address of a server".to_owned();
                        let help =
                            "expected http://HOST:PORT or https://HOST, without name and password";
                        self.fault(value.span(), message, |f| f.help(help));
                    }
                },
                ("key_env", DeValue::String(text)) => {
                    place = KeyPlace::Variable(text.to_string());
                }
                ("key_file", DeValue::String(text)) => {
                    place = KeyPlace::File(PathBuf::from(text.as_ref()));
                }
                ("model", DeValue::String(text)) => model = text.to_string(),
                ("timeout_s", _) => timeout_s = self.seconds(setting, value),
                ("url" | "key_env" | "key_file" | "model", other) => {
                    let message = format!("{setting} is {}", found(other));
                    self.fault(value.span(), message, |f| f.help("expected text"));
                }
                (name, _) if name.contains("key") => {
                    let message = "keys are not written into this file".to_owned();
                    let help = "key_env names a variable of the environment that holds it, key_file a file";
                    self.fault(key.span(), message, |f| f.help(help));
                }
                (name, _) => {
                    let message = format!(
                        "there is no setting \"{}\" in [strategies.remote]",
                        shown(name)
                    );
                    let help = instead(name, SERVER.into_iter());
                    self.fault(key.span(), message, |f| f.help(help));
                }
            }
        }
        let Some(url) = url else {
            if self.faults.len() == before {
                let message = format!("{name} has no url");
                let help = "expected url = \"http://HOST:PORT\"";
                self.fault(key.span(), message, |f| f.help(help));
            }
            return;
        };
        if self.faults.len() == before {
            self.config.strategies.servers.push(Server {
                name: name.to_owned(),
                url,
                key: place,
                model,
                timeout_s,
            });
        }
    }

    /// The settings of a program, out of those that may stand in its table.
    fn program<T: Default + serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        forms: &[(&'static str, Form)],
        table: &DeTable<'_>,
    ) -> T {
        let mut settings = serde_json::Map::new();
        for (key, value) in entries(table) {
            let setting = key.get_ref().as_ref();
            let Some((_, form)) = forms.iter().find(|(name, _)| *name == setting) else {
                let message = format!(
                    "there is no setting \"{}\" in [strategies.{name}]",
                    shown(setting)
                );
                let help = instead(setting, forms.iter().map(|(name, _)| *name));
                self.fault(key.span(), message, |f| f.help(help));
                continue;
            };
            if let Some(value) = self.of_form(setting, *form, value) {
                settings.insert(setting.to_owned(), value);
            }
        }
        // Every form is that of its field.
        serde_json::from_value(settings.into()).unwrap_or_default()
    }

    /// A value, if it has this form; if not, that is said.
    fn of_form(
        &mut self,
        name: &str,
        form: Form,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<serde_json::Value> {
        match (form, value.get_ref()) {
            (Form::Text, DeValue::String(text)) => Some(text.as_ref().into()),
            (Form::Truth, DeValue::Boolean(truth)) => Some((*truth).into()),
            (Form::Words, _) => Some(self.words(name, value, "\"a-program\"")?.into()),
            (Form::Seconds, _) => Some(self.seconds(name, value)?.into()),
            (Form::Variables, DeValue::Table(table)) => {
                let mut variables = serde_json::Map::new();
                for (key, value) in entries(table) {
                    let name = key.get_ref().as_ref();
                    let text = self.of_form(name, Form::Text, value)?;
                    variables.insert(name.to_owned(), text);
                }
                Some(variables.into())
            }
            (Form::Text | Form::Truth | Form::Variables, other) => {
                let message = format!("{} is {}", shown(name), found(other));
                let help = match form {
                    Form::Truth => "expected true or false",
                    Form::Variables => "expected a table of variables and their values",
                    _ => "expected text",
                };
                self.fault(value.span(), message, |f| f.help(help));
                None
            }
        }
    }

    /// A list of texts that is not empty.
    fn words(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        example: &str,
    ) -> Option<Vec<String>> {
        let texts = match value.get_ref() {
            DeValue::Array(array) if !array.is_empty() => {
                let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                };
                array.iter().map(text).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        if texts.is_none() {
            let message = format!("{name} is {}", found(value.get_ref()));
            let help = format!("expected a list of texts, such as [{example}]");
            self.fault(value.span(), message, |f| f.help(help));
        }
        texts
    }

    /// Whole seconds, at least one.
    fn seconds(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<u64> {
        let seconds = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let seconds = seconds
            .filter(|seconds| (1..=LONGEST).contains(seconds))
            .and_then(|seconds| u64::try_from(seconds).ok());
        if seconds.is_none() {
            let message = format!("{name} is {}", found(value.get_ref()));
            let help = format!("expected whole seconds from 1 to {LONGEST}");
            self.fault(value.span(), message, |f| f.help(help));
        }
        seconds
    }
}

#[cfg(test)]
mod tests;
