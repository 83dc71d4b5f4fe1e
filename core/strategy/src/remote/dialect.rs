//! Whose server it is: they differ in the names of what OpenAI's API does not have.

use serde::Serialize;
use tritone_client::ModelEntry;

/// Whose server it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Nothing is known: only what OpenAI's API has is sent.
    #[default]
    OpenAi,
    /// `tritone serve`.
    Tritone,
    /// llama.cpp's server, and those that speak as it does.
    LlamaCpp,
    /// vLLM.
    Vllm,
    /// Ollama.
    Ollama,
    /// `transformers serve`.
    Transformers,
}

impl Dialect {
    /// As the server's list of models has it.
    #[must_use]
    pub fn of(models: &[ModelEntry]) -> Self {
        let owner = models.first().map(|model| model.owned_by.as_str());
        match owner.unwrap_or_default() {
            "tritone" => Self::Tritone,
            "llamacpp" => Self::LlamaCpp,
            "vllm" => Self::Vllm,
            "library" => Self::Ollama,
            _ => Self::OpenAi,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI-compatible",
            Self::Tritone => "tritone",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vLLM",
            Self::Ollama => "Ollama",
            Self::Transformers => "transformers",
        }
    }

    /// What it calls the repetition penalty, if it has one.
    pub(super) fn repetition_penalty(self) -> Option<&'static str> {
        match self {
            Self::Tritone | Self::Vllm => Some("repetition_penalty"),
            Self::LlamaCpp => Some("repeat_penalty"),
            Self::OpenAi | Self::Ollama | Self::Transformers => None,
        }
    }

    /// Whether it takes `top_k` and `min_p`.
    pub(super) fn has_top_k(self) -> bool {
        matches!(self, Self::Tritone | Self::Vllm | Self::LlamaCpp)
    }

    /// Whether it can be told to think, to go on with a message, and to go on after the end.
    pub(super) fn has_switches(self) -> bool {
        matches!(self, Self::Tritone | Self::Vllm)
    }

    /// Whether it tells probabilities.
    pub(super) fn has_logprobs(self) -> bool {
        !matches!(self, Self::Ollama | Self::Transformers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_what_they_say() {
        let of = |owner: &str| {
            let entry = serde_json::json!({"id": "m", "owned_by": owner});
            Dialect::of(&[serde_json::from_value(entry).unwrap()])
        };
        assert_eq!(of("tritone"), Dialect::Tritone);
        assert_eq!(of("llamacpp"), Dialect::LlamaCpp);
        assert_eq!(of("vllm"), Dialect::Vllm);
        assert_eq!(of("library"), Dialect::Ollama);
        assert_eq!(of("somebody"), Dialect::OpenAi);
        assert_eq!(Dialect::of(&[]), Dialect::OpenAi);
    }
}
