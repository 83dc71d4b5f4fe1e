//! Where a server is, and how it is spoken to.

use tritone_client::{Address, Retries, Times};

use super::dialect::Dialect;

/// Where a server is, and how it is spoken to.
#[derive(Clone)]
pub struct Endpoint {
    /// The name with which it is chosen.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The key it wants, if it wants one.
    pub key: Option<String>,
    /// The model to ask for, where the deployment names none; empty for the first the server has.
    pub model: String,
    /// How long it may take.
    pub times: Times,
    /// How often a request to a busy server is repeated.
    pub retries: Retries,
    /// Whose server it is; `None` for what its list of models says.
    pub dialect: Option<Dialect>,
    /// Streams are asked to end with counted tokens; some servers refuse to be asked.
    pub stream_options: bool,
}

impl Endpoint {
    /// A server without a key, with the usual times, and two repetitions.
    #[must_use]
    pub fn new(name: &str, address: Address) -> Self {
        Self {
            name: name.to_owned(),
            address,
            key: None,
            model: String::new(),
            times: Times::default(),
            retries: Retries::TWICE,
            dialect: None,
            stream_options: true,
        }
    }
}

impl std::fmt::Debug for Endpoint {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("address", &self.address.to_string())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
