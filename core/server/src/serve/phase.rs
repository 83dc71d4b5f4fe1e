//! The life of a server: loading, ready, draining, over.

use tokio::sync::watch;

/// Where a server is in its life. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It listens, and the model is not there yet.
    Loading,
    /// It takes requests.
    Ready,
    /// It finishes what runs and takes nothing new.
    Draining,
    /// It closes its connections.
    Over,
}

impl Phase {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Over => "over",
        }
    }
}

/// The phase, and those who wait for the next.
#[derive(Debug)]
pub(crate) struct Life(watch::Sender<Phase>);

impl Life {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Loading))
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Goes on to a later phase; an earlier one changes nothing.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }

    /// Waits until the phase has come, or a later one.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut watch = self.0.subscribe();
        // The sender is borrowed from `self`, so it cannot be gone.
        let _ = watch.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_only_goes_forward() {
        let life = Life::new();
        assert_eq!(life.phase(), Phase::Loading);
        life.advance(Phase::Draining);
        life.advance(Phase::Ready);
        assert_eq!(life.phase(), Phase::Draining);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(life.reached(Phase::Ready));
    }
}
