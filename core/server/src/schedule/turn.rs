//! A turn with the engine for work that is not an answer: vectors of texts.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::admission::{Seat, Shared, draining};
use crate::guard::ClientId;
use crate::metrics::Rejected;
use crate::{ApiError, ErrorKind};

/// A place in the queue. Dropping it gives it up, and its seat back.
pub struct Turn {
    pub(super) shared: Arc<Shared>,
    pub(super) place: (ClientId, u64),
    pub(super) seat: oneshot::Receiver<Seat>,
    pub(super) deadline: Instant,
}

impl Turn {
    /// Waits until there is room; then the engine may be used until the seat is dropped, or [rests](Seat::rest).
    ///
    /// # Errors
    /// When that takes too long, or the server is about to end.
    pub async fn wait(mut self) -> Result<Seat, ApiError> {
        match tokio::time::timeout_at(self.deadline.into(), &mut self.seat).await {
            Ok(seat) => seat.map_err(|_| draining()),
            Err(_) => {
                self.shared.metrics.rejected(Rejected::Deadline);
                let text = "the request took longer than it may";
                Err(ApiError::new(ErrorKind::Unavailable, text).code("deadline"))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (client, id) = self.place;
        let waiting = self.shared.lock().queue.remove(client, id);
        drop(waiting);
    }
}
