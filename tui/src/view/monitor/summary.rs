//! Hours in a table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tritone_monitor::summary::{Line, of_history};
use tritone_monitor::{Metric, Unit};

use super::NARROW;
use crate::app::views::monitor::Monitor;
use crate::view::format::{age, quantity};
use crate::view::put;
use crate::view::theme::Theme;

/// What is worth a line, the most telling first.
const METRICS: [Metric; 17] = [
    Metric::DecodeRate,
    Metric::PrefillRate,
    Metric::FirstToken,
    Metric::TokenLatency,
    Metric::Resident,
    Metric::Cpu,
    Metric::CpuProcess,
    Metric::CacheHits,
    Metric::KvBytes,
    Metric::Power,
    Metric::TokenEnergy,
    Metric::DecodeTokens,
    Metric::PrefillTokens,
    Metric::CachedTokens,
    Metric::Finished,
    Metric::Failed,
    Metric::Cancelled,
];

type Column = (&'static str, fn(&Line) -> f64);

const COLUMNS: [Column; 6] = [
    ("mean", |line| line.mean),
    ("min", |line| line.min),
    ("p50", |line| line.p50),
    ("p95", |line| line.p95),
    ("p99", |line| line.p99),
    ("peak", |line| line.max),
];

/// Those that narrow screens have room for.
const FEW: [usize; 2] = [0, 5];

/// Draws the table of what the charts show.
pub(super) fn draw(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (from, _) = monitor.window();
    let Some(summary) = of_history(&monitor.history, from) else {
        put(buffer, area, 0, 0, "nothing was measured yet", theme.dim());
        return;
    };
    let narrow = area.width < NARROW;
    let (name, cell): (u16, u16) = if narrow { (20, 10) } else { (22, 9) };
    let columns = COLUMNS
        .iter()
        .enumerate()
        .filter(|(index, _)| !narrow || FEW.contains(index))
        .map(|(_, column)| column);
    let place = |index: usize| name + u16::try_from(index).unwrap_or(0) * cell;
    for (index, (title, _)) in columns.clone().enumerate() {
        let text = format!("{title:>width$}", width = usize::from(cell));
        put(buffer, area, place(index), 0, &text, theme.strong());
    }
    let mut row = 1;
    let lines = METRICS.iter().filter_map(|metric| summary.line(*metric));
    for line in lines.take(usize::from(area.height.saturating_sub(2))) {
        let unit = line.metric.unit();
        let label = match (unit, line.total) {
            (Unit::TokensPerSecond, _) => format!("{} tok/s", line.metric.label()),
            _ => line.metric.label().to_owned(),
        };
        put(buffer, area, 0, row, &label, theme.text());
        if let Some(total) = line.total {
            let text = format!("{total:.0} in all");
            put(buffer, area, name + cell - 6, row, &text, theme.text());
        } else {
            for (index, (_, value)) in columns.clone().enumerate() {
                let text = quantity(Some(value(line)), unit);
                let text = text.trim_end_matches(" tok/s");
                let text = format!("{text:>width$}", width = usize::from(cell));
                put(buffer, area, place(index), row, &text, theme.text());
            }
        }
        row += 1;
    }
    let mut note = format!("{} samples over {}", summary.samples, age(summary.covered));
    if summary.resolution > 0 && !narrow {
        note += &format!(
            "; percentiles are of means over {}",
            age(summary.resolution)
        );
    }
    put(buffer, area, 0, row, &note, theme.dim());
}
