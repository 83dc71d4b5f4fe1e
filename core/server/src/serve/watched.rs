//! Bodies of answers that know whether they reached the end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::app::App;

/// Counts a request from its head to the last byte of its answer, however that ends.
pub(super) struct Open(Arc<App>);

impl Open {
    pub(super) fn new(app: &Arc<App>) -> Self {
        app.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(app))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body with what is to be told when it has been sent, or given up.
pub(super) struct Watched<R: Record> {
    inner: Body,
    record: Option<R>,
    open: Option<Open>,
}

/// Who wants to know.
pub(super) trait Record: Unpin + Send + 'static {
    /// The answer went out to the end, or its client left before.
    fn ended(self, complete: bool);
}

impl<R: Record> Watched<R> {
    pub(super) fn new(inner: Body, record: R, open: Open) -> Self {
        Self {
            inner,
            record: Some(record),
            open: Some(open),
        }
    }

    fn end(&mut self, complete: bool) {
        if let Some(record) = self.record.take() {
            record.ended(complete);
        }
        self.open = None;
    }
}

impl<R: Record> http_body::Body for Watched<R> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.end(true),
            Poll::Ready(Some(Err(_))) => self.end(false),
            // A body of known length is not asked again after its last piece.
            Poll::Ready(Some(Ok(_))) if self.inner.is_end_stream() => self.end(true),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R: Record> Drop for Watched<R> {
    fn drop(&mut self) {
        // What was empty from the start is complete without being asked for.
        let complete = self.inner.is_end_stream();
        self.end(complete);
    }
}
