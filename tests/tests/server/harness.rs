//! A server of the real program, and bare requests to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tritone_tests::tritone;

/// The longest anything may take; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The ready line.
    pub(crate) ready: Value,
    /// What is on its standard output after that line.
    out: BufReader<ChildStdout>,
    err: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Where it keeps its state.
    pub(crate) home: tempfile::TempDir,
}

/// Answers take their time, and there is room for long ones.
pub(crate) const SLOW: [&str; 6] = ["--profile", "server", "--kernel", "scalar", "--ctx", "4096"];

/// The program without the settings of whoever runs the tests, with directories of its own.
pub(crate) fn command(args: &[&str], home: &std::path::Path) -> Command {
    let mut command = Command::new(tritone());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRITONE_") {
            command.env_remove(name);
        }
    }
    for name in ["CONFIG", "DATA", "CACHE", "STATE"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name));
    }
    command
        .current_dir(home)
        .stdin(Stdio::null())
        .args(["serve", "--threads", "1"])
        .args(args);
    command
}

impl Server {
    /// Starts one at a free port with the built-in model, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// [`start`](Self::start) with variables.
    pub(crate) fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port: &[&str] = match args.contains(&"--port") {
            true => &[],
            false => &["--port", "0"],
        };
        let mut command = command(port, home.path());
        command.args(args).envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let err = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&err);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while errors.read_line(&mut line).is_ok_and(|read| read > 0) {
                kept.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {line:?}, {}", err.lock().unwrap()));
        let address = ready["url"].as_str().unwrap().strip_prefix("http://");
        Self {
            child,
            address: address.unwrap().parse().unwrap(),
            ready,
            out,
            err,
            reader: Some(reader),
            home,
        }
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A request of one head line, header lines and a body; waits for the answer.
    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &str) -> Reply {
        self.send(line, headers, body).whole()
    }

    /// A request whose answer is read later.
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &str) -> Pending {
        let mut stream = self.connect();
        let host = self.address;
        let mut text = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            let length = body.len();
            text.push_str("content-type: application/json\r\n");
            text.push_str(&format!("content-length: {length}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        Pending(BufReader::new(stream))
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], "")
    }

    /// POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(&format!("POST {path}"), &[], &body.to_string())
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut rest = String::new();
                self.out.read_to_string(&mut rest).unwrap();
                assert_eq!(
                    rest, "",
                    "nothing but the ready line goes to standard output"
                );
                return status;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it does not end: {}",
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said on standard error so far.
    pub(crate) fn errors(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{what} does not come: {}",
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// An answer on its way.
pub(crate) struct Pending(BufReader<TcpStream>);

impl Pending {
    /// The connection.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// Waits for the head.
    pub(crate) fn head(&mut self) -> Head {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut text).unwrap();
            assert!(read > 0, "the connection ended within the head: {text:?}");
        }
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        Head {
            status: status.parse().unwrap(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    /// The next line of a chunked body that begins with `data: `, without that; `None` at the end.
    pub(crate) fn data(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                return Some(data.to_owned());
            }
        }
    }

    /// All frames of a stream from here on.
    pub(crate) fn frames(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.data()).collect()
    }

    /// Waits for all of it.
    pub(crate) fn whole(mut self) -> Reply {
        let head = self.head();
        let mut body = Vec::new();
        self.0.read_to_end(&mut body).unwrap();
        Reply {
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }
}

/// Status and headers.
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Reply {
    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.head.status, status, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Checks that it is an error in the shape of OpenAI's, and returns its `code`.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        let json = self.json(status);
        let error = json["error"].as_object().unwrap();
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(error["type"].is_string());
        assert!(error.contains_key("param"));
        error["code"].as_str().unwrap_or_default().to_owned()
    }
}
