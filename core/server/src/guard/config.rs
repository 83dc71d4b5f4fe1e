//! What can be set about the guard: the table `[server.guard]` of a configuration file.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::content::ContentConfig;
use super::log::LogConfig;

/// The guard. All of it can be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// File of API keys.
    pub key_file: Option<PathBuf>,
    /// File of admin keys.
    pub admin_key_file: Option<PathBuf>,
    /// Listen where others can reach the server though there is no key.
    pub insecure_no_auth: bool,
    /// Let everybody read `/metrics`.
    pub metrics_public: bool,
    /// Names that the server is called by, besides those of the loopback.
    pub hosts: Vec<String>,
    /// Web pages that may use the server.
    pub cors: CorsConfig,
    /// Limits of each client.
    pub rate: RateConfig,
    /// Rules about what is asked and answered.
    pub content: ContentConfig,
    /// The log of requests; none unless it is set.
    pub log: Option<LogConfig>,
}

/// Web pages that may use the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Their origins, such as `https://chat.example`.
    pub origins: Vec<String>,
    /// How long a browser may remember the permission, in seconds.
    pub max_age: u64,
}

/// Limits of each client in each sixty seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Requests.
    pub requests_per_minute: Option<u64>,
    /// Tokens, of prompts and answers.
    pub tokens_per_minute: Option<u64>,
    /// Clients that are remembered.
    pub clients: usize,
}

impl GuardConfig {
    /// The table `[server.guard]` of a file; other tables of it are others' business.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            server: Server,
        }
        #[derive(Default, Deserialize)]
        struct Server {
            #[serde(default)]
            guard: GuardConfig,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(file.server.guard)
    }
}

impl CorsConfig {
    pub(super) fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age)
    }
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            max_age: 600,
        }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            clients: 4096,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::content::Treatment;

    #[test]
    fn everything_can_be_left_out_and_nothing_misspelt() {
        assert_eq!(
            toml::from_str::<GuardConfig>("").unwrap(),
            GuardConfig::default()
        );
        let config: GuardConfig = toml::from_str(
            "key_file = 'k'\nrate.requests_per_minute = 60\ncors.origins = ['https://a.example']\n",
        )
        .unwrap();
        assert_eq!(config.rate.requests_per_minute, Some(60));
        assert_eq!(config.rate.clients, 4096);
        assert_eq!(config.cors.max_age(), Duration::from_secs(600));
        let file = "[other]\nx = 1\n[server.guard.content.input]\nbidi = 'strip'\n[server.guard.log]\npath = 'l'\n";
        let config = GuardConfig::parse(file).unwrap();
        assert_eq!(config.content.input.bidi, Treatment::Strip);
        assert_eq!(config.log, Some(LogConfig::new("l".into())));
        assert_eq!(GuardConfig::parse(""), Ok(GuardConfig::default()));
        let error = GuardConfig::parse("[server.guard]\n\nhost = 1").unwrap_err();
        assert!(
            error.contains("line 3") && error.contains("hosts"),
            "{error}"
        );
        let error = toml::from_str::<GuardConfig>("insecure_noauth = true")
            .unwrap_err()
            .to_string();
        assert!(error.contains("insecure_noauth"), "{error}");
    }
}
