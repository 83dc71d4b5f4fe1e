//! A server as the program holds it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tritone_probe::Watch;

use super::app::{App, Config, Live};
use super::listener;
use super::phase::Phase;
use crate::guard::{Guard, GuardError, Reloaded};

/// How often it is looked at whether everything has ended.
const POLL: Duration = Duration::from_millis(10);

/// A server that listens. Clones are handles to the same one.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
}

impl Server {
    /// Takes a socket. From now on requests are answered, though not yet with the model; the future is the
    /// server's life, and ends when it is over.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn start(
        socket: std::net::TcpListener,
        config: Config,
        guard: Guard,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + use<>)> {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let address = listener.local_addr()?;
        let app = Arc::new(App::new(config, guard));
        let life = listener::run(Arc::clone(&app), listener);
        Ok((Self { app, address }, life))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The model is there: requests are taken from now on. Called on the runtime that the server lives on.
    pub fn ready(&self, live: Live) {
        self.app.ready(live);
    }

    /// Begins to measure machine and engine, once there is a model; `note` is told what the operator should know.
    pub fn watch(&self, watch: Watch, note: impl Fn(&str) + Send + Sync + 'static) {
        if let Some((live, _)) = self.app.live.get() {
            self.app.monitor.start(live, watch, note);
        }
    }

    /// Requests whose answers are not complete.
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.app.open.load(Ordering::SeqCst)
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.app.life.phase()
    }

    /// Reads the keys again.
    ///
    /// # Errors
    /// When they are wrong; the old ones stay.
    pub fn reload(&self) -> Result<Reloaded, GuardError> {
        self.app.guard.reload()
    }

    /// Reads the rules about what is asked and answered again; returns how many there are now.
    ///
    /// # Errors
    /// When a file is wrong; the old ones stay.
    pub fn reload_rules(&self) -> Result<usize, GuardError> {
        self.app.guard.reload_rules()
    }

    /// Ends in order: nothing new is taken, what waits is refused, what runs ends, within a time.
    pub async fn drain(&self) {
        let app = &self.app;
        app.life.advance(Phase::Draining);
        let dispatcher = app.live.get().map(|(_, dispatcher)| dispatcher);
        if let Some(dispatcher) = dispatcher {
            dispatcher.drain();
        }
        self.quiet(app.config.drain_time).await;
        if let Some(dispatcher) = dispatcher {
            dispatcher.end_all();
        }
        self.quiet(app.config.close_time).await;
        app.life.advance(Phase::Over);
    }

    /// Waits until no request is open, at most so long.
    async fn quiet(&self, time: Duration) {
        let end = Instant::now() + time;
        while self.open_requests() > 0 && Instant::now() < end {
            sleep(POLL).await;
        }
    }
}
