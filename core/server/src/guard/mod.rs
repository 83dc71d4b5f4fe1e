//! What stands between the network and the model: hosts, keys, rates, content, and the record of it all.
//!
//! Everything is closed unless it is listed: a route that is not public needs a key, a page of another origin
//! gets nothing, an address that others can reach needs a key. What a request sends is never given back, and
//! nothing is kept for it beyond bounds that the configuration sets.

mod bind;
mod client;
mod config;
mod content;
mod counts;
mod gate;
mod host;
mod keys;
mod log;
mod mode;
mod origin;
mod rate;
mod route;
mod secret;

pub use bind::{OpenBind, check_bind};
pub use client::{ClientId, InstallSecret, SecretError};
pub use config::{CorsConfig, GuardConfig, RateConfig};
pub use content::{
    Action, Applies, Checked, Content, ContentConfig, Filtered, InputConfig, Rule, RuleError,
    StreamFilter, Treatment, parse_rules,
};
pub use counts::{SecurityCounts, SecurityEvent};
pub use gate::{Guard, GuardError, Pass, Reloaded};
pub use host::Hosts;
pub use keys::{Digest, Key, KeyFileError, KeySet, KeySources, KeysError, Loaded, Scope, sent_key};
pub use log::{Entry, LogConfig, LogCounts, LogOpenError, RequestLog, trace_id};
pub use origin::Origins;
pub use rate::{Charge, Quota, RateLimiter, Refused, Share};
pub use route::needed;
pub use secret::Secret;
