//! The table `[strategies]`.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tritone_strategy::{KeyPlace, ORDER, Server};

use super::{Entry, Reader, entries, found, instead};
use crate::cli::config::fault::shown;

/// What may stand in the table itself.
const HERE: [&str; 3] = ["order", "remote", "bitnet-cpp"];

/// What may stand in `[strategies.remote.NAME]`.
const SERVER: [&str; 5] = ["url", "key_env", "key_file", "model", "timeout_s"];

/// What may stand in `[strategies.bitnet-cpp]`.
const BITNET_CPP: [&str; 6] = [
    "program",
    "command",
    "environment",
    "embeddings",
    "start_limit_s",
    "silence_limit_s",
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
        .flat_map(|table| tables(table, "remote"))
        .flat_map(|table| tables(table, ""));
    servers.flat_map(|server| {
        server.iter().filter_map(|(key, value)| {
            let secret = match (key.get_ref().as_ref(), value.get_ref()) {
                ("url", DeValue::String(url)) => url.contains('@'),
                (name, _) => !SERVER.contains(&name) && name.contains("key"),
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
                ("bitnet-cpp", DeValue::Table(settings)) => {
                    for entry in entries(settings) {
                        self.bitnet_cpp(entry);
                    }
                }
                ("remote", _) => {
                    let message = "remote is no table".to_owned();
                    self.fault(key.span(), message, |f| {
                        f.help("a server begins with a line such as [strategies.remote.studio]")
                    });
                }
                ("bitnet-cpp", _) => {
                    let message = "bitnet-cpp is no table".to_owned();
                    self.fault(key.span(), message, |f| {
                        f.help("it begins with the line [strategies.bitnet-cpp]")
                    });
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

    fn bitnet_cpp(&mut self, (key, value): Entry<'_>) {
        let setting = key.get_ref().as_ref();
        match (setting, value.get_ref()) {
            ("program", DeValue::String(path)) => {
                self.config.strategies.bitnet_cpp.program = Some(PathBuf::from(path.as_ref()));
            }
            ("command", _) => {
                if let Some(command) = self.words(setting, value, "\"llama-server\"") {
                    self.config.strategies.bitnet_cpp.command = command;
                }
            }
            ("environment", DeValue::Table(table)) => {
                for (key, value) in entries(table) {
                    let DeValue::String(text) = value.get_ref() else {
                        let message =
                            format!("{} is {}", shown(key.get_ref()), found(value.get_ref()));
                        self.fault(value.span(), message, |f| f.help("expected text"));
                        continue;
                    };
                    let variables = &mut self.config.strategies.bitnet_cpp.environment;
                    variables.insert(key.get_ref().to_string(), text.to_string());
                }
            }
            ("embeddings", DeValue::Boolean(yes)) => {
                self.config.strategies.bitnet_cpp.embeddings = *yes;
            }
            ("start_limit_s", _) => {
                self.config.strategies.bitnet_cpp.start_limit_s = self.seconds(setting, value);
            }
            ("silence_limit_s", _) => {
                self.config.strategies.bitnet_cpp.silence_limit_s = self.seconds(setting, value);
            }
            (name, other) if BITNET_CPP.contains(&name) => {
                let message = format!("{name} is {}", found(other));
                let help = match name {
                    "program" => "expected text: a path, or a name that is looked for",
                    "embeddings" => "expected true or false",
                    _ => "expected a table of variables and their values",
                };
                self.fault(value.span(), message, |f| f.help(help));
            }
            (name, _) => {
                let message = format!(
                    "there is no setting \"{}\" in [strategies.bitnet-cpp]",
                    shown(name)
                );
                let help = instead(name, BITNET_CPP.into_iter());
                self.fault(key.span(), message, |f| f.help(help));
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
mod tests {
    use std::path::Path;

    use super::super::parse;
    use crate::cli::config::fault::Fault;
    use crate::cli::config::schema::Config;
    use tritone_strategy::KeyPlace;

    fn read(text: &str) -> (Config, Vec<String>) {
        let (config, faults) = parse(Path::new("config.toml"), text.as_bytes());
        (config, faults.iter().map(Fault::sentence).collect())
    }

    #[test]
    fn everything_that_can_be_said_of_strategies() {
        let (config, faults) = read(
            "[strategies]\norder = [\"native\", \"studio\"]\n\
             [strategies.remote.studio]\nurl = \"http://127.0.0.1:1234/v1\"\nkey_env = \"STUDIO\"\n\
             model = \"m\"\ntimeout_s = 30\n\
             [strategies.remote.other]\nurl = \"https://192.0.2.1\"\nkey_file = \"/k\"\n\
             [strategies.bitnet-cpp]\nprogram = \"/b/llama-server\"\ncommand = [\"a\", \"{model}\"]\n\
             embeddings = true\nstart_limit_s = 9\nsilence_limit_s = 8\n\
             [strategies.bitnet-cpp.environment]\nA = \"b\"\n",
        );
        assert_eq!(faults, [""; 0]);
        let strategies = config.strategies();
        let order = strategies.order.as_deref().unwrap();
        assert_eq!(order, ["native", "studio"]);
        let [studio, other] = strategies.servers.as_slice() else {
            panic!("two")
        };
        assert_eq!(studio.key, KeyPlace::Variable("STUDIO".to_owned()));
        assert_eq!((&*studio.model, studio.timeout_s), ("m", Some(30)));
        assert_eq!(other.key, KeyPlace::File("/k".into()));
        let bitnet = &strategies.bitnet_cpp;
        assert_eq!(bitnet.command, ["a", "{model}"]);
        assert_eq!(
            (bitnet.start_limit_s, bitnet.silence_limit_s),
            (Some(9), Some(8))
        );
        assert_eq!(bitnet.environment["A"], "b");
    }

    #[test]
    fn what_is_wrong_with_strategies_is_said() {
        let (config, faults) = read(
            "[strategies]\norder = [\"nativ\"]\nremoet = 1\n\
             [strategies.remote.native]\nurl = \"http://a:1\"\n\
             [strategies.remote.a]\nurl = \"ftp://a\"\n\
             [strategies.remote.b]\nmodel = \"m\"\n\
             [strategies.remote.c]\nurl = \"http://a:1\"\ntimeout_s = 0\nmodl = 1\n\
             [strategies.bitnet-cpp]\ncommand = []\nembeddings = 1\nport = 1\n",
        );
        insta::assert_snapshot!(faults.join("\n"));
        assert!(config.strategies().servers.is_empty());
    }

    #[test]
    fn a_key_in_the_file_is_refused_and_not_shown() {
        let text = "[strategies.remote.a]\nkey = \"sk-secret\"\nurl = \"http://u:sk-secret@h:1\"\n";
        let (_, faults) = parse(Path::new("config.toml"), text.as_bytes());
        assert_eq!(faults.len(), 2);
        let style = crate::cli::profile::ReportStyle {
            columns: 80,
            color: false,
            ascii: true,
        };
        for fault in &faults {
            let drawn = crate::cli::profile::draw(fault, style).unwrap();
            let all = format!("{}{drawn}", fault.sentence());
            assert!(!all.contains("sk-secret"), "{all}");
        }
        assert!(faults[0].sentence().contains("key_env"));
    }
}
