//! Answers in the form of a JSON schema, by llguidance: it works out which tokens may come next.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};
use tritone_engine::sample::TokenMask;
use tritone_engine::{Constraint, Grammar, Model};

use crate::ApiError;

/// Makes grammars for a model. Its vocabulary is sorted into a tree when the first is wanted, which takes some
/// megabytes and milliseconds; who wants none pays nothing.
pub struct Grammars {
    model: Arc<Model>,
    factory: OnceLock<Result<ParserFactory, String>>,
}

impl Grammars {
    /// Grammars for `model`.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self {
            model,
            factory: OnceLock::new(),
        }
    }

    /// The grammar of JSON values that fit `schema`. This takes up to some tens of milliseconds: not for a thread that
    /// others wait for.
    ///
    /// # Errors
    /// A 400 for schemas that are wrong, too large, or have what cannot be followed.
    pub fn schema(&self, schema: &Value) -> Result<Arc<dyn Grammar>, ApiError> {
        let wrong = |why: String| {
            let why: String = why
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(300)
                .collect();
            ApiError::invalid(
                "response_format",
                format!("the schema cannot be followed: {why}"),
            )
        };
        let factory = self.factory.get_or_init(|| factory(&self.model));
        let factory = factory.as_ref().map_err(|why| wrong(why.clone()))?;
        let grammar = TopLevelGrammar::from_json_schema(with_options(schema));
        let parser = factory
            .create_parser(grammar)
            .map_err(|error| wrong(error.to_string()))?;
        let matcher = Matcher::new(Ok(parser));
        if let Some(error) = matcher.get_error() {
            return Err(wrong(error));
        }
        Ok(Arc::new(Schema(Mutex::new(matcher))))
    }
}

/// The schema with our own options in place of any in it: they hold regular expressions and paths to elsewhere.
fn with_options(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        // `true` is any value; `false` is none, which the parser finds out.
        Value::Bool(false) => json!({"not": {}}),
        _ => json!({}),
    };
    // Small models like to write blanks without end.
    schema["x-guidance"] =
        json!({"whitespace_flexible": true, "whitespace_pattern": "[\\x20\\x0A]{0,2}"});
    schema
}

fn factory(model: &Model) -> Result<ParserFactory, String> {
    let tokenizer = model.tokenizer();
    let vocab = u32::try_from(tokenizer.vocab_size()).map_err(|error| error.to_string())?;
    let words: Vec<Vec<u8>> = (0..vocab)
        .map(|id| {
            if tokenizer.is_control(id) {
                // Marked as no text, so that no grammar lets it come.
                let mut name = vec![TokTrie::SPECIAL_TOKEN_MARKER];
                name.extend(format!("[{id}]").bytes());
                return name;
            }
            tokenizer.decode_bytes(id).to_vec()
        })
        .collect();
    let end = model.stop_tokens().first().copied();
    let end = end.ok_or_else(|| "the model has no token that ends an answer".to_owned())?;
    let trie = TokTrie::from(&TokRxInfo::new(vocab, end), &words);
    let env: Arc<ApproximateTokEnv> = Arc::new(ApproximateTokEnv::new(trie));
    let env: toktrie::TokEnv = env;
    let mut factory = ParserFactory::new_simple(&env).map_err(|error| error.to_string())?;
    factory.quiet();
    Ok(factory)
}

/// A schema at its beginning.
struct Schema(Mutex<Matcher>);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Grammar for Schema {
    fn start(&self) -> Result<Box<dyn Constraint>, String> {
        let matcher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Written(matcher.deep_clone())))
    }
}

/// A schema, some of which is written.
struct Written(Matcher);

impl Constraint for Written {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), String> {
        if self.0.is_stopped() {
            return match self.0.get_error() {
                Some(error) => Err(error),
                None => Ok(()),
            };
        }
        let allowed = self.0.compute_mask().map_err(|error| error.to_string())?;
        mask.copy_from(allowed.as_slice());
        Ok(())
    }

    fn take(&mut self, token: u32) -> Result<(), String> {
        self.0
            .consume_token(token)
            .map_err(|error| error.to_string())
    }

    fn may_end(&mut self) -> bool {
        self.0.is_stopped() || self.0.is_accepting().unwrap_or(false)
    }
}
