//! The settings of a profile: names, ranges, environment variables.

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

const fn key(name: &'static str, kind: Kind, env: Option<&'static str>) -> Key {
    Key { name, kind, env }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 64 TiB in MiB.
const MAX_MEMORY_MB: i64 = 64 << 20;

/// Every setting, in the order in which they are explained.
pub const KEYS: &[Key] = &[
    key("name", Kind::Text { min: 1, max: 64 }, None),
    key("description", Kind::Text { min: 0, max: 300 }, None),
    key("threads", whole(1, 1024), Some("TRITONE_THREADS")),
    key(
        "memory_mb",
        whole(64, MAX_MEMORY_MB),
        Some("TRITONE_MEMORY_MB"),
    ),
    key(
        "priority",
        Kind::Word(Priority::WORDS),
        Some("TRITONE_PRIORITY"),
    ),
    key("batch", whole(1, 4096), Some("TRITONE_BATCH")),
    key("context", whole(16, 1 << 20), Some("TRITONE_CTX")),
    key(
        "kv_type",
        Kind::Word(KvType::WORDS),
        Some("TRITONE_KV_TYPE"),
    ),
    key("head", Kind::Word(Head::WORDS), Some("TRITONE_HEAD")),
    key(
        "kernel",
        Kind::Text { min: 1, max: 64 },
        Some("TRITONE_KERNEL"),
    ),
    key(
        "pack_cache",
        Kind::Text { min: 1, max: 4096 },
        Some("TRITONE_PACK_CACHE"),
    ),
    key("mlock", Kind::Switch, Some("TRITONE_MLOCK")),
    key(
        "prefill_chunk",
        whole(1, 65536),
        Some("TRITONE_PREFILL_CHUNK"),
    ),
    key(
        "inter_token_target_ms",
        whole(1, 60_000),
        Some("TRITONE_INTER_TOKEN_TARGET_MS"),
    ),
    key(
        "admission.queue_max",
        whole(0, 1 << 20),
        Some("TRITONE_QUEUE_MAX"),
    ),
    key(
        "admission.queued_tokens_max",
        whole(16, 1 << 40),
        Some("TRITONE_QUEUED_TOKENS_MAX"),
    ),
    key(
        "admission.max_output_tokens",
        whole(1, 1 << 20),
        Some("TRITONE_MAX_OUTPUT_TOKENS"),
    ),
    key(
        "admission.queue_timeout_ms",
        whole(1, DAY_MS),
        Some("TRITONE_QUEUE_TIMEOUT_MS"),
    ),
    key(
        "alerts.memory_mb",
        whole(1, MAX_MEMORY_MB),
        Some("TRITONE_ALERT_MEMORY_MB"),
    ),
    key(
        "alerts.cpu_percent",
        number(0.0, 100.0),
        Some("TRITONE_ALERT_CPU_PERCENT"),
    ),
    key(
        "alerts.min_tokens_per_second",
        number(0.0, 1e6),
        Some("TRITONE_ALERT_MIN_TOKENS_PER_SECOND"),
    ),
    key(
        "alerts.error_rate_percent",
        number(0.0, 100.0),
        Some("TRITONE_ALERT_ERROR_RATE_PERCENT"),
    ),
    key(
        "alerts.latency_ms",
        whole(1, DAY_MS),
        Some("TRITONE_ALERT_LATENCY_MS"),
    ),
    key(
        "tips",
        Kind::Texts {
            count: 32,
            max: 300,
        },
        None,
    ),
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
