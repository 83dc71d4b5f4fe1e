//! Where programs keep model files.

use std::path::PathBuf;

use crate::cli::paths;
pub(crate) use crate::cli::paths::Env;

/// Whose place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Compiled into the program.
    BuiltIn,
    /// Where `tritone pull` puts models.
    Store,
    /// The cache of Hugging Face's own programs.
    HuggingFace,
    LmStudio,
    Ollama,
    LlamaCpp,
    /// The current directory.
    Here,
}

impl Kind {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Store => "own store",
            Self::HuggingFace => "Hugging Face",
            Self::LmStudio => "LM Studio",
            Self::Ollama => "Ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::Here => "here",
        }
    }

    /// For programs, and behind `@` in ids.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Store => "store",
            Self::HuggingFace => "hugging-face",
            Self::LmStudio => "lm-studio",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::Here => "here",
        }
    }
}

/// A directory where models may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

/// A variable that holds a path.
fn path(env: Env<'_>, name: &str) -> Option<PathBuf> {
    env(name).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn cache(env: Env<'_>) -> Option<PathBuf> {
    paths::base(env, "XDG_CACHE_HOME", ".cache")
}

/// The program's own store: `TRITONE_MODELS`, or `tritone/models` among the user's data.
pub(crate) fn store(env: Env<'_>) -> Option<PathBuf> {
    path(env, "TRITONE_MODELS").or_else(|| Some(paths::data(env)?.join("models")))
}

/// The directory of Hugging Face's programs: `HF_HOME` or in the cache directory.
pub(crate) fn hugging_face(env: Env<'_>) -> Option<PathBuf> {
    path(env, "HF_HOME").or_else(|| Some(cache(env)?.join("huggingface")))
}

/// All places, whether they are there or not.
pub(crate) fn places(env: Env<'_>, here: Option<PathBuf>) -> Vec<Place> {
    let home = |below: &str| Some(paths::absolute(env, "HOME")?.join(below));
    let hub = path(env, "HF_HUB_CACHE")
        .or_else(|| path(env, "HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(hugging_face(env)?.join("hub")));
    let ollama = path(env, "OLLAMA_MODELS").or_else(|| home(".ollama/models"));
    let llama = path(env, "LLAMA_CACHE").or_else(|| Some(cache(env)?.join("llama.cpp")));
    [
        (Kind::Store, store(env)),
        (Kind::HuggingFace, hub),
        (Kind::LmStudio, home(".lmstudio/models")),
        (Kind::LmStudio, home(".cache/lm-studio/models")),
        (Kind::Ollama, ollama),
        (Kind::LlamaCpp, llama),
        (Kind::Here, here),
    ]
    .into_iter()
    .filter_map(|(kind, path)| Some(Place { kind, path: path? }))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_move_places() {
        let named = |variables: &[(&str, &str)]| {
            let env = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let places = places(&env, None);
            let paths = places
                .iter()
                .map(|place| place.path.to_str().unwrap_or("?"));
            paths.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            named(&[("HOME", "/h")]),
            "/h/.local/share/tritone/models /h/.cache/huggingface/hub /h/.lmstudio/models \
             /h/.cache/lm-studio/models /h/.ollama/models /h/.cache/llama.cpp"
        );
        assert_eq!(
            named(&[
                ("XDG_DATA_HOME", "/d"),
                ("XDG_CACHE_HOME", "relative"),
                ("HF_HOME", "/f"),
                ("OLLAMA_MODELS", "/o"),
                ("LLAMA_CACHE", "/l"),
            ]),
            "/d/tritone/models /f/hub /o /l"
        );
        let own = [
            ("TRITONE_MODELS", "m"),
            ("HF_HUB_CACHE", "/u"),
            ("HF_HOME", "/f"),
        ];
        assert_eq!(named(&own), "m /u");
        assert_eq!(named(&[]), "");
    }
}
