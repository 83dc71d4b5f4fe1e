//! The arguments of `tritone serve`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tritone_profile::Profile;
use tritone_server::guard::{GuardConfig, LogConfig};
use tritone_server::serve::Config;
use tritone_server::{Limits, Schedule};

use crate::cli::args::MonitorFlags;
use crate::cli::failure::{BadConfig, Usage};

const HELP: &str = "\
Examples:
  tritone serve                              the built-in model at http://127.0.0.1:8080/v1
  tritone serve -m bitnet-b1.58 --port 0     any free port; the ready line says which
  TRITONE_API_KEY=... tritone serve --host 0.0.0.0
  curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
       -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'

When requests are taken, one line goes to standard output:
  {\"event\":\"ready\",\"url\":\"http://127.0.0.1:8080\",\"model\":\"...\",\"pid\":1234}
Everything else goes to standard error.

Signals: SIGTERM or Ctrl+C ends in order (running answers are finished, for --drain-timeout at most), a
second one ends at once; SIGHUP reads keys and rules again.

Exit codes beyond those of all commands:
  0    ended in order
  69   the address cannot be listened at, for example because the port is in use
  78   keys or addresses are not set up as they have to be
  130, 143  a second Ctrl+C or SIGTERM came

Keys: TRITONE_API_KEY and TRITONE_ADMIN_KEY, the files named here, or systemd's credentials.";

/// `tritone serve`
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ServeArgs {
    /// Address to listen at. One that other machines reach needs an API key.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen at; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// What is measured meanwhile.
    #[command(flatten)]
    pub(crate) monitor: MonitorFlags,
    /// What the model is called in requests [default: the name of its file].
    #[arg(long, value_name = "NAME")]
    pub(crate) model_name: Option<String>,
    /// File of API keys, one a line, as `KEY` or `NAME:KEY`; read again at SIGHUP.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// File of keys for the admin routes, which are closed without one.
    #[arg(long, value_name = "FILE")]
    admin_key_file: Option<PathBuf>,
    /// Listen where others can reach the server though there is no key.
    #[arg(long)]
    insecure_no_auth: bool,
    /// Let everybody read /metrics.
    #[arg(long)]
    metrics_public: bool,
    /// A name the server is called by, besides localhost; may be given more than once.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// A web page that may use the server, such as https://chat.example; may be given more than once.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Requests of a client in a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_minute: Option<u64>,
    /// Tokens of a client in a minute, of prompts and answers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_minute: Option<u64>,
    /// File of settings of the guard: the table `[server.guard]` in TOML. Arguments come before it.
    #[arg(long, value_name = "FILE")]
    guard_config: Option<PathBuf>,
    /// File of rules about what is asked and answered; may be given more than once.
    #[arg(long, value_name = "FILE")]
    content_rules: Vec<PathBuf>,
    /// File for a line of JSON about every request; without texts, and begun again at 16 MiB.
    #[arg(long, value_name = "FILE")]
    request_log: Option<PathBuf>,
    /// Write prompts and answers to the request log, too.
    #[arg(long, requires = "request_log")]
    log_texts: bool,
    /// Answers written at once [default: the profile's batch, or what fits its memory limit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) slots: Option<u16>,
    /// Answers that may wait [default: the profile's].
    #[arg(long, value_name = "N")]
    queue: Option<usize>,
    /// Most tokens of an answer [default: the profile's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_output_tokens: Option<u32>,
    /// How long answers may go on after the server was asked to end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    drain_timeout: f64,
    /// How long the body of a request may take to arrive, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    body_timeout: f64,
    /// How long a client may leave its answer unread before it loses it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    unread_timeout: f64,
    /// Longest body of a request, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    max_body: u32,
    /// Connections that are open at once.
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_connections: u32,
}

fn read(path: &Path) -> Result<GuardConfig, BadConfig> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let config = text.and_then(|text| GuardConfig::parse(&text));
    config.map_err(|error| BadConfig(format!("--guard-config {}: {error}", path.display())))
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0 to 86400".to_owned()),
    }
}

impl ServeArgs {
    /// Where to listen.
    ///
    /// # Errors
    /// When the name stands for no address.
    pub(crate) fn address(&self) -> Result<SocketAddr, Usage> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, self.port).to_socket_addrs();
        found.ok().and_then(|mut all| all.next()).ok_or_else(|| {
            Usage(format!(
                "--host {}: there is no such address; try 127.0.0.1",
                self.host
            ))
        })
    }

    /// The guard: what the file of settings says, and the arguments over it.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it is wrong.
    pub(crate) fn guard(&self) -> Result<GuardConfig, BadConfig> {
        let mut config = match &self.guard_config {
            Some(path) => read(path)?,
            None => GuardConfig::default(),
        };
        let or = |given: &Option<PathBuf>, set: Option<PathBuf>| given.clone().or(set);
        config.key_file = or(&self.api_key_file, config.key_file);
        config.admin_key_file = or(&self.admin_key_file, config.admin_key_file);
        config.insecure_no_auth |= self.insecure_no_auth;
        config.metrics_public |= self.metrics_public;
        config.hosts.extend_from_slice(&self.allow_host);
        config.cors.origins.extend_from_slice(&self.allow_origin);
        let rate = &mut config.rate;
        rate.requests_per_minute = self.requests_per_minute.or(rate.requests_per_minute);
        rate.tokens_per_minute = self.tokens_per_minute.or(rate.tokens_per_minute);
        config.content.rules.extend_from_slice(&self.content_rules);
        if let Some(path) = &self.request_log {
            let log = config
                .log
                .get_or_insert_with(|| LogConfig::new(path.clone()));
            log.path.clone_from(path);
            log.texts |= self.log_texts;
        }
        Ok(config)
    }

    /// Bounds under a profile; the number of slots follows when the model is known.
    pub(crate) fn config(&self, profile: &Profile) -> Config {
        let admission = &profile.admission;
        Config {
            limits: Limits {
                body_bytes: self.max_body as usize * 1024,
                body_time: Duration::from_secs_f64(self.body_timeout),
                connections: self.max_connections as usize,
                output_tokens: self
                    .max_output_tokens
                    .map_or(admission.max_output_tokens, |most| most as usize),
                ..Limits::default()
            },
            schedule: Schedule {
                slots: self.slots.map_or(profile.batch, usize::from).max(1),
                queue_max: self.queue.unwrap_or(admission.queue_max),
                queued_tokens_max: admission.queued_tokens_max,
                queue_time: Duration::from_millis(admission.queue_timeout_ms),
                unread_time: Duration::from_secs_f64(self.unread_timeout),
                ..Schedule::default()
            },
            drain_time: Duration::from_secs_f64(self.drain_timeout),
            ..Config::default()
        }
    }
}
