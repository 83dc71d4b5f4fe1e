//! What was measured, for people.

use std::fmt::Write as _;

use tritone_engine::human_bytes;

use super::report::{Facts, Report, Results};
use super::stats::Measured;
use crate::cli::console::visible;

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    head(&report.facts, &mut out);
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "measured  {} times in turn, after a warm-up; {} read buffer",
        report.settings.repeat,
        human_bytes(report.settings.read_buffer_bytes as u64),
    );
    for results in &report.results {
        group(results, &mut out);
    }
    tail(&report.facts, &mut out);
    if let Some(comparison) = &report.comparison {
        out.push_str(&super::compare::text(comparison));
    }
    out
}

/// What a report is about.
pub(super) fn head(facts: &Facts, out: &mut String) {
    let (machine, model) = (&facts.machine, &facts.model);
    let memory = machine.memory_bytes.map_or_else(String::new, |bytes| {
        format!(", {} of memory", human_bytes(bytes))
    });
    let _ = writeln!(
        out,
        "tritone   {}, {}\nmachine   {} ({}), {} cores, {} CPUs; {}{memory}; {}",
        visible(&facts.tritone),
        visible(&facts.date),
        visible(&machine.cpu),
        visible(&machine.arch),
        machine.physical_cores,
        machine.logical_cpus,
        visible(&machine.caches.join(", ")),
        visible(&machine.os),
    );
    for kernel in &facts.kernels {
        let _ = writeln!(
            out,
            "kernel    {} {} (build {}), {}, layout {}",
            visible(&kernel.name),
            visible(&kernel.version),
            visible(&kernel.build_id),
            visible(&kernel.isa),
            visible(&kernel.layout),
        );
    }
    let _ = writeln!(
        out,
        "model     {} from {}: {} layers of {}, {:.0} M parameters",
        visible(&model.name),
        visible(&model.source),
        model.layers,
        model.hidden,
        model.parameters as f64 / 1e6,
    );
    let cpus: Vec<String> = facts.pinned.iter().map(ToString::to_string).collect();
    let _ = match cpus.as_slice() {
        [] => writeln!(out, "threads   not pinned"),
        cpus => writeln!(
            out,
            "threads   pinned, in order, to CPUs {}",
            cpus.join(", ")
        ),
    };
}

/// What a reader should know.
pub(super) fn tail(facts: &Facts, out: &mut String) {
    let notes = facts.notes.iter();
    out.extend(notes.map(|note| format!("\nnote: {}", visible(note))));
    if facts.interrupted {
        out.push_str("\nnote: interrupted; only what had been measured is shown");
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// The name of a kernel on so many threads.
pub(super) fn ways(kernel: &str, threads: usize) -> String {
    let s = if threads == 1 { "" } else { "s" };
    format!("{threads} thread{s}, {}", visible(kernel))
}

/// The name of a way to run the model.
pub(super) fn title(kernel: &str, head: &str, threads: usize) -> String {
    format!("{}, {} head", ways(kernel, threads), visible(head))
}

fn group(results: &Results, out: &mut String) {
    let _ = writeln!(
        out,
        "\n{:<32}{:>10}{:>10}{:>10}\n  weights {}, head {}",
        title(&results.kernel, &results.head, results.threads),
        "median",
        "min",
        "max",
        human_bytes(results.weights_bytes),
        human_bytes(results.head_bytes),
    );
    let prefetch = match results.best_prefetch_bytes.last() {
        None => String::new(),
        Some(0) => "without prefetch".to_owned(),
        Some(bytes) => format!("prefetching {bytes} bytes ahead"),
    };
    row(out, "read", &results.read_gb_per_s, "GB/s", &prefetch);
    row(out, "int8 peak", &results.int8_gmac_per_s, "GMAC/s", "");
    if let Some(prefill) = &results.prefill {
        let name = format!("prefill {}", prefill.tokens);
        let share = share(&prefill.share_of_int8, "int8 peak");
        let remark = remark(&prefill.gmac_per_s, "GMAC/s", &share);
        row(out, &name, &prefill.tokens_per_s, "tok/s", &remark);
    }
    for decode in &results.decode {
        let name = format!("decode at {}", decode.context);
        let remark = remark(
            &decode.gb_per_s,
            "GB/s",
            &share(&decode.share_of_read, "read"),
        );
        row(out, &name, &decode.tokens_per_s, "tok/s", &remark);
    }
    for batch in &results.batch {
        let name = format!("decode of {}", batch.sequences);
        let each = batch.tokens_per_s_each.median().unwrap_or(0.0);
        let times = match batch.times_one.median() {
            Some(times) => format!(", {times:.2} x one"),
            None => String::new(),
        };
        let (int8, read) = (&batch.share_of_int8, &batch.share_of_read);
        let remark = match (int8.median(), read.median()) {
            (Some(int8), Some(read)) => format!(
                "= {each:.1} each{times}, {:.0} % of int8 peak, {:.0} % of read",
                int8 * 100.0,
                read * 100.0
            ),
            _ => format!("= {each:.1} each{times}"),
        };
        row(out, &name, &batch.tokens_per_s, "tok/s", &remark);
    }
    if let Some(mixed) = &results.mixed {
        let lines = [
            ("gap p50", &mixed.alone.p50_ms, &mixed.reading.p50_ms),
            ("gap p95", &mixed.alone.p95_ms, &mixed.reading.p95_ms),
        ];
        for (name, alone, reading) in lines {
            let remark = format!("{} sequences, nothing else", mixed.decoders);
            row(out, name, alone, "ms", &remark);
            let remark = format!(
                "with {} prompt tokens read {} at a time",
                mixed.prompt, mixed.chunk
            );
            row(out, &format!("{name} reading"), reading, "ms", &remark);
        }
    }
}

/// One line: a name, what was measured, and a remark.
pub(super) fn row(out: &mut String, name: &str, measured: &Measured, unit: &str, remark: &str) {
    let _ = match measured {
        Measured::Samples {
            median, min, max, ..
        } => {
            let row =
                format!("  {name:<30}{median:>10.1}{min:>10.1}{max:>10.1} {unit:<7} {remark}");
            writeln!(out, "{}", row.trim_end())
        }
        Measured::Missing { missing } => {
            writeln!(out, "  {name:<30}{:>10} {}", "n/a", visible(missing))
        }
    };
}

/// `89 % of read (85 to 91 %)`.
pub(super) fn share(share: &Measured, of: &str) -> String {
    match share {
        Measured::Samples {
            median, min, max, ..
        } => format!(
            "{:.0} % of {of} ({:.0} to {:.0} %)",
            median * 100.0,
            min * 100.0,
            max * 100.0
        ),
        Measured::Missing { missing } => format!("share of {of} n/a: {}", visible(missing)),
    }
}

/// `= 9.1 GB/s, 89 % of read (85 to 91 %)`.
pub(super) fn remark(rate: &Measured, unit: &str, share: &str) -> String {
    match rate.median() {
        Some(rate) => format!("= {rate:.1} {unit}, {share}"),
        None => String::new(),
    }
}
