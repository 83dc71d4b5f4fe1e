//! What was measured of the ternary product, as data.

use serde::{Deserialize, Serialize};

use super::smaller::Smaller;
use crate::cli::bench::compare::Comparison;
use crate::cli::bench::report::Facts;
use crate::cli::bench::rows::{Document, Row};
use crate::cli::bench::stats::Measured;
use crate::cli::bench::table::ways;

/// The ternary product of kernels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KernelReport {
    pub(super) schema: String,
    #[serde(flatten)]
    pub(super) facts: Facts,
    pub(super) settings: Settings,
    /// One entry for every kernel and number of threads.
    pub(super) results: Vec<Results>,
    /// Where a layout with fewer bits wins, and why.
    pub(super) smaller: Vec<Smaller>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comparison: Option<Comparison>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) threads: Vec<usize>,
    pub(super) tokens: Vec<usize>,
    pub(super) repeat: usize,
    pub(super) milliseconds: u64,
    /// Bytes of weights that the products from memory go through.
    pub(super) stream_bytes: usize,
    /// Bytes of weights of each thread in the products from cache.
    pub(super) cached_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) kernel: String,
    pub(super) threads: usize,
    /// Best streaming read, GB/s.
    pub(super) read_gb_per_s: Measured,
    /// Int8 multiply-adds on registers, 10^9/s.
    pub(super) int8_gmac_per_s: Measured,
    pub(super) shapes: Vec<ShapeResults>,
}

/// The products with a matrix of one shape.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShapeResults {
    /// The matrices of a layer that have it.
    pub(super) names: String,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Packed bytes times 8 by weights.
    pub(super) bits_per_weight: f64,
    /// One token, weights from memory.
    pub(super) memory: Product,
    /// One token, weights from the cache nearest to the thread that holds them.
    pub(super) cache: Product,
    /// Several tokens, weights from memory.
    pub(super) together: Vec<Product>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) tokens: usize,
    pub(super) gmac_per_s: Measured,
    /// Of packed weights.
    pub(super) gb_per_s: Measured,
    /// Of the streaming read measured in the same repetition.
    pub(super) share_of_read: Measured,
    /// Of the int8 peak measured in the same repetition.
    pub(super) share_of_int8: Measured,
}

impl Product {
    pub(super) fn new(tokens: usize, gmac: Measured, bits: f64, limits: [&Measured; 2]) -> Self {
        let gb = gmac.scaled(bits / 8.0 / tokens as f64);
        Self {
            tokens,
            share_of_read: gb.share_of(limits[0]),
            share_of_int8: gmac.share_of(limits[1]),
            gmac_per_s: gmac,
            gb_per_s: gb,
        }
    }
}

impl Document for KernelReport {
    const SCHEMA: &'static str = "tritone-bench-kernels/1";
    const COMMAND: &'static str = "tritone bench kernels --json FILE";

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("time", format!("{} ms", self.settings.milliseconds))]
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for results in &self.results {
            let way = ways(&results.kernel, results.threads);
            let mut add = |name: String, unit, measured: &Measured| {
                rows.push(Row::new(&way, name, unit, measured));
            };
            add("read".to_owned(), "GB/s", &results.read_gb_per_s);
            add("int8 peak".to_owned(), "GMAC/s", &results.int8_gmac_per_s);
            for shape in &results.shapes {
                let size = format!("{}x{}", shape.rows, shape.cols);
                let rate = &shape.memory.gmac_per_s;
                add(format!("{size} from memory"), "GMAC/s", rate);
                add(
                    format!("{size} from cache"),
                    "GMAC/s",
                    &shape.cache.gmac_per_s,
                );
                for product in &shape.together {
                    let name = format!("{size}, {} tokens", product.tokens);
                    add(name, "GMAC/s", &product.gmac_per_s);
                }
            }
        }
        rows
    }
}
