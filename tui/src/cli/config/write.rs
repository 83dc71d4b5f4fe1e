//! The settings as text: those in force, and a file to begin with.

use tritone_strategy::KeyPlace;

use super::schema::{Config, Origin, SAMPLING, Strategies, UI};
use crate::app::commands::COMMANDS;
use crate::app::keymap::{self, Keymap};

/// Where the explanation behind a line begins.
const COLUMN: usize = 40;

const HEAD: &str = "\
# Settings of Tritone's terminal. Every line that begins with # is the default, or an example; take
# the # away to change it. `tritone config validate` says what is wrong with this file, `tritone config
# show --origin` what is in force and why. How a model is run is said by profiles, not here.
";

/// A file in which everything is explained and nothing is changed.
pub(super) fn sample() -> String {
    let mut text = format!("{HEAD}\n[ui]\n");
    for row in UI {
        text.push_str(&format!("# {}; {}\n", row.help, row.kind.expected()));
        text.push_str(&format!("# {} = {}\n\n", row.name, row.default));
    }
    text.push_str(
        "# Keys of commands: one, or a list; [] is none. Modifiers are ctrl, alt and shift; keys are single\n\
         # characters, f1 to f24, enter, esc, tab, space, backspace, delete, insert, home, end, pageup,\n\
         # pagedown, up, down, left and right.\n[keys]\n",
    );
    let keymap = Keymap::default();
    for command in COMMANDS {
        let line = format!(
            "# {} = {}",
            keymap::name(command.action),
            chords(&keymap, command.action)
        );
        text.push_str(&format!("{line:COLUMN$} # {}\n", command.help));
    }
    text.push_str(
        "\n# Named ways to choose tokens; what is left out is the default.\n# [sampling.precise]\n\
         # temperature = 0.1\n# top_p = 0.9\n# top_k = 40\n# min_p = 0.0\n\
         # repetition_penalty = 1.0\n# frequency_penalty = 0.0\n# presence_penalty = 0.0\n",
    );
    text.push_str(
        "\n# Ways to run a model; `tritone strategies` lists them. The order in which they are tried.\n\
         # [strategies]\n# order = [\"native\", \"bitnet.cpp\", \"transformers\", \"studio\"]\n\
         # A server that speaks OpenAI's API. Keys are never written here: key_env names a variable,\n\
         # key_file a file that holds one.\n# [strategies.remote.studio]\n\
         # url = \"http://127.0.0.1:1234/v1\"\n# key_env = \"STUDIO_KEY\"\n# model = \"a-model\"\n\
         # timeout_s = 120\n\
         # bitnet.cpp's server, or another of llama.cpp's family, started here.\n\
         # [strategies.bitnet-cpp]\n# program = \"llama-server\"\n# start_limit_s = 600\n\
         # silence_limit_s = 300\n\
         # transformers serve or vLLM, started here for directories of the transformers library; or the url of one.\n\
         # [strategies.transformers]\n# program = \"transformers\"\n# start_limit_s = 900\n",
    );
    text
}

/// A key, or a list of them, as TOML has it.
fn chords(keymap: &Keymap, action: crate::app::commands::Action) -> String {
    let quoted: Vec<String> = keymap
        .chords(action)
        .iter()
        .map(|chord| toml::Value::String(chord.to_string().to_lowercase()).to_string())
        .collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// What is in force, as a file that would say so.
pub(super) fn in_force(config: &Config, origins: bool) -> String {
    let behind = |line: String, origin: Origin| match origins {
        true => format!("{line:COLUMN$} # {}\n", said(origin)),
        false => format!("{line}\n"),
    };
    let mut text = "[ui]\n".to_owned();
    for (row, (value, origin)) in UI.iter().zip(&config.ui) {
        text.push_str(&behind(format!("{} = {value}", row.name), *origin));
    }
    text.push_str("\n[keys]\n");
    let (keymap, taken) = config.keymap();
    for command in COMMANDS {
        let action = command.action;
        let line = format!("{} = {}", keymap::name(action), chords(&keymap, action));
        let own = config.keys.iter().find(|(of, ..)| *of == action);
        let lost = taken.iter().find(|taken| taken.from == action);
        let origin = own.map_or(Origin::Default, |(_, _, line)| Origin::Line(*line));
        let mut line = behind(line, origin);
        if let Some(lost) = lost.filter(|_| origins) {
            let by = keymap::name(lost.by);
            line.pop();
            line.push_str(&format!("; {} calls {by}\n", lost.chord));
        }
        text.push_str(&line);
    }
    for (name, sampling) in config.sampling() {
        text.push_str(&format!("\n[sampling.{name}]\n"));
        for setting in SAMPLING {
            let value = match setting {
                "temperature" => sampling.temperature,
                "top_k" => {
                    text.push_str(&format!("top_k = {}\n", sampling.top_k));
                    continue;
                }
                "top_p" => sampling.top_p,
                "min_p" => sampling.min_p,
                "repetition_penalty" => sampling.repetition_penalty,
                "frequency_penalty" => sampling.frequency_penalty,
                _ => sampling.presence_penalty,
            };
            text.push_str(&format!("{setting} = {value:?}\n"));
        }
    }
    text.push_str(&strategies(config.strategies()));
    text
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// What is said about strategies; nothing where nothing is.
fn strategies(strategies: &Strategies) -> String {
    let mut text = String::new();
    if let Some(order) = &strategies.order {
        text.push_str(&format!("\n[strategies]\norder = {}\n", list(order)));
    }
    for server in &strategies.servers {
        text.push_str(&format!("\n[strategies.remote.{}]\n", server.name));
        text.push_str(&format!("url = {}\n", quoted(&server.url.to_string())));
        match &server.key {
            KeyPlace::None => {}
            KeyPlace::Variable(name) => text.push_str(&format!("key_env = {}\n", quoted(name))),
            KeyPlace::File(path) => {
                let path = quoted(&path.display().to_string());
                text.push_str(&format!("key_file = {path}\n"));
            }
        }
        if !server.model.is_empty() {
            text.push_str(&format!("model = {}\n", quoted(&server.model)));
        }
        if let Some(seconds) = server.timeout_s {
            text.push_str(&format!("timeout_s = {seconds}\n"));
        }
    }
    let mut programs = toml::Table::new();
    let mut program = |name: &str, settings: Result<toml::Table, toml::ser::Error>| {
        if let Ok(settings) = settings {
            programs.insert(name.to_owned(), settings.into());
        }
    };
    if strategies.bitnet_cpp != tritone_strategy::bitnet_cpp::Settings::default() {
        program("bitnet-cpp", toml::Table::try_from(&strategies.bitnet_cpp));
    }
    if strategies.transformers != tritone_strategy::transformers::Settings::default() {
        let settings = toml::Table::try_from(&strategies.transformers);
        program("transformers", settings);
    }
    if !programs.is_empty() {
        let mut all = toml::Table::new();
        all.insert("strategies".to_owned(), programs.into());
        text.push('\n');
        text.push_str(&all.to_string());
    }
    text
}

fn said(origin: Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Line(line) => format!("line {line}"),
        Origin::Flag(flag) => format!("flag {flag}"),
        Origin::Variable(name) => format!("environment {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse::parse;
    use super::*;

    fn read(text: &str) -> Config {
        let (config, faults) = parse(Path::new("c"), text.as_bytes());
        let faults: Vec<_> = faults.iter().map(|fault| fault.sentence()).collect();
        assert_eq!(faults, [""; 0], "{text}");
        config
    }

    #[test]
    fn the_file_to_begin_with_changes_nothing_and_neither_do_its_lines_without_the_hash() {
        let sample = sample();
        assert_eq!(read(&sample), Config::default());
        assert!(sample.lines().all(|line| line.len() < 160));
        let settings: String = sample
            .lines()
            .filter(|line| !line.starts_with('#') || line.contains(" = ") || line.contains("# ["))
            .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
            .collect();
        let config = read(&settings);
        assert_eq!(config.manners(), Config::default().manners());
        assert_eq!(config.keymap(), Config::default().keymap());
        assert_eq!(config.sampling().len(), 1);
        assert_eq!(config.strategies().servers.len(), 1);
    }

    #[test]
    fn what_is_shown_is_a_file_that_says_the_same() {
        let config = read(
            "[ui]\nfps = 12\n[keys]\ncopy = [\"ctrl+r\", \"ctrl+plus\"]\nsuspend = []\n\
             [sampling.a]\ntop_k = 7\ntemperature = 0.25\n\
             [strategies]\norder = [\"a\", \"native\"]\n\
             [strategies.remote.a]\nurl = \"http://127.0.0.1:1\"\nkey_file = \"/a \\\"b\"\ntimeout_s = 3\n\
             [strategies.bitnet-cpp]\ncommand = [\"x\", \"{port}\"]\nstart_limit_s = 5\n\
             [strategies.bitnet-cpp.environment]\nA = \"b\"\n",
        );
        for origins in [false, true] {
            let shown = in_force(&config, origins);
            let again = read(&shown);
            assert_eq!(again.manners(), config.manners());
            assert_eq!(again.keymap().0, config.keymap().0);
            assert_eq!(again.sampling(), config.sampling());
            assert_eq!(again.strategies(), config.strategies());
        }
        let shown = in_force(&config, true);
        assert!(
            shown.contains("fps = 12                                 # line 2"),
            "{shown}"
        );
        assert!(shown.contains("# default; Ctrl+R calls copy"), "{shown}");
    }
}
