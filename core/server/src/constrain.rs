//! Answers in the form of a JSON schema, by llguidance: it works out which tokens may come next.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Map, Value, json};
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
            ApiError::invalid(
                "response_format",
                format!("the schema cannot be followed: {}", in_short(&why)),
            )
        };
        check_bounds(schema).map_err(wrong)?;
        check_multiples(schema).map_err(wrong)?;
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
    // The masks of all answers are worked out on the engine's one thread, and a schema is a stranger's.
    *factory.limits_mut() = ParserLimits {
        // Up to 2 KiB each.
        max_lexer_states: 20_000,
        verbose_errors: false,
        ..ParserLimits::default()
    };
    Ok(factory)
}

/// The first line of what llguidance says; the rest is for its developers.
fn in_short(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}

/// Words of a schema that have a number, and count or bound something.
const BOUNDS: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// The largest whole number that JSON's readers agree on.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Refuses bounds that no number of the wire could keep to; arithmetic with them overflows.
fn check_bounds(schema: &Value) -> Result<(), String> {
    for object in objects(schema) {
        for word in BOUNDS {
            let number = object.get(word).and_then(Value::as_f64);
            if number.is_some_and(|number| number.abs() > EXACT) {
                return Err(format!("its '{word}' is beyond 2^53"));
            }
        }
    }
    Ok(())
}

/// Every object in a value, itself included.
fn objects(value: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let mut open = vec![value];
    std::iter::from_fn(move || {
        loop {
            match open.pop()? {
                Value::Array(values) => open.extend(values),
                Value::Object(object) => {
                    open.extend(object.values());
                    return Some(object);
                }
                _ => {}
            }
        }
    })
}

/// Most remainders of all `multipleOf` in a schema together.
const REMAINDERS: u64 = 10_000;

/// Refuses multiples of large numbers. The automaton that follows one has a state for every remainder: a million
/// of them took the engine a minute and 300 MB. Where several hold at once, there is one for every combination.
fn check_multiples(schema: &Value) -> Result<(), String> {
    // The common multiple of all so far, in units of the last digit of all so far.
    let (mut all, mut digits) = (1_u64, 0_u32);
    let mut found = false;
    for object in objects(schema) {
        let number = object.get("multipleOf").and_then(Value::as_number);
        let Some(number) = number else { continue };
        let (one, places) = decimal(&number.to_string());
        let unit = |value: u64, from: u32| {
            let factor = 10_u64.checked_pow(digits.max(places) - from);
            value.saturating_mul(factor.unwrap_or(u64::MAX))
        };
        all = if found {
            common_multiple(unit(all, digits), unit(one, places))
        } else {
            one
        };
        digits = if found { digits.max(places) } else { places };
        found = true;
        if all > REMAINDERS {
            return Err(format!(
                "its numbers under 'multipleOf' have a common multiple over {REMAINDERS}, at {number}"
            ));
        }
    }
    Ok(())
}

/// A number without its decimal point, and how many digits were behind that. What cannot be said is as large as can
/// be.
fn decimal(number: &str) -> (u64, u32) {
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let mantissa = mantissa.trim_start_matches('-');
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    let behind = mantissa.split_once('.').map_or(0, |(_, rest)| rest.len());
    let places = (exponent.parse::<i64>().ok())
        .and_then(|exponent| i64::try_from(behind).ok()?.checked_sub(exponent))
        .and_then(|places| u32::try_from(places).ok());
    match (mantissa.replace('.', "").parse(), places) {
        (Ok(value), Some(places)) => (value, places),
        _ => (u64::MAX, 0),
    }
}

/// The least common multiple of two numbers above 0.
fn common_multiple(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a.max(1), b.max(1));
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a.max(1) / x).saturating_mul(b.max(1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_their_points() {
        assert_eq!(decimal("100"), (100, 0));
        assert_eq!(decimal("100.0"), (100, 0));
        assert_eq!(decimal("-0.25"), (25, 2));
        assert_eq!(decimal("1.5e-7"), (15, 8));
        assert_eq!(decimal("1e300"), (u64::MAX, 0));
    }

    #[test]
    fn multiples_of_large_numbers_are_refused_alone_and_together() {
        let all = |numbers: &[f64]| {
            let each = numbers.iter().map(|number| json!({"multipleOf": number}));
            check_multiples(&json!({"allOf": each.collect::<Vec<_>>()}))
        };
        for good in [
            &[0.01, 1.0][..],
            &[0.25; 8],
            &[5.0, 10.0, 60.0],
            &[1e-7],
            &[],
        ] {
            assert_eq!(all(good), Ok(()), "{good:?}");
        }
        for bad in [
            &[999_983.0][..],
            &[97.0, 89.0, 83.0],
            &[0.0001, 9999.0],
            &[1e300],
        ] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
    }
}
