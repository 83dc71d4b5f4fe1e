//! The one entry: whether a request may go on.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::request::Parts;

use super::bind::{OpenBind, check_bind};
use super::client::{ClientId, InstallSecret, SecretError};
use super::config::GuardConfig;
use super::content::{Content, ContentConfig, RuleError};
use super::counts::{SecurityCounts, SecurityEvent};
use super::host::Hosts;
use super::keys::{KeySet, KeySources, KeysError, Scope, sent_key};
use super::log::{LogOpenError, RequestLog};
use super::origin::Origins;
use super::rate::{Charge, Quota, RateLimiter, Refused};
use super::route::needed;
use crate::error::{ApiError, ErrorKind};

/// Keys, hosts, origins, rates, rules and the log of a server.
#[derive(Debug)]
pub struct Guard {
    sources: KeySources,
    keys: RwLock<Arc<KeySet>>,
    hosts: Hosts,
    origins: Origins,
    rate: RateLimiter,
    counts: Arc<SecurityCounts>,
    content: RwLock<Arc<Content>>,
    content_config: ContentConfig,
    log: Option<RequestLog>,
    secret: InstallSecret,
    bound: IpAddr,
    insecure_no_auth: bool,
    metrics_public: bool,
    started: Instant,
}

/// A request that may go on.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Who asks.
    pub client: ClientId,
    /// What the owner of the server calls the key; `None` without one.
    pub key: Option<Arc<str>>,
    /// What the route needed.
    pub scope: Scope,
    /// What is left of the client's limits, for the headers of the answer.
    pub quota: Quota,
}

/// Keys after a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// How many open the API.
    pub api: usize,
    /// How many open the admin routes.
    pub admin: usize,
    /// What the user should know.
    pub notices: Vec<String>,
}

/// Why a guard could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The address.
    #[error(transparent)]
    Bind(#[from] OpenBind),
    /// The origins.
    #[error("cors.origins: {0}")]
    Origins(String),
    /// The rules of content.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogOpenError),
    /// The secret of the installation.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Guard {
    /// A guard of a server that is to listen at `bound`; the second value is what the user should know.
    ///
    /// # Errors
    ///
    /// When a key, an origin or a rule is wrong, when the log cannot be written, or when the server would be
    /// open to others without a key.
    pub fn new(
        config: &GuardConfig,
        bound: IpAddr,
        sources: KeySources,
        secret: InstallSecret,
    ) -> Result<(Self, Vec<String>), GuardError> {
        let loaded = sources.load()?;
        let mut notices = loaded.notices;
        let api = loaded.keys.count(Scope::Api);
        notices.extend(check_bind(bound, api, config.insecure_no_auth)?);
        let origins = Origins::new(&config.cors.origins, config.cors.max_age())
            .map_err(GuardError::Origins)?;
        let rate = &config.rate;
        let counts = Arc::<SecurityCounts>::default();
        let guard = Self {
            sources,
            keys: RwLock::new(Arc::new(loaded.keys)),
            hosts: Hosts::new(bound, &config.hosts),
            origins,
            rate: RateLimiter::new(
                rate.requests_per_minute,
                rate.tokens_per_minute,
                rate.clients,
            ),
            content: RwLock::new(Arc::new(Content::load(&config.content, counts.clone())?)),
            content_config: config.content.clone(),
            log: config.log.as_ref().map(RequestLog::open).transpose()?,
            counts,
            secret,
            bound,
            insecure_no_auth: config.insecure_no_auth,
            metrics_public: config.metrics_public,
            started: Instant::now(),
        };
        Ok((guard, notices))
    }

    /// Looks at the head of a request, before its body is read: host, key, rate, in this order.
    ///
    /// # Errors
    ///
    /// 400 or 403 for the host, 401 or 403 for the key, 429 for the rate.
    pub fn check(&self, parts: &Parts, peer: SocketAddr) -> Result<Pass, ApiError> {
        self.look(parts, peer).map_err(|(error, event)| {
            self.counts.note(event);
            error
        })
    }

    fn look(&self, parts: &Parts, peer: SocketAddr) -> Result<Pass, (ApiError, SecurityEvent)> {
        self.hosts
            .check(parts)
            .map_err(|error| (error, SecurityEvent::Host))?;
        let scope = needed(&parts.method, parts.uri.path(), self.metrics_public);
        let keys = self.keys();
        let closed = keys.count(Scope::Api) > 0;
        if !closed {
            self.origins
                .check(&parts.headers)
                .map_err(|error| (error, SecurityEvent::Origin))?;
        }
        let mut pass = Pass {
            client: self.secret.by_address(peer.ip()),
            key: None,
            scope,
            quota: Quota::default(),
        };
        if scope == Scope::Public {
            return Ok(pass);
        }
        // A key that is sent is looked up even where none is needed, so that its owner is one client.
        let sent = sent_key(&parts.headers);
        let key = sent.and_then(|sent| keys.find(sent));
        let needs_key = closed || scope == Scope::Admin;
        match key {
            Some(key) if scope == Scope::Admin && key.scope != Scope::Admin => {
                let error = ApiError::new(
                    ErrorKind::Forbidden,
                    "this key opens the API, not the admin routes: they need an admin key",
                );
                return Err((error.code("admin_key_needed"), SecurityEvent::Admin));
            }
            Some(key) => {
                pass.client = self.secret.by_key(&key.digest);
                pass.key = Some(key.name.clone());
            }
            None if needs_key => {
                return Err(no_key(sent.is_some(), scope, keys.count(Scope::Admin)));
            }
            None => {}
        }
        pass.quota = self
            .rate
            .request(pass.client, self.now())
            .map_err(|refused| (too_many(&refused, "requests"), SecurityEvent::RequestRate))?;
        Ok(pass)
    }

    /// Charges a client for the tokens that a request may need at most, prompt and answers. Settle the
    /// charge when the answers have ended.
    ///
    /// # Errors
    ///
    /// 429 when the client has had its tokens of the minute, 400 when the request alone needs more.
    pub fn charge(&self, client: ClientId, tokens: u64) -> Result<(Charge, Quota), ApiError> {
        self.rate.tokens(client, tokens, self.now()).map_err(|refused| {
            self.counts.note(SecurityEvent::TokenRate);
            if refused.never {
                let limit = refused.quota.tokens.map_or(0, |share| share.limit);
                ApiError::new(
                    ErrorKind::Invalid,
                    format!("this request may need {tokens} tokens, and the limit is {limit} a minute: ask for a shorter answer or send less text"),
                )
                .code("rate_limit_exceeded")
            } else {
                too_many(&refused, "tokens")
            }
        })
    }

    /// Says how many tokens a request needed in the end.
    pub fn settle(&self, charge: Charge, used: u64) {
        self.rate.settle(charge, used, self.now());
    }

    /// Whether a request only asks whether a page may use the server, and it may: answer with 204 and
    /// [`Guard::permit`]. Ask this before [`Guard::check`], as browsers send no key then.
    ///
    /// # Errors
    ///
    /// As [`Guard::check`] for the host.
    pub fn is_preflight(&self, parts: &Parts) -> Result<bool, ApiError> {
        self.hosts
            .check(parts)
            .inspect_err(|_| self.counts.note(SecurityEvent::Host))?;
        Ok(self.origins.is_preflight(parts))
    }

    /// Adds to an answer what lets a configured page read it.
    pub fn permit(&self, request: &HeaderMap, preflight: bool, answer: &mut HeaderMap) {
        self.origins.permit(request, preflight, answer);
    }

    /// The salt that keeps the prompts of clients apart: 0, which shares them, unless there are several keys.
    #[must_use]
    pub fn salt(&self, client: ClientId) -> u64 {
        if self.keys().count(Scope::Api) > 1 {
            client.salt()
        } else {
            0
        }
    }

    /// Reads the keys again. Whatever is wrong with them, the old ones stay. The log is opened again, too, so
    /// that its file can be moved away.
    ///
    /// # Errors
    ///
    /// When a key is wrong, or when no key would be left where there was one.
    pub fn reload(&self) -> Result<Reloaded, GuardError> {
        self.log.iter().for_each(RequestLog::reopen);
        let reloaded = self.exchange_keys();
        self.counts.note(match reloaded {
            Ok(_) => SecurityEvent::KeysReloaded,
            Err(_) => SecurityEvent::KeysRefused,
        });
        reloaded
    }

    fn exchange_keys(&self) -> Result<Reloaded, GuardError> {
        let loaded = self.sources.load()?;
        let (api, admin) = (
            loaded.keys.count(Scope::Api),
            loaded.keys.count(Scope::Admin),
        );
        if api == 0 && self.keys().count(Scope::Api) > 0 {
            return Err(KeysError::NoneLeft.into());
        }
        check_bind(self.bound, api, self.insecure_no_auth)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.keys);
        Ok(Reloaded {
            api,
            admin,
            notices: loaded.notices,
        })
    }

    /// The rules about what is asked and answered, as they are now. A request goes by those it began with.
    #[must_use]
    pub fn content(&self) -> Arc<Content> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&content)
    }

    /// Reads the files of rules again; returns how many rules there are now.
    ///
    /// # Errors
    /// The file, line and rule that is wrong; then the old rules stay.
    pub fn reload_rules(&self) -> Result<usize, GuardError> {
        let content = Content::load(&self.content_config, Arc::clone(&self.counts))?;
        let count = content.len();
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(content);
        Ok(count)
    }

    /// The log of requests, if there is one.
    #[must_use]
    pub fn log(&self) -> Option<&RequestLog> {
        self.log.as_ref()
    }

    /// How often it stepped in.
    #[must_use]
    pub fn counts(&self) -> &Arc<SecurityCounts> {
        &self.counts
    }

    fn keys(&self) -> Arc<KeySet> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

fn no_key(sent: bool, scope: Scope, admin_keys: usize) -> (ApiError, SecurityEvent) {
    if scope == Scope::Admin && admin_keys == 0 {
        let error = ApiError::new(
            ErrorKind::Forbidden,
            "the admin routes are closed: no admin key is set (TRITONE_ADMIN_KEY or `admin_key_file`)",
        );
        return (error.code("admin_key_needed"), SecurityEvent::Admin);
    }
    if sent {
        let error = ApiError::new(ErrorKind::Key, "the API key is not one of this server's");
        (error.code("invalid_api_key"), SecurityEvent::KeyWrong)
    } else {
        let error = ApiError::new(
            ErrorKind::Key,
            "no API key: send one as `Authorization: Bearer KEY` or `x-api-key: KEY`",
        );
        (error.code("missing_api_key"), SecurityEvent::KeyMissing)
    }
}

fn too_many(refused: &Refused, what: &str) -> ApiError {
    let share = if what == "tokens" {
        refused.quota.tokens
    } else {
        refused.quota.requests
    };
    let limit = share.map_or(0, |share| share.limit);
    let mut error = ApiError::new(
        ErrorKind::RateLimit,
        format!("more than {limit} {what} a minute: wait and ask again"),
    )
    .code("rate_limit_exceeded")
    .retry_after(refused.wait);
    error.quota = Some(Box::new(refused.quota));
    error
}

#[cfg(test)]
mod tests;
