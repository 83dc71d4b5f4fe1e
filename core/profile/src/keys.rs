//! The settings of a profile: names, ranges, environment variables.

use serde::Serialize;
use toml::Value;

use crate::schema::{Head, KvType, Priority};

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Name in TOML; settings in a table are written `table.name`.
    pub name: &'static str,
    /// What values are possible.
    pub kind: Kind,
    /// Environment variable that sets it, if any.
    pub env: Option<&'static str>,
    /// When a change of it holds in a running program.
    pub applies: Applies,
    /// One sentence about it.
    pub help: &'static str,
}

/// When a changed setting holds in a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Applies {
    /// At once, between two tokens of a running answer.
    AtOnce,
    /// When a running answer has ended, as it would alter that; weights stay as they are.
    AfterAnswer,
    /// When a model is loaded next.
    NextLoad,
    /// When a server starts; a conversation does not use it.
    Server,
}

impl Applies {
    /// All of them, the soonest first.
    pub const ALL: [Self; 4] = [
        Self::AtOnce,
        Self::AfterAnswer,
        Self::NextLoad,
        Self::Server,
    ];

    /// For people, to follow "a change holds".
    pub fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::AfterAnswer => "after the running answer",
            Self::NextLoad => "when a model is loaded next",
            Self::Server => "for servers only",
        }
    }
}

/// The possible values of a setting; bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number.
    Whole {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number with or without a fraction.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// Text on one line.
    Text {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// A list of texts.
    Texts {
        /// Most texts.
        count: usize,
        /// Most characters of each.
        max: usize,
    },
}

const fn whole(min: i64, max: i64) -> Kind {
    Kind::Whole { min, max }
}

const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 64 TiB in MiB.
const MAX_MEMORY_MB: i64 = 64 << 20;

/// Every setting, in the order in which they are explained.
pub const KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text { min: 1, max: 64 },
        env: None,
        applies: Applies::AtOnce,
        help: "Name shown in the status line.",
    },
    Key {
        name: "description",
        kind: Kind::Text { min: 0, max: 300 },
        env: None,
        applies: Applies::AtOnce,
        help: "One sentence about the profile.",
    },
    Key {
        name: "threads",
        kind: whole(1, 1024),
        env: Some("TRITONE_THREADS"),
        applies: Applies::AtOnce,
        help: "Worker threads; more than the CPU quota allows are lowered to it, and that is said.",
    },
    Key {
        name: "memory_mb",
        kind: whole(64, MAX_MEMORY_MB),
        env: Some("TRITONE_MEMORY_MB"),
        applies: Applies::AtOnce,
        help: "Limit on the resident memory of the process, in MiB; what does not fit is refused before loading.",
    },
    Key {
        name: "priority",
        kind: Kind::Word(Priority::WORDS),
        env: Some("TRITONE_PRIORITY"),
        applies: Applies::AtOnce,
        help: "What to favour: a quick answer, work per watt, total speed, or steady service for many.",
    },
    Key {
        name: "batch",
        kind: whole(1, 4096),
        env: Some("TRITONE_BATCH"),
        applies: Applies::Server,
        help: "Sequences decoded together; left out, max(1, (memory_mb - 400) / 50).",
    },
    Key {
        name: "context",
        kind: whole(16, 1 << 20),
        env: Some("TRITONE_CTX"),
        applies: Applies::AfterAnswer,
        help: "Longest context of one sequence, in tokens; models with a shorter window use theirs.",
    },
    Key {
        name: "kv_type",
        kind: Kind::Word(KvType::WORDS),
        env: Some("TRITONE_KV_TYPE"),
        applies: Applies::AfterAnswer,
        help: "Element type of the KV cache: q8 takes half the memory of f16 and changes answers slightly, f32 takes twice.",
    },
    Key {
        name: "head",
        kind: Kind::Word(Head::WORDS),
        env: Some("TRITONE_HEAD"),
        applies: Applies::AfterAnswer,
        help: "Element type of the output head: f16 is the reference, smaller types read less memory per token; auto is ternary where the model stores it so, else f16.",
    },
    Key {
        name: "kernel",
        kind: Kind::Text { min: 1, max: 64 },
        env: Some("TRITONE_KERNEL"),
        applies: Applies::AtOnce,
        help: "Kernel to prefer by name, or auto for the best one this processor can run.",
    },
    Key {
        name: "pack_cache",
        kind: Kind::Text { min: 1, max: 4096 },
        env: Some("TRITONE_PACK_CACHE"),
        applies: Applies::NextLoad,
        help: "Where packed weights are kept for the next start: auto, off, or a directory.",
    },
    Key {
        name: "mlock",
        kind: Kind::Switch,
        env: Some("TRITONE_MLOCK"),
        applies: Applies::NextLoad,
        help: "Lock weights, head and KV cache into memory, so that they are never swapped out.",
    },
    Key {
        name: "prefill_chunk",
        kind: whole(1, 65536),
        env: Some("TRITONE_PREFILL_CHUNK"),
        applies: Applies::AtOnce,
        help: "Prompt tokens worked through between two decode steps.",
    },
    Key {
        name: "inter_token_target_ms",
        kind: whole(1, 60_000),
        env: Some("TRITONE_INTER_TOKEN_TARGET_MS"),
        applies: Applies::AtOnce,
        help: "Time between two tokens of a running answer that prefill should not exceed, in milliseconds.",
    },
    Key {
        name: "admission.queue_max",
        kind: whole(0, 1 << 20),
        env: Some("TRITONE_QUEUE_MAX"),
        applies: Applies::Server,
        help: "Requests that may wait.",
    },
    Key {
        name: "admission.queued_tokens_max",
        kind: whole(16, 1 << 40),
        env: Some("TRITONE_QUEUED_TOKENS_MAX"),
        applies: Applies::Server,
        help: "Prompt and answer tokens that all waiting requests together may ask for.",
    },
    Key {
        name: "admission.max_output_tokens",
        kind: whole(1, 1 << 20),
        env: Some("TRITONE_MAX_OUTPUT_TOKENS"),
        applies: Applies::Server,
        help: "Longest answer of one request, in tokens.",
    },
    Key {
        name: "admission.queue_timeout_ms",
        kind: whole(1, DAY_MS),
        env: Some("TRITONE_QUEUE_TIMEOUT_MS"),
        applies: Applies::Server,
        help: "Longest wait in the queue, in milliseconds.",
    },
    Key {
        name: "monitor.interval_ms",
        kind: whole(100, 60_000),
        env: Some("TRITONE_MONITOR_INTERVAL_MS"),
        applies: Applies::AtOnce,
        help: "Time between two samples of the monitor, in milliseconds.",
    },
    Key {
        name: "alerts.memory_mb",
        kind: whole(1, MAX_MEMORY_MB),
        env: Some("TRITONE_ALERT_MEMORY_MB"),
        applies: Applies::AtOnce,
        help: "Alert when resident memory is above this many MiB.",
    },
    Key {
        name: "alerts.cpu_percent",
        kind: number(0.0, 100.0),
        env: Some("TRITONE_ALERT_CPU_PERCENT"),
        applies: Applies::AtOnce,
        help: "Alert when CPU use of the allowed processors is above this percentage.",
    },
    Key {
        name: "alerts.min_tokens_per_second",
        kind: number(0.0, 1e6),
        env: Some("TRITONE_ALERT_MIN_TOKENS_PER_SECOND"),
        applies: Applies::AtOnce,
        help: "Alert when an answer is decoded at fewer tokens per second.",
    },
    Key {
        name: "alerts.error_rate_percent",
        kind: number(0.0, 100.0),
        env: Some("TRITONE_ALERT_ERROR_RATE_PERCENT"),
        applies: Applies::AtOnce,
        help: "Alert when more than this percentage of requests fail.",
    },
    Key {
        name: "alerts.latency_ms",
        kind: whole(1, DAY_MS),
        env: Some("TRITONE_ALERT_LATENCY_MS"),
        applies: Applies::AtOnce,
        help: "Alert when the first token takes longer, in milliseconds.",
    },
    Key {
        name: "tips",
        kind: Kind::Texts {
            count: 32,
            max: 300,
        },
        env: None,
        applies: Applies::AtOnce,
        help: "Advice shown with the profile.",
    },
];

/// The setting of that name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Kind {
    /// Says what is possible, to follow "expected".
    pub fn expected(self) -> String {
        match self {
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Word(words) if words.len() == 1 => format!("\"{}\"", words.concat()),
            Self::Word(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::Switch => "true or false".to_owned(),
            Self::Text { min, max } => {
                format!("text of {min} to {max} characters without control characters")
            }
            Self::Texts { count, max } => format!(
                "a list of at most {count} texts of at most {max} characters without control \
                 characters"
            ),
        }
    }

    /// The value, if it is possible; whole numbers are accepted where fractions are.
    pub(crate) fn accept(self, value: Value) -> Option<Value> {
        let fits = match (self, &value) {
            (Self::Whole { min, max }, Value::Integer(n)) => (min..=max).contains(n),
            (Self::Number { min, max }, Value::Float(x)) => (min..=max).contains(x),
            (Self::Number { .. }, Value::Integer(n)) => {
                return self.accept(Value::Float(*n as f64));
            }
            (Self::Word(words), Value::String(word)) => words.contains(&word.as_str()),
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Text { min, max }, Value::String(text)) => is_text(text, min, max),
            (Self::Texts { count, max }, Value::Array(items)) => {
                items.len() <= count
                    && items
                        .iter()
                        .all(|item| item.as_str().is_some_and(|text| is_text(text, 1, max)))
            }
            _ => false,
        };
        fits.then_some(value)
    }

    /// Reads the value as the environment and flags write it; texts of a list are lines.
    ///
    /// Text that is not of this kind stays text, and [`accept`](Self::accept) refuses it.
    pub(crate) fn read(self, text: &str) -> Value {
        let trimmed = text.trim();
        let parsed = match self {
            Self::Whole { .. } => trimmed.parse().ok().map(Value::Integer),
            Self::Number { .. } => trimmed.parse().ok().map(Value::Float),
            Self::Switch => trimmed.parse().ok().map(Value::Boolean),
            Self::Word(_) | Self::Text { .. } => None,
            Self::Texts { .. } => Some(Value::Array(
                text.lines()
                    .map(|line| Value::String(line.to_owned()))
                    .collect(),
            )),
        };
        parsed.unwrap_or_else(|| Value::String(trimmed.to_owned()))
    }
}

/// Control characters are refused because names and tips are printed on a terminal.
fn is_text(text: &str, min: usize, max: usize) -> bool {
    let fits = text.chars().take(max + 1).count();
    (min..=max).contains(&fits) && !text.chars().any(char::is_control)
}
