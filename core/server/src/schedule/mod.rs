//! Who is answered when: admission, a fair queue, and the way onto the engine.
//!
//! A request reserves seats before anything expensive is done for it: as many as it wants answers, and the tokens
//! they may take. Seats are bounded, so the queue is. What has a seat waits in the queue of its client, clients take
//! turns, and at most as many answers are with the engine as it can write at once: its own queue stays empty, and
//! fairness is decided here. Every seat and every place in the engine is given back by dropping its guard, whatever
//! happens to the request.

mod admission;
mod cache;
mod dispatch;
mod queue;
mod stream;
mod turn;

pub(crate) use admission::draining;
pub use admission::{Seat, Status};
pub use cache::{CacheStatus, Repeatable};
pub use dispatch::Dispatcher;
pub use stream::{AnswerStream, End, Update, failure};
pub use turn::Turn;
