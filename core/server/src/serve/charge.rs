//! What a request takes of its client's tokens a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::app::App;
use crate::ApiError;
use crate::api::Tokens;
use crate::guard::{Charge, ClientId, Quota};

/// A charge that is settled when the request is over: for what it used, and for nothing if it came to nothing.
pub(super) struct Charged {
    app: Arc<App>,
    charge: Charge,
    used: AtomicU64,
}

impl Charged {
    pub(super) fn new(
        app: &Arc<App>,
        client: ClientId,
        tokens: u64,
    ) -> Result<(Self, Quota), ApiError> {
        let (charge, quota) = app.guard.charge(client, tokens)?;
        let charged = Self {
            app: Arc::clone(app),
            charge,
            used: AtomicU64::new(0),
        };
        Ok((charged, quota))
    }

    /// Says what it used.
    pub(super) fn used(&self, tokens: Tokens) {
        let used = (tokens.prompt + tokens.generated) as u64;
        self.used.store(used, Ordering::Relaxed);
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.app
            .guard
            .settle(self.charge, self.used.load(Ordering::Relaxed));
    }
}
