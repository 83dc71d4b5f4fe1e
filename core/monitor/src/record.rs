//! Samples and events as lines of JSON.

use serde_json::{Map, Number, Value};

use crate::event::{Event, EventKind};
use crate::metric::Metric;
use crate::sample::Sample;

/// Whole numbers up to here are exact in binary64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A sample or an event.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all records are samples, and few are held at a time"
)]
pub enum Record {
    /// What was measured.
    Sample(Sample),
    /// What happened.
    Event(Event),
}

impl Record {
    /// When, in milliseconds since 1970.
    #[must_use]
    pub fn at(&self) -> u64 {
        match self {
            Self::Sample(sample) => sample.at,
            Self::Event(event) => event.at,
        }
    }

    /// As a JSON object on one line: `at` and `span_ms` in milliseconds, then every metric that is known,
    /// by name, and `cores`; or `at`, `event` and `text`.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// The same as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.object())
    }

    pub(crate) fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("at".to_owned(), self.at().into());
        match self {
            Self::Event(event) => {
                object.insert("event".to_owned(), event.kind.name().into());
                object.insert("text".to_owned(), event.text().into());
            }
            Self::Sample(sample) => {
                object.insert("span_ms".to_owned(), sample.span.into());
                for &metric in Metric::ALL {
                    if let Some(number) = sample.get(metric).and_then(number) {
                        object.insert(metric.name().to_owned(), Value::Number(number));
                    }
                }
                if !sample.cores().is_empty() {
                    object.insert("cores".to_owned(), sample.cores().into());
                }
            }
        }
        object
    }

    /// Reads such a line. Names it does not know are left out, so that a later version may add some.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn from_json(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Value::Object(object) = value else {
            return Err("expected an object".to_owned());
        };
        let whole = |name: &str| object.get(name).and_then(Value::as_u64);
        let at = whole("at").ok_or("expected \"at\", milliseconds since 1970")?;
        if let Some(kind) = object.get("event") {
            let kind = kind
                .as_str()
                .and_then(EventKind::named)
                .ok_or_else(|| format!("there is no event {kind}"))?;
            let text = object.get("text").and_then(Value::as_str).unwrap_or("");
            return Ok(Self::Event(Event::new(at, kind, text)));
        }
        let span = whole("span_ms").ok_or("expected \"span_ms\", a length in milliseconds")?;
        let mut sample = Sample::new(at, span);
        for &metric in Metric::ALL {
            let Some(value) = object.get(metric.name()) else {
                continue;
            };
            let value = value
                .as_f64()
                .filter(|value| *value >= 0.0)
                .ok_or_else(|| format!("expected {} to be a number from 0 on", metric.name()))?;
            sample.set(metric, value);
        }
        if let Some(cores) = object.get("cores") {
            let percent = |value: &Value| value.as_f64();
            let cores: Option<Vec<f64>> = cores
                .as_array()
                .and_then(|cores| cores.iter().map(percent).collect());
            sample.set_cores(cores.ok_or("expected cores to be a list of numbers")?);
        }
        Ok(Self::Sample(sample))
    }
}

/// The number as JSON has it: whole ones without a fraction.
fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && (0.0..EXACT).contains(&value) {
        Some(Number::from(value as u64))
    } else {
        Number::from_f64(value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_record() -> impl Strategy<Value = Record> {
        let sample = (
            any::<u64>(),
            any::<u64>(),
            prop::collection::vec(
                prop::option::of(prop_oneof![0.0..1e4_f64, 0.0..1e13_f64, any::<f64>()]),
                Metric::ALL.len(),
            ),
            prop::collection::vec(0.0..100.0_f64, 0..5),
        )
            .prop_map(|(at, span, values, cores)| {
                let mut sample = Sample::new(at, span);
                for (&metric, value) in Metric::ALL.iter().zip(values) {
                    // Beyond this a thousandth is finer than the number.
                    sample.set_known(metric, value.filter(|v| *v < 1e12));
                }
                sample.set_cores(cores);
                Record::Sample(sample)
            });
        let event = (
            any::<u64>(),
            0..EventKind::ALL.len(),
            "\\PC{0,30}|[\",\n;a]{0,9}",
        )
            .prop_map(|(at, kind, text)| {
                Record::Event(Event::new(at, EventKind::ALL[kind], &text))
            });
        prop_oneof![sample, event]
    }

    #[test]
    fn lines_look_like_this() {
        let mut sample = Sample::new(1_764_142_231_250, 1000);
        sample.set(Metric::Resident, 734_003_200.0);
        sample.set(Metric::DecodeRate, 31.25);
        sample.set_cores([97.0, 3.0]);
        let line = |record: Record| serde_json::from_str::<Value>(&record.to_json()).unwrap();
        assert_eq!(
            line(Record::Sample(sample)),
            serde_json::json!({
                "at": 1_764_142_231_250_u64,
                "span_ms": 1000,
                "resident_bytes": 734_003_200,
                "decode_tokens_per_second": 31.25,
                "cores": [97, 3],
            })
        );
        let event = Record::Event(Event::new(5, EventKind::Kernel, "avx2 \n lut"));
        assert!(!event.to_json().contains('\n'));
        assert_eq!(
            line(event),
            serde_json::json!({"at": 5, "event": "kernel", "text": "avx2 \n lut"})
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, why) in [
            ("[]", "expected an object"),
            ("{}", "expected \"at\""),
            ("{\"at\":-1}", "expected \"at\""),
            ("{\"at\":1}", "expected \"span_ms\""),
            (
                "{\"at\":1,\"event\":\"rain\"}",
                "there is no event \"rain\"",
            ),
            (
                "{\"at\":1,\"span_ms\":1,\"cpu_percent\":\"x\"}",
                "expected cpu_percent to be a number",
            ),
            (
                "{\"at\":1,\"span_ms\":1,\"cpu_percent\":-2}",
                "expected cpu_percent to be a number",
            ),
            (
                "{\"at\":1,\"span_ms\":1,\"cores\":{}}",
                "expected cores to be a list",
            ),
            ("{\"at\":1,\"span_ms\":1,\"cpu_pe", "EOF"),
        ] {
            let error = Record::from_json(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
        assert!(Record::from_json("{\"at\":1,\"span_ms\":1,\"new\":[]}").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(record in any_record()) {
            prop_assert_eq!(Record::from_json(&record.to_json()), Ok(record));
        }

        #[test]
        fn any_line_is_read_or_refused(line in "\\PC{0,60}|\\{\"at\":[0-9]{0,30},\"span_ms\":[-0-9.e]{0,9}\\}") {
            if let Ok(record) = Record::from_json(&line) {
                prop_assert_eq!(Record::from_json(&record.to_json()), Ok(record));
            }
        }
    }
}
