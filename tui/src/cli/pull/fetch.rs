//! One file, from the first byte to its name.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tritone_engine::human_bytes;
use tritone_formats::GgufFile;
use ureq::http::StatusCode;

use super::digest::agrees;
use super::http::{Client, Fault, HttpError, Reply, text};
use super::listing::{Checksum, RemoteFile, refusal};
use super::part::Part;
use super::progress::Meter;
use super::stream::{Next, Stream};
use crate::cli::interrupt::Interrupt;
use crate::cli::models::facts::{Runs, of_header};
use crate::cli::models::scan::split_stem;

/// A try that brings this many bytes is no failure.
const PROGRESS: u64 = 64 << 10;
/// First pause after a failure; every further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest header that is waited for.
const MOST_HEADER: u64 = 256 << 20;

/// How files are fetched.
pub(super) struct Fetch<'a> {
    pub(super) client: &'a Client,
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    /// Failures in a row that are borne.
    pub(super) retries: u32,
    pub(super) patience: Duration,
    /// Take files that do not run.
    pub(super) force: bool,
    pub(super) interrupt: &'a Interrupt,
}

/// How it ended.
pub(super) enum Outcome {
    /// The file is there; its checksum was compared or there is none; bytes of an earlier try.
    Done {
        checked: Option<&'static str>,
        resumed: u64,
    },
    Interrupted,
}

/// Why a try ended before the file did.
enum Stop {
    Interrupted,
    /// Another try may help.
    Again(HttpError),
    Failed(anyhow::Error),
}

impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        match error.fault {
            Fault::Final => Self::Failed(error.into()),
            _ => Self::Again(error),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Fetch<'_> {
    /// Fetches `remote` to `target`.
    ///
    /// # Errors
    /// When it cannot be had, or is not what was announced. What was received is kept for another
    /// time, except where it is wrong.
    pub(super) fn file(
        &self,
        remote: &RemoteFile,
        target: &Path,
        meter: &mut Meter<'_>,
    ) -> anyhow::Result<Outcome> {
        let mut part = Part::open(target, remote, |bytes| meter.skip(bytes))?;
        let resumed = part.len();
        let mut checks = Checks::new(remote, self.force);
        let mut failures = 0;
        let mut checksum = remote.checksum.clone();
        loop {
            let before = part.len();
            let stop = match self.receive(remote, &mut part, &mut checksum, &mut checks, meter) {
                Ok(()) => break,
                Err(stop) => stop,
            };
            let error = match stop {
                Stop::Interrupted => return Ok(Outcome::Interrupted),
                Stop::Failed(error) => {
                    if error.is::<Refused>() {
                        part.remove();
                    }
                    return Err(error);
                }
                Stop::Again(error) => error,
            };
            if part.len() >= before + PROGRESS {
                failures = 0;
            }
            failures += 1;
            if failures > self.retries {
                let kept = human_bytes(part.len());
                let advice = match part.len() {
                    0 => "nothing was received".to_owned(),
                    _ => format!("{kept} are kept: the same command goes on from there"),
                };
                return Err(anyhow::Error::new(error).context(format!(
                    "'{}' was given up after {failures} failures; {advice}",
                    remote.path
                )));
            }
            let pause = match error.fault {
                Fault::Later(wait) => wait,
                _ => (PAUSE * 2_u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE),
            };
            meter.say(&format!(
                "{error}; trying again in {:.1} s",
                pause.as_secs_f64()
            ));
            if !self.pause(pause) {
                return Ok(Outcome::Interrupted);
            }
        }
        let sum = part.sum();
        let checked = match &checksum {
            Some(expected) if !agrees(expected, &sum) => {
                part.remove();
                anyhow::bail!(
                    "'{}' has another {} than the repository says: it was damaged on the way and is \
                     thrown away; try again",
                    remote.path,
                    expected.name()
                );
            }
            Some(expected) => Some(expected.name()),
            None => None,
        };
        if let Err(error) = checks.complete(&part) {
            part.remove();
            return Err(error);
        }
        part.finish()?;
        Ok(Outcome::Done { checked, resumed })
    }

    /// Waits; false when somebody wants to stop.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.interrupt.is_pressed() {
            std::thread::sleep(Duration::from_millis(20));
        }
        !self.interrupt.is_pressed()
    }

    /// Receives what is missing of `part`.
    fn receive(
        &self,
        remote: &RemoteFile,
        part: &mut Part,
        checksum: &mut Option<Checksum>,
        checks: &mut Checks,
        meter: &mut Meter<'_>,
    ) -> Result<(), Stop> {
        if part.len() == remote.size && remote.size > 0 {
            return checks.look(part);
        }
        let reply = self.ask(remote, part)?;
        self.check_reply(remote, &reply)?;
        let etag = text(&reply.headers, "etag").map(str::to_owned);
        let place = place(remote, part, &reply, etag.as_deref())?;
        if place != Place::End {
            meter.take_back(part.len());
            part.restart()?;
        }
        if let Place::Elsewhere(why) = place {
            return Err(HttpError::new(Fault::Passing, why).into());
        }
        part.set_etag(etag.as_deref())?;
        if checksum.is_none() {
            let linked = text(&reply.first, "x-linked-etag").and_then(Checksum::parse);
            // What was counted so far was SHA-256.
            *checksum = linked.filter(|sum| matches!(sum, Checksum::Sha256(_)));
        }
        let host = reply.host.clone();
        let mut stream = Stream::start(reply.body, self.patience)?;
        loop {
            if self.interrupt.is_pressed() {
                return Err(Stop::Interrupted);
            }
            match stream.next() {
                Next::Bytes(bytes) => {
                    if part.len() + bytes.len() as u64 > remote.size {
                        return Err(Stop::Failed(longer(remote, &host)));
                    }
                    part.write(&bytes)
                        .with_context(|| format!("cannot write '{}'", remote.path))?;
                    meter.advance(bytes.len() as u64);
                    checks.look(part)?;
                }
                Next::End if part.len() == remote.size => return Ok(()),
                Next::End => {
                    let what = format!("{host} ended the answer early");
                    return Err(HttpError::new(Fault::Passing, what).into());
                }
                Next::Wait => meter.advance(0),
                Next::Silence => {
                    let what = format!("{host} has gone silent");
                    return Err(HttpError::new(Fault::Passing, what).into());
                }
                Next::Failed(error) => {
                    let what = format!("the line to {host} broke: {error}");
                    return Err(HttpError::new(Fault::Passing, what).into());
                }
            }
        }
    }

    fn ask(&self, remote: &RemoteFile, part: &Part) -> Result<Reply, HttpError> {
        let revision = self.revision.replace('/', "%2F");
        let path = encoded(&remote.path);
        let address = format!("/{}/resolve/{revision}/{path}", self.repo);
        let range = format!("bytes={}-", part.len());
        let mut headers = vec![("accept", "*/*")];
        if part.len() > 0 {
            headers.push(("range", &range));
            // A weak etag does not promise the same bytes (RFC 9110, 13.1.5).
            if let Some(etag) = part.etag().filter(|etag| etag.starts_with('"')) {
                headers.push(("if-range", etag));
            }
        }
        self.client.get(&address, &headers)
    }

    /// Refuses what is no content of a file.
    fn check_reply(&self, remote: &RemoteFile, reply: &Reply) -> Result<(), HttpError> {
        let wrong = |what: String| Err(HttpError::new(Fault::Final, what));
        let host = &reply.host;
        if reply.status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(());
        }
        if reply.status != StatusCode::OK && reply.status != StatusCode::PARTIAL_CONTENT {
            let what = format!("'{}' of '{}'", remote.path, self.repo);
            return Err(refusal(self.client, reply, &what));
        }
        if let Some(coding) = text(&reply.headers, "content-encoding")
            && !coding.eq_ignore_ascii_case("identity")
        {
            let coding: String = coding.chars().take(40).collect();
            return wrong(format!(
                "{host} sends '{}' in another coding ('{coding}'), though it was asked not to",
                remote.path
            ));
        }
        let page =
            text(&reply.headers, "content-type").is_some_and(|ty| ty.starts_with("text/html"));
        if page && !remote.path.ends_with(".html") {
            return wrong(format!(
                "{host} answers with a web page instead of '{}': is there a login page or a proxy in \
                 between?",
                remote.path
            ));
        }
        Ok(())
    }
}

/// Where an answer begins.
#[derive(PartialEq)]
enum Place {
    /// Where the part ends.
    End,
    /// At the first byte.
    Beginning,
    /// Nowhere that is of use: the next try has to begin anew.
    Elsewhere(String),
}

/// Where `reply` begins; its length has to be what the repository says.
fn place(
    remote: &RemoteFile,
    part: &Part,
    reply: &Reply,
    etag: Option<&str>,
) -> anyhow::Result<Place> {
    let host = &reply.host;
    let says = text(&reply.headers, "content-length");
    let says: Option<u64> = says.and_then(|length| length.trim().parse().ok());
    let check = |rest: u64| match says {
        Some(says) if says > rest => Err(longer(remote, host)),
        Some(says) if says < rest => Err(anyhow::anyhow!(
            "{host} says that '{}' has {says} bytes left, but the repository says {rest}: the file has \
             changed; try again",
            remote.path
        )),
        _ => Ok(()),
    };
    if reply.status == StatusCode::OK {
        check(remote.size)?;
        return Ok(Place::Beginning);
    }
    let changed = match (part.etag(), etag) {
        (Some(old), Some(new)) => old != new,
        _ => false,
    };
    if changed {
        let why = format!("{host} has other content under this name now");
        return Ok(Place::Elsewhere(why));
    }
    let range = text(&reply.headers, "content-range").unwrap_or_default();
    let last = remote.size.saturating_sub(1);
    let expected = format!("bytes {}-{last}/{}", part.len(), remote.size);
    if reply.status == StatusCode::PARTIAL_CONTENT && range == expected {
        check(remote.size.saturating_sub(part.len()))?;
        return Ok(Place::End);
    }
    let why = format!("{host} does not go on where this ended");
    Ok(Place::Elsewhere(why))
}

fn longer(remote: &RemoteFile, host: &str) -> anyhow::Error {
    Refused(format!(
        "{host} sends more of '{}' than the {} bytes the repository says",
        remote.path, remote.size
    ))
    .into()
}

/// A path in an address.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

/// What was received is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Looks at the header of a model while it comes in.
struct Checks {
    path: String,
    size: u64,
    force: bool,
    /// Bytes at which to look next; `None` when all has been seen.
    next: Option<u64>,
}

impl Checks {
    fn new(remote: &RemoteFile, force: bool) -> Self {
        let gguf = remote.path.to_ascii_lowercase().ends_with(".gguf");
        Self {
            path: remote.path.clone(),
            size: remote.size,
            force,
            next: gguf.then_some(64 << 10),
        }
    }

    /// Refuses a file that does not run as soon as that shows.
    fn look(&mut self, part: &Part) -> Result<(), Stop> {
        let Some(next) = self
            .next
            .filter(|next| part.len() >= (*next).min(self.size))
        else {
            return Ok(());
        };
        let refuse = |why: String| Err(Stop::Failed(Refused(why).into()));
        let bytes = part.beginning(MOST_HEADER)?;
        let name = self.path.to_ascii_lowercase();
        let is_part = split_stem(name.trim_end_matches(".gguf")).is_some();
        match GgufFile::header(bytes.as_slice(), self.size) {
            Ok(None) if next < MOST_HEADER => {
                self.next = Some(part.len().max(next).saturating_mul(2));
                return Ok(());
            }
            Ok(None) => return refuse(format!("the header of '{}' does not end", self.path)),
            Ok(Some(_)) if is_part || self.force => {}
            Ok(Some(header)) => match of_header(&header).runs {
                Runs::Yes => {}
                Runs::NotTernary => {
                    return refuse(format!(
                        "'{}' is not fetched: its weights are not ternary, and this program runs no \
                         others; --force fetches it all the same",
                        self.path
                    ));
                }
                Runs::No(why) => {
                    return refuse(format!(
                        "'{}' is not fetched, because it would not run: {why}; --force fetches it all \
                         the same",
                        self.path
                    ));
                }
            },
            Err(error) => return refuse(format!("'{}' is no model file: {error}", self.path)),
        }
        self.next = None;
        Ok(())
    }

    /// The last look, at the whole file.
    fn complete(&mut self, part: &Part) -> anyhow::Result<()> {
        match self.look(part) {
            Err(Stop::Failed(error)) => Err(error),
            _ => Ok(()),
        }
    }
}
