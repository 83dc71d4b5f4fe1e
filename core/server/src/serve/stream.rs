//! Answers to one request together, and their way to the client as events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, SelectAll, Stream, StreamExt as _};

use crate::api::sse;
use crate::schedule::{AnswerStream, Update};

type Numbered = Pin<Box<dyn Stream<Item = (usize, Update)> + Send>>;

/// What several answers say, with the number of each.
pub(super) struct Merged(SelectAll<Numbered>);

impl Merged {
    pub(super) fn new(answers: Vec<AnswerStream>) -> Self {
        let numbered = answers.into_iter().enumerate().map(|(index, answer)| {
            let steps = stream::unfold(answer, |mut answer| async move {
                let step = answer.next().await?;
                Some((step, answer))
            });
            Box::pin(steps.map(move |step| (index, step))) as Numbered
        });
        Self(stream::select_all(numbered))
    }

    pub(super) async fn next(&mut self) -> Option<(usize, Update)> {
        self.0.next().await
    }
}

/// Turns what answers say into frames.
pub(super) trait Frames: Send + 'static {
    /// Adds the frames of what a choice says. `false` ends the stream.
    fn update(&mut self, choice: usize, update: Update, out: &mut BytesMut) -> bool;
}

struct State<F> {
    answers: Merged,
    waiting: VecDeque<(usize, Update)>,
    frames: F,
    over: bool,
}

/// A body of frames: what `waiting` says first, then what is still to come. Silence is broken by comments, so
/// that a client that is gone is noticed.
pub(super) fn body<F: Frames>(
    answers: Merged,
    waiting: VecDeque<(usize, Update)>,
    frames: F,
    keep_alive: Duration,
) -> Body {
    let state = State {
        answers,
        waiting,
        frames,
        over: false,
    };
    let pieces = stream::unfold(state, move |mut state| async move {
        let piece = next(&mut state, keep_alive).await?;
        Some((Ok::<_, Infallible>(piece), state))
    });
    Body::from_stream(pieces)
}

async fn next<F: Frames>(state: &mut State<F>, keep_alive: Duration) -> Option<Bytes> {
    let mut out = BytesMut::new();
    while !state.over && out.is_empty() {
        let step = match state.waiting.pop_front() {
            Some(step) => Some(step),
            None => match tokio::time::timeout(keep_alive, state.answers.next()).await {
                Ok(step) => step,
                Err(_) => return Some(sse::COMMENT),
            },
        };
        match step {
            Some((choice, update)) => state.over = !state.frames.update(choice, update, &mut out),
            None => state.over = true,
        }
    }
    (!out.is_empty()).then(|| out.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::{ApiError, ErrorKind};

    /// Says the number of every choice, and ends with a failure.
    struct Numbers;

    impl Frames for Numbers {
        fn update(&mut self, choice: usize, update: Update, out: &mut BytesMut) -> bool {
            out.extend_from_slice(format!("{choice};").as_bytes());
            !matches!(update, Update::Failed(_))
        }
    }

    fn merged(streams: Vec<Numbered>) -> Merged {
        Merged(stream::select_all(streams))
    }

    #[tokio::test]
    async fn silence_is_broken_by_comments() {
        let silent: Numbered = Box::pin(stream::pending());
        let waiting = VecDeque::from([(3, Update::Reading)]);
        let time = Duration::from_millis(5);
        let mut body = body(merged(vec![silent]), waiting, Numbers, time);
        let mut piece = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece().await, "3;");
        for _ in 0..3 {
            assert_eq!(piece().await, sse::COMMENT);
        }
    }

    #[tokio::test]
    async fn a_failure_is_the_last_that_is_said() {
        let failed = || Update::Failed(ApiError::new(ErrorKind::Internal, "gone"));
        let all: Numbered = Box::pin(stream::iter([
            (0, Update::Reading),
            (1, failed()),
            (0, Update::Reading),
        ]));
        let body = body(merged(vec![all]), VecDeque::new(), Numbers, Duration::MAX);
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!(whole, "0;1;");
    }
}
