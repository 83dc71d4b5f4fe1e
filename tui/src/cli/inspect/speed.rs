//! How fast a model can be expected to be here: what a token reads and multiplies, over what this
//! machine reads and multiplies in a second.

use std::path::Path;

use serde_json::{Value, json};
use tritone_abi::Kernel;
use tritone_engine::{MemoryPlan, Recipe, human_bytes};
use tritone_machine::Machine;

use crate::cli::date::date;
use crate::cli::reach::{self, Reach};
use crate::view::format;

/// Models that read less for a token lie in caches, where other things decide.
const LEAST_BYTES: u64 = 64 << 20;

/// Share of the bound that is usually reached (docs/performance.md): decoding, and reading a prompt.
const DECODE: [f64; 2] = [0.6, 0.9];
const PREFILL: [f64; 2] = [0.7, 0.9];

/// What a token takes, and what the machine gives.
pub(super) struct Speed {
    /// Bytes of weights and head.
    bytes: u64,
    /// Bytes of keys and values at the end of the context.
    kv: u64,
    context: usize,
    /// Multiply-adds with ternary weights, and those of the head besides.
    ternary: u64,
    head: u64,
    rows: Vec<Reach>,
    /// What there is to say about the file that measurements are kept in.
    pub(super) note: Option<String>,
}

/// Why there is no expectation.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSpeed {
    #[error("the model lies in the caches, where memory is no limit; `tritone bench` measures it")]
    Small,
    #[error("{0}")]
    Failed(String),
}

impl Speed {
    /// What is known of this machine, or is measured for about half a second, with one thread and with
    /// `threads`; `kept` is the file that measurements are kept in.
    pub(super) fn measure(
        plan: &MemoryPlan,
        recipe: &Recipe,
        context: usize,
        kernel: &dyn Kernel,
        (machine, threads): (&Machine, usize),
        kept: Option<&Path>,
    ) -> Result<Self, NoSpeed> {
        let bytes = plan.weights_read(1) + plan.head_read;
        if bytes < LEAST_BYTES {
            return Err(NoSpeed::Small);
        }
        let (rows, note) =
            reach::known_or_measured(kept, kernel, machine, threads).map_err(NoSpeed::Failed)?;
        Ok(Self {
            bytes,
            kv: plan.kv,
            context,
            ternary: recipe.ternary_macs(),
            head: recipe.vocab as u64 * recipe.hidden as u64,
            rows,
            note,
        })
    }

    /// Tokens a second that one sequence cannot exceed: memory has to be read, and all weights be
    /// multiplied with.
    fn decode(&self, row: &Reach, kv: u64) -> f64 {
        let read = row.read / (self.bytes + kv).max(1) as f64;
        read.min(row.macs / (self.ternary + self.head).max(1) as f64)
    }

    /// Tokens a second of a prompt that cannot be exceeded. The head is needed for the last one only.
    fn prefill(&self, row: &Reach) -> f64 {
        row.macs / self.ternary.max(1) as f64
    }

    /// For people, without a label.
    pub(super) fn lines(&self) -> Vec<String> {
        let gmac = |macs: u64| format!("{:.2} GMAC", macs as f64 / 1e9);
        let range = |bound: f64, [low, high]: [f64; 2]| {
            format!(
                "{} to {}",
                format::rate(bound * low),
                format::rate(bound * high)
            )
        };
        let mut lines = vec![format!(
            "a token of an answer reads {} and takes {}; one of a prompt takes {}",
            human_bytes(self.bytes),
            gmac(self.ternary + self.head),
            gmac(self.ternary)
        )];
        for row in &self.rows {
            let s = if row.threads == 1 { "" } else { "s" };
            let (decode, prefill) = (self.decode(row, 0), self.prefill(row));
            lines.push(format!(
                "{} thread{s}, measured on {}: {:.1} GB/s, {:.0} GMAC/s of int8",
                row.threads,
                date(row.unix_time),
                row.read / 1e9,
                row.macs / 1e9
            ));
            lines.push(format!(
                "  answers at most {} tok/s, expected {}; at most {} behind {} tokens",
                format::rate(decode),
                range(decode, DECODE),
                format::rate(self.decode(row, self.kv)),
                self.context
            ));
            lines.push(format!(
                "  prompts at most {} tok/s, expected {}",
                format::rate(prefill),
                range(prefill, PREFILL)
            ));
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let row = |row: &Reach| {
            let (decode, prefill) = (self.decode(row, 0), self.prefill(row));
            json!({
                "threads": row.threads,
                "measured_unix_time": row.unix_time,
                "read_bytes_per_second": row.read,
                "int8_macs_per_second": row.macs,
                "decode_bound": decode,
                "decode_bound_at_context": self.decode(row, self.kv),
                "decode_expected": DECODE.map(|share| share * decode),
                "prefill_bound": prefill,
                "prefill_expected": PREFILL.map(|share| share * prefill),
            })
        };
        json!({
            "bytes_per_token": self.bytes,
            "kv_bytes_at_context": self.kv,
            "context": self.context,
            "ternary_macs_per_token": self.ternary,
            "head_macs_per_token": self.head,
            "threads": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_follow_from_what_a_token_takes() {
        let speed = Speed {
            bytes: 790 << 20,
            kv: 300 << 20,
            context: 4096,
            ternary: 2_084_000_000,
            head: 328_000_000,
            rows: [(1, 30e9, 450e9), (2, 50e9, 40e9)]
                .map(|(threads, read, macs)| Reach {
                    threads,
                    read,
                    macs,
                    unix_time: 1_795_392_000,
                })
                .into(),
            note: None,
        };
        insta::assert_snapshot!(speed.lines().join("\n"));
        let json = speed.json();
        let decode = json["threads"][0]["decode_bound"].as_f64().unwrap();
        assert!((decode - 30e9 / f64::from(790 << 20)).abs() < 1e-9);
        // Slow multiplications are a limit, too.
        let slow = json["threads"][1]["decode_bound"].as_f64().unwrap();
        assert!((slow - 40e9 / 2_412_000_000.0).abs() < 1e-9);
    }

    #[test]
    fn this_machine_is_measured_for_models_beyond_its_caches() {
        use tritone_engine::{Capacity, Forms, Model};
        let model = Model::open(&crate::cli::setup::source(None)).unwrap();
        let registry = crate::cli::setup::registry(&Default::default());
        let kernel = registry.best().unwrap();
        let (recipe, machine) = (model.recipe(), Machine::detect());
        let capacity = Capacity::new(256, 1, 64);
        let plan = MemoryPlan::new(recipe, &*kernel, 2, capacity, Forms::default(), None);
        let mut plan = plan.unwrap();
        let measure = |plan: &MemoryPlan, threads| {
            Speed::measure(plan, recipe, 256, &*kernel, (&machine, threads), None)
        };
        assert!(matches!(measure(&plan, 1), Err(NoSpeed::Small)));
        plan.weights = 1 << 30;
        for (threads, expected) in [(1, [1].as_slice()), (2, &[1, 2])] {
            let speed = measure(&plan, threads).unwrap();
            let counts: Vec<_> = speed.rows.iter().map(|row| row.threads).collect();
            assert_eq!(counts, expected);
            assert!(
                speed
                    .rows
                    .iter()
                    .all(|row| row.read > 0.0 && row.macs > 0.0)
            );
        }
    }
}
