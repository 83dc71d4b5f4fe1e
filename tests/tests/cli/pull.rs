//! `tritone pull`, against a server on this machine.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tritone_formats::TensorType;
use tritone_formats::write::GgufWriter;

use crate::hub::{COMMIT, Request, Server, answer, head, listed, repository, serve, sha256};
use crate::program::{Run, command, finish};

const FILE: &str = "Small-I2_S.gguf";

fn tiny() -> Vec<u8> {
    fs::read(tritone_tests::tiny().join("tritone-tiny-i2_s.gguf")).unwrap()
}

/// A home directory and the server that is asked.
struct Place {
    home: TempDir,
    server: Server,
}

impl Place {
    fn new(server: Server) -> Self {
        let home = TempDir::new().unwrap();
        Self { home, server }
    }

    /// The repository with one model and a server that does what `trick` does.
    fn with(trick: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::new(repository(
            vec![("README.md", b"# A model".to_vec()), (FILE, tiny())],
            trick,
        ))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join("models/acme/model-gguf").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        for name in [
            "HF_HOME",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "LLAMA_CACHE",
            "OLLAMA_MODELS",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "SSL_CERT_FILE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        ] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.home.path())
            .env("TRITONE_MODELS", self.home.path().join("models"))
            .env("HF_ENDPOINT", &self.server.address)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    fn pull(&self, more: &[&str]) -> Run {
        self.run(&[&["pull", "acme/model-gguf"], more].concat())
    }

    fn json(&self, more: &[&str]) -> Value {
        self.pull(&[&["--json"], more].concat()).json()
    }

    /// Names in the directory of the repository.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// The model is there as it is in the repository, and nothing else is.
    #[track_caller]
    fn complete(&self) {
        assert_eq!(self.left(), [FILE]);
        assert!(fs::read(self.at(FILE)).unwrap() == tiny());
    }
}

fn is_download(request: &Request) -> bool {
    request.path.contains("/resolve/")
}

/// Sends the beginning of what is asked for and hangs up.
fn cut(request: &Request, stream: &mut TcpStream, bytes: &[u8], etag: &str, most: usize) {
    let start = request.range().unwrap_or(0);
    let mut headers = vec![format!("etag: \"{etag}\"")];
    headers.push(format!("content-length: {}", bytes.len() - start));
    let status = match request.range() {
        Some(start) => {
            let last = bytes.len() - 1;
            headers.push(format!(
                "content-range: bytes {start}-{last}/{}",
                bytes.len()
            ));
            "206 Partial Content"
        }
        None => "200 OK",
    };
    head(stream, status, &headers);
    let end = bytes.len().min(start + most);
    let _ = stream.write_all(&bytes[start..end]);
}

#[test]
fn a_model_is_fetched_checked_and_used() {
    let place = Place::with(|_, _| false);
    let out = place.pull(&[]).ok();
    assert!(out.contains("checksum compared"), "{out}");
    assert!(out.contains("tritone --model small-i2_s"), "{out}");
    place.complete();
    let asked = place.server.requests();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[0]
            .header("user-agent")
            .unwrap()
            .starts_with("tritone/")
    );
    assert!(
        asked
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    let answer = place.run(&["run", "--model", "small", "What is the capital of Peru?"]);
    assert_eq!(answer.ok(), "The capital of Peru is Lima.\n");
    assert_eq!(
        place.server.requests().len(),
        2,
        "nothing is asked without being told"
    );

    let again = place.json(&[]);
    assert_eq!(
        (&again["received"], &again["files"][0]["there_already"]),
        (&0.into(), &true.into())
    );
    assert_eq!(
        again["files"][0]["checksum"],
        format!("sha256:{}", sha256(&tiny()))
    );
    assert_eq!(
        (&again["id"], &again["revision"]),
        (&"small-i2_s".into(), &COMMIT.into())
    );

    // Something else under the name is kept unless it is to go.
    let mut other = tiny();
    other[1_000_000] ^= 1;
    fs::write(place.at(FILE), &other).unwrap();
    place.pull(&[]).fails(1, &["with other content", "--force"]);
    assert!(fs::read(place.at(FILE)).unwrap() == other);
    place.pull(&["--force"]).ok();
    place.complete();
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let place = Place::with(|request, stream| {
        let cut_off = is_download(request) && request.before < 2;
        if cut_off {
            cut(request, stream, &tiny(), "one", 400_000);
        }
        cut_off
    });
    let run = place.pull(&[]);
    assert!(run.err.contains("trying again"), "{}", run.err);
    run.ok();
    place.complete();
    let asked = place.server.downloads();
    let ranges: Vec<_> = asked.iter().map(Request::range).collect();
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[0], None);
    assert!(ranges[1] > Some(0) && ranges[2] > ranges[1], "{ranges:?}");
    assert_eq!(asked[1].header("if-range"), Some("\"one\""));
}

#[test]
fn the_next_run_goes_on_where_the_last_one_ended() {
    let place = Place::with(|request, stream| {
        let cut_off = is_download(request) && request.before == 0;
        if cut_off {
            cut(request, stream, &tiny(), "one", 700_000);
        }
        cut_off
    });
    place
        .pull(&["--retries", "0"])
        .fails(1, &["given up", "are kept"]);
    let part = format!(".{FILE}.part");
    assert_eq!(place.left(), [part.clone(), format!("{part}.json")]);
    let kept = fs::metadata(place.at(&part)).unwrap().len();
    let object = place.json(&[]);
    assert_eq!(object["files"][0]["resumed_at"], kept);
    assert_eq!(object["received"], tiny().len() as u64 - kept);
    assert_eq!(place.server.downloads()[1].range(), Some(kept as usize));
    place.complete();
}

#[test]
fn bytes_that_were_damaged_on_the_disk_are_found() {
    let place = Place::with(|request, stream| {
        let cut_off = is_download(request) && request.before == 0;
        if cut_off {
            cut(request, stream, &tiny(), "one", 700_000);
        }
        cut_off
    });
    place.pull(&["--retries", "0"]).fails(1, &["are kept"]);
    let part = place.at(&format!(".{FILE}.part"));
    let mut bytes = fs::read(&part).unwrap();
    bytes[300_000] ^= 1;
    fs::write(&part, bytes).unwrap();
    place.pull(&[]).fails(1, &["damaged", "try again"]);
    assert!(place.left().is_empty(), "{:?}", place.left());
    place.pull(&[]).ok();
    place.complete();
}

#[test]
fn a_server_that_ignores_ranges_sends_all_again() {
    let place = Place::with(|request, stream| {
        if !is_download(request) {
            return false;
        }
        match request.before {
            0 => cut(request, stream, &tiny(), "one", 400_000),
            _ => answer(stream, "200 OK", &[], &tiny()),
        }
        true
    });
    place.pull(&[]).ok();
    place.complete();
}

#[test]
fn content_that_changed_between_two_tries_is_begun_anew() {
    let place = Place::with(|request, stream| {
        if !is_download(request) {
            return false;
        }
        match request.before {
            0 => cut(request, stream, &[7; 2_000_000], "old", 400_000),
            // A server that does not know If-Range.
            _ => serve(request, stream, &tiny(), "new"),
        }
        true
    });
    let run = place.pull(&["--force"]);
    assert!(
        run.err.contains("is no model file") || run.err.contains("repository says"),
        "{}",
        run.err
    );
    // The first content shows at once that it is no model; with a sound beginning it is the etag.
    let place = Place::with(|request, stream| {
        if !is_download(request) {
            return false;
        }
        let mut old = tiny();
        old[100_000] ^= 1;
        match request.before {
            0 => cut(request, stream, &old, "old", 400_000),
            _ => serve(request, stream, &tiny(), "new"),
        }
        true
    });
    let run = place.pull(&[]);
    assert!(run.err.contains("other content"), "{}", run.err);
    run.ok();
    place.complete();
    let ranges: Vec<_> = place
        .server
        .downloads()
        .iter()
        .map(|request| request.range().is_some())
        .collect();
    assert_eq!(ranges, [false, true, false]);
}

#[test]
fn ranges_that_are_not_what_was_asked_for_are_not_believed() {
    for range in ["bytes 0-9/10", "nonsense", "bytes 5-1/2"] {
        let place = Place::with(move |request, stream| {
            if !is_download(request) {
                return false;
            }
            match (request.before, request.range()) {
                (0, _) => cut(request, stream, &tiny(), "one", 400_000),
                (_, Some(_)) => {
                    let headers = [format!("content-range: {range}")];
                    answer(stream, "206 Partial Content", &headers, b"evil evil!");
                }
                (_, None) => return false,
            }
            true
        });
        let run = place.pull(&[]);
        assert!(run.err.contains("does not go on"), "{}", run.err);
        run.ok();
        place.complete();
    }
    // The same of a server that finds the range out of its file.
    let place = Place::with(|request, stream| {
        if !is_download(request) || (request.before > 0 && request.range().is_none()) {
            return false;
        }
        match request.before {
            0 => cut(request, stream, &tiny(), "one", 400_000),
            _ => answer(stream, "416 Range Not Satisfiable", &[], b""),
        }
        true
    });
    place.pull(&[]).ok();
    place.complete();
}

/// Fails, and leaves nothing under the final name.
#[track_caller]
fn fails(
    words: &[&str],
    trick: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static,
) -> Vec<String> {
    let place = Place::with(move |request, stream| {
        let download = is_download(request);
        if download {
            trick(request, stream);
        }
        download
    });
    place
        .pull(&["--retries", "1", "--timeout", "1"])
        .fails(1, words);
    assert!(!place.at(FILE).exists());
    place.left()
}

#[test]
fn sizes_that_are_lies_are_found() {
    let longer = || [tiny(), vec![0; 5000]].concat();
    let left = fails(&["sends more"], move |_, stream| {
        answer(stream, "200 OK", &[], &longer())
    });
    assert!(left.is_empty(), "{left:?}");
    let left = fails(&["sends more"], move |_, stream| {
        head(stream, "200 OK", &[]);
        let _ = stream.write_all(&longer());
    });
    assert!(left.is_empty(), "{left:?}");
    fails(&["repository says", "has changed"], |_, stream| {
        answer(stream, "200 OK", &[], &tiny()[..500_000]);
    });
    fails(
        &["ended the answer early", "given up after 2"],
        |_, stream| {
            head(stream, "200 OK", &[]);
            let _ = stream.write_all(&tiny()[..50_000]);
        },
    );
    // No length at all is no lie.
    let place = Place::with(|request, stream| {
        let download = is_download(request);
        if download {
            head(stream, "200 OK", &[]);
            let _ = stream.write_all(&tiny());
        }
        download
    });
    place.pull(&[]).ok();
    place.complete();
}

#[test]
fn content_that_is_damaged_never_gets_the_name() {
    let left = fails(&["SHA-256", "damaged", "thrown away"], |request, stream| {
        let mut bytes = tiny();
        bytes[1_500_000] ^= 1;
        serve(request, stream, &bytes, "one");
    });
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_is_no_file_is_said() {
    fails(&["web page", "proxy"], |_, stream| {
        let html = ["content-type: text/html; charset=utf-8".to_owned()];
        answer(stream, "200 OK", &html, b"<html>Please log in</html>");
    });
    fails(&["another coding", "gzip"], |_, stream| {
        answer(
            stream,
            "200 OK",
            &["content-encoding: gzip".to_owned()],
            b"\x1f\x8b",
        );
    });
    let left = fails(&["is no model file", "starts with"], |_, stream| {
        answer(stream, "200 OK", &[], &vec![b'x'; tiny().len()]);
    });
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_server_that_trickles_or_is_silent_is_given_up() {
    fails(&["127.0.0.1", "given up"], |_, stream| {
        head(
            stream,
            "200 OK",
            &[format!("content-length: {}", tiny().len())],
        );
        for byte in tiny().iter().take(50) {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    fails(&["127.0.0.1", "given up"], |_, _| {
        std::thread::sleep(Duration::from_secs(4))
    });
}

fn redirect(stream: &mut TcpStream, to: &str) {
    let headers = [
        format!("location: {to}"),
        format!("x-linked-etag: \"{}\"", sha256(&tiny())),
    ];
    answer(stream, "302 Found", &headers, b"");
}

#[test]
fn redirects_go_to_web_servers_and_not_on_for_ever() {
    for to in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://user:pass@127.0.0.1/x",
    ] {
        fails(&["redirects to", "not followed"], move |_, stream| {
            redirect(stream, to)
        });
    }
    fails(&["redirects more than 5 times"], |request, stream| {
        redirect(stream, &request.path)
    });
    fails(&["to nowhere"], |_, stream| {
        answer(stream, "302 Found", &[], b"")
    });
}

#[test]
fn the_token_goes_to_the_server_it_is_for() {
    let cdn = Server::start(|request, stream| serve(request, stream, &tiny(), "cdn"));
    let to = format!("{}/blob?signature=1", cdn.address);
    let place = Place::with(move |request, stream| {
        let download = is_download(request);
        if download {
            redirect(stream, &to);
        }
        download
    });
    let run = finish(
        place
            .command(&["pull", "acme/model-gguf"])
            .env("HF_TOKEN", "hf_secret"),
    );
    run.ok();
    place.complete();
    let sent = |server: &Server| {
        let requests = server.requests();
        assert!(!requests.is_empty());
        requests
            .iter()
            .all(|request| request.header("authorization") == Some("Bearer hf_secret"))
    };
    assert!(sent(&place.server));
    assert!(
        cdn.requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );

    // The file that `hf auth login` writes counts, too; a server on an open line gets nothing.
    let token = place.home.path().join("token");
    fs::write(&token, "hf_secret\n").unwrap();
    let list = ["pull", "acme/model-gguf", "--list"];
    finish(place.command(&list).env("HF_TOKEN_PATH", &token)).ok();
    assert_eq!(
        place
            .server
            .requests()
            .last()
            .unwrap()
            .header("authorization"),
        Some("Bearer hf_secret")
    );
    let open = [
        "pull",
        "acme/model-gguf",
        "--endpoint",
        "http://no-such-host.invalid",
        "--retries",
        "0",
    ];
    let run = finish(place.command(&open).env("HF_TOKEN", "hf_secret"));
    assert!(run.err.contains("your token is not sent"), "{}", run.err);
    run.fails(1, &["no-such-host.invalid", "online"]);
}

#[test]
fn refusals_say_what_to_do() {
    let refused = |status: &'static str, code: &'static str, words: &[&str]| {
        let server = Server::start(move |_, stream| {
            let mut headers = vec!["retry-after: 1".to_owned()];
            if !code.is_empty() {
                headers.push(format!("x-error-code: {code}"));
            }
            answer(stream, status, &headers, b"{}");
        });
        let place = Place::new(server);
        place.pull(&["--retries", "0"]).fails(1, words);
        if status.starts_with('4') && !status.starts_with("429") {
            let run = finish(
                place
                    .command(&["pull", "acme/model-gguf"])
                    .env("HF_TOKEN", "hf_x"),
            );
            assert!(
                run.err.contains("token of HF_TOKEN") || status.starts_with("404"),
                "{}",
                run.err
            );
        }
    };
    refused(
        "401 Unauthorized",
        "RepoNotFound",
        &["check the name", "HF_TOKEN"],
    );
    refused(
        "401 Unauthorized",
        "GatedRepo",
        &["accept them on its page", "HF_TOKEN"],
    );
    refused("403 Forbidden", "GatedRepo", &["accept them on its page"]);
    refused("404 Not Found", "RepoNotFound", &["check the name"]);
    refused("404 Not Found", "RevisionNotFound", &["no such revision"]);
    refused("429 Too Many Requests", "", &["too many requests"]);
    refused("503 Service Unavailable", "", &["has trouble (503)"]);
    // Trouble that passes is borne.
    let place = Place::with(|request, stream| {
        let busy = request.before == 0;
        if busy {
            answer(
                stream,
                "503 Service Unavailable",
                &["retry-after: 0".to_owned()],
                b"",
            );
        }
        busy
    });
    place.pull(&[]).ok();
    place.complete();
    // Nobody there.
    let run = place.pull(&["--endpoint", "http://127.0.0.1:1"]);
    run.fails(1, &["127.0.0.1 cannot be reached"]);
}

/// A sound file whose weights are not ternary, with so much data.
fn halves(rows: usize) -> Vec<u8> {
    let mut plan = GgufWriter::new();
    plan.metadata("general.architecture", "llama").unwrap();
    let name = "blk.0.attn_q.weight";
    plan.tensor(name, TensorType::F16, &[1024, rows]).unwrap();
    let mut body = plan.begin(Vec::new()).unwrap();
    body.write(name, &vec![0; 2048 * rows]).unwrap();
    body.finish().unwrap()
}

#[test]
fn a_model_that_would_not_run_is_refused_when_its_header_is_there() {
    let files = || vec![("only.gguf", halves(2000))];
    // Nothing comes after the first part of the file, so that waiting for all would fail.
    let place = Place::new(repository(files(), |request, stream| {
        let download = is_download(request);
        if download {
            cut(request, stream, &halves(2000), "one", 200_000);
            std::thread::sleep(Duration::from_secs(5));
        }
        download
    }));
    place
        .pull(&[])
        .fails(1, &["is not fetched", "not ternary", "--force"]);
    assert!(place.left().is_empty(), "{:?}", place.left());
    let place = Place::new(repository(files(), |_, _| false));
    place.pull(&["--force"]).ok();
    assert_eq!(place.left(), ["only.gguf"]);
}

#[test]
fn a_directory_is_fetched_with_what_belongs_to_it() {
    let config = br#"{"architectures": ["LlamaForCausalLM"], "vocab_size": 512, "hidden_size": 256,
        "intermediate_size": 512, "num_hidden_layers": 1, "num_attention_heads": 4,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "quantization_config": {"quant_method": "bitnet"}}"#;
    let files = |config: &[u8]| {
        vec![
            ("README.md", b"x".to_vec()),
            ("config.json", config.to_vec()),
            ("model.safetensors", vec![1; 100_000]),
            ("tokenizer.json", b"{}".to_vec()),
            ("onnx/model.onnx", vec![0; 100]),
        ]
    };
    let place = Place::new(repository(files(config), |_, _| false));
    let out = place.pull(&[]).ok();
    assert!(out.contains("tritone --model model-gguf"), "{out}");
    assert_eq!(
        place.left(),
        ["config.json", "model.safetensors", "tokenizer.json"]
    );
    let place = Place::new(repository(files(b"{}"), |_, _| false));
    place
        .pull(&[])
        .fails(1, &["does not say that its weights are ternary", "--force"]);
    assert!(place.left().is_empty());
    assert_eq!(
        place.server.downloads().len(),
        1,
        "the weights were not asked for"
    );
    // A small file that is damaged is found by the name git gives it.
    let place = Place::new(repository(files(config), |request, stream| {
        let tokenizer = request.path.ends_with("tokenizer.json");
        if tokenizer {
            answer(stream, "200 OK", &[], b"[]");
        }
        tokenizer
    }));
    place.pull(&[]).fails(1, &["tokenizer.json", "SHA-1"]);
    assert_eq!(place.left(), ["config.json"]);
}

#[test]
fn listings_are_read_page_by_page_and_not_believed() {
    let evil = |path: &str| listed(path, b"x");
    let pages = [
        format!("[{}, {}]", evil("../../evil.gguf"), evil("/etc/evil.gguf")),
        format!("[{}, {}]", listed(FILE, &tiny()), evil("a\u{1b}[2J.gguf")),
    ];
    let server = Server::start(move |request, stream| match request.path.as_str() {
        path if path.contains("cursor=2") => answer(stream, "200 OK", &[], pages[1].as_bytes()),
        path if path.starts_with("/api/") => {
            let link = r#"link: </api/models/acme/model-gguf/tree/main?cursor=2>; rel="next""#;
            answer(stream, "200 OK", &[link.to_owned()], pages[0].as_bytes());
        }
        _ => serve(request, stream, &tiny(), "one"),
    });
    let place = Place::new(server);
    let list = place.pull(&["--list"]).ok();
    assert_eq!(list.lines().count(), 1, "{list}");
    place.pull(&[]).ok();
    place.complete();

    let answers = |link: &'static str, body: String| {
        Place::new(Server::start(move |_, stream| {
            answer(
                stream,
                "200 OK",
                &[format!("link: {link}")],
                body.as_bytes(),
            );
        }))
    };
    let elsewhere = answers(r#"<http://127.0.0.1:1/x>; rel="next""#, "[]".to_owned());
    elsewhere.pull(&[]).fails(1, &["another server"]);
    let endless = answers(r#"</api/x>; rel="next""#, "[]".to_owned());
    endless.pull(&[]).fails(1, &["more files than are read"]);
    answers("", "<html>".to_owned())
        .pull(&[])
        .fails(1, &["no list of files"]);
    answers("", "[]".to_owned())
        .pull(&[])
        .fails(2, &["holds no model"]);
    // More than any disk holds.
    let huge = listed(FILE, b"x").replace(r#""size": 1"#, r#""size": 1152921504606846976"#);
    answers("", format!("[{huge}]"))
        .pull(&[])
        .fails(1, &["needs", "free"]);
}

#[test]
fn names_are_repositories_or_addresses() {
    let place = Place::with(|_, _| false);
    for wrong in ["nope", "a/b/c", "acme/model-gguf:../x", "-/x"] {
        place
            .run(&["pull", "--", wrong])
            .fails(2, &["names no model"]);
    }
    place
        .run(&["pull", "https://example.org/a/b"])
        .fails(2, &["--endpoint https://example.org"]);
    place
        .pull(&["--endpoint", "ftp://x"])
        .fails(2, &["no address"]);
    assert!(place.server.requests().is_empty());
    let address = format!("{}/acme/model-gguf/blob/main/{FILE}", place.server.address);
    place.run(&["pull", &address]).ok();
    place.complete();
    place.run(&["pull", "acme/model-gguf:i2_s"]).ok();
    place
        .run(&["pull", "acme/model-gguf:Q4_K"])
        .fails(2, &["there is Small-I2_S.gguf"]);
    place.run(&["pull", "acme/model-gguf@v2:README.md"]).ok();
    let listing = place
        .server
        .requests()
        .into_iter()
        .rfind(|request| request.path.starts_with("/api/"));
    assert!(listing.unwrap().path.contains("/tree/v2?"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_received() {
    use rustix::process::{Pid, Signal, kill_process};
    let place = Place::with(|request, stream| {
        let first = is_download(request) && request.before == 0;
        if first {
            cut(request, stream, &tiny(), "one", 500_000);
            std::thread::sleep(Duration::from_secs(60));
        }
        first
    });
    let mut command = place.command(&["pull", "acme/model-gguf"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = place.at(&format!(".{FILE}.part"));
    let size = || fs::metadata(&part).map_or(0, |meta| meta.len());
    while size() < 500_000 {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("is kept"), "{err}");
    assert_eq!(size(), 500_000);
    assert_eq!(place.json(&[])["files"][0]["resumed_at"], 500_000);
    place.complete();
}

#[test]
fn two_at_once_do_not_write_one_file() {
    let place = Place::with(|_, _| false);
    fs::create_dir_all(place.at("")).unwrap();
    let part = fs::File::create(place.at(&format!(".{FILE}.part"))).unwrap();
    part.lock().unwrap();
    place.pull(&[]).fails(1, &["another process"]);
    drop(part);
    place.pull(&[]).ok();
    place.complete();
}
