//! A report as small multiples: speed by threads, by depth of the cache, by sequences decoded together.

mod chart;
pub(in crate::cli) mod svg;

use std::collections::BTreeMap;

use chart::{Chart, HEIGHT, Point, Series, WIDTH, class};
use svg::{Anchor, Svg};

use super::report::{Report, Results};
use super::stats::Measured;

/// Charts side by side.
const COLUMNS: usize = 2;
/// Room above the charts, and for one line of the legend below them.
const HEAD: f64 = 58.0;
const LINE: f64 = 20.0;

/// Neutral colours on light and on dark paper; the six of the series are told apart by people who
/// see few colours, too (Okabe and Ito 2008).
pub(in crate::cli) const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #3d444d }
.paper { fill: #ffffff } .head { font-size: 15px; font-weight: 600 }
.title { font-size: 13px; font-weight: 600 } .tick { font-size: 11px }
.grid { stroke: #d1d9e0; stroke-width: 1 } path { fill: none }
.line { stroke-width: 2 } .spread { stroke-width: 1.5 } .broken.line { stroke-dasharray: 5 4 }
.c0 { stroke: #0072b2 } .c1 { stroke: #d55e00 } .c2 { stroke: #009e73 }
.c3 { stroke: #cc79a7 } .c4 { stroke: #e69f00 } .c5 { stroke: #56b4e9 }
.dot { fill: #ffffff; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #d1d7e0 } .paper, .dot { fill: #151b23 } .grid { stroke: #3d444d }
}
";

/// The picture of a report.
pub(super) fn picture(report: &Report) -> String {
    let (charts, legend) = charts(report);
    let rows = charts.len().div_ceil(COLUMNS).max(1);
    let (width, height) = (
        WIDTH * COLUMNS as f64,
        HEAD + HEIGHT * rows as f64 + LINE * legend.len() as f64 + 16.0,
    );
    let facts = &report.facts;
    let title = format!("tritone bench: {}", facts.model.name);
    let mut svg = Svg::new(width, height, &title, STYLE);
    svg.text("head", 16.0, 24.0, Anchor::Start, &title);
    let machine = format!(
        "{}, {} cores; {}; median of {}, bars from lowest to highest",
        facts.machine.cpu, facts.machine.physical_cores, facts.date, report.settings.repeat
    );
    svg.text("tick", 16.0, 43.0, Anchor::Start, &machine);
    if charts.is_empty() {
        svg.text(
            "label",
            16.0,
            HEAD + 40.0,
            Anchor::Start,
            "nothing was measured",
        );
    }
    for (i, chart) in charts.iter().enumerate() {
        let (left, top) = (i % COLUMNS, i / COLUMNS);
        chart.draw(&mut svg, left as f64 * WIDTH, HEAD + top as f64 * HEIGHT);
    }
    let mut y = HEAD + HEIGHT * rows as f64 + 14.0;
    for (color, name) in legend.iter().enumerate() {
        let class = class(color);
        svg.line(
            &format!("line {class}"),
            &[(24.0, y - 4.0), (52.0, y - 4.0)],
        );
        svg.dot(&format!("dot {class}"), 38.0, y - 4.0);
        svg.text("label", 60.0, y, Anchor::Start, name);
        y += LINE;
    }
    svg.finish()
}

/// What distinguishes the results of one chart: threads, or the way to run the model.
fn way(results: &Results) -> String {
    format!("{}, {} head", results.kernel, results.head)
}

/// All charts with something in them, and the names of their colours.
fn charts(report: &Report) -> (Vec<Chart>, Vec<String>) {
    let mut legend: Vec<String> = Vec::new();
    for results in &report.results {
        if !legend.contains(&way(results)) {
            legend.push(way(results));
        }
    }
    let most = report.results.iter().map(|results| results.threads).max();
    let most = most.unwrap_or(1);
    let s = if most == 1 { "" } else { "s" };
    let first = report.settings.contexts.first().copied().unwrap_or(0);
    let prompt = report.settings.prompt;

    let mut charts = Vec::new();
    let mut add = |title: String, x, points: &dyn Fn(&Results) -> Vec<(usize, Measured)>| {
        let mut series: BTreeMap<usize, Vec<Point>> = BTreeMap::new();
        for results in &report.results {
            let color = legend.iter().position(|name| *name == way(results));
            let found = points(results);
            let found = found.iter().filter_map(|(x, measured)| point(*x, measured));
            series.entry(color.unwrap_or(0)).or_default().extend(found);
        }
        series.retain(|_, points| !points.is_empty());
        if !series.is_empty() {
            let series = series.into_iter();
            charts.push(Chart {
                title,
                x,
                y: "tokens a second",
                series: series
                    .map(|(color, points)| Series { color, points })
                    .collect(),
            });
        }
    };
    add(
        format!("decode at {first}, by threads"),
        "threads",
        &|results| {
            let at = results.decode.iter().find(|decode| decode.context == first);
            at.map(|decode| (results.threads, decode.tokens_per_s.clone()))
                .into_iter()
                .collect()
        },
    );
    add(
        format!("prefill of {prompt}, by threads"),
        "threads",
        &|results| {
            let prefill = results.prefill.as_ref();
            prefill
                .map(|one| (results.threads, one.tokens_per_s.clone()))
                .into_iter()
                .collect()
        },
    );
    add(
        format!("decode by depth, {most} thread{s}"),
        "tokens in the cache",
        &|results| {
            let decode = results.decode.iter().filter(|_| results.threads == most);
            decode
                .map(|one| (one.context, one.tokens_per_s.clone()))
                .collect()
        },
    );
    add(
        format!("decode together at {first}, {most} thread{s}"),
        "sequences",
        &|results| {
            let batch = results.batch.iter().filter(|_| results.threads == most);
            batch
                .map(|one| (one.sequences, one.tokens_per_s.clone()))
                .collect()
        },
    );
    (charts, legend)
}

fn point(x: usize, measured: &Measured) -> Option<Point> {
    match measured {
        Measured::Samples {
            median, min, max, ..
        } if median.is_finite() && max.is_finite() && *min >= 0.0 => Some(Point {
            x,
            median: *median,
            min: *min,
            max: *max,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::fixture::report;

    #[test]
    fn a_report_is_drawn_as_on_record() {
        insta::assert_snapshot!(picture(&report()));
    }

    #[test]
    fn every_picture_is_well_formed_and_holds_what_was_measured() {
        let mut odd = report();
        odd.facts.model.name = "<a & \"b\"\u{1b}\u{0}>".to_owned();
        odd.facts.machine.cpu = "]]>\u{fffe}".to_owned();
        let mut empty = report();
        empty.results.clear();
        for (report, charts, dots) in [(report(), 4, 10), (odd, 4, 10), (empty, 0, 0)] {
            let picture = picture(&report);
            let parsed = roxmltree::Document::parse(&picture).unwrap();
            let root = parsed.root_element();
            assert!(root.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
            let of_class = |name: &str, class: &str| {
                let nodes = root.descendants().filter(|node| node.has_tag_name(name));
                let class = |value: &str| value.split(' ').any(|word| word == class);
                nodes
                    .filter(|node| node.attribute("class").is_some_and(class))
                    .count()
            };
            assert_eq!(of_class("text", "title"), charts, "a title each");
            // One dot for each median, and one in the legend for each series.
            let series = super::charts(&report).1.len();
            assert_eq!(of_class("circle", "dot"), dots + series);
        }
    }
}
