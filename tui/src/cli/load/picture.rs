//! The percentiles as a picture.

use super::report::{Report, Spread};
use crate::cli::bench::plot::STYLE;
use crate::cli::bench::plot::svg::{Anchor, Svg};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 76.0;

/// First token, gaps and whole answers, by the share of requests that were at most as slow.
pub(super) fn picture(report: &Report) -> String {
    let charts = [
        ("first token, ms", &report.first_token_ms),
        ("between tokens, ms", &report.inter_token_ms),
        ("whole answer, ms", &report.answer_ms),
    ];
    let title = format!("tritone load: {}", report.model);
    let mut svg = Svg::new(WIDTH * 3.0, HEIGHT + TOP + 30.0, &title, STYLE);
    svg.text("head", 16.0, 24.0, Anchor::Start, &title);
    let busy: usize = report.busy.values().sum();
    let facts = format!(
        "{}; {} requests in {:.0} s: {} answered, {busy} refused as busy, {} failed; {:.1} tokens a second",
        report.date,
        report.sent,
        report.seconds,
        report.answered,
        report.faults(),
        report.tokens_per_s
    );
    svg.text("tick", 16.0, 43.0, Anchor::Start, &facts);
    for (i, (name, spread)) in charts.iter().enumerate() {
        draw(&mut svg, WIDTH * i as f64, name, spread, i);
    }
    svg.finish()
}

fn draw(svg: &mut Svg, left: f64, name: &str, spread: &Spread, color: usize) {
    let (width, height) = (WIDTH - LEFT - 20.0, HEIGHT - 50.0);
    let most = spread.max.max(1e-3);
    let x = |share: f64| left + LEFT + width * share;
    let y = |value: f64| TOP + 30.0 + height * (1.0 - value / most);
    svg.text("title", x(0.0), TOP + 14.0, Anchor::Start, name);
    for step in 0..=4 {
        let value = most * f64::from(step) / 4.0;
        svg.line("grid", &[(x(0.0), y(value)), (x(1.0), y(value))]);
        svg.text(
            "tick",
            x(0.0) - 6.0,
            y(value) + 4.0,
            Anchor::End,
            &format!("{value:.1}"),
        );
    }
    for percent in [0, 25, 50, 75, 100] {
        let at = x(f64::from(percent) / 100.0);
        svg.text(
            "tick",
            at,
            y(0.0) + 17.0,
            Anchor::Middle,
            &format!("{percent} %"),
        );
    }
    let steps = spread.curve.len().saturating_sub(1).max(1) as f64;
    let points: Vec<_> = spread
        .curve
        .iter()
        .enumerate()
        .map(|(i, value)| (x(i as f64 / steps), y(*value)))
        .collect();
    if spread.count > 0 {
        svg.line(&format!("line c{color}"), &points);
    }
}
