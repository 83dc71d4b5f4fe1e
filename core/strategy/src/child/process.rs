//! One run of a program, from its start to its end.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tritone_client::{Address, Client, ClientError, Times};
use tritone_engine::LoadProgress;

use super::guard::Guard;
use super::launch::{Launch, free_port, random_key};
use super::{GRACE, Log, group};
use crate::error::{Fault, StrategyError};
use crate::runtime::runtime;

/// How often it is looked at how a program is.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// Ports that are tried: another program may take one before ours does.
const PORTS: usize = 4;

/// How long one look at a server that starts may take.
const LOOK: Times = Times {
    connect: Duration::from_secs(1),
    answer: Duration::from_secs(1),
    silence: Duration::from_secs(1),
};

/// What servers write when a port is taken.
const TAKEN: [&str; 5] = [
    "address already in use",
    "address in use",
    "couldn't bind",
    "could not bind",
    "port is already",
];

/// What programs write when memory does not suffice.
const NO_MEMORY: [&str; 5] = [
    "out of memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
    "memoryerror",
];

/// A program that runs, and the server that it is.
pub(crate) struct Process {
    guard: Child,
    log: Arc<Log>,
    address: Address,
    key: String,
    /// Read what it writes.
    readers: Vec<JoinHandle<()>>,
    /// The way it ended; nothing of it is left then.
    ended: Option<String>,
}

impl Process {
    /// Starts a program and waits until its server answers.
    ///
    /// # Errors
    /// Why it does not run. Nothing of it is left then.
    pub(super) fn start(
        launch: &Launch,
        guard: &Guard,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, StrategyError> {
        let mut last = None;
        for _ in 0..PORTS {
            let mut process = Self::spawn(launch, guard)?;
            match process.wait_until_ready(launch, progress) {
                Ok(()) => return Ok(process),
                Err(error) if error.fault == Fault::Port => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| StrategyError::new(Fault::Port, "no port was tried")))
    }

    fn spawn(launch: &Launch, guard: &Guard) -> Result<Self, StrategyError> {
        let (port, key) = (free_port()?, random_key()?);
        let address = format!("http://127.0.0.1:{port}").parse()?;
        let arguments = (launch.arguments)(port);
        let mut command = Command::new(guard.program());
        command
            .args(Guard::arguments(&launch.program, &arguments))
            .env_clear()
            .envs(launch.variables(&key))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        group::lead(&mut command)?;
        let mut guard = command.spawn().map_err(|error| {
            let text = format!("cannot start {}: {error}", launch.name);
            StrategyError::new(Fault::Missing, text)
        })?;
        let log = Arc::new(Log::default());
        let (output, errors) = (guard.stdout.take(), guard.stderr.take());
        // From here on it is ended when this is dropped.
        let mut process = Self {
            guard,
            log: Arc::clone(&log),
            address,
            key,
            readers: Vec::new(),
            ended: None,
        };
        if let Some(output) = output {
            let log = Arc::clone(&log);
            let reader = listen("child-output", move || log.read(output))?;
            process.readers.push(reader);
        }
        if let Some(errors) = errors {
            let reader = listen("child-errors", move || log.read(errors))?;
            process.readers.push(reader);
        }
        Ok(process)
    }

    fn wait_until_ready(
        &mut self,
        launch: &Launch,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<(), StrategyError> {
        let client = Client::new(self.address.clone()).with_key(&self.key)?;
        let client = client.with_times(LOOK);
        let started = Instant::now();
        loop {
            if let Some(how) = self.ended() {
                return Err(self.not_started(launch, &how));
            }
            let ready = answers(&client, launch.ready);
            // Whoever answers there is not our server if that has ended.
            if ready && self.ended().is_none() {
                return Ok(());
            }
            let read = tritone_machine::resident_bytes_of(self.pid()).unwrap_or(0);
            let go_on = progress(LoadProgress {
                stage: "starting the server",
                done: read.min(launch.bytes),
                total: launch.bytes,
            });
            if !go_on {
                let text = format!("the start of {} was given up", launch.name);
                return Err(StrategyError::new(Fault::Cancelled, text));
            }
            if started.elapsed() >= launch.start_limit {
                let text = format!(
                    "{} did not answer within {} s of its start; {}",
                    launch.name,
                    launch.start_limit.as_secs_f64(),
                    self.log.told()
                );
                return Err(StrategyError::new(Fault::TimedOut, text)
                    .remedy("give it more time with start_limit_s, or a smaller model"));
            }
            thread::sleep(POLL);
        }
    }

    fn not_started(&self, launch: &Launch, how: &str) -> StrategyError {
        let name = &launch.name;
        let told = self.log.told();
        if self.log.find(&TAKEN).is_some() {
            let text = format!("{name} found its port taken ({}); {told}", self.address);
            return StrategyError::new(Fault::Port, text)
                .remedy("try again: each start takes another free port");
        }
        if let Some(error) = (launch.reading)(&self.log) {
            return error;
        }
        if let Some(line) = self.log.find(&NO_MEMORY) {
            return StrategyError::new(
                Fault::Memory,
                format!("{name} has too little memory: {line}"),
            )
            .remedy("take a smaller model or context, or end other programs");
        }
        StrategyError::new(Fault::Crashed, format!("{name} {how} at its start; {told}")).remedy(
            format!("run {} by hand to see why", launch.program.display()),
        )
    }

    /// The process that leads its group; the program and what it started descend from it.
    pub(super) fn pid(&self) -> u32 {
        self.guard.id()
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// How it ended, if it has: `ended with exit code 1`. Does not wait. What the program has left behind is ended.
    pub(super) fn ended(&mut self) -> Option<String> {
        if self.ended.is_none() && group::has_ended(&mut self.guard) {
            self.reap();
        }
        self.ended.clone()
    }

    /// Ends it: asks first, and kills what is left after some seconds.
    pub(super) fn end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // The guard ends the group when its input does.
        drop(self.guard.stdin.take());
        let deadline = Instant::now() + GRACE + Duration::from_secs(1);
        while !group::has_ended(&mut self.guard) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        self.reap();
    }

    /// Kills what is left of the group, and takes the leader's status. In this order: as long as that is not taken,
    /// no other group has the number.
    fn reap(&mut self) {
        group::kill(&mut self.guard);
        let how = match self.guard.wait() {
            Ok(status) => told(status),
            Err(error) => format!("ended ({error})"),
        };
        self.ended = Some(how);
        // The pipes end now; what was written last belongs into errors. A process that has left the group may hold
        // them open: it is not waited for.
        let deadline = Instant::now() + Duration::from_millis(200);
        while self.readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the last of `routes` answers well, and each before it too, or is not known there.
fn answers(client: &Client, routes: &[&str]) -> bool {
    let unknown = |error: &ClientError| matches!(error, ClientError::Status { status: 404, .. });
    let (last, others) = match routes.split_last() {
        Some((last, others)) => (*last, others),
        None => return true,
    };
    let says = |route: &str| runtime().map(|runtime| runtime.block_on(client.text(route)));
    others.iter().all(
        |route| matches!(says(route), Ok(said) if said.as_ref().map_or_else(unknown, |_| true)),
    ) && matches!(says(last), Ok(Ok(_)))
}

fn told(status: std::process::ExitStatus) -> String {
    match status.code() {
        // As the guard, and shells, say it.
        Some(code) if code > 128 => format!("was ended by signal {}", code - 128),
        Some(code) => format!("ended with exit code {code}"),
        None => "was killed with its guard".to_owned(),
    }
}

fn listen(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StrategyError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| {
            StrategyError::new(Fault::Other, format!("cannot start a thread: {error}"))
        })
}
