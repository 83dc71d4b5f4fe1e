//! Embeddings: one vector for a text.
//!
//! The hidden states of a text go through the final norm and are pooled. A vector depends on the
//! model and on the text's tokens alone, bit for bit: states do not depend on batch, chunks,
//! threads or kernel, and they are added up in the order of their positions.

use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use tritone_abi::numerics;

use crate::api::{Cancel, Event, Input, Sink};
use crate::error::GenerateError;
use crate::exec::step::Want;
use crate::model::Model;
use crate::schedule::VectorSink;

/// How the states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The last token's, which has seen all others.
    Last,
    /// The mean of all.
    Mean,
    /// The first token's.
    Cls,
}

impl Pooling {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Last, Self::Mean, Self::Cls];

    /// The name in flags and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Pooling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|pooling| pooling.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!(
                "'{}' is no pooling; expected {names}",
                name.escape_default()
            )
        })
    }
}

/// One vector wanted.
#[derive(Clone, Debug)]
pub struct EmbedRequest {
    /// The text. A conversation is rendered with the chat template.
    pub input: Input,
    /// How to pool; `None` as the model was trained for.
    pub pooling: Option<Pooling>,
    /// Scale the vector to length 1.
    pub normalize: bool,
    /// Cut a text that does not fit the context instead of refusing it.
    pub truncate: bool,
}

impl EmbedRequest {
    /// A vector of length 1, pooled as the model was trained for; a text that is too long is cut.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            pooling: None,
            normalize: true,
            truncate: true,
        }
    }
}

/// The vector of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// One value for every column of the residual stream.
    pub vector: Vec<f32>,
    /// Tokens that were read.
    pub tokens: usize,
    /// Tokens of the text that were cut off, because the context does not hold them.
    pub cut: usize,
}

/// An embedding on its way. Dropping it cancels.
#[derive(Debug)]
pub struct PendingEmbedding {
    pub(crate) cancel: Cancel,
    pub(crate) result: Receiver<Result<Embedding, GenerateError>>,
}

impl PendingEmbedding {
    /// A handle that ends the request; [`wait`](Self::wait) then gives
    /// [`GenerateError::Cancelled`].
    #[must_use]
    pub fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the vector.
    ///
    /// # Errors
    /// What made the request fail.
    pub fn wait(self) -> Result<Embedding, GenerateError> {
        self.result.recv().unwrap_or(Err(GenerateError::Stopped))
    }
}

impl Drop for PendingEmbedding {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What is called once, by whichever comes first.
type Then = Box<dyn FnOnce(Result<Embedding, GenerateError>) + Send>;

/// Where the events of a text of `tokens` tokens and its vector go, for `then` to be called with what comes
/// of it.
pub(crate) fn outlets(then: Then, tokens: usize, cut: usize) -> (Sink, VectorSink) {
    let then = Arc::new(Mutex::new(Some(then)));
    let of_events = Arc::clone(&then);
    let say = |then: &Mutex<Option<Then>>, result| {
        let then = then.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(then) = then {
            then(result);
        }
    };
    let sink = move |event| {
        match event {
            Event::Failed(error) => say(&of_events, Err(error)),
            Event::Finished(_) => say(&of_events, Err(GenerateError::Cancelled)),
            Event::Prefill { .. } | Event::Text { .. } => {}
        }
        true
    };
    let vector = move |vector| {
        let embedding = Embedding {
            vector,
            tokens,
            cut,
        };
        say(&then, Ok(embedding));
    };
    (Box::new(sink), Box::new(vector))
}

/// The tokens of `request` as they are read with `pooling` in a context of `context` tokens, and how
/// many were cut off.
pub(crate) fn tokens(
    model: &Model,
    request: &EmbedRequest,
    pooling: Pooling,
    context: usize,
) -> Result<(Vec<u32>, usize), GenerateError> {
    let mut tokens = model.encode(&request.input)?;
    let text = matches!(request.input, Input::Text(_));
    let trained_for_it = pooling == Pooling::Last && model.recipe.pooling == Some(pooling);
    // Such models were trained to say all at the end of a text.
    let end = model.tokenizer.eos().filter(|_| text && trained_for_it);
    if let Some(end) = end
        && tokens.last() != Some(&end)
    {
        tokens.push(end);
    }
    let prompt = tokens.len();
    if prompt <= context {
        return Ok((tokens, 0));
    }
    if !request.truncate {
        return Err(GenerateError::PromptTooLong { prompt, context });
    }
    tokens.truncate(context);
    if let (Some(end), Some(last)) = (end, tokens.last_mut()) {
        *last = end;
    }
    Ok((tokens, prompt - context))
}

/// A vector while the states of its text come.
pub(crate) struct Pool {
    pooling: Pooling,
    normalize: bool,
    /// Sum of the states so far, in order of their positions.
    sum: Vec<f64>,
    count: usize,
}

impl Pool {
    pub(crate) fn new(pooling: Pooling, normalize: bool, width: usize) -> Self {
        Self {
            pooling,
            normalize,
            sum: vec![0.0; width],
            count: 0,
        }
    }

    /// What to ask of the next tokens: `first` if the text begins with them, `last` if it ends.
    pub(crate) fn want(&self, first: bool, last: bool) -> Want {
        match self.pooling {
            Pooling::Last if last => Want::State,
            Pooling::Mean => Want::States,
            Pooling::Cls if first => Want::States,
            Pooling::Last | Pooling::Cls => Want::Nothing,
        }
    }

    /// Takes the state of the next position that was asked for.
    pub(crate) fn add(&mut self, state: &[f32]) {
        if self.pooling == Pooling::Cls && self.count > 0 {
            return;
        }
        self.count += 1;
        for (sum, x) in self.sum.iter_mut().zip(state) {
            *sum += f64::from(*x);
        }
    }

    /// The vector, all states having come.
    pub(crate) fn finish(&self) -> Vec<f32> {
        let count = self.count.max(1) as f64;
        let mut vector: Vec<f32> = self.sum.iter().map(|sum| (sum / count) as f32).collect();
        if self.normalize {
            let length = numerics::dot(&vector, &vector).sqrt().max(1e-12);
            vector.iter_mut().for_each(|x| *x /= length);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_pooled_as_the_name_says() {
        let states = [[3.0, 0.0], [1.0, 2.0], [2.0, 4.0]];
        let pooled = |pooling, normalize| {
            let mut pool = Pool::new(pooling, normalize, 2);
            for (i, state) in states.iter().enumerate() {
                if pool.want(i == 0, i == 2) != Want::Nothing {
                    pool.add(state);
                }
            }
            pool.finish()
        };
        assert_eq!(pooled(Pooling::Last, false), [2.0, 4.0]);
        assert_eq!(pooled(Pooling::Mean, false), [2.0, 2.0]);
        assert_eq!(pooled(Pooling::Cls, false), [3.0, 0.0]);
        assert_eq!(pooled(Pooling::Cls, true), [1.0, 0.0]);
        let mut zero = Pool::new(Pooling::Last, true, 2);
        zero.add(&[0.0, 0.0]);
        assert_eq!(zero.finish(), [0.0, 0.0], "no division by zero");
    }

    #[test]
    fn names_lead_back_to_their_poolings() {
        for pooling in Pooling::ALL {
            assert_eq!(pooling.name().parse(), Ok(pooling));
        }
        assert!("max".parse::<Pooling>().unwrap_err().contains("mean"));
    }
}
