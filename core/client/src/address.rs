//! Where a server is.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::error::ClientError;

/// Scheme, host, port and base path of a server, such as `http://127.0.0.1:8080` or
/// `https://example.org/api/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) tls: bool,
    /// Without brackets, where it is an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty, or with a slash at the beginning and none at the end; without `/v1`.
    base: String,
}

impl Address {
    /// The path of a route of the server itself, such as `/health`.
    pub(crate) fn path(&self, route: &str) -> String {
        format!("{}{route}", self.base)
    }

    /// The path of a route of OpenAI's, such as `/chat/completions`.
    pub(crate) fn v1(&self, route: &str) -> String {
        format!("{}/v1{route}", self.base)
    }

    /// Whether it is on this machine: what is sent there does not leave it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        match address {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// What goes into the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl FromStr for Address {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let wrong = |why: &str| {
            ClientError::Address(format!(
                "'{}' is no address of a server: {why}; an address looks like http://127.0.0.1:8080",
                shown(text)
            ))
        };
        // What a browser or another parser may read differently is not guessed at.
        if text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
        {
            return Err(wrong("it has blanks, control characters or backslashes"));
        }
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = full.parse().map_err(|_| wrong("it cannot be parsed"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("only http and https are spoken")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "a name or password has no place in it; keys come from the environment or a file",
            ));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("its port is no number from 1 to 65535"))?,
            _ => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        let base = uri.path().trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).to_owned();
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            base,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

/// At most this much of what somebody wrote is repeated.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_have_scheme_host_port_and_base() {
        for (text, shown, path) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
                "/v1/models",
            ),
            (
                "http://127.0.0.1:8080/",
                "http://127.0.0.1:8080",
                "/v1/models",
            ),
            (
                "http://127.0.0.1:8080/v1",
                "http://127.0.0.1:8080",
                "/v1/models",
            ),
            (
                "http://127.0.0.1:8080/v1/",
                "http://127.0.0.1:8080",
                "/v1/models",
            ),
            ("localhost:1", "http://localhost:1", "/v1/models"),
            ("localhost", "http://localhost", "/v1/models"),
            (
                "https://example.org/api",
                "https://example.org/api",
                "/api/v1/models",
            ),
            ("http://[::1]:80/x/v1", "http://[::1]/x", "/x/v1/models"),
            ("https://[::1]:80", "https://[::1]:80", "/v1/models"),
        ] {
            let address = address(text);
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(address.v1("/models"), path, "{text}");
        }
        assert_eq!(address("https://h").port, 443);
        assert_eq!(address("http://[::1]").host, "::1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ftp://h",
            "http://",
            "http://h:0",
            "http://h:65536",
            "http://h:x",
            "http://user:pass@h",
            "http://h?key=1",
            "http://h\\@evil",
            "http://h /",
            "http://h\r\nX: y",
            "file:///etc/passwd",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("http://127.0.0.1:8080"), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{text:?}");
        }
    }
}
