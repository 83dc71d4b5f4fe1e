//! A chat with a running `tritone serve`: the model, its kernels and what is measured are the server's.
//!
//! Answers go through `tritone_strategy::Remote`, as those of any server. What only our own server has (the monitor,
//! kernels and profiles that are switched while it runs) goes through its admin routes, for whoever has the key.

mod backend;
mod feed;
mod host;
mod server;

pub(crate) use feed::Feed;
pub(crate) use host::Attached;
pub(crate) use server::Keys;
