//! Where a layout with fewer bits a weight wins.
//!
//! A product with one token waits for memory or for arithmetic, whichever is slower: with `b` bits a
//! weight, a read bandwidth of `R` bytes a second and an arithmetic rate of `A` weights a second (what
//! it reaches from cache) it goes through `min(A, 8 R / b)` weights a second. So a layout of fewer bits
//! wins while the other one waits for memory and its own arithmetic keeps up: as long as `R` is below
//! `min(A, A') * b' / 8`, with `'` for the larger layout.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::{Results, ShapeResults};

/// One kernel of a pair, on the shape with most weights. Rates in 10^9 weights a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) kernel: String,
    pub(super) bits_per_weight: f64,
    /// Measured from cache.
    pub(super) arithmetic: f64,
    /// What reading allows.
    pub(super) memory: f64,
    /// The smaller of the two.
    pub(super) expected: f64,
    /// Measured from memory.
    pub(super) measured: f64,
}

/// The fastest kernel of a layout with fewer bits against that of one with more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Smaller {
    pub(super) threads: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) read_gb_per_s: f64,
    pub(super) smaller: Side,
    pub(super) larger: Side,
    /// The smaller layout wins where reading is slower than this, GB/s.
    pub(super) wins_below_gb_per_s: f64,
}

/// Layouts whose bits differ by less are the same size.
const SAME: f64 = 0.02;

/// All pairs of layouts, by threads.
pub(super) fn pairs(results: &[Results]) -> Vec<Smaller> {
    let mut counts: Vec<usize> = results.iter().map(|results| results.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
        .into_iter()
        .flat_map(|threads| at(results, threads))
        .collect()
}

fn at(results: &[Results], threads: usize) -> Vec<Smaller> {
    let here: Vec<_> = results
        .iter()
        .filter(|one| one.threads == threads)
        .collect();
    // The limit of the machine, not of one kernel's loop.
    let reads = here.iter().filter_map(|one| one.read_gb_per_s.median());
    let Some(read) = reads.reduce(f64::max) else {
        return Vec::new();
    };
    let mut best: Vec<(Side, &ShapeResults)> = Vec::new();
    for one in here {
        let largest = one
            .shapes
            .iter()
            .max_by_key(|shape| shape.rows * shape.cols);
        let Some((side, shape)) = largest.and_then(|shape| Some((side(one, shape, read)?, shape)))
        else {
            continue;
        };
        let alike = |other: &Side| (other.bits_per_weight - side.bits_per_weight).abs() < SAME;
        match best.iter_mut().find(|(other, _)| alike(other)) {
            Some(known) if known.0.measured < side.measured => *known = (side, shape),
            Some(_) => {}
            None => best.push((side, shape)),
        }
    }
    best.sort_by(|a, b| a.0.bits_per_weight.total_cmp(&b.0.bits_per_weight));
    let pairs = best.iter().enumerate().flat_map(|(i, (smaller, shape))| {
        best[i + 1..].iter().map(move |(larger, _)| Smaller {
            threads,
            rows: shape.rows,
            cols: shape.cols,
            read_gb_per_s: read,
            smaller: smaller.clone(),
            larger: larger.clone(),
            wins_below_gb_per_s: smaller.arithmetic.min(larger.arithmetic) * larger.bits_per_weight
                / 8.0,
        })
    });
    pairs.collect()
}

fn side(results: &Results, shape: &ShapeResults, read: f64) -> Option<Side> {
    let bits = shape.bits_per_weight;
    let arithmetic = shape.cache.gmac_per_s.median()?;
    let memory = read * 8.0 / bits;
    Some(Side {
        kernel: results.kernel.clone(),
        bits_per_weight: bits,
        arithmetic,
        memory,
        expected: arithmetic.min(memory),
        measured: shape.memory.gmac_per_s.median()?,
    })
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = if self.arithmetic < self.memory {
            "arithmetic"
        } else {
            "memory"
        };
        write!(
            f,
            "{} at {:.2} bits: arithmetic {:.1}, memory {:.1}, so {:.1} ({limit}); measured {:.1}",
            self.kernel,
            self.bits_per_weight,
            self.arithmetic,
            self.memory,
            self.expected,
            self.measured
        )
    }
}

impl fmt::Display for Smaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (small, large) = (&self.smaller, &self.larger);
        let s = if self.threads == 1 { "" } else { "s" };
        let winner = if small.measured > large.measured {
            &small.kernel
        } else {
            &large.kernel
        };
        write!(
            f,
            "{} thread{s}, {}x{}, reading {:.1} GB/s (rates in 10^9 weights a second)\n  {small}\n  \
             {large}\n  {} wins where reading is slower than {:.1} GB/s = {:.1} x {:.2} / 8; here \
             {winner} wins, {:.2} to 1",
            self.threads,
            self.rows,
            self.cols,
            self.read_gb_per_s,
            small.kernel,
            self.wins_below_gb_per_s,
            small.arithmetic.min(large.arithmetic),
            large.bits_per_weight,
            small.measured.max(large.measured) / small.measured.min(large.measured),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Product;
    use super::*;
    use crate::cli::bench::stats::Measured;

    fn results(kernel: &str, threads: usize, bits: f64, cache: f64, memory: f64) -> Results {
        let one = |x: f64| Measured::new(vec![x]);
        let read = one(10.0 * threads as f64);
        let int8 = one(100.0);
        let product = |rate| Product::new(1, one(rate), bits, [&read, &int8]);
        let shape = |rows| ShapeResults {
            names: "x".to_owned(),
            rows,
            cols: 1000,
            bits_per_weight: bits,
            memory: product(memory),
            cache: product(cache),
            together: Vec::new(),
        };
        Results {
            kernel: kernel.to_owned(),
            threads,
            shapes: vec![shape(100), shape(200)],
            read_gb_per_s: read,
            int8_gmac_per_s: int8,
        }
    }

    #[test]
    fn the_fastest_of_each_size_are_held_against_each_other() {
        let all = [
            results("a", 1, 2.0, 60.0, 38.0),
            results("slow", 1, 2.0, 5.0, 5.0),
            results("b", 1, 1.6, 48.0, 44.0),
            results("a", 2, 2.0, 120.0, 70.0),
        ];
        let found = pairs(&all);
        let [pair] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((pair.threads, pair.rows), (1, 200));
        assert_eq!(
            (pair.smaller.kernel.as_str(), pair.larger.kernel.as_str()),
            ("b", "a")
        );
        // Memory gives 10 * 8 / 2 = 40 and 10 * 8 / 1.6 = 50; the arithmetic of b stops at 48.
        assert_eq!((pair.larger.expected, pair.smaller.expected), (40.0, 48.0));
        // 48 * 2 / 8: there a reads as fast as b multiplies.
        assert_eq!(pair.wins_below_gb_per_s, 12.0);
        insta::assert_snapshot!(pair.to_string());
    }

    #[test]
    fn nothing_is_said_of_one_size_or_without_reading() {
        let one = [
            results("a", 1, 2.0, 60.0, 38.0),
            results("b", 1, 2.01, 60.0, 38.0),
        ];
        assert!(pairs(&one).is_empty());
        let mut silent = [
            results("a", 1, 2.0, 60.0, 38.0),
            results("b", 1, 1.6, 60.0, 38.0),
        ];
        for results in &mut silent {
            results.read_gb_per_s = Measured::missing("no loop");
        }
        assert!(pairs(&silent).is_empty());
    }
}
