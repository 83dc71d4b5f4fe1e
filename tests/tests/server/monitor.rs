//! `tritone monitor` of a running server.

use std::process::{Command, Output};

use serde_json::Value;
use tritone_tests::tritone;

use crate::harness::Server;

const ADMIN: &str = "sk-admin-0123456789abcdef";

fn monitor(server: &Server, what: &[&str], key: Option<&str>) -> Output {
    let url = format!("http://{}", server.address);
    let mut command = Command::new(tritone());
    command.arg("monitor").args(what).args(["--attach", &url]);
    command.env_remove("TRITONE_ADMIN_KEY");
    command.envs(key.map(|key| ("TRITONE_ADMIN_KEY", key)));
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_servers_monitor_is_summed_up_and_watched_by_who_has_the_key() {
    let server = Server::start_with(
        &["--slots", "1", "--monitor-interval", "100"],
        &[("TRITONE_ADMIN_KEY", ADMIN)],
    );
    let chat = serde_json::json!({"messages": [{"role": "user", "content": "Hello"}]});
    server.post("/v1/chat/completions", &chat).json(200);
    let counted = || {
        let output = monitor(&server, &["summary", "--json"], Some(ADMIN));
        serde_json::from_str::<Value>(&text(&output)).unwrap()
    };
    let is_there = |summary: &Value| summary.to_string().contains("decode_tokens_per_second");
    server.until("a sample of the answer", |_| is_there(&counted()));
    let watched = text(&monitor(
        &server,
        &["watch", "--once", "--last", "500"],
        Some(ADMIN),
    ));
    assert!(watched.contains("tritone-tiny"), "{watched}");
    assert!(
        watched.lines().any(|line| line.contains("memory ")),
        "{watched}"
    );
    let csv = text(&monitor(&server, &["export", "--csv"], Some(ADMIN)));
    assert!(csv.lines().count() > 3, "{csv}");

    let refused = monitor(&server, &["summary"], None);
    assert_eq!(refused.status.code(), Some(4));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("TRITONE_ADMIN_KEY"), "{error}");
    let wrong = monitor(&server, &["summary"], Some("sk-wrong-0123456789abcdef"));
    assert_eq!(wrong.status.code(), Some(4));
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(error.contains("401"), "{error}");
    let both = monitor(&server, &["summary", "log.jsonl"], Some(ADMIN));
    assert_eq!(both.status.code(), Some(2));
}
