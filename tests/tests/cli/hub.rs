//! A server that speaks as Hugging Face's does, and misbehaves on request.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    /// Requests for the same path before this one.
    pub(crate) before: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// First byte of the range that is asked for.
    pub(crate) fn range(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// A server on this machine, as long as the test runs.
pub(crate) struct Server {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every connection with `answer`, then closes it.
    pub(crate) fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::<Request>::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&kept));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(mut request) = read(&stream) else {
                        return;
                    };
                    {
                        let mut log = log.lock().unwrap();
                        let same = |old: &&Request| old.path == request.path;
                        request.before = log.iter().filter(same).count();
                        log.push(request.clone());
                    }
                    answer(&request, &mut stream);
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                });
            }
        });
        Self { address, log }
    }

    /// Everything that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// What was asked of files.
    pub(crate) fn downloads(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path.contains("/resolve/"));
        requests
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        match line.split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    Some(Request {
        path,
        headers,
        before: 0,
    })
}

/// Head of an answer: status and headers as they stand, each on a line of its own.
pub(crate) fn head(stream: &mut TcpStream, status: &str, headers: &[String]) {
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for header in headers {
        let _ = write!(text, "{header}\r\n");
    }
    text.push_str("\r\n");
    let _ = stream.write_all(text.as_bytes());
}

/// A whole answer.
pub(crate) fn answer(stream: &mut TcpStream, status: &str, headers: &[String], body: &[u8]) {
    let mut headers = headers.to_vec();
    headers.push(format!("content-length: {}", body.len()));
    head(stream, status, &headers);
    let _ = stream.write_all(body);
}

/// A file, from the byte that is asked for.
pub(crate) fn serve(request: &Request, stream: &mut TcpStream, bytes: &[u8], etag: &str) {
    let etag = format!("etag: \"{etag}\"");
    match request.range() {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            let headers = [etag, format!("content-range: {range}")];
            answer(stream, "206 Partial Content", &headers, &bytes[start..]);
        }
        None => answer(stream, "200 OK", &[etag], bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The name git gives to a file with this content.
fn git_blob(bytes: &[u8]) -> String {
    let content = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &content).as_ref())
}

/// A file in a listing: large ones are known by SHA-256, small ones as git knows them.
pub(crate) fn listed(path: &str, bytes: &[u8]) -> String {
    let size = bytes.len();
    let path = serde_json::to_string(path).unwrap();
    if size < 10_000 {
        let oid = git_blob(bytes);
        return format!(r#"{{"type": "file", "path": {path}, "size": {size}, "oid": "{oid}"}}"#);
    }
    let oid = sha256(bytes);
    format!(
        r#"{{"type": "file", "path": {path}, "size": {size}, "oid": "{}",
        "lfs": {{"oid": "{oid}", "size": {size}, "pointerSize": 135}}}}"#,
        "0".repeat(40)
    )
}

/// The commit that the listing names.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The repository `acme/model-gguf` with these files. `trick` may answer a request itself.
pub(crate) fn repository(
    files: Vec<(&'static str, Vec<u8>)>,
    trick: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> Server {
    Server::start(move |request, stream| {
        if trick(request, stream) {
            return;
        }
        let path = request.path.as_str();
        if path.starts_with("/api/models/acme/model-gguf/tree/") {
            let entries: Vec<_> = files
                .iter()
                .map(|(path, bytes)| listed(path, bytes))
                .collect();
            let body = format!("[{}]", entries.join(","));
            let commit = format!("x-repo-commit: {COMMIT}");
            return answer(stream, "200 OK", &[commit], body.as_bytes());
        }
        let file = path.strip_prefix(&format!("/acme/model-gguf/resolve/{COMMIT}/"));
        match file.and_then(|file| files.iter().find(|(path, _)| *path == file)) {
            Some((_, bytes)) => serve(request, stream, bytes, "one"),
            None => answer(stream, "404 Not Found", &[], b"Entry not found"),
        }
    })
}
