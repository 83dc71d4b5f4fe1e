//! What a strategy can do.

use serde::Serialize;

/// What a strategy can do, besides answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Answers come token by token.
    pub streaming: bool,
    /// The probabilities of tokens are told.
    pub logprobs: bool,
    /// Texts become vectors.
    pub embeddings: bool,
    /// The kernel can be switched while an answer is written.
    pub kernel_switch: bool,
    /// A limit of memory is kept.
    pub memory_limit: bool,
    /// The same request with the same seed gives the same answer, whatever runs beside it.
    pub one_answer: bool,
    /// The text leaves this machine.
    pub leaves_machine: bool,
}

impl Capabilities {
    /// Each by its name, in the order of the fields.
    #[must_use]
    pub fn named(&self) -> [(&'static str, bool); 7] {
        [
            ("streaming", self.streaming),
            ("logprobs", self.logprobs),
            ("embeddings", self.embeddings),
            ("kernel switch", self.kernel_switch),
            ("memory limit", self.memory_limit),
            ("one answer", self.one_answer),
            ("leaves this machine", self.leaves_machine),
        ]
    }
}
