//! What each route needs. Whatever is not named here needs an API key, routes that do not exist included.

use http::Method;

use super::keys::Scope;

/// Routes that need no key, with the methods that need none.
const PUBLIC: [&str; 2] = ["/health", "/ready"];
const METRICS: &str = "/metrics";
const ADMIN: &str = "/admin";

/// What a request needs. The path is compared as it came, as the router does: a path in another spelling is
/// no public one.
#[must_use]
pub fn needed(method: &Method, path: &str, metrics_public: bool) -> Scope {
    let read = [Method::GET, Method::HEAD].contains(method);
    let public = PUBLIC.contains(&path) || (metrics_public && path == METRICS);
    if read && public {
        Scope::Public
    } else if path
        .strip_prefix(ADMIN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        Scope::Admin
    } else {
        Scope::Api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_public() {
        for path in ["/health", "/ready"] {
            assert_eq!(needed(&Method::GET, path, false), Scope::Public, "{path}");
            assert_eq!(needed(&Method::HEAD, path, false), Scope::Public, "{path}");
            assert_eq!(needed(&Method::POST, path, false), Scope::Api, "{path}");
        }
        for path in [
            "/",
            "",
            "/health/",
            "//health",
            "/Health",
            "/%68ealth",
            "/health/../v1/models",
            "/healthz",
            "*",
            "/metrics",
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/models",
            "/tokenize",
            "/invocations",
            "/openapi.json",
            "/administrator",
            "/v1/admin",
        ] {
            assert_eq!(needed(&Method::GET, path, false), Scope::Api, "{path}");
        }
        assert_eq!(needed(&Method::GET, "/metrics", true), Scope::Public);
        for path in ["/admin", "/admin/", "/admin/kernel", "/admin/health"] {
            assert_eq!(needed(&Method::GET, path, true), Scope::Admin, "{path}");
        }
    }
}
