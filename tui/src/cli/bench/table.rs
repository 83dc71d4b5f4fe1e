//! What was measured, for people.

use std::fmt::Write as _;

use tritone_engine::human_bytes;

use super::report::{Measured, Report, Results};
use crate::cli::console::visible;

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    head(report, &mut out);
    for results in &report.results {
        group(results, &mut out);
    }
    let notes = report
        .notes
        .iter()
        .map(|note| format!("\nnote: {}", visible(note)));
    out.extend(notes);
    if report.interrupted {
        out.push_str("\nnote: interrupted; only what had been measured is shown");
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn head(report: &Report, out: &mut String) {
    let Report {
        machine,
        kernel,
        model,
        settings,
        ..
    } = report;
    let caches: Vec<String> = machine.caches.iter().map(ToString::to_string).collect();
    let million = model.parameters as f64 / 1e6;
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "tritone   {}\nmachine   {} ({}), {} cores, {} CPUs; {}\nkernel    {} {} (build {}), {}, \
         layout {}\nmodel     {} from {}: {} layers of {}, {million:.0} M parameters\nweights   \
         {} ternary, {} head ({}), {} read buffer\n",
        report.tritone,
        visible(&machine.cpu),
        machine.arch,
        machine.physical_cores,
        machine.logical_cpus,
        caches.join(", "),
        visible(&kernel.name),
        visible(&kernel.version),
        visible(&kernel.build_id),
        visible(&kernel.isa),
        kernel.layout,
        visible(&model.name),
        visible(&model.source),
        model.layers,
        model.hidden,
        human_bytes(model.weights_bytes),
        human_bytes(model.head_bytes),
        model.head_format,
        human_bytes(settings.read_buffer_bytes as u64),
    );
}

fn group(results: &Results, out: &mut String) {
    let s = if results.threads == 1 { "" } else { "s" };
    let title = format!("{} thread{s}", results.threads);
    let _ = writeln!(
        out,
        "\n{title:<18}{:>10}{:>10}{:>10}",
        "median", "min", "max"
    );
    let mut row = |name: &str, measured: &Measured, unit: &str, remark: &str| {
        let _ = match measured {
            Measured::Samples {
                median, min, max, ..
            } => {
                let row =
                    format!("  {name:<16}{median:>10.1}{min:>10.1}{max:>10.1} {unit:<7} {remark}");
                writeln!(out, "{}", row.trim_end())
            }
            Measured::Missing { missing } => {
                writeln!(out, "  {name:<16}{:>10} {}", "n/a", visible(missing))
            }
        };
    };
    let prefetch = match results.best_prefetch_bytes.last() {
        None => String::new(),
        Some(0) => "without prefetch".to_owned(),
        Some(bytes) => format!("prefetching {bytes} bytes ahead"),
    };
    row("read", &results.read_gb_per_s, "GB/s", &prefetch);
    row("int8 peak", &results.int8_gmac_per_s, "GMAC/s", "");
    let prefill = &results.prefill;
    let name = format!("prefill {}", prefill.tokens);
    let remark = remark(
        &prefill.gmac_per_s,
        "GMAC/s",
        &prefill.share_of_int8,
        "int8 peak",
    );
    row(&name, &prefill.tokens_per_s, "tok/s", &remark);
    for decode in &results.decode {
        let name = format!("decode at {}", decode.context);
        let remark = self::remark(&decode.gb_per_s, "GB/s", &decode.share_of_read, "read");
        row(&name, &decode.tokens_per_s, "tok/s", &remark);
    }
}

/// `= 9.1 GB/s, 89 % of read (85 to 91 %)`.
fn remark(rate: &Measured, unit: &str, share: &Measured, of: &str) -> String {
    let Measured::Samples { median: rate, .. } = rate else {
        return String::new();
    };
    let share = match share {
        Measured::Samples {
            median, min, max, ..
        } => format!(
            "{:.0} % of {of} ({:.0} to {:.0} %)",
            median * 100.0,
            min * 100.0,
            max * 100.0
        ),
        Measured::Missing { missing } => format!("share of {of} n/a: {}", visible(missing)),
    };
    format!("= {rate:.1} {unit}, {share}")
}
