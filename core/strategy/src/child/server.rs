//! A program that is watched, and started again when it ends by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tritone_client::Address;
use tritone_engine::LoadProgress;

use super::guard::Guard;
use super::launch::Launch;
use super::patience::{PATIENCE, Patience};
use super::process::{POLL, Process};
use crate::error::{Fault, StrategyError};

/// Where a server stands.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It answers.
    Ready(Place),
    /// It has ended, and is started again.
    Down {
        /// What happened.
        why: String,
        /// When; past while it is being started.
        again: Instant,
    },
    /// It has ended, and stays so.
    Over {
        /// What happened.
        why: String,
    },
}

/// Where a server answers.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) key: String,
    /// The process that leads its group.
    pub(super) pid: u32,
    /// Which start of it this is, from 0.
    pub(super) turn: u64,
}

impl std::fmt::Debug for Place {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("address", &self.address.to_string())
            .field("pid", &self.pid)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

/// A program that runs a server. Dropping it ends the program.
pub(super) struct Server {
    shared: Arc<Shared>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    launch: Launch,
    guard: Guard,
    patience: Patience,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    standing: Standing,
    /// It is to end.
    stop: bool,
    /// It is to be started again, for this reason.
    restart: Option<String>,
}

impl Server {
    /// Starts the program and returns when its server answers.
    ///
    /// # Errors
    /// Why it does not run. Nothing of it is left then.
    pub(super) fn start(
        launch: Launch,
        guard: Guard,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, StrategyError> {
        Self::start_with(launch, guard, PATIENCE, progress)
    }

    fn start_with(
        launch: Launch,
        guard: Guard,
        patience: Patience,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, StrategyError> {
        let process = Process::start(&launch, &guard, progress)?;
        let shared = Arc::new(Shared {
            launch,
            guard,
            patience,
            state: Mutex::new(State {
                standing: Standing::Ready(place(&process, 0)),
                stop: false,
                restart: None,
            }),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        let watcher = thread::Builder::new()
            .name("child-watch".to_owned())
            .spawn(move || watched.watch(process))
            .map_err(|error| {
                StrategyError::new(Fault::Other, format!("cannot start a thread: {error}"))
            })?;
        Ok(Self {
            shared,
            watcher: Mutex::new(Some(watcher)),
        })
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Standing {
        self.shared.lock().standing.clone()
    }

    /// Where it stands, as soon as that is not the start `turn` any more; the same after `patience`.
    pub(super) fn standing_after(&self, turn: u64, patience: Duration) -> Standing {
        let same = |state: &mut State| matches!(&state.standing, Standing::Ready(place) if place.turn == turn);
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, same);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.standing.clone()
    }

    /// Ends the start `turn` of it and starts it again, because of `why`.
    pub(super) fn restart(&self, turn: u64, why: String) {
        let mut state = self.shared.lock();
        if matches!(&state.standing, Standing::Ready(place) if place.turn == turn) {
            state.restart = Some(why);
            self.shared.changed.notify_all();
        }
    }

    /// Ends it, and returns when nothing of it is left.
    pub(super) fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        let watcher = self
            .watcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(watcher) = watcher {
            let _ = watcher.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn place(process: &Process, turn: u64) -> Place {
    Place {
        address: process.address().clone(),
        key: process.key().to_owned(),
        pid: process.pid(),
        turn,
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stand(&self, standing: Standing) {
        self.lock().standing = standing;
        self.changed.notify_all();
    }

    /// Waits until `time` is over, or something is to be done. Whether it is to end.
    fn waits(&self, time: Duration) -> bool {
        let idle = |state: &mut State| !state.stop && state.restart.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), time, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.stop
    }

    fn watch(&self, mut process: Process) {
        let mut ends = VecDeque::new();
        let mut turn = 0;
        while let Some(why) = self.until_it_ends(&mut process) {
            drop(process);
            let Some(next) = self.again(why, &mut ends) else {
                return;
            };
            process = next;
            turn += 1;
            self.stand(Standing::Ready(place(&process, turn)));
        }
        process.end();
        self.stand(Standing::Over {
            why: format!("{} was shut down", self.launch.name),
        });
    }

    /// Why it ended or was ended; `None` when it is to end for good.
    fn until_it_ends(&self, process: &mut Process) -> Option<String> {
        loop {
            if self.waits(POLL) {
                return None;
            }
            if let Some(why) = self.lock().restart.take() {
                process.end();
                return Some(why);
            }
            if let Some(how) = process.ended() {
                return Some(format!(
                    "{} {how}; {}",
                    self.launch.name,
                    process.log().told()
                ));
            }
        }
    }

    /// Starts it again, after some time. `None` when it is to end for good, or has ended too often.
    fn again(&self, mut why: String, ends: &mut VecDeque<Instant>) -> Option<Process> {
        loop {
            let now = Instant::now();
            ends.push_back(now);
            ends.retain(|end| now.saturating_duration_since(*end) <= self.patience.window);
            let Some(wait) = self.patience.wait(ends.len()) else {
                let text = format!(
                    "{} was given up after {} ends within {} minutes; the last: {why}",
                    self.launch.name,
                    ends.len(),
                    self.patience.window.as_secs() / 60
                );
                self.stand(Standing::Over { why: text });
                return None;
            };
            self.stand(Standing::Down {
                why: why.clone(),
                again: now + wait,
            });
            if self.waits(wait) {
                self.stand(Standing::Over { why });
                return None;
            }
            let started = Process::start(&self.launch, &self.guard, &mut |_| !self.lock().stop);
            match started {
                Ok(process) => return Some(process),
                Err(error) if error.fault == Fault::Cancelled => {
                    self.stand(Standing::Over { why });
                    return None;
                }
                Err(error) => why = error.to_string(),
            }
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    /// A server that answers its first start and ends at every later one, under a guard that is a shell.
    fn launch(place: &Path) -> (Launch, Guard) {
        let guard = place.join("guard");
        std::fs::write(&guard, "#!/bin/sh\nshift 2\nexec \"$@\"\n").unwrap();
        std::fs::set_permissions(&guard, std::fs::Permissions::from_mode(0o700)).unwrap();
        let script = format!(
            "import http.server, os, sys\n\
             if os.path.exists('{0}'): sys.exit('no more')\n\
             open('{0}', 'w')\n\
             class Handler(http.server.BaseHTTPRequestHandler):\n \
               def do_GET(self):\n  \
                self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()\n  \
                if self.path == '/end': os._exit(7)\n\
             http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()",
            place.join("started").display()
        );
        let launch = Launch {
            name: "once".to_owned(),
            program: super::super::find(Path::new("python3"), &[]).unwrap(),
            arguments: Arc::new(move |port| {
                ["-c", &script, &port.to_string()].map(Into::into).to_vec()
            }),
            environment: std::collections::BTreeMap::new(),
            key_variables: &[],
            ready: &["/"],
            start_limit: Duration::from_secs(20),
            bytes: 0,
            reading: Arc::new(|_| None),
        };
        (launch, Guard::of(guard))
    }

    #[test]
    fn a_program_that_ends_again_and_again_is_given_up() {
        let place = tempfile::tempdir().unwrap();
        let (launch, guard) = launch(place.path());
        let hasty = Patience {
            first: Duration::from_millis(1),
            ..PATIENCE
        };
        let server = Server::start_with(launch, guard, hasty, &mut |_| true).unwrap();
        let Standing::Ready(at) = server.standing() else {
            panic!("{:?}", server.standing());
        };
        let client = tritone_client::Client::new(at.address.clone());
        let _ = crate::remote::Remote::wait_for(client.text("/end"));
        let down = server.standing_after(at.turn, Duration::from_secs(20));
        assert!(!matches!(down, Standing::Ready(_)), "{down:?}");
        let deadline = Instant::now() + Duration::from_secs(60);
        let why = loop {
            if let Standing::Over { why } = server.standing() {
                break why;
            }
            assert!(Instant::now() < deadline, "{:?}", server.standing());
            thread::sleep(Duration::from_millis(10));
        };
        assert!(
            why.contains("given up after 5 ends within 10 minutes"),
            "{why}"
        );
        assert!(why.contains("no more"), "{why}");
    }
}
