//! The scheduler on the embedded model: bounds, turns, deadlines, ends.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Engine, EngineOptions, Input, ModelSource, Request};
use tritone_server::api::Finish;
use tritone_server::guard::ClientId;
use tritone_server::metrics::{Metrics, Phase, Rejected};
use tritone_server::schedule::{AnswerStream, Dispatcher, End, Repeatable, Seat, Update};
use tritone_server::{ApiError, ErrorKind, Schedule};

const PERU: &str = "What is the capital of Peru?";
const LIMA: &str = "The capital of Peru is Lima.";

fn engine(batch: usize) -> Engine {
    let mut options = EngineOptions::new(Arc::new(tritone_scalar::Scalar));
    options.batch = batch;
    let tiny = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
    );
    Engine::load(&ModelSource::File(tiny.into()), &options, &mut |_| true).unwrap()
}

struct Bed {
    dispatcher: Arc<Dispatcher>,
    metrics: Arc<Metrics>,
}

fn bed(schedule: Schedule) -> Bed {
    let metrics = Arc::new(Metrics::new());
    let engine = engine(schedule.slots);
    let dispatcher = Dispatcher::start(engine, schedule, Arc::clone(&metrics));
    Bed {
        dispatcher,
        metrics,
    }
}

fn client(n: u8) -> ClientId {
    ClientId::from_bytes([n; 16])
}

fn ask(text: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(40),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
    }
}

/// An answer that takes some hundred tokens.
fn long() -> Request {
    Request {
        max_tokens: Some(400),
        ignore_eos: true,
        ..ask("Tell me a story about a fox.")
    }
}

impl Bed {
    fn submit(&self, n: u8, request: Request) -> Result<AnswerStream, ApiError> {
        let mut seats = self.dispatcher.reserve(client(n), 1, 50)?;
        Ok(self.dispatcher.submit(seats.remove(0), request, None, None))
    }

    /// Waits until nothing is under way.
    async fn idle(&self) {
        for _ in 0..2000 {
            let status = self.dispatcher.status();
            if (status.running, status.waiting, status.tokens_waiting) == (0, 0, 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still there: {:?}", self.dispatcher.status());
    }
}

async fn read(stream: &mut AnswerStream) -> Result<(String, End), ApiError> {
    let mut text = String::new();
    while let Some(update) = stream.next().await {
        match update {
            Update::Reading => {}
            Update::Text { text: piece, .. } => text += &piece,
            Update::Finished(end) => return Ok((text, end)),
            Update::Failed(error) => return Err(error),
        }
    }
    panic!("no end");
}

/// Reads until the answer is being written.
async fn begun(stream: &mut AnswerStream) {
    loop {
        match stream.next().await.unwrap() {
            Update::Text { .. } => return,
            Update::Reading => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn answers_come_and_their_seats_go_back() {
    let bed = bed(Schedule::default());
    let mut streams: Vec<_> = (0..8).map(|n| bed.submit(n, ask(PERU)).unwrap()).collect();
    let status = bed.dispatcher.status();
    assert_eq!((status.running, status.waiting), (4, 4));
    for stream in &mut streams {
        let (text, end) = read(stream).await.unwrap();
        assert_eq!((text.as_str(), end.finish), (LIMA, Finish::Stop));
        assert!(stream.next().await.is_none());
    }
    bed.idle().await;
}

#[test]
fn a_burst_does_not_pass_the_bound_together() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bed = Arc::new(bed(Schedule {
            slots: 2,
            queue_max: 6,
            ..Schedule::default()
        }));
        let reserve = |n: u16| {
            let bed = Arc::clone(&bed);
            tokio::task::spawn_blocking(move || {
                let [a, b] = n.to_le_bytes();
                let mut id = [0; 16];
                (id[0], id[1]) = (a, b);
                bed.dispatcher.reserve(ClientId::from_bytes(id), 1, 10)
            })
        };
        let tasks: Vec<_> = (0..1000).map(reserve).collect();
        let (mut seats, mut refused) = (Vec::new(), 0);
        for task in tasks {
            match task.await.unwrap() {
                Ok(seat) => seats.push(seat),
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Unavailable);
                    let wait = error.retry_after.unwrap();
                    assert!(wait >= Duration::from_millis(100) && wait <= Duration::from_secs(30));
                    refused += 1;
                }
            }
        }
        assert_eq!((seats.len(), refused), (8, 992));
        assert_eq!(bed.metrics.rejections(Rejected::QueueFull), 992);
        drop(seats);
        bed.idle().await;
    });
}

#[tokio::test]
async fn a_client_has_a_share_and_tokens_are_bounded() {
    let bed = bed(Schedule {
        slots: 2,
        queue_max: 8,
        queued_tokens_max: 1000,
        ..Schedule::default()
    });
    let mine = bed.dispatcher.reserve(client(1), 4, 10).unwrap();
    let more = bed.dispatcher.reserve(client(1), 3, 10).err().unwrap();
    assert_eq!(
        (more.kind, more.code),
        (ErrorKind::RateLimit, Some("client_share"))
    );
    let others = bed.dispatcher.reserve(client(2), 2, 10).unwrap();
    let large = bed.dispatcher.reserve(client(3), 1, 2000).err().unwrap();
    assert_eq!(
        (large.kind, large.code),
        (ErrorKind::Unavailable, Some("tokens_full"))
    );
    drop((mine, others));
    // Alone, a request may be as large as the context allows.
    let mut alone = bed.dispatcher.reserve(client(3), 1, 2000).unwrap();
    alone[0].correct(5);
    assert_eq!(bed.dispatcher.status().tokens_waiting, 5);
    drop(alone);
    bed.idle().await;
}

#[tokio::test]
async fn whoever_leaves_frees_the_place_and_disturbs_nobody() {
    let bed = bed(Schedule {
        slots: 1,
        ..Schedule::default()
    });
    let mut first = bed.submit(1, long()).unwrap();
    let (alone, _) = read(&mut first).await.unwrap();
    let mut running = bed.submit(1, long()).unwrap();
    begun(&mut running).await;
    let waiting = bed.submit(2, ask(PERU)).unwrap();
    assert_eq!(bed.dispatcher.status().waiting, 1);
    drop(waiting);
    assert_eq!(bed.dispatcher.status().waiting, 0);
    assert_eq!(bed.metrics.cancellations(Phase::Queued), 1);
    let mut next = bed.submit(2, ask(PERU)).unwrap();
    drop(running);
    assert_eq!(read(&mut next).await.unwrap().0, LIMA, "the slot is free");
    assert_eq!(bed.metrics.cancellations(Phase::Decode), 1);
    let mut again = bed.submit(1, long()).unwrap();
    let beside = bed.submit(2, ask(PERU)).unwrap();
    begun(&mut again).await;
    drop(beside);
    drop(again);
    let mut whole = bed.submit(1, long()).unwrap();
    assert_eq!(read(&mut whole).await.unwrap().0, alone);
    bed.idle().await;
}

#[tokio::test]
async fn waiting_and_writing_have_their_times() {
    let bed = bed(Schedule {
        slots: 1,
        queue_time: Duration::from_millis(50),
        ..Schedule::default()
    });
    let mut running = bed.submit(1, long()).unwrap();
    begun(&mut running).await;
    let error = read(&mut bed.submit(2, ask(PERU)).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Unavailable, Some("queue_timeout"))
    );
    assert!(error.retry_after.is_some());
    drop(running);
    bed.idle().await;

    let bed = self::bed(Schedule {
        total_time: Duration::from_millis(300),
        ..Schedule::default()
    });
    let endless = Request {
        max_tokens: Some(1000),
        ..long()
    };
    let mut stream = bed.submit(1, endless).unwrap();
    match read(&mut stream).await {
        Ok((text, end)) => assert!(end.finish == Finish::Deadline && !text.is_empty()),
        // On a machine that reads the prompt for longer than that.
        Err(error) => assert_eq!(error.code, Some("deadline")),
    }
    bed.idle().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_answer() {
    let bed = bed(Schedule {
        unread_time: Duration::from_millis(1),
        stream_events: 4,
        ..Schedule::default()
    });
    let mut stream = bed.submit(1, long()).unwrap();
    bed.idle().await;
    let error = read(&mut stream).await.unwrap_err();
    assert_eq!(error.code, Some("unread"));
}

#[tokio::test]
async fn the_end_of_the_server_is_told() {
    let bed = bed(Schedule {
        slots: 1,
        ..Schedule::default()
    });
    let mut running = bed.submit(1, long()).unwrap();
    begun(&mut running).await;
    let mut waiting = bed.submit(2, ask(PERU)).unwrap();
    bed.dispatcher.drain();
    let error = read(&mut waiting).await.unwrap_err();
    assert_eq!((error.code, error.close), (Some("draining"), true));
    let late = bed.submit(3, ask(PERU)).err().unwrap();
    assert_eq!(late.code, Some("draining"));
    bed.dispatcher.end_all();
    let (_, end) = read(&mut running).await.unwrap();
    assert_eq!(end.finish, Finish::Draining);
    assert!(end.timings.generated_tokens > 0);
    bed.idle().await;
}

#[tokio::test]
async fn what_is_always_the_same_is_kept() {
    let bed = bed(Schedule::default());
    let submit = |n: u8, salt| {
        let request = Request { salt, ..ask(PERU) };
        let mark = Repeatable {
            fingerprint: "m",
            format: "",
        };
        let mut seats = bed.dispatcher.reserve(client(n), 1, 50).unwrap();
        bed.dispatcher
            .submit(seats.remove(0), request, None, Some(mark))
    };
    for (salt, repeated) in [(0, false), (0, true), (7, false), (7, true)] {
        let (text, end) = read(&mut submit(1, salt)).await.unwrap();
        assert_eq!(
            (text.as_str(), end.finish, end.repeated),
            (LIMA, Finish::Stop, repeated)
        );
        assert!(end.timings.generated_tokens > 3);
    }
    let cut = submit(1, 9);
    drop(cut);
    assert!(
        !read(&mut submit(1, 9)).await.unwrap().1.repeated,
        "only whole answers"
    );
    let status = bed.dispatcher.cache_status();
    assert_eq!((status.entries, status.hits), (3, 2));
    bed.idle().await;
}

#[tokio::test]
async fn errors_of_the_engine_reach_the_client() {
    let bed = bed(Schedule::default());
    let request = Request::new(Input::Tokens(vec![u32::MAX]));
    let error = read(&mut bed.submit(1, request).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.param.as_deref()),
        (ErrorKind::Invalid, Some("prompt"))
    );
    let request = Request::new(Input::Tokens(vec![5; 4000]));
    let error = read(&mut bed.submit(1, request).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.code, Some("context_length_exceeded"));
    bed.idle().await;
}

/// A seat of a client that has its turn.
async fn turn(bed: &Bed, of: u8) -> Seat {
    let seat = bed.dispatcher.reserve(client(of), 1, 5).unwrap().remove(0);
    let deadline = bed.dispatcher.deadline();
    bed.dispatcher.turn(seat, deadline).wait().await.unwrap()
}

#[tokio::test]
async fn work_that_is_no_answer_takes_turns_with_answers() {
    let bed = bed(Schedule {
        slots: 1,
        ..Schedule::default()
    });
    let mut first = turn(&bed, 1).await;
    assert_eq!(bed.dispatcher.status().running, 1);
    // An answer of another client waits for it, and comes before the same client's next turn.
    let mut answer = bed.submit(2, ask(PERU)).unwrap();
    assert_eq!(bed.dispatcher.status().waiting, 1);
    first.rest();
    let again = bed.dispatcher.turn(first, bed.dispatcher.deadline());
    assert_eq!(read(&mut answer).await.unwrap().0, LIMA);
    drop(answer);
    let seat = again.wait().await.unwrap();
    // Who gives a turn up gives the seat back, in the queue as well.
    let other = bed.dispatcher.reserve(client(3), 1, 5).unwrap().remove(0);
    let waits = bed.dispatcher.turn(other, bed.dispatcher.deadline());
    assert_eq!(bed.dispatcher.status().waiting, 1);
    drop(waits);
    assert_eq!(bed.dispatcher.status().waiting, 0);
    // It ends with the server, and in time.
    let other = bed.dispatcher.reserve(client(3), 1, 5).unwrap().remove(0);
    let late = bed.dispatcher.turn(other, Instant::now()).wait().await;
    assert_eq!(late.err().unwrap().code, Some("deadline"));
    let other = bed.dispatcher.reserve(client(3), 1, 5).unwrap().remove(0);
    let waits = bed.dispatcher.turn(other, bed.dispatcher.deadline());
    bed.dispatcher.drain();
    assert_eq!(waits.wait().await.err().unwrap().code, Some("draining"));
    drop(seat);
    bed.idle().await;
}
