//! What is configured of servers for directories of the transformers library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is configured of `transformers serve`, vLLM, or a server of that kind that runs already. Everything may be left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The program `transformers` or `vllm`: a path, or a name that is looked for in `PATH`. Where it is left out, both
    /// are looked for, and then the library itself with `python3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// A whole command instead: the program first; `{model}`, `{host}`, `{port}`, `{context}`, `{threads}` and `{slots}`
    /// stand for their values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The address of a server that runs already: then none is started, and none is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The variable of the environment that holds the key for the server at `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_variable: Option<String>,
    /// The model to ask the server at `url` for; the first it has if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Variables of the server's environment besides the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Longest time for a start, in seconds; 900 if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_limit_s: Option<u64>,
    /// Longest silence within an answer, in seconds; 300 if there is none. A server that is silent for longer is
    /// started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_limit_s: Option<u64>,
}
