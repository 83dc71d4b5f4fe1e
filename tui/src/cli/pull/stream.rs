//! The body of an answer, read by a thread of its own, so that waiting for it can be given up.

use std::io::{self, Read as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ureq::Body;

/// Bytes that are read at once.
const BUFFER: usize = 128 << 10;
/// Slower than this for the whole of the patience counts as silence.
const LEAST_RATE: u64 = 1024;

/// What comes next.
pub(super) enum Next {
    Bytes(Vec<u8>),
    End,
    /// Nothing yet: look whether somebody wants to stop.
    Wait,
    Failed(io::Error),
    /// Too little for too long.
    Silence,
}

pub(super) struct Stream {
    chunks: Receiver<io::Result<Vec<u8>>>,
    patience: Duration,
    /// Beginning of the stretch that is looked at, and bytes since.
    since: Instant,
    bytes: u64,
}

impl Stream {
    /// Begins to read.
    pub(super) fn start(body: Body, patience: Duration) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(8);
        let read = move || {
            let mut reader = body.into_with_config().limit(u64::MAX).reader();
            loop {
                let mut bytes = vec![0; BUFFER];
                let read = reader.read(&mut bytes).map(|read| {
                    bytes.truncate(read);
                    bytes
                });
                let last = read.as_ref().map_or(true, Vec::is_empty);
                // Nobody listens when the file has been given up.
                if sender.send(read).is_err() || last {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("tritone-pull".to_owned())
            .spawn(read)?;
        Ok(Self {
            chunks,
            patience,
            since: Instant::now(),
            bytes: 0,
        })
    }

    /// Waits a moment.
    pub(super) fn next(&mut self) -> Next {
        let next = self.chunks.recv_timeout(Duration::from_millis(100));
        if let Ok(Ok(bytes)) = &next {
            self.bytes += bytes.len() as u64;
        }
        if self.since.elapsed() >= self.patience {
            let least = LEAST_RATE * self.patience.as_secs().max(1);
            let ended = matches!(&next, Ok(Ok(bytes)) if bytes.is_empty());
            if self.bytes < least && !ended {
                return Next::Silence;
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        match next {
            Ok(Ok(bytes)) if bytes.is_empty() => Next::End,
            Ok(Ok(bytes)) => Next::Bytes(bytes),
            Ok(Err(error)) => Next::Failed(error),
            Err(RecvTimeoutError::Timeout) => Next::Wait,
            Err(RecvTimeoutError::Disconnected) => {
                Next::Failed(io::Error::other("reading ended early"))
            }
        }
    }
}
