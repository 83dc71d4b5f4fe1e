//! What is configured of bitnet.cpp's server, and of others of its family.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is configured of a server of llama.cpp's family. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The program `llama-server`: a path, or a name that is looked for in `PATH` and where builds usually lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// A whole command instead, for servers with other arguments: the program first; `{model}`, `{host}`, `{port}`,
    /// `{context}`, `{threads}` and `{slots}` stand for their values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Variables of the server's environment besides the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The server makes vectors of texts: with a `command` that asks for that, or a `program` that does both.
    pub embeddings: bool,
    /// Longest time for a start, in seconds; 600 if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_limit_s: Option<u64>,
    /// Longest silence within an answer, in seconds; 300 if there is none. A server that is silent for longer is
    /// started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_limit_s: Option<u64>,
}
