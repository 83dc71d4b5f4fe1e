//! From logits to the next token.
//!
//! [`Sampler::next`] applies, in this order: repetition penalty, frequency and presence
//! penalties, logit bias, temperature, `top_k`, `top_p`, `min_p`, and then draws. This is the
//! order of the `transformers` library, for which models publish their settings.
//!
//! The same logits, settings, history and position give the same token on every machine. Only
//! the exactly rounded IEEE operations and the `libm` crate are used; probabilities are added up
//! as integers, so that no order of addition matters; and the random number is a function of
//! `(seed, position)`, not of what was drawn before: Philox4x32-10 with the seed as its key and the
//! position as its counter.
//!
//! No choice sorts the vocabulary, or allocates once its buffers have grown. One pass finds the
//! greatest logit of every block of tokens; what follows looks only at the blocks that have
//! something near the best.

mod candidate;
pub(crate) mod exp;
mod likelihood;
mod mask;
mod nucleus;
mod peaks;
mod philox;
mod sampler;
mod settings;

pub use likelihood::LogSoftmax;
pub use mask::TokenMask;
pub use sampler::{Choice, Sampler, Within};
pub use settings::{SampleError, Sampling};
