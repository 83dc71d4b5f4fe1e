//! What goes on at one moment: CPUs, parts of the step, caches, latencies.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tritone_monitor::{Metric, Sample};

use super::{NARROW, bar};
use crate::app::views::monitor::Monitor;
use crate::chat::glyph::width;
use crate::view::format::quantity;
use crate::view::put;
use crate::view::theme::Theme;

/// The parts of a step, in the order in which they usually weigh.
const PARTS: [(Metric, &str, &str); 4] = [
    (Metric::StepMatmul, "matmul", "mm"),
    (Metric::StepAttention, "attention", "att"),
    (Metric::StepHead, "head", "head"),
    (Metric::StepOther, "other", "oth"),
];

/// Rows of text below the bars.
const TEXT: u16 = 2;
/// Rows of bars.
const BARS: u16 = 4;
/// Rows of the charts that bars must leave: one each, and the axis.
const CHARTS: u16 = 5;

/// Rows it takes of an area so high.
pub(super) fn height(monitor: &Monitor, area: Rect) -> u16 {
    let wanted = if area.width < NARROW {
        3
    } else if area.height >= 24 {
        BARS + TEXT + u16::from(monitor.value(Metric::Power).is_some())
    } else {
        BARS + TEXT
    };
    wanted.min(area.height.saturating_sub(CHARTS))
}

/// Draws it.
pub(super) fn draw(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.width < NARROW {
        for (row, text) in (0..area.height).zip(short_lines(monitor)) {
            put(buffer, area, 0, row, &text, theme.text());
        }
        return;
    }
    let bars = area.height.saturating_sub(TEXT).min(BARS);
    let half = area.width / 2;
    let left = Rect {
        width: half.saturating_sub(1),
        height: bars,
        ..area
    };
    let right = Rect {
        x: area.x + half,
        width: area.width - half,
        height: bars,
        ..area
    };
    cores(monitor, theme, left, buffer);
    parts(monitor, theme, right, buffer);
    for (row, text) in (bars..area.height).zip(lines(monitor, area.width)) {
        put(buffer, area, 0, row, &text, theme.text());
    }
}

/// A bar for every CPU, or one cell each where there are many.
fn cores(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let cores = monitor.sample().map_or(&[][..], Sample::cores);
    if cores.is_empty() || area.height == 0 {
        put(
            buffer,
            area,
            0,
            0,
            "CPUs: not known at this moment",
            theme.dim(),
        );
        return;
    }
    let rows = usize::from(area.height);
    let columns = cores.len().div_ceil(rows);
    let wide = usize::from(area.width) / columns;
    if wide < 13 {
        return many(cores, theme, area, buffer);
    }
    let wide = u16::try_from(wide).unwrap_or(u16::MAX);
    let name = cores.len().to_string().len();
    for (index, percent) in cores.iter().enumerate() {
        let place = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let (column, row) = (place(index / rows) * wide, place(index % rows));
        let label = format!("c{index:<name$} ");
        let value = format!("{percent:>4} %");
        let label_width = place(width(&label));
        put(buffer, area, column, row, &label, theme.dim());
        let cells = wide.saturating_sub(label_width + place(width(&value)) + 1);
        let share = f64::from(*percent) / 100.0;
        let at = (column + label_width, row);
        bar(buffer, area, at, cells, share, theme.chart(3), theme.dim());
        put(
            buffer,
            area,
            column + label_width + cells,
            row,
            &value,
            theme.text(),
        );
    }
}

/// How many CPUs are how busy: a cell each.
fn many(cores: &[u8], theme: Theme, area: Rect, buffer: &mut Buffer) {
    const LEVELS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let busy = cores.iter().filter(|percent| **percent >= 50).count();
    let text = format!("{busy} of {} CPUs are more than half busy", cores.len());
    put(buffer, area, 0, 0, &text, theme.text());
    let rows = cores.chunks(usize::from(area.width).max(1));
    for (row, cores) in (1..area.height).zip(rows) {
        let mut column = 0;
        for percent in cores {
            let level = if theme.ascii() {
                // Tenths, which say more than eight signs would.
                char::from(b'0' + (percent / 10).min(9)).to_string()
            } else {
                let level = usize::from(*percent) * (LEVELS.len() - 1) / 100;
                LEVELS.get(level).copied().unwrap_or("█").to_owned()
            };
            column = put(buffer, area, column, row, &level, theme.chart(3));
        }
    }
}

/// Where the time of the step goes.
fn parts(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let known = PARTS.map(|(metric, name, _)| (name, monitor.last_value(metric)));
    if known.iter().all(|(_, value)| value.is_none()) {
        put(
            buffer,
            area,
            0,
            0,
            "step: nothing was computed",
            theme.dim(),
        );
        return;
    }
    for (row, (name, value)) in (0..area.height).zip(known) {
        let share = value.unwrap_or(0.0) / 100.0;
        put(buffer, area, 0, row, name, theme.dim());
        let text = format!("{:>4}", quantity(value, Metric::StepMatmul.unit()));
        let cells = area.width.saturating_sub(10 + 6);
        bar(
            buffer,
            area,
            (10, row),
            cells,
            share,
            theme.chart(0),
            theme.dim(),
        );
        put(buffer, area, 10 + cells + 1, row, &text, theme.text());
    }
}

fn named(monitor: &Monitor, metric: Metric) -> String {
    quantity(monitor.last_value(metric), metric.unit())
}

/// What is known of caches, sequences, latencies and energy, in sentences.
fn lines(monitor: &Monitor, columns: u16) -> Vec<String> {
    let value = |metric: Metric| quantity(monitor.value(metric), metric.unit());
    let cache = format!(
        "KV cache {}/{} pages ({}) · cache hits {} · {} active, {} queued",
        value(Metric::KvUsed),
        value(Metric::KvPages),
        value(Metric::KvBytes),
        named(monitor, Metric::CacheHits),
        value(Metric::Active),
        value(Metric::Queued),
    );
    let mut speed = format!(
        "first token {} · {}/token",
        named(monitor, Metric::FirstToken),
        named(monitor, Metric::TokenLatency),
    );
    let counts = format!(
        " · {} finished, {} failed, {} cancelled",
        total(monitor, Metric::Finished),
        total(monitor, Metric::Failed),
        total(monitor, Metric::Cancelled),
    );
    if width(&speed) + width(&counts) <= usize::from(columns) {
        speed += &counts;
    }
    let mut lines = vec![cache, speed];
    let energy = monitor.last_value(Metric::TokenEnergy);
    if let Some(watts) = monitor.value(Metric::Power) {
        let mut text = format!("power {}", quantity(Some(watts), Metric::Power.unit()));
        if let Some(joules) = energy {
            text += &format!(
                " · {}/token",
                quantity(Some(joules), Metric::TokenEnergy.unit())
            );
        }
        match columns >= 100 {
            true => lines[1] += &format!(" · {text}"),
            false => lines.push(text),
        }
    }
    lines
}

/// The same for narrow screens.
fn short_lines(monitor: &Monitor) -> [String; 3] {
    let value = |metric: Metric| quantity(monitor.value(metric), metric.unit());
    let steps: Vec<String> = PARTS
        .iter()
        .map(|(metric, _, short)| {
            let percent = monitor.last_value(*metric);
            format!(
                "{short} {}",
                percent.map_or("-".to_owned(), |p| format!("{p:.0}"))
            )
        })
        .collect();
    [
        format!("step % {}", steps.join(" ")),
        format!(
            "KV {}/{} · hits {} · {} active",
            value(Metric::KvUsed),
            value(Metric::KvPages),
            named(monitor, Metric::CacheHits),
            value(Metric::Active),
        ),
        format!(
            "first token {} · {}/token",
            named(monitor, Metric::FirstToken),
            named(monitor, Metric::TokenLatency),
        ),
    ]
}

/// How many there were in what is seen.
fn total(monitor: &Monitor, metric: Metric) -> String {
    let (from, to) = monitor.window();
    format!("{:.0}", monitor.history.total(metric, from, to))
}
