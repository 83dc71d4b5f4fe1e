//! What was measured of the ternary product, for people.

use std::fmt::Write as _;

use tritone_engine::human_bytes;

use super::report::{KernelReport, Product, Results};
use crate::cli::bench::compare;
use crate::cli::bench::table::{head, row, share, tail, ways};
use crate::cli::console::visible;

/// The report as text.
pub(super) fn text(report: &KernelReport) -> String {
    let mut out = String::new();
    head(&report.facts, &mut out);
    let settings = &report.settings;
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "measured  {} times in turn, {} ms each; {} of weights from memory, {} a thread from cache",
        settings.repeat,
        settings.milliseconds,
        human_bytes(settings.stream_bytes as u64),
        human_bytes(settings.cached_bytes),
    );
    for results in &report.results {
        group(results, &mut out);
    }
    if !report.smaller.is_empty() {
        out.push_str("\nLayouts of fewer bits against those of more:\n");
        for pair in &report.smaller {
            let _ = writeln!(out, "{}", visible(&pair.to_string()));
        }
    }
    tail(&report.facts, &mut out);
    if let Some(comparison) = &report.comparison {
        out.push_str(&compare::text(comparison));
    }
    out
}

fn group(results: &Results, out: &mut String) {
    let title = ways(&results.kernel, results.threads);
    let _ = writeln!(
        out,
        "\n{title:<32}{:>10}{:>10}{:>10}",
        "median", "min", "max"
    );
    row(out, "read", &results.read_gb_per_s, "GB/s", "");
    row(out, "int8 peak", &results.int8_gmac_per_s, "GMAC/s", "");
    for shape in &results.shapes {
        let _ = writeln!(
            out,
            "  {} x {} ({}), {:.2} bits a weight",
            shape.rows,
            shape.cols,
            visible(&shape.names),
            shape.bits_per_weight
        );
        let mut product = |name: &str, product: &Product, read: bool| {
            let mut shares = Vec::new();
            if read {
                shares.push(share(&product.share_of_read, "read"));
            }
            shares.push(share(&product.share_of_int8, "int8 peak"));
            let gb = product.gb_per_s.median();
            let gb = gb.map_or_else(String::new, |gb| format!("= {gb:.2} GB/s, "));
            let remark = format!("{gb}{}", shares.join(", "));
            row(out, name, &product.gmac_per_s, "GMAC/s", &remark);
        };
        product("  1 token, memory", &shape.memory, true);
        product("  1 token, cache", &shape.cache, false);
        for one in &shape.together {
            product(&format!("  {} tokens", one.tokens), one, false);
        }
    }
}
