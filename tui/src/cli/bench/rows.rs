//! A report as lines that can be held against those of another one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::compare::{Comparison, compare};
use super::report::{Facts, Report, Results};
use super::stats::Measured;
use super::table::title;
use crate::cli::console::visible;
use crate::cli::failure::Usage;

/// One number of a report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// How the model ran: `2 threads, avx2, f16 head`.
    pub(super) way: String,
    /// What was measured: `decode at 0`.
    pub(super) name: String,
    pub(super) unit: &'static str,
    /// Times are better when they are short.
    pub(super) less_is_better: bool,
    pub(super) measured: Measured,
}

impl Row {
    pub(super) fn new(way: &str, name: String, unit: &'static str, measured: &Measured) -> Self {
        Self {
            way: way.to_owned(),
            name,
            unit,
            less_is_better: unit == "ms",
            measured: measured.clone(),
        }
    }
}

/// A kind of report.
pub(super) trait Document: DeserializeOwned {
    /// What it is called in its files; the number grows when the meaning of a field changes.
    const SCHEMA: &'static str;
    /// What writes one.
    const COMMAND: &'static str;

    fn facts(&self) -> &Facts;

    /// Settings that change what the numbers mean, and that the names of the rows do not say.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// The numbers, in their order.
    fn rows(&self) -> Vec<Row>;
}

impl Document for Report {
    const SCHEMA: &'static str = "tritone-bench/2";
    const COMMAND: &'static str = "tritone bench --json FILE";

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("generated tokens", self.settings.generate.to_string()),
            ("prefill chunk", self.settings.prefill_chunk.to_string()),
        ]
    }

    fn rows(&self) -> Vec<Row> {
        self.results.iter().flat_map(rows).collect()
    }
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    let way = title(&results.kernel, &results.head, results.threads);
    let mut add = |name: String, unit, measured: &Measured| {
        rows.push(Row::new(&way, name, unit, measured));
    };
    add("read".to_owned(), "GB/s", &results.read_gb_per_s);
    add("int8 peak".to_owned(), "GMAC/s", &results.int8_gmac_per_s);
    if let Some(prefill) = &results.prefill {
        let name = format!("prefill {}", prefill.tokens);
        add(name, "tok/s", &prefill.tokens_per_s);
    }
    for decode in &results.decode {
        let name = format!("decode at {}", decode.context);
        add(name, "tok/s", &decode.tokens_per_s);
    }
    for batch in &results.batch {
        let name = format!("decode of {} at {}", batch.sequences, batch.context);
        add(name, "tok/s", &batch.tokens_per_s);
    }
    if let Some(mixed) = &results.mixed {
        for (what, gaps) in [("alone", &mixed.alone), ("reading", &mixed.reading)] {
            for (part, measured) in [("p50", &gaps.p50_ms), ("p95", &gaps.p95_ms)] {
                let name = format!("gap {part} of {} {what}", mixed.decoders);
                add(name, "ms", measured);
            }
        }
    }
    rows
}

/// An earlier report, and where it was.
pub(super) struct Earlier<T> {
    with: String,
    report: T,
}

impl<T: Document> Earlier<T> {
    /// Holds `now` against it.
    pub(super) fn against(&self, now: &T) -> Comparison {
        compare(now, &self.report, &self.with)
    }
}

/// Reads the report to compare with, if one is named.
///
/// # Errors
/// As for [`read`].
pub(super) fn earlier<T: Document>(path: Option<&Path>) -> anyhow::Result<Option<Earlier<T>>> {
    let earlier = |path: &Path| {
        Ok(Earlier {
            with: path.display().to_string(),
            report: read(path)?,
        })
    };
    path.map(earlier).transpose()
}

/// Longest report that is read: a thousand times the usual.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a report that `--json` wrote.
///
/// # Errors
/// When the file cannot be read, is no such report, or is one of another version; what was expected
/// and what came.
pub(super) fn read<T: Document>(path: &Path) -> anyhow::Result<T> {
    let shown = path.display().to_string();
    let shown = visible(&shown);
    let wrong = |why: String| {
        Usage(format!(
            "{shown} is no report that can be used here: {why}; `{}` writes one",
            T::COMMAND
        ))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("it is longer than {} MiB", MAX_BYTES >> 20)).into());
    }
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if head.schema != T::SCHEMA {
        let found = visible(&head.schema).into_owned();
        return Err(wrong(format!("its schema is '{found}', expected '{}'", T::SCHEMA)).into());
    }
    Ok(serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?)
}
