//! Bounds of the server. Every number that a request could make large has one here.

use std::time::Duration;

/// What one request may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of all bodies together that have arrived and are not read yet.
    pub bodies_bytes: usize,
    /// Bytes of all header lines of a request.
    pub header_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// How long headers may take to arrive.
    pub header_time: Duration,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// Connections that are open at once.
    pub connections: usize,
    /// Messages of a chat.
    pub messages: usize,
    /// Tokens of a prompt; the context is a bound in any case.
    pub prompt_tokens: usize,
    /// Tokens of an answer.
    pub output_tokens: usize,
    /// Answers to one request (`n`).
    pub choices: usize,
    /// Stop strings.
    pub stops: usize,
    /// Bytes of a stop string.
    pub stop_bytes: usize,
    /// Entries of `logit_bias`.
    pub logit_bias: usize,
    /// Alternatives a token (`top_logprobs`).
    pub top_logprobs: usize,
    /// Texts of one request for embeddings.
    pub embeddings: usize,
    /// Depth of a JSON schema, and of the body.
    pub schema_depth: usize,
    /// Values in a JSON schema.
    pub schema_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            bodies_bytes: 64 << 20,
            header_bytes: 32 << 10,
            headers: 100,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            connections: 512,
            messages: 1024,
            prompt_tokens: usize::MAX,
            output_tokens: 2048,
            choices: 4,
            stops: 16,
            stop_bytes: 256,
            logit_bias: 1024,
            top_logprobs: 20,
            embeddings: 256,
            schema_depth: 32,
            schema_nodes: 2000,
        }
    }
}

/// What all requests together may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Answers that are written at once: the batch of the engine.
    pub slots: usize,
    /// Answers that may wait.
    pub queue_max: usize,
    /// Prompt and answer tokens that all waiting answers together may ask for.
    pub queued_tokens_max: u64,
    /// Longest wait in the queue.
    pub queue_time: Duration,
    /// Longest time from arrival to the end of the answer.
    pub total_time: Duration,
    /// How long a client may leave a stream unread.
    pub unread_time: Duration,
    /// Events that wait for a client to read them, a stream.
    pub stream_events: usize,
    /// Bytes of answers that are kept to be given again; 0 for none.
    pub cache_bytes: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            slots: 4,
            queue_max: 16,
            queued_tokens_max: 65_536,
            queue_time: Duration::from_secs(60),
            total_time: Duration::from_secs(600),
            unread_time: Duration::from_secs(30),
            stream_events: 64,
            cache_bytes: 8 << 20,
        }
    }
}
