//! The server without the program around it.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tritone_engine::{Engine, EngineOptions, ModelSource};
use tritone_server::Grammars;
use tritone_server::guard::{Guard, GuardConfig, InstallSecret, KeySources, Secret};
use tritone_server::serve::{Bounds, Config, Control, KernelEntry, Live, Phase, ROUTES, Server};

const ADMIN: &str = "sk-admin-0123456789abcdef";

/// Fails in every way.
struct Broken;

impl Control for Broken {
    fn kernels(&self) -> Vec<KernelEntry> {
        panic!("as a test wants it")
    }

    fn switch_kernel(&self, _: &str) -> Result<Vec<String>, String> {
        panic!("as a test wants it")
    }

    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    fn profile(&self) -> String {
        "none".to_owned()
    }

    fn switch_profile(&self, name: &str) -> Result<Vec<String>, String> {
        Err(format!("there is no profile '{name}'"))
    }
}

fn live() -> Live {
    let options = EngineOptions::new(Arc::new(tritone_scalar::Scalar));
    let tiny = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
    );
    let source = ModelSource::File(tiny.into());
    let engine = Engine::load(&source, &options, &mut |_| true).unwrap();
    Live {
        grammars: Grammars::new(engine.shared_model()),
        slots: 1,
        model: "tiny".to_owned(),
        content: engine.model().content_id(),
        control: Box::new(Broken),
        engine,
    }
}

/// Runs `test` with a server that has no model yet.
fn with<F: Future<Output = ()>>(test: impl FnOnce(Server) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sources = KeySources {
            admin_key: Some(Secret::new(ADMIN.to_owned())),
            ..KeySources::default()
        };
        let address = "127.0.0.1".parse().unwrap();
        let secret = InstallSecret::from_bytes(&[7; 32]);
        let (guard, _) = Guard::new(&GuardConfig::default(), address, sources, secret).unwrap();
        let socket = std::net::TcpListener::bind((address, 0)).unwrap();
        let (server, life) = Server::start(socket, Config::default(), guard).unwrap();
        let life = tokio::spawn(life);
        test(server.clone()).await;
        server.drain().await;
        tokio::time::timeout(Duration::from_secs(30), life)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(server.phase(), Phase::Over);
    });
}

/// Status and JSON of an answer.
async fn ask(server: &Server, line: &str, body: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let text = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        head.to_owned(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[test]
fn a_server_answers_before_its_model_is_there() {
    with(|server| async move {
        assert_eq!(ask(&server, "GET /health", "").await.0, 200);
        assert_eq!(ask(&server, "GET /ready", "").await.0, 503);
        let body = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
        let (status, head, error) = ask(&server, "POST /v1/chat/completions", body).await;
        assert_eq!((status, &error["error"]["code"]), (503, &"loading".into()));
        assert!(head.contains("retry-after-ms: "), "{head}");
        server.ready(live());
        assert_eq!(ask(&server, "GET /ready", "").await.0, 200);
        let (status, _, answer) = ask(&server, "POST /v1/chat/completions", body).await;
        assert_eq!(status, 200, "{answer}");
    });
}

#[test]
fn a_handler_that_panics_is_an_answer_and_not_the_end() {
    with(|server| async move {
        server.ready(live());
        for (line, body) in [
            ("GET /admin/kernel", ""),
            ("POST /admin/kernel", r#"{"name": "x"}"#),
        ] {
            let (status, head, error) = ask(&server, line, body).await;
            assert_eq!(
                (status, &error["error"]["type"]),
                (500, &"server_error".into())
            );
            let id = head
                .lines()
                .find_map(|line| line.strip_prefix("x-request-id: "))
                .unwrap();
            let message = error["error"]["message"].as_str().unwrap();
            assert!(
                message.contains(id) && !message.contains("as a test"),
                "{message}"
            );
        }
        // Nothing is locked for good.
        let (status, _, error) = ask(&server, "POST /admin/profile", r#"{"name": "x"}"#).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (400, &"not_changed".into())
        );
        assert_eq!(ask(&server, "GET /health", "").await.0, 200);
    });
}

#[test]
fn the_description_has_every_route() {
    with(|server| async move {
        let (status, _, api) = ask(&server, "GET /openapi.json", "").await;
        assert_eq!(status, 200);
        for route in ROUTES {
            let path = match route.path.strip_suffix('/') {
                Some(path) => format!("{path}/{{model}}"),
                None => route.path.to_owned(),
            };
            let method = route.method.name().to_lowercase();
            let operation = &api["paths"][&path][&method];
            assert!(operation["summary"].is_string(), "{method} {path}");
            let public = ["/health", "/ready"].contains(&route.path);
            assert_eq!(operation["security"].is_null(), public, "{path}");
        }
    });
}
