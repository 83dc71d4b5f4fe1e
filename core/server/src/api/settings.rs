//! What chat and completion have in common: how the answer is chosen, and when it ends.

use serde_json::Value;
use tritone_engine::sample::Sampling;

use super::field::{Fields, whole};
use crate::{ApiError, Limits};

/// How an answer is to be written, whatever it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How tokens are chosen. Its seed is 0 unless [`seed`](Self::seed) has one.
    pub sampling: Sampling,
    /// The seed, if one was asked for.
    pub seed: Option<u64>,
    /// Most tokens, within the limits.
    pub max_tokens: usize,
    /// What was asked for, where that was more.
    pub asked_tokens: Option<usize>,
    /// Tokens before the answer may end.
    pub min_tokens: usize,
    /// Answers wanted.
    pub choices: usize,
    /// Strings that end an answer.
    pub stop: Vec<String>,
    /// Go on after the end of a turn.
    pub ignore_eos: bool,
    /// Whether and how the answer is streamed.
    pub stream: Option<Stream>,
}

/// How an answer is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Count tokens at the end.
    pub include_usage: bool,
    /// Count them in every chunk.
    pub continuous_usage: bool,
}

impl Settings {
    /// Reads all but what differs between the routes: `logprobs`.
    pub(super) fn parse(
        fields: &Fields<'_>,
        limits: &Limits,
        default: &Sampling,
    ) -> Result<Self, ApiError> {
        let (max_tokens, asked_tokens) = max_tokens(fields, limits)?;
        let min_tokens = fields.count("min_tokens", 0, usize::MAX)?.unwrap_or(0);
        if min_tokens > max_tokens {
            return Err(ApiError::invalid(
                "min_tokens",
                format!(
                    "'min_tokens' is {min_tokens}, more than the {max_tokens} tokens an answer may have"
                ),
            ));
        }
        let seed = fields.integer("seed", i64::MIN, i64::MAX)?;
        let seed = seed.map(i64::cast_unsigned);
        Ok(Self {
            sampling: Sampling {
                seed: seed.unwrap_or(0),
                ..sampling(fields, limits, default)?
            },
            seed,
            max_tokens,
            asked_tokens,
            min_tokens,
            choices: fields.count("n", 1, limits.choices)?.unwrap_or(1),
            stop: stop(fields, limits)?,
            ignore_eos: fields.bool("ignore_eos")?.unwrap_or(false),
            stream: stream(fields)?,
        })
    }

    /// The engine's sampling for answer `choice`; `seed` is taken where the request has none. Answers
    /// of one request have seeds one behind the other.
    #[must_use]
    pub fn sampling_of(&self, choice: usize, seed: u64) -> Sampling {
        let seed = self.seed.unwrap_or(seed);
        Sampling {
            seed: seed.wrapping_add(choice as u64),
            ..self.sampling.clone()
        }
    }

    /// Whether the same request gives the same answer every time.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.seed.is_some() || self.sampling.temperature == 0.0
    }
}

fn max_tokens(fields: &Fields<'_>, limits: &Limits) -> Result<(usize, Option<usize>), ApiError> {
    let old = fields.count("max_tokens", 1, usize::MAX)?;
    let new = fields.count("max_completion_tokens", 1, usize::MAX)?;
    let asked = match (old, new) {
        (Some(old), Some(new)) if old != new => {
            return Err(ApiError::invalid(
                "max_tokens",
                format!(
                    "'max_tokens' is {old} and 'max_completion_tokens' is {new}: send one of them"
                ),
            ));
        }
        (old, new) => new.or(old),
    };
    let granted = asked
        .unwrap_or(limits.output_tokens)
        .min(limits.output_tokens);
    Ok((granted, asked.filter(|asked| *asked > granted)))
}

fn sampling(
    fields: &Fields<'_>,
    limits: &Limits,
    default: &Sampling,
) -> Result<Sampling, ApiError> {
    let temperature = fields
        .number("temperature", 0.0, 100.0)?
        .unwrap_or(default.temperature);
    // Below this the engine's arithmetic would overflow, and the best token is what comes anyway.
    let temperature = if temperature < 0.001 {
        0.0
    } else {
        temperature
    };
    let top_p = fields.number("top_p", 0.0, 1.0)?;
    if top_p == Some(0.0) {
        return Err(ApiError::invalid(
            "top_p",
            "'top_p' has to be above 0; a temperature of 0 takes the best token",
        ));
    }
    let top_k = fields.integer("top_k", -1, i64::MAX)?;
    Ok(Sampling {
        temperature,
        top_p: top_p.unwrap_or(default.top_p),
        top_k: top_k.map_or(default.top_k, |k| {
            u32::try_from(k.max(0)).unwrap_or(u32::MAX)
        }),
        min_p: fields.number("min_p", 0.0, 1.0)?.unwrap_or(default.min_p),
        presence_penalty: fields
            .number("presence_penalty", -2.0, 2.0)?
            .unwrap_or(default.presence_penalty),
        frequency_penalty: fields
            .number("frequency_penalty", -2.0, 2.0)?
            .unwrap_or(default.frequency_penalty),
        repetition_penalty: fields
            .number("repetition_penalty", 0.01, 100.0)?
            .unwrap_or(default.repetition_penalty),
        logit_bias: logit_bias(fields, limits)?,
        ..default.clone()
    })
}

/// Beyond this a bias bans a token, or lets nothing else come, as OpenAI's documentation has it.
const STRONGEST: f32 = 100.0;

fn logit_bias(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<(u32, f32)>, ApiError> {
    let Some(value) = fields.get("logit_bias") else {
        return Ok(Vec::new());
    };
    let object = value
        .as_object()
        .ok_or_else(|| fields.wrong("logit_bias", "an object", value))?;
    if object.len() > limits.logit_bias {
        let text = format!(
            "'logit_bias' has {} entries; {} are allowed",
            object.len(),
            limits.logit_bias
        );
        return Err(ApiError::invalid("logit_bias", text));
    }
    let entry = |(token, bias): (&String, &Value)| {
        let token: Option<u32> = token.parse().ok();
        let bias = bias
            .as_f64()
            .map(|bias| bias as f32)
            .filter(|bias| bias.abs() <= STRONGEST);
        token.zip(bias).ok_or_else(|| {
            ApiError::invalid(
                "logit_bias",
                "'logit_bias' has to map token ids to numbers from -100 to 100",
            )
        })
    };
    let mut entries = object.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    // The order of an object is no part of a request.
    entries.sort_by_key(|(token, _)| *token);
    Ok(entries)
}

fn stop(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<String>, ApiError> {
    let expected = "a string, or an array of strings that are not empty";
    let wrong = |value| fields.wrong("stop", expected, value);
    let stops = match fields.get("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(value) => {
            let stops = value.as_array().ok_or_else(|| wrong(value))?;
            let stops = stops.iter().map(|stop| stop.as_str().map(str::to_owned));
            stops
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong(value))?
        }
    };
    if stops.len() > limits.stops {
        let text = format!(
            "'stop' has {} strings; {} are allowed",
            stops.len(),
            limits.stops
        );
        return Err(ApiError::invalid("stop", text));
    }
    match stops
        .iter()
        .find(|stop| stop.is_empty() || stop.len() > limits.stop_bytes)
    {
        Some(stop) if stop.is_empty() => {
            Err(ApiError::invalid("stop", "'stop' has an empty string"))
        }
        Some(stop) => Err(ApiError::invalid(
            "stop",
            format!(
                "'stop' has a string of {} bytes; {} are allowed",
                stop.len(),
                limits.stop_bytes
            ),
        )),
        None => Ok(stops),
    }
}

fn stream(fields: &Fields<'_>) -> Result<Option<Stream>, ApiError> {
    let options = match fields.get("stream_options") {
        None => Stream::default(),
        Some(value) => {
            let object = value
                .as_object()
                .ok_or_else(|| fields.wrong("stream_options", "an object", value))?;
            let flag = |name: &'static str| match object.get(name) {
                None | Some(Value::Null) => Ok(false),
                Some(value) => value.as_bool().ok_or_else(|| {
                    ApiError::invalid(
                        format!("stream_options.{name}"),
                        format!("'stream_options.{name}' has to be true or false"),
                    )
                }),
            };
            Stream {
                include_usage: flag("include_usage")?,
                continuous_usage: flag("continuous_usage_stats")?,
            }
        }
    };
    Ok(fields.bool("stream")?.unwrap_or(false).then_some(options))
}

/// Token ids out of an array of numbers.
pub(super) fn token_ids(values: &[Value]) -> Option<Vec<u32>> {
    let id = |value| whole(value).and_then(|id| u32::try_from(id).ok());
    values.iter().map(id).collect()
}
