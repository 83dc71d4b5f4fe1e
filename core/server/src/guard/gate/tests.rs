//! The whole gate.

use http::{Method, Request};

use super::*;
use crate::guard::content::ContentConfig;
use crate::guard::log::LogConfig;
use crate::guard::secret::Secret;

const KEY: &str = "sk-api-0123456789abcdef";
const ADMIN: &str = "sk-admin-0123456789abcdef";

fn sources(key: Option<&str>, admin: Option<&str>) -> KeySources {
    let secret = |key: &str| Secret::new(key.into());
    KeySources {
        key: key.map(secret),
        admin_key: admin.map(secret),
        ..KeySources::default()
    }
}

fn guard(sources: KeySources, config: &str) -> Guard {
    let config = toml::from_str(config).unwrap();
    let secret = InstallSecret::from_bytes(&[1; 32]);
    Guard::new(&config, "127.0.0.1".parse().unwrap(), sources, secret)
        .unwrap()
        .0
}

fn parts(method: Method, path: &str, key: Option<&str>) -> Parts {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(()).unwrap().into_parts().0
}

fn check(guard: &Guard, path: &str, key: Option<&str>) -> Result<Pass, (u16, &'static str)> {
    let peer = "127.0.0.1:5000".parse().unwrap();
    guard
        .check(&parts(Method::GET, path, key), peer)
        .map_err(|error| (error.kind.status().as_u16(), error.code.unwrap_or_default()))
}

#[test]
fn keys_open_what_they_are_for() {
    let guard = guard(sources(Some(KEY), Some(ADMIN)), "");
    let (missing, wrong) = (Err((401, "missing_api_key")), Err((401, "invalid_api_key")));
    let forbidden = Err((403, "admin_key_needed"));
    let table = [
        ("/health", None, Ok(Scope::Public)),
        ("/health", Some("wrong"), Ok(Scope::Public)),
        ("/v1/models", None, missing),
        ("/v1/models", Some("wrong"), wrong),
        ("/v1/models", Some(""), wrong),
        ("/v1/models", Some(KEY), Ok(Scope::Api)),
        ("/v1/models", Some(ADMIN), Ok(Scope::Api)),
        ("/metrics", None, missing),
        ("/no/such/route", None, missing),
        ("/admin/kernel", None, missing),
        ("/admin/kernel", Some("wrong"), wrong),
        ("/admin/kernel", Some(KEY), forbidden),
        ("/admin/kernel", Some(ADMIN), Ok(Scope::Admin)),
    ];
    for (path, key, expected) in table {
        let got = check(&guard, path, key).map(|pass| pass.scope);
        assert_eq!(got, expected, "{path} {key:?}");
    }
    let count = |event| guard.counts().get(event);
    assert_eq!(count(SecurityEvent::KeyMissing), 4);
    assert_eq!(count(SecurityEvent::KeyWrong), 3);
    assert_eq!(count(SecurityEvent::Admin), 1);
    assert_eq!(
        check(&guard, "/v1/models", Some(KEY))
            .unwrap()
            .key
            .as_deref(),
        Some("environment")
    );
}

#[test]
fn without_keys_the_api_is_open_and_the_admin_routes_are_closed() {
    let guard = guard(sources(None, None), "");
    assert!(check(&guard, "/v1/models", None).is_ok());
    assert!(check(&guard, "/v1/models", Some("any-key-a-client-has")).is_ok());
    for key in [None, Some("any")] {
        assert_eq!(
            check(&guard, "/admin/kernel", key).unwrap_err(),
            (403, "admin_key_needed")
        );
    }
    let mut foreign = parts(Method::POST, "/v1/models", None);
    foreign
        .headers
        .insert("origin", "https://evil.example".parse().unwrap());
    let error = guard
        .check(&foreign, "127.0.0.1:1".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.code, Some("origin_not_allowed"));
}

#[test]
fn the_host_comes_before_everything() {
    let guard = guard(sources(Some(KEY), None), "rate.requests_per_minute = 0");
    let mut parts = parts(Method::GET, "/health", None);
    parts
        .headers
        .insert("host", "evil.example".parse().unwrap());
    let peer = "127.0.0.1:1".parse().unwrap();
    assert_eq!(
        guard.check(&parts, peer).unwrap_err().code,
        Some("host_not_allowed")
    );
    assert_eq!(
        check(&guard, "/v1/models", Some("wrong")).unwrap_err().0,
        401,
        "key before rate"
    );
    assert_eq!(check(&guard, "/v1/models", Some(KEY)).unwrap_err().0, 429);
}

#[test]
fn a_client_is_its_key_or_its_address() {
    let guard = guard(sources(Some(KEY), Some(ADMIN)), "");
    let by = |key, peer: &str| {
        let parts = parts(Method::GET, "/v1/models", Some(key));
        guard.check(&parts, peer.parse().unwrap()).unwrap().client
    };
    assert_eq!(by(KEY, "192.0.2.1:1"), by(KEY, "192.0.2.2:2"));
    assert_ne!(by(KEY, "192.0.2.1:1"), by(ADMIN, "192.0.2.1:1"));
    assert_eq!(
        guard.salt(by(KEY, "192.0.2.1:1")),
        0,
        "one API key shares prompts with nobody"
    );
}

#[test]
fn the_rate_is_in_the_answer() {
    let guard = guard(
        sources(None, None),
        "rate = { requests_per_minute = 2, tokens_per_minute = 100 }",
    );
    let pass = check(&guard, "/v1/models", None).unwrap();
    assert_eq!(pass.quota.requests.unwrap().remaining, 1);
    assert!(check(&guard, "/v1/models", None).is_ok());
    for path in ["/health", "/ready"] {
        assert!(check(&guard, path, None).is_ok(), "not counted");
    }
    let peer = "127.0.0.1:1".parse().unwrap();
    let error = guard
        .check(&parts(Method::GET, "/v1/models", None), peer)
        .unwrap_err();
    assert!(error.retry_after.is_some());
    assert_eq!(error.quota.as_ref().unwrap().requests.unwrap().remaining, 0);
    let response = axum::response::IntoResponse::into_response(error);
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-ratelimit-remaining-requests"], "0");
    assert_eq!(response.headers()["x-ratelimit-limit-tokens"], "100");
    assert!(response.headers().contains_key("retry-after-ms"));

    let (charge, _) = guard.charge(pass.client, 90).unwrap();
    assert_eq!(
        guard.charge(pass.client, 20).unwrap_err().kind,
        ErrorKind::RateLimit
    );
    assert_eq!(
        guard.charge(pass.client, 101).unwrap_err().kind,
        ErrorKind::Invalid
    );
    guard.settle(charge, 10);
    assert!(guard.charge(pass.client, 20).is_ok());
}

#[test]
fn a_reload_takes_new_keys_and_keeps_the_old_ones_when_the_file_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("a:first-0123456789abcd");
    let guard = guard(
        KeySources {
            file: Some(path.clone()),
            ..KeySources::default()
        },
        "",
    );
    let opens = |key| check(&guard, "/v1/models", Some(key)).is_ok();
    assert!(opens("first-0123456789abcd"));
    write("a:second-0123456789abcd\nb:third-0123456789abcd");
    assert!(opens("first-0123456789abcd"), "not yet");
    let reloaded = guard.reload().unwrap();
    assert_eq!((reloaded.api, reloaded.admin), (2, 0));
    assert!(opens("second-0123456789abcd") && !opens("first-0123456789abcd"));
    let client = check(&guard, "/v1/models", Some("third-0123456789abcd"))
        .unwrap()
        .client;
    assert_ne!(guard.salt(client), 0, "two keys");
    for broken in ["a:second-0123456789abcd\nno name:x", "# none", ""] {
        write(broken);
        assert!(guard.reload().is_err(), "{broken}");
        assert!(opens("second-0123456789abcd"), "{broken}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(guard.reload().is_err());
    assert!(opens("second-0123456789abcd"));
}

#[test]
fn an_open_address_needs_a_key() {
    let secret = || InstallSecret::from_bytes(&[1; 32]);
    let new = |key, config: &str| {
        let config = toml::from_str(config).unwrap();
        Guard::new(
            &config,
            "0.0.0.0".parse().unwrap(),
            sources(key, None),
            secret(),
        )
    };
    assert!(matches!(new(None, ""), Err(GuardError::Bind(_))));
    assert!(new(Some(KEY), "").unwrap().1.is_empty());
    assert_eq!(new(None, "insecure_no_auth = true").unwrap().1.len(), 1);
    let origins = new(Some(KEY), "cors.origins = ['*']")
        .unwrap_err()
        .to_string();
    assert!(
        origins.starts_with("cors.origins: the origin \"*\""),
        "{origins}"
    );
}

#[test]
fn a_preflight_of_a_configured_page_needs_no_key() {
    let guard = guard(
        sources(Some(KEY), None),
        "cors.origins = ['https://chat.example']",
    );
    let mut asked = parts(Method::OPTIONS, "/v1/chat/completions", None);
    asked
        .headers
        .insert("access-control-request-method", "POST".parse().unwrap());
    asked
        .headers
        .insert("origin", "https://chat.example".parse().unwrap());
    assert_eq!(guard.is_preflight(&asked), Ok(true));
    let mut answer = HeaderMap::new();
    guard.permit(&asked.headers, true, &mut answer);
    assert_eq!(
        answer["access-control-allow-origin"],
        "https://chat.example"
    );
    asked
        .headers
        .insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(guard.is_preflight(&asked), Ok(false));
    asked
        .headers
        .insert("host", "evil.example".parse().unwrap());
    assert!(guard.is_preflight(&asked).is_err());
}

#[test]
fn rules_and_the_log_are_opened_with_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(
        path("rules.toml"),
        "[[rule]]\nname = 'a'\npattern = 'x'\naction = 'refuse'",
    )
    .unwrap();
    let new = |rules: &str, log: &str| {
        let config = GuardConfig {
            content: ContentConfig {
                rules: vec![path(rules)],
                ..ContentConfig::default()
            },
            log: Some(LogConfig::new(path(log))),
            ..GuardConfig::default()
        };
        let secret = InstallSecret::from_bytes(&[1; 32]);
        let bound = "127.0.0.1".parse().unwrap();
        Guard::new(&config, bound, KeySources::default(), secret).map(|(guard, _)| guard)
    };
    let guard = new("rules.toml", "log").unwrap();
    assert!(guard.content().prompt("prompt", "x").is_err());
    assert_eq!(guard.counts().get(SecurityEvent::PromptRefused), 1);
    assert_eq!(guard.log().unwrap().counts().written, 0);
    assert!(matches!(new("none.toml", "log"), Err(GuardError::Rules(_))));
    assert!(matches!(new("rules.toml", ""), Err(GuardError::Log(_))));
}
