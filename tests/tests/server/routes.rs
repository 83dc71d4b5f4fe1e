//! Routes: what there is, what there is not, and who may.

use tritone_server::serve::{ROUTES, Verb};

use crate::harness::Server;

const KEY: &str = "sk-tests-0123456789abcdef";
const ADMIN: &str = "sk-admin-0123456789abcdef";

#[test]
fn every_route_that_is_not_public_needs_a_key() {
    let server = Server::start_with(
        &["--slots", "1"],
        &[("TRITONE_API_KEY", KEY), ("TRITONE_ADMIN_KEY", ADMIN)],
    );
    let ask = |method: &str, path: &str, key: Option<&str>| {
        let header = key.map(|key| format!("authorization: Bearer {key}"));
        let header: Vec<_> = header.as_deref().into_iter().collect();
        let body = if method == "POST" { "{}" } else { "" };
        server.ask(&format!("{method} {path}"), &header, body)
    };
    for route in ROUTES {
        let path = match route.path.ends_with('/') {
            true => format!("{}x", route.path),
            false => route.path.to_owned(),
        };
        let method = route.method.name();
        if ["/health", "/ready"].contains(&route.path) {
            assert_eq!(ask(method, &path, None).head.status, 200, "{path}");
            continue;
        }
        assert_eq!(ask(method, &path, None).head.status, 401, "{method} {path}");
        let wrong = ask(method, &path, Some("sk-tests-0123456789abcdeg"));
        assert_eq!(wrong.error(401), "invalid_api_key", "{method} {path}");
        assert!(wrong.head.header("x-request-id").is_some());
        let admin = route.path.starts_with("/admin/");
        let with = ask(method, &path, Some(KEY)).head.status;
        assert_eq!(with == 403, admin, "{method} {path}: {with}");
        assert_ne!(with, 401, "{method} {path}");
        if admin && route.method == Verb::Get {
            assert_eq!(ask(method, &path, Some(ADMIN)).head.status, 200, "{path}");
        }
    }
    // What does not exist is no way to find out what does.
    assert_eq!(ask("GET", "/invocations", None).head.status, 401);
    assert_eq!(
        ask("GET", "/invocations", Some(KEY)).error(404),
        "unknown_route"
    );
}

#[test]
fn what_is_not_there_is_said_in_the_usual_shape() {
    let server = Server::start(&["--slots", "1"]);
    assert_eq!(server.ready["event"], "ready");
    assert_eq!(server.ready["model"], "tritone-tiny");
    assert_eq!(server.ready["pid"], server.pid());

    assert_eq!(server.get("/nothing").error(404), "unknown_route");
    let wrong = server.get("/v1/chat/completions");
    assert_eq!(wrong.error(405), "method_not_allowed");
    assert_eq!(wrong.head.header("allow"), Some("POST"));
    let head = server.ask("HEAD /health", &[], "");
    assert_eq!((head.head.status, head.body.as_str()), (200, ""));

    let models = server.get("/v1/models").json(200);
    let model = &models["data"][0];
    assert_eq!(
        (models["object"].as_str(), model["id"].as_str()),
        (Some("list"), Some("tritone-tiny"))
    );
    assert_eq!(model["max_model_len"], model["meta"]["n_ctx"]);
    assert_eq!(&server.get("/models/tritone-tiny").json(200), model);
    assert_eq!(server.get("/v1/models/gpt-5").error(404), "model_not_found");
    assert_eq!(server.get("/ready").json(200)["status"], "ready");
    assert_eq!(server.get("/version").json(200)["name"], "tritone");
    // No key for them is set.
    assert_eq!(server.get("/admin/status").error(403), "admin_key_needed");
}

#[test]
fn requests_keep_the_names_they_bring_where_those_are_fit() {
    let server = Server::start(&["--slots", "1"]);
    let id = |sent: &str| {
        let reply = server.ask("GET /health", &[&format!("x-request-id: {sent}")], "");
        reply.head.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("my-request.1"), "my-request.1");
    assert!(id("a b").starts_with("req_"));
    assert!(id(&"x".repeat(10_240)).starts_with("req_"));
}

#[test]
fn a_kernel_and_a_profile_are_switched_by_whoever_has_the_admin_key() {
    let server = Server::start_with(&["--slots", "1"], &[("TRITONE_ADMIN_KEY", ADMIN)]);
    let key = format!("authorization: Bearer {ADMIN}");
    let post = |path: &str, body: &str| server.ask(&format!("POST {path}"), &[&key], body);
    let listed = server.ask("GET /admin/kernel", &[&key], "").json(200);
    let names: Vec<_> = listed["kernels"].as_array().unwrap().iter().collect();
    assert!(
        names.iter().any(|kernel| kernel["active"] == true),
        "{listed}"
    );
    let switched = post("/admin/kernel", r#"{"name": "scalar"}"#).json(200);
    assert_eq!(switched["kernel"], "scalar");
    let switched = post("/admin/profile", r#"{"name": "mobile"}"#).json(200);
    assert_eq!(switched["profile"], "mobile");
    assert_eq!(
        post("/admin/kernel", r#"{"name": "nothing"}"#).error(400),
        "not_changed"
    );
    assert_eq!(
        post("/admin/profile", "{}").json(400)["error"]["param"],
        "name"
    );
    let known = server
        .ask("GET /admin/monitor?since=0", &[&key], "")
        .json(200);
    let events: Vec<_> = known["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| record["event"].as_str())
        .collect();
    assert!(
        events.contains(&"kernel") && events.contains(&"profile"),
        "{known}"
    );
    assert_eq!(known["profile"], "mobile");
    assert!(known["memory_limit"].as_u64().unwrap() > 0, "{known}");
    let at = known["now"].as_u64().unwrap() + 3_600_000;
    let later = format!("GET /admin/monitor?since={at}");
    assert_eq!(
        server.ask(&later, &[&key], "").json(200)["records"],
        serde_json::json!([])
    );
    let wrong = server.ask("GET /admin/monitor?since=soon", &[&key], "");
    assert_eq!(wrong.json(400)["error"]["param"], "since");
    let status = server.ask("GET /admin/status", &[&key], "").json(200);
    assert_eq!(
        (status["kernel"].as_str(), status["profile"].as_str()),
        (Some("scalar"), Some("mobile"))
    );
}
