//! Four charts over one time axis.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use tritone_monitor::{EventKind, Metric, Point};

use super::super::chart::{Chart, round_top};
use super::super::format::{age, quantity};
use super::{NARROW, split};
use super::{put, shorten};
use crate::app::views::monitor::Monitor;
use crate::chat::glyph::width;
use crate::view::theme::Theme;

/// Columns of names and values at the left, on wide and on narrow screens.
const GUTTER: u16 = 20;
const NARROW_GUTTER: u16 = 15;

/// A chart and its place in the colours.
struct Line {
    metric: Metric,
    name: &'static str,
    short: &'static str,
}

const LINES: [Line; 4] = [
    Line {
        metric: Metric::DecodeRate,
        name: "decode",
        short: "dec",
    },
    Line {
        metric: Metric::PrefillRate,
        name: "prefill",
        short: "pre",
    },
    Line {
        metric: Metric::Resident,
        name: "memory",
        short: "mem",
    },
    Line {
        metric: Metric::Cpu,
        name: "CPU",
        short: "CPU",
    },
];

/// Draws them with the axis below; as many rows each as there is room for.
pub(super) fn draw(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let plots = area.height.saturating_sub(1);
    let each = (plots / 4).max(1);
    let mut rest = area;
    let mut spare = plots.saturating_sub(4 * each);
    for (index, line) in LINES.iter().enumerate() {
        if rest.height <= 1 {
            break;
        }
        let more = u16::from(spare > 0);
        spare -= more;
        let [chart, below] = split(rest, each + more);
        draw_line(monitor, theme, index, line, chart, buffer);
        rest = below;
    }
    let [axis_area, _] = split(rest, 1);
    axis(monitor, theme, axis_area, buffer);
}

fn gutter(area: Rect) -> u16 {
    let wanted = if area.width < NARROW {
        NARROW_GUTTER
    } else {
        GUTTER
    };
    wanted.min(area.width)
}

/// Where the dots are.
fn plot(area: Rect) -> Rect {
    let gutter = gutter(area);
    Rect {
        x: area.x + gutter,
        width: area.width - gutter,
        ..area
    }
}

fn draw_line(
    monitor: &Monitor,
    theme: Theme,
    index: usize,
    line: &Line,
    area: Rect,
    buffer: &mut Buffer,
) {
    let plot = plot(area);
    let (from, to) = monitor.window();
    let room = Chart::room(plot.width);
    let points = monitor.history.series(line.metric, from, to, room);
    let limit = match line.metric {
        Metric::Resident => monitor.value(Metric::ResidentLimit),
        _ => None,
    };
    let top = top(line.metric, &points, limit);
    let style = theme.chart(index);
    labels(monitor, theme, line, top, style, area, buffer);
    uprights(monitor, theme, plot, buffer);
    let chart = Chart {
        points: &points,
        top,
        style,
        ascii: theme.ascii(),
    };
    chart.draw(plot, buffer);
    if let Some(column) = cursor(monitor, plot.width) {
        for row in plot.top()..plot.bottom() {
            if let Some(cell) = buffer.cell_mut((plot.x + column, row)) {
                cell.modifier.insert(Modifier::REVERSED);
            }
        }
    }
}

/// Where the cursor is, while there is one.
fn cursor(monitor: &Monitor, cells: u16) -> Option<u16> {
    let frozen = monitor.frozen?;
    column_of(monitor, cells, frozen.cursor)
}

/// The value at the top of the chart: memory is seen against its limit, CPU against all.
fn top(metric: Metric, points: &[Option<Point>], limit: Option<f64>) -> f64 {
    if metric == Metric::Cpu {
        return 100.0;
    }
    let highest = points
        .iter()
        .flatten()
        .fold(0.0_f64, |top, point| top.max(point.max));
    match limit {
        Some(limit) => limit.max(highest),
        None if metric == Metric::Resident => {
            // Steps of bytes are powers of two.
            2.0_f64.powf(highest.max(1.0).log2().ceil())
        }
        None => round_top(highest),
    }
}

/// Name, value and scale at the left: in one line, or one below the other.
fn labels(
    monitor: &Monitor,
    theme: Theme,
    line: &Line,
    top: f64,
    style: Style,
    area: Rect,
    buffer: &mut Buffer,
) {
    let unit = line.metric.unit();
    let now = quantity(monitor.value(line.metric), unit);
    let gutter = Rect {
        width: gutter(area).saturating_sub(1),
        ..area
    };
    if area.height < 2 {
        let column = put(buffer, gutter, 0, 0, line.short, style);
        put(buffer, gutter, column + 1, 0, &now, theme.strong());
        return;
    }
    let column = put(buffer, gutter, 0, 0, line.name, style);
    put(buffer, gutter, column + 1, 0, &now, theme.strong());
    let scale = match line.metric {
        Metric::Resident if monitor.value(Metric::ResidentLimit).is_some() => {
            format!("limit {}", quantity(Some(top), unit))
        }
        _ => format!("top {}", quantity(Some(top), unit)),
    };
    put(buffer, gutter, 0, 1, &scale, theme.dim());
    if line.metric == Metric::Cpu && area.height > 2 {
        let own = quantity(monitor.value(Metric::CpuProcess), unit);
        put(buffer, gutter, 0, 2, &format!("tritone {own}"), theme.dim());
    }
}

/// Events that are worth a mark on the axis.
fn is_marked(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Kernel | EventKind::Profile | EventKind::Model | EventKind::Alert
    )
}

/// Where on the axis a moment is; `None` outside of what is seen.
fn column_of(monitor: &Monitor, cells: u16, at: u64) -> Option<u16> {
    let (from, to) = monitor.window();
    let part = at.checked_sub(from).filter(|_| at <= to)?;
    let length = to.checked_sub(from).filter(|length| *length > 0)?;
    let column = u128::from(part) * u128::from(cells) / u128::from(length);
    u16::try_from(column)
        .ok()
        .map(|column| column.min(cells.saturating_sub(1)))
}

/// A line through the charts where something changed.
fn uprights(monitor: &Monitor, theme: Theme, plot: Rect, buffer: &mut Buffer) {
    let mut line = |column, text| {
        for row in 0..plot.height {
            put(buffer, plot, column, row, text, theme.dim());
        }
    };
    for event in monitor.history.events().filter(|e| is_marked(e.kind)) {
        if let Some(column) = column_of(monitor, plot.width, event.at) {
            line(column, "┊");
        }
    }
    if let Some(column) = cursor(monitor, plot.width) {
        line(column, "│");
    }
}

/// Times at the ends, and between them what changed where.
fn axis(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (from, to) = monitor.window();
    let newest = monitor.newest();
    let ago = |at: u64| match newest.saturating_sub(at) {
        0..500 => "now".to_owned(),
        ms => format!("-{}", age(ms)),
    };
    let plot = plot(area);
    put(buffer, area, 0, 0, "what changed", theme.dim());
    let line = "─".repeat(usize::from(plot.width));
    put(buffer, plot, 0, 0, &line, theme.axis());
    let end = ago(to);
    let end_width = u16::try_from(width(&end)).unwrap_or(0);
    let end_at = plot.width.saturating_sub(end_width);
    put(buffer, plot, end_at, 0, &end, theme.dim());
    let marks = marks(monitor, plot.width);
    // Where the text before ends.
    let mut taken = 0;
    // A begin that is not covered by a mark.
    if marks.first().is_none_or(|(column, _)| *column > 8) {
        taken = put(buffer, plot, 0, 0, &ago(from), theme.dim());
    }
    for (index, (column, text)) in marks.iter().enumerate() {
        let next = marks.get(index + 1).map_or(end_at, |(next, _)| *next);
        let after = usize::from(next.saturating_sub(*column + 2));
        let before = usize::from(column.saturating_sub(taken + 1));
        let text = if width(text) > after && before > after {
            // At the right edge there is more room before the mark.
            let text = shorten(text, before);
            let start = column.saturating_sub(u16::try_from(width(&text)).unwrap_or(0));
            put(buffer, plot, start, 0, &text, theme.marker());
            String::new()
        } else {
            shorten(text, after)
        };
        put(buffer, plot, *column, 0, "▲", theme.marker());
        taken = put(buffer, plot, column + 1, 0, &text, theme.marker());
    }
    if let Some(column) = cursor(monitor, plot.width) {
        put(buffer, plot, column, 0, "┴", theme.strong());
    }
}

/// What is marked on the axis: columns from the left, and what changed there.
fn marks(monitor: &Monitor, cells: u16) -> Vec<(u16, String)> {
    let mut marks: Vec<(u16, String)> = Vec::new();
    for event in monitor.history.events().filter(|e| is_marked(e.kind)) {
        let Some(column) = column_of(monitor, cells, event.at) else {
            continue;
        };
        match marks.iter_mut().find(|(other, _)| *other == column) {
            Some((_, text)) => {
                text.push_str(", ");
                text.push_str(event.text());
            }
            None => marks.push((column, event.text().to_owned())),
        }
    }
    marks.sort_by_key(|(column, _)| *column);
    marks
}
