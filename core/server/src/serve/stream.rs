//! Answers to one request together, and their way to the client as events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, AbortHandle, SelectAll, Stream, StreamExt as _};

use crate::api::sse;
use crate::schedule::{AnswerStream, Update};

type Numbered = Pin<Box<dyn Stream<Item = (usize, Update)> + Send>>;

/// What several answers say, with the number of each.
pub(super) struct Merged {
    all: SelectAll<Numbered>,
    /// Ends an answer, by its number.
    ends: Vec<AbortHandle>,
}

impl Merged {
    pub(super) fn new(answers: Vec<AnswerStream>) -> Self {
        let numbered = answers.into_iter().enumerate().map(|(index, answer)| {
            let steps = stream::unfold(answer, |mut answer| async move {
                let step = answer.next().await?;
                Some((step, answer))
            });
            Box::pin(steps.map(move |step| (index, step))) as Numbered
        });
        Self::of(numbered)
    }

    fn of(streams: impl Iterator<Item = Numbered>) -> Self {
        let (all, ends): (Vec<_>, _) = streams
            .map(|stream| {
                let (stream, end) = stream::abortable(stream);
                (Box::pin(stream) as Numbered, end)
            })
            .unzip();
        Self {
            all: stream::select_all(all),
            ends,
        }
    }

    pub(super) async fn next(&mut self) -> Option<(usize, Update)> {
        self.all.next().await
    }

    /// Nothing more is wanted of an answer; it is dropped, and so ended, while the others are waited for.
    pub(super) fn close(&self, index: usize) {
        if let Some(end) = self.ends.get(index) {
            end.abort();
        }
    }
}

/// Turns what answers say into frames.
pub(super) trait Frames: Send + 'static {
    /// Adds the frames of what a choice says. `false` ends the stream.
    fn update(&mut self, choice: usize, update: Update, out: &mut BytesMut) -> bool;

    /// Whether a choice is complete, so that nothing more is wanted of it.
    fn is_complete(&self, choice: usize) -> bool;
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
            Some((choice, update)) => {
                state.over = !state.frames.update(choice, update, &mut out);
                if state.frames.is_complete(choice) {
                    state.answers.close(choice);
                }
            }
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

    /// Says the number of every choice, and ends with a failure. Choice 7 is complete with its first word.
    struct Numbers;

    impl Frames for Numbers {
        fn update(&mut self, choice: usize, update: Update, out: &mut BytesMut) -> bool {
            out.extend_from_slice(format!("{choice};").as_bytes());
            !matches!(update, Update::Failed(_))
        }

        fn is_complete(&self, choice: usize) -> bool {
            choice == 7
        }
    }

    fn merged(streams: Vec<Numbered>) -> Merged {
        Merged::of(streams.into_iter())
    }

    #[tokio::test]
    async fn a_choice_that_is_complete_is_not_waited_for() {
        // It would go on for ever, and be computed for nobody.
        let chatty = stream::iter(std::iter::repeat_with(|| (0, Update::Reading)).take(3));
        let endless: Numbered = Box::pin(chatty.chain(stream::pending()));
        let mut all = merged(vec![endless]);
        assert!(all.next().await.is_some());
        all.close(0);
        all.close(5);
        assert!(all.next().await.is_none());
        let streams: Vec<Numbered> = (0..8_usize)
            .map(|index| {
                let words = stream::iter([(index, Update::Reading), (index, Update::Reading)]);
                let rest = words.chain(if index == 7 {
                    stream::pending().left_stream()
                } else {
                    stream::empty().right_stream()
                });
                Box::pin(rest) as Numbered
            })
            .collect();
        let body = body(merged(streams), VecDeque::new(), Numbers, Duration::MAX);
        let whole = body.collect().await.unwrap().to_bytes();
        let whole = String::from_utf8(whole.to_vec()).unwrap();
        assert_eq!(whole.matches("6;").count(), 2, "{whole}");
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
