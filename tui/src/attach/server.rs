//! What a running server says and does, for whoever has its keys.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tritone_client::{Address, Client, Times};
use tritone_engine::text::Message;
use tritone_monitor::{Limits, Record};
use tritone_probe::Bounds;
use tritone_strategy::{Endpoint, Fault, Remote, StrategyError};

/// How long a question about the server itself may take. The thread that measures asks once a second and has to
/// end with the screen.
const SOON: Duration = Duration::from_secs(3);

/// How long a change may take: weights may have to be packed anew.
const CHANGE: Duration = Duration::from_secs(600);

/// Where a server is, and the keys there are for it.
#[derive(Clone)]
pub(crate) struct Keys {
    /// For requests.
    pub(crate) api: Option<String>,
    /// For the admin routes: the monitor, other kernels and profiles.
    pub(crate) admin: Option<String>,
}

/// A running server.
pub(super) struct Server {
    endpoint: Endpoint,
    /// For the server's own routes that everybody may use.
    plain: Client,
    /// For the admin routes.
    admin: Option<Client>,
}

/// What `/admin/monitor` tells.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) profile: String,
    pub(super) kernel: String,
    pub(super) threads: usize,
    interval_ms: u64,
    memory_limit: Option<u64>,
    limits: Watched,
    records: Vec<Value>,
}

/// What is watched; `null` is not.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Watched {
    memory_bytes: u64,
    near_limit: bool,
    cpu_percent: Option<f64>,
    min_tokens_per_second: Option<f64>,
    error_rate_percent: Option<f64>,
    latency_ms: Option<f64>,
}

impl Told {
    /// What bounds the server.
    pub(super) fn bounds(&self) -> Bounds {
        let watched = &self.limits;
        let or = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        Bounds {
            memory: self.memory_limit,
            interval: Duration::from_millis(self.interval_ms.clamp(100, 60_000)),
            alerts: Limits {
                memory_bytes: watched.memory_bytes,
                near_limit: watched.near_limit,
                cpu_percent: or(watched.cpu_percent),
                min_tokens_per_second: watched.min_tokens_per_second.unwrap_or(0.0),
                error_rate_percent: or(watched.error_rate_percent),
                latency_ms: or(watched.latency_ms),
            },
        }
    }

    /// What was measured after `since`; what this program does not understand is left out.
    pub(super) fn records(self, since: u64) -> Vec<Record> {
        let records = self.records.into_iter();
        records
            .filter_map(|record| Record::from_json(&record.to_string()).ok())
            // Those that end where the last ones did are the last ones.
            .filter(|record| record.at() > since)
            .collect()
    }
}

/// A kernel of the server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) usable: bool,
    pub(super) reason: String,
    pub(super) active: bool,
}

#[derive(Deserialize)]
struct Kernels {
    kernels: Vec<Kernel>,
}

/// What a change came to.
#[derive(Deserialize)]
pub(super) struct Changed {
    pub(super) kernel: String,
    pub(super) profile: String,
    notices: Vec<String>,
}

impl Changed {
    pub(super) fn notices(self) -> Vec<String> {
        self.notices
    }
}

impl Server {
    /// The server at `address`; nothing is sent yet.
    ///
    /// # Errors
    /// When a key has characters that no header may have.
    pub(super) fn new(address: Address, keys: &Keys) -> Result<Self, StrategyError> {
        let times = Times {
            answer: SOON,
            ..Times::default()
        };
        let mut plain = Client::new(address.clone()).with_times(times);
        if let Some(key) = &keys.api {
            plain = plain.with_key(key)?;
        }
        let admin = match &keys.admin {
            Some(key) => {
                let client = Client::new(address.clone()).with_times(times);
                Some(client.with_key(key)?)
            }
            None => None,
        };
        let endpoint = Endpoint {
            key: keys.api.clone(),
            ..Endpoint::new(&address.to_string(), address)
        };
        Ok(Self {
            endpoint,
            plain,
            admin,
        })
    }

    /// Where it is.
    pub(super) fn address(&self) -> &Address {
        &self.endpoint.address
    }

    /// What asks it for answers.
    ///
    /// # Errors
    /// When the key has characters that no header may have.
    pub(super) fn remote(&self) -> Result<Arc<Remote>, StrategyError> {
        Ok(Arc::new(Remote::new(self.endpoint.clone())?))
    }

    /// Whether there is a key for the admin routes.
    pub(super) fn has_admin_key(&self) -> bool {
        self.admin.is_some()
    }

    fn admin(&self, what: &str) -> Result<&Client, StrategyError> {
        self.admin.as_ref().ok_or_else(|| {
            StrategyError::new(
                Fault::Refused,
                format!("{what} needs the server's admin key"),
            )
            .remedy("give it in TRITONE_ADMIN_KEY or with --admin-key-file")
        })
    }

    /// What was measured from `since` on, and what the server is.
    pub(super) fn told(&self, since: u64) -> Result<Told, StrategyError> {
        let client = self.admin("the server's monitor")?;
        let route = format!("/admin/monitor?since={since}");
        Remote::wait_for(client.route(&route, None))
    }

    /// Its kernels.
    pub(super) fn kernels(&self) -> Result<Vec<Kernel>, StrategyError> {
        let client = self.admin("the list of the server's kernels")?;
        let all: Kernels = Remote::wait_for(client.route("/admin/kernel", None))?;
        Ok(all.kernels)
    }

    /// Goes on with another kernel or profile.
    pub(super) fn change(&self, what: &str, name: &str) -> Result<Changed, StrategyError> {
        let client = self.admin(&format!("another {what}"))?;
        let client = client.clone().with_times(Times {
            answer: CHANGE,
            ..Times::default()
        });
        let body = json!({"name": name});
        let route = format!("/admin/{what}");
        Remote::wait_for(client.route(&route, Some(&body)))
    }

    /// Tokens of a chat of these messages.
    pub(super) fn count(&self, messages: &[Message]) -> Result<usize, StrategyError> {
        #[derive(Deserialize)]
        struct Counted {
            count: usize,
        }
        let message =
            |message: &Message| json!({"role": message.role.as_str(), "content": message.content});
        let messages: Vec<Value> = messages.iter().map(message).collect();
        let body = json!({"messages": messages});
        let counted: Counted = Remote::wait_for(self.plain.route("/tokenize", Some(&body)))?;
        Ok(counted.count)
    }
}
