//! Which program serves directories here, and with which arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::python::{Installed, installed, interpreter};
use super::settings::Settings;
use crate::child::{Plan, find, of_command};
use crate::environment::Finding;
use crate::error::{Fault, StrategyError};
use crate::remote::Dialect;

/// What `transformers serve` needs besides itself.
const LIBRARIES: [&str; 6] = [
    "transformers",
    "torch",
    "fastapi",
    "uvicorn",
    "pydantic",
    "openai",
];

/// How to get them.
const INSTALL: &str = "pip install 'transformers[serving]' torch";

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `transformers serve`.
    Transformers,
    /// The library itself, where there is no such program in `PATH`.
    Library,
    /// `vllm serve`.
    Vllm,
    /// A configured command, with its arguments.
    Command(Vec<String>),
}

/// The program that is started.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) program: PathBuf,
    pub(super) kind: Kind,
}

impl Found {
    /// What is configured, or found.
    ///
    /// # Errors
    /// When there is no such program.
    pub(super) fn look(settings: &Settings) -> Result<Self, StrategyError> {
        if let Some((program, arguments)) = settings.command.split_first() {
            let kind = Kind::Command(arguments.to_vec());
            return Self::at(Path::new(program), kind).ok_or_else(|| missing(program));
        }
        if let Some(program) = &settings.program {
            let is_vllm = program.file_stem().is_some_and(|name| name == "vllm");
            let kind = if is_vllm {
                Kind::Vllm
            } else {
                Kind::Transformers
            };
            return Self::at(program, kind).ok_or_else(|| missing(&program.display().to_string()));
        }
        Self::at(Path::new("transformers"), Kind::Transformers)
            .or_else(|| Self::at(Path::new("vllm"), Kind::Vllm))
            .or_else(Self::library)
            .ok_or_else(|| missing("`transformers serve`"))
    }

    fn at(name: &Path, kind: Kind) -> Option<Self> {
        let program = find(name, &[])?;
        Some(Self { program, kind })
    }

    fn library() -> Option<Self> {
        let found = Self::at(Path::new("python3"), Kind::Library)?;
        let looked = installed(&found.program, &["transformers"])?;
        looked.missing.is_empty().then_some(found)
    }

    /// What is installed with it, where that is known.
    pub(super) fn libraries(&self) -> Option<Installed> {
        let python = match self.kind {
            Kind::Transformers => interpreter(&self.program)?,
            Kind::Library => self.program.clone(),
            Kind::Vllm | Kind::Command(_) => return None,
        };
        installed(&python, &LIBRARIES)
    }

    /// Whether it can be started.
    pub(super) fn finding(&self) -> Finding {
        let shown = self.program.display();
        match self.libraries() {
            Some(looked) if looked.missing.is_empty() => {
                Finding::good(super::NEEDED, format!("{shown} ({})", looked.told()))
            }
            Some(looked) => Finding::missing(
                super::NEEDED,
                format!("{shown} lacks {}", looked.missing.join(", ")),
                format!("install them for the same Python: {INSTALL}"),
            ),
            None => Finding::good(super::NEEDED, shown.to_string()),
        }
    }

    /// Its name and version, for people.
    pub(super) fn told(&self) -> String {
        let name = match self.kind {
            Kind::Transformers | Kind::Library => "transformers serve".to_owned(),
            Kind::Vllm => "vllm serve".to_owned(),
            Kind::Command(_) => {
                let name = self.program.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        };
        match self.libraries() {
            Some(looked) => format!("{name} ({})", looked.told()),
            None => name,
        }
    }

    /// How it is spoken to. A configured command is one of these servers as a rule; what none of them refuses is sent.
    pub(super) fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Transformers | Kind::Library => Dialect::Transformers,
            Kind::Vllm => Dialect::Vllm,
            Kind::Command(_) => Dialect::OpenAi,
        }
    }

    /// Its arguments: everything is said that is not to depend on a version's defaults.
    pub(super) fn arguments(&self, model: &Path, plan: &Plan, port: u16) -> Vec<OsString> {
        let port_word = port.to_string();
        let words = |before: &[&str], after: &[&str]| {
            let before = before.iter().map(OsString::from);
            let after = after.iter().map(OsString::from);
            before.chain([model.into()]).chain(after).collect()
        };
        let serve = [
            "--host",
            "127.0.0.1",
            "--port",
            &port_word,
            "--log-level",
            "warning",
        ];
        match &self.kind {
            Kind::Transformers => words(&["serve"], &serve),
            Kind::Library => words(&["-m", "transformers.cli.transformers", "serve"], &serve),
            Kind::Vllm => {
                let (context, slots) = (plan.context.to_string(), plan.slots.to_string());
                words(
                    &["serve"],
                    &[
                        "--host",
                        "127.0.0.1",
                        "--port",
                        &port_word,
                        "--max-model-len",
                        &context,
                        "--max-num-seqs",
                        &slots,
                        "--generation-config",
                        "vllm",
                    ],
                )
            }
            Kind::Command(arguments) => of_command(arguments, model, plan, port),
        }
    }
}

fn missing(what: &str) -> StrategyError {
    StrategyError::new(Fault::Missing, format!("{what} is missing: there is no such program"))
        .remedy(format!(
            "{INSTALL} (or vllm), in a virtual environment, and set `program` of the strategy transformers to its bin/transformers; \
             or give the address of a server with `url`"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: Kind) -> String {
        let found = Found {
            program: PathBuf::from("/bin/x"),
            kind,
        };
        let plan = Plan {
            context: 2048,
            threads: 3,
            slots: 2,
        };
        let arguments = found.arguments(Path::new("/m/a b"), &plan, 4711);
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    #[test]
    fn everything_is_said() {
        let serve = "serve /m/a b --host 127.0.0.1 --port 4711 --log-level warning";
        assert_eq!(line(Kind::Transformers), serve);
        assert_eq!(
            line(Kind::Library),
            format!("-m transformers.cli.transformers {serve}")
        );
        assert_eq!(
            line(Kind::Vllm),
            "serve /m/a b --host 127.0.0.1 --port 4711 --max-model-len 2048 --max-num-seqs 2 --generation-config vllm"
        );
        let command = ["{model}", "--port={port}", "{slots}"].map(str::to_owned);
        assert_eq!(
            line(Kind::Command(command.to_vec())),
            "/m/a b --port=4711 2"
        );
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let settings = Settings {
            program: Some("/nowhere/transformers".into()),
            ..Settings::default()
        };
        let error = Found::look(&settings).unwrap_err();
        assert_eq!(error.fault, Fault::Missing);
        assert!(
            error
                .remedy
                .contains("pip install 'transformers[serving]' torch"),
            "{error}"
        );
    }
}
