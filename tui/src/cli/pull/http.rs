//! Requests to one server, and to those it sends us to.

use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error};

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// Longest a server may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// What kind of failure it is, which says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Trying again would give the same.
    Final,
    /// There is no way to the server.
    Offline,
    /// May be gone in a moment.
    Passing,
    /// The server says when to come back.
    Later(Duration),
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct HttpError {
    pub(crate) fault: Fault,
    pub(crate) message: String,
}

impl HttpError {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { fault, message }
    }
}

/// An answer with a body, and what the first server said of the file.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Headers of the first answer.
    pub(crate) first: HeaderMap,
    /// Host that answered.
    pub(crate) host: String,
}

/// Speaks to `endpoint`.
pub(crate) struct Client {
    agent: Agent,
    endpoint: Uri,
    token: Option<Token>,
}

/// A secret, and where it is from.
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) from: String,
}

impl Client {
    /// A client of the server with this address.
    ///
    /// # Errors
    /// What is wrong with the address, or with the certificates of `SSL_CERT_FILE`.
    pub(crate) fn new(
        endpoint: &str,
        token: Option<Token>,
        patience: Duration,
    ) -> Result<Self, String> {
        let endpoint = endpoint.trim_end_matches('/');
        let shown = endpoint.escape_debug();
        let uri: Uri = endpoint
            .parse()
            .map_err(|error| format!("the endpoint '{shown}' is no address: {error}"))?;
        let scheme = uri.scheme_str();
        if !matches!(scheme, Some("https" | "http")) || uri.host().is_none() || has_user(&uri) {
            return Err(format!(
                "the endpoint '{shown}' is no address such as https://huggingface.co"
            ));
        }
        let mut tls = TlsConfig::builder();
        if let Some(roots) = own_roots()? {
            tls = tls.root_certs(roots);
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tritone/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build();
        Ok(Self {
            agent: config.into(),
            endpoint: uri,
            token,
        })
    }

    /// The address of the server, for people.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_owned()
    }

    /// Where the token is from, if there is one and this server gets it.
    pub(crate) fn token_from(&self) -> Option<&str> {
        let token = self.token.as_ref()?;
        self.is_trusted(&self.endpoint)
            .then_some(token.from.as_str())
    }

    /// Whether there is a token that this server does not get, because everybody on the way could read
    /// it.
    pub(crate) fn withholds_token(&self) -> bool {
        self.token.is_some() && !self.is_trusted(&self.endpoint)
    }

    /// Whether the token may go there: to the endpoint itself, on an encrypted line or on this machine.
    fn is_trusted(&self, uri: &Uri) -> bool {
        let same = origin(uri) == origin(&self.endpoint);
        same && (uri.scheme_str() == Some("https") || is_loopback(uri))
    }

    /// Gets `path` of the server (with a slash at its beginning) or a whole address, through redirects.
    ///
    /// # Errors
    /// When no answer came; an answer of any status but a redirect is none.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Reply, HttpError> {
        let mut uri = match path.starts_with('/') {
            true => parse(&format!("{}{path}", self.endpoint()))?,
            false => parse(path)?,
        };
        let mut first = None;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(&uri, headers)?;
            let (parts, body) = response.into_parts();
            let host = uri.host().unwrap_or_default().to_owned();
            if !parts.status.is_redirection() || parts.status == StatusCode::NOT_MODIFIED {
                return Ok(Reply {
                    status: parts.status,
                    first: first.unwrap_or_else(|| parts.headers.clone()),
                    headers: parts.headers,
                    body,
                    host,
                });
            }
            let place = text(&parts.headers, "location").ok_or_else(|| {
                let what = format!("{host} redirects ({}) to nowhere", parts.status.as_u16());
                HttpError::new(Fault::Final, what)
            })?;
            let next = follow(&uri, place)?;
            self.check_redirect(&uri, &next)?;
            first.get_or_insert(parts.headers);
            uri = next;
        }
        let host = self.endpoint.host().unwrap_or_default();
        Err(HttpError::new(
            Fault::Final,
            format!("{host} redirects more than {MOST_REDIRECTS} times"),
        ))
    }

    fn send(
        &self,
        uri: &Uri,
        headers: &[(&str, &str)],
    ) -> Result<ureq::http::Response<Body>, HttpError> {
        let mut request = self.agent.get(uri).header("accept-encoding", "identity");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_trusted(uri)) {
            request = request.header("authorization", format!("Bearer {}", token.secret));
        }
        request.call().map_err(|error| failure(uri, &error))
    }

    /// A redirect leads to another web server, and never from an encrypted line to an open one.
    fn check_redirect(&self, from: &Uri, to: &Uri) -> Result<(), HttpError> {
        let open = to.scheme_str() == Some("http") && from.scheme_str() == Some("http");
        if (to.scheme_str() == Some("https") || open) && !has_user(to) {
            return Ok(());
        }
        let host = from.host().unwrap_or_default();
        let to: String = to.to_string().chars().take(100).collect();
        let what = format!("{host} redirects to '{to}', which is not followed");
        Err(HttpError::new(Fault::Final, what))
    }
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The wait that the server asks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, "retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Certificates of the user's own instead of the compiled ones, as OpenSSL's variable names them:
/// for networks that decrypt what passes.
fn own_roots() -> Result<Option<RootCerts>, String> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let said = |error: &dyn std::fmt::Display| format!("SSL_CERT_FILE {path:?}: {error}");
    let pem = std::fs::read(&path).map_err(|error| said(&error))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| said(&error))? {
            roots.push(certificate);
        }
    }
    match roots.is_empty() {
        true => Err(said(&"there is no certificate in it")),
        false => Ok(Some(RootCerts::new_with_certs(&roots))),
    }
}

fn parse(address: &str) -> Result<Uri, HttpError> {
    address.parse().map_err(|error| {
        let shown: String = address.chars().take(100).collect();
        HttpError::new(Fault::Final, format!("'{shown}' is no address: {error}"))
    })
}

/// Where `place` leads from `base` (RFC 3986, 5.2, as far as servers use it).
fn follow(base: &Uri, place: &str) -> Result<Uri, HttpError> {
    let scheme = base.scheme_str().unwrap_or("https");
    let host = base.authority().map_or("", |authority| authority.as_str());
    let has_scheme = place
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|part| part.contains(':'));
    let place = place.split('#').next().unwrap_or(place);
    let address = if has_scheme {
        place.to_owned()
    } else if place.starts_with("//") {
        format!("{scheme}:{place}")
    } else if place.starts_with('/') {
        format!("{scheme}://{host}{place}")
    } else {
        let path = base.path();
        let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{scheme}://{host}{directory}{place}")
    };
    let lower = address.to_ascii_lowercase();
    let web = lower.starts_with("https://") || lower.starts_with("http://");
    let uri = parse(&address)
        .ok()
        .filter(|uri| web && uri.host().is_some());
    uri.ok_or_else(|| {
        let from = base.host().unwrap_or_default();
        let shown: String = address.chars().take(100).collect();
        let what = format!("{from} redirects to '{shown}', which is not followed");
        HttpError::new(Fault::Final, what)
    })
}

fn has_user(uri: &Uri) -> bool {
    uri.authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, u16) {
    let usual = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    (
        uri.scheme_str().map(str::to_owned),
        uri.host().map(str::to_ascii_lowercase),
        uri.port_u16().unwrap_or(usual),
    )
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn unknown_host(host: &str) -> String {
    format!("the address of {host} is not known: is this machine online?")
}

/// What a failure of the line means.
pub(crate) fn failure(uri: &Uri, error: &Error) -> HttpError {
    let host = uri.host().unwrap_or_default();
    match error {
        Error::HostNotFound => HttpError::new(Fault::Offline, unknown_host(host)),
        // What the C library says comes without a kind of its own.
        Error::Io(io) if io.to_string().contains("lookup address") => {
            HttpError::new(Fault::Offline, unknown_host(host))
        }
        Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
        | Error::ConnectionFailed => {
            HttpError::new(Fault::Offline, format!("{host} cannot be reached: {error}"))
        }
        Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => HttpError::new(
            Fault::Offline,
            format!("{host} cannot be reached: {io}; a proxy is taken from HTTPS_PROXY"),
        ),
        Error::Timeout(_) => HttpError::new(Fault::Passing, format!("{host} does not answer")),
        Error::Rustls(error) => HttpError::new(
            Fault::Final,
            format!(
                "no trusted connection to {host}: {error}; if your network decrypts what passes, \
                 name its certificates in SSL_CERT_FILE"
            ),
        ),
        error => HttpError::new(Fault::Passing, format!("{host}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn redirects_are_followed_as_browsers_do() {
        let base = uri("https://a.co/x/y?z");
        let to = |place: &str| follow(&base, place).map(|uri| uri.to_string()).ok();
        for (place, expected) in [
            ("https://b.co/q?r=1", "https://b.co/q?r=1"),
            ("//b.co/q", "https://b.co/q"),
            ("/q", "https://a.co/q"),
            ("q#r", "https://a.co/x/q"),
        ] {
            assert_eq!(to(place).as_deref(), Some(expected), "{place}");
        }
        for place in [
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:1",
            "http:",
            "ftp://b/c",
        ] {
            assert_eq!(to(place), None, "{place}");
        }
    }

    proptest::proptest! {
        #[test]
        fn redirects_lead_to_web_servers_only(place in ".{0,60}", tail in "[a-z:/.@#?%0-9]{0,30}") {
            for place in [place, tail] {
                if let Ok(next) = follow(&uri("https://a.co/x/y"), &place) {
                    proptest::prop_assert!(matches!(next.scheme_str(), Some("http" | "https")));
                    proptest::prop_assert!(next.host().is_some());
                }
            }
        }
    }

    #[test]
    fn a_token_goes_to_one_server_only() {
        let token = || {
            Some(Token {
                secret: "x".to_owned(),
                from: "HF_TOKEN".to_owned(),
            })
        };
        let patience = Duration::from_secs(1);
        let client = |endpoint: &str| Client::new(endpoint, token(), patience).unwrap();
        let hub = client("https://huggingface.co");
        assert!(hub.is_trusted(&uri("https://HuggingFace.co:443/a")));
        for other in [
            "http://huggingface.co/a",
            "https://huggingface.co:8443/a",
            "https://cdn.huggingface.co/a",
            "https://huggingface.co.evil.org/a",
        ] {
            assert!(!hub.is_trusted(&uri(other)), "{other}");
        }
        assert!(client("http://127.0.0.1:9").is_trusted(&uri("http://127.0.0.1:9/a")));
        assert!(client("http://[::1]:9").is_trusted(&uri("http://[::1]:9/a")));
        let open = client("http://mirror.lan");
        assert!(!open.is_trusted(&uri("http://mirror.lan/a")) && open.withholds_token());
        for wrong in [
            "ftp://a",
            "huggingface.co",
            "https://u:p@a.co",
            "",
            "https://",
        ] {
            assert!(Client::new(wrong, None, patience).is_err(), "{wrong}");
        }
    }
}
