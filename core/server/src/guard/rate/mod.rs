//! How much a client may ask for in a minute.

mod limiter;
mod quota;
mod window;

pub use limiter::{Charge, RateLimiter, Refused};
pub use quota::{Quota, Share};
