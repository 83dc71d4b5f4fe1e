//! What web pages may do.
//!
//! Without configuration nothing: no CORS header is sent, so a browser hands no answer to a page of another
//! origin, and a server without keys refuses what such a page asks. An origin that is configured is compared
//! as a whole; nothing that a request says comes back unless it is in the configuration.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use crate::error::{ApiError, ErrorKind};

/// The origins whose pages may use the server.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    allowed: Vec<HeaderValue>,
    max_age: Duration,
}

impl Origins {
    /// Checks the origins of a configuration.
    ///
    /// # Errors
    ///
    /// A text that is no origin, with what one looks like.
    pub fn new(origins: &[String], max_age: Duration) -> Result<Self, String> {
        let wrong = |origin: &String| {
            format!(
                "the origin {origin:?} should look like https://chat.example or http://localhost:3000: scheme, name and port, nothing after them, no *"
            )
        };
        let allowed = origins.iter().map(|origin| {
            let value = is_origin(origin)
                .then(|| HeaderValue::from_str(origin).ok())
                .flatten();
            value.ok_or_else(|| wrong(origin))
        });
        Ok(Self {
            allowed: allowed.collect::<Result<_, _>>()?,
            max_age,
        })
    }

    /// The origin of a request, if its pages may use the server.
    fn allowed(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.allowed.iter().find(|allowed| *allowed == origin)
    }

    /// Whether the request asks for permission only, and its origin has it: answer it with 204 and
    /// [`Origins::permit`]; it carries no key.
    #[must_use]
    pub fn is_preflight(&self, parts: &Parts) -> bool {
        parts.method == Method::OPTIONS
            && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed(&parts.headers).is_some()
    }

    /// Adds what lets a page read the answer, where the origin of the request is allowed.
    pub fn permit(&self, request: &HeaderMap, preflight: bool, answer: &mut HeaderMap) {
        if self.allowed.is_empty() {
            return;
        }
        // Caches must not give one origin's answer to another, allowed or not.
        answer.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = self.allowed(request) else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if preflight {
            let headers = "authorization, content-type, x-api-key, api-key, x-request-id, x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout, x-stainless-read-timeout";
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST, OPTIONS"),
            );
            answer.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(headers),
            );
            answer.insert(
                ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from(self.max_age.as_secs()),
            );
        } else {
            let headers = "x-request-id, retry-after, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
            answer.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(headers),
            );
        }
    }

    /// Refuses what a page of a foreign origin asks of a server without keys: the page could not read the
    /// answer, but the work would be done.
    ///
    /// # Errors
    ///
    /// 403 where `Origin` is neither allowed nor the server's own.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let own = headers.get(HOST).is_some_and(|host| {
            let name = origin.as_bytes().strip_prefix(b"http://");
            name.is_some_and(|name| name.eq_ignore_ascii_case(host.as_bytes()))
        });
        if own || self.allowed(headers).is_some() {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorKind::Forbidden,
            "a page of another origin may not use this server: have its origin added to `cors.origins` of the server's configuration",
        )
        .code("origin_not_allowed"))
    }
}

/// `scheme://name[:port]`, in the form that browsers send.
fn is_origin(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]".contains(&byte);
    !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && !rest.is_empty()
        && rest.bytes().all(name)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn origins() -> Origins {
        Origins::new(&["https://chat.example".into()], Duration::from_secs(600)).unwrap()
    }

    fn parts(method: Method, origin: &str) -> Parts {
        let request = Request::builder()
            .method(method)
            .uri("/v1/models")
            .header(HOST, "localhost:8080");
        let request = request
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_whole_origins() {
        for right in [
            "https://a.example",
            "http://localhost:3000",
            "http://[::1]:80",
            "tauri://localhost",
        ] {
            assert!(
                Origins::new(&[right.into()], Duration::ZERO).is_ok(),
                "{right}"
            );
        }
        for wrong in [
            "*",
            "",
            "null",
            "a.example",
            "https://",
            "https://a/",
            "https://*.a",
            "https://A",
            "https://a b",
        ] {
            let error = Origins::new(&[wrong.into()], Duration::ZERO).unwrap_err();
            assert!(error.contains("should look like"), "{error}");
        }
    }

    #[test]
    fn nothing_is_reflected() {
        let mut answer = HeaderMap::new();
        Origins::default().permit(
            &parts(Method::GET, "https://chat.example").headers,
            false,
            &mut answer,
        );
        assert!(answer.is_empty());
        for foreign in [
            "https://evil.example",
            "https://chat.example.evil",
            "https://chat.exampl",
            "null",
            "*",
            "https://chat.example/",
        ] {
            let parts = parts(Method::OPTIONS, foreign);
            assert!(!origins().is_preflight(&parts), "{foreign}");
            let mut answer = HeaderMap::new();
            origins().permit(&parts.headers, true, &mut answer);
            assert_eq!(answer.keys().collect::<Vec<_>>(), [VARY], "{foreign}");
        }
    }

    #[test]
    fn an_allowed_origin_gets_what_it_needs_and_no_credentials() {
        let asked = parts(Method::OPTIONS, "https://chat.example");
        assert!(origins().is_preflight(&asked));
        assert!(!origins().is_preflight(&parts(Method::POST, "https://chat.example")));
        let mut answer = HeaderMap::new();
        origins().permit(&asked.headers, true, &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://chat.example");
        assert_eq!(answer[ACCESS_CONTROL_MAX_AGE], "600");
        assert!(!answer.contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn a_server_without_keys_refuses_foreign_pages() {
        let check = |origin| {
            origins()
                .check(&parts(Method::POST, origin).headers)
                .is_ok()
        };
        assert!(check("https://chat.example"));
        assert!(check("http://localhost:8080"));
        assert!(!check("http://localhost:3000"));
        assert!(!check("https://evil.example"));
        assert!(!check("null"));
        assert!(origins().check(&HeaderMap::new()).is_ok());
    }
}
