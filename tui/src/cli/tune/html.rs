//! The report as a page: its tables as text, and three pictures.

use tritone_engine::human_bytes;

use super::point::Measured;
use super::report::Report;
use crate::cli::bench::plot::STYLE;
use crate::cli::bench::plot::svg::{Anchor, Escaped, Svg};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 54.0;
const RIGHT: f64 = 24.0;

/// A page without scripts that needs nothing else.
pub(super) fn page(report: &Report) -> String {
    let title = format!("tritone tune: {}", report.model);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>{title}</title>\n<style>\n\
         body {{ font: 15px system-ui, sans-serif; margin: 2em; max-width: 100em }}\n\
         pre {{ font: 13px ui-monospace, monospace; overflow-x: auto }}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         {}\n{}\n{}\n<pre>{}</pre>\n</body>\n</html>\n",
        threads(report),
        contexts(report),
        front(report),
        Escaped(&report.text()),
        title = Escaped(&title),
    )
}

/// Axes from nought.
struct Axes {
    svg: Svg,
    most: (f64, f64),
}

impl Axes {
    /// Axes that have room for `points`.
    fn new(title: &str, across: &str, up: &str, points: &[(f64, f64)]) -> Self {
        let greatest =
            |values: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(values).fold(0.0, f64::max);
        let most = (greatest(&|point| point.0), greatest(&|point| point.1));
        let mut axes = Self {
            svg: Svg::new(WIDTH, HEIGHT, title, STYLE),
            most: (most.0.max(1e-9) * 1.05, most.1.max(1e-9) * 1.1),
        };
        axes.svg.text("head", 16.0, 24.0, Anchor::Start, title);
        axes.svg.text(
            "tick",
            LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
            HEIGHT - 12.0,
            Anchor::Middle,
            across,
        );
        axes.svg
            .upwards("tick", 18.0, TOP + (HEIGHT - TOP - BOTTOM) / 2.0, up);
        axes
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let width = WIDTH - LEFT - RIGHT;
        let height = HEIGHT - TOP - BOTTOM;
        (
            LEFT + width * x / self.most.0,
            TOP + height * (1.0 - y / self.most.1),
        )
    }

    fn grid(&mut self, across: &dyn Fn(f64) -> String, up: &dyn Fn(f64) -> String) {
        for step in 0..=4 {
            let share = f64::from(step) / 4.0;
            let (x, y) = (self.most.0 * share, self.most.1 * share);
            let (left, right) = (self.at(0.0, y), self.at(self.most.0, y));
            self.svg.line("grid", &[left, right]);
            self.svg
                .text("tick", left.0 - 6.0, left.1 + 4.0, Anchor::End, &up(y));
            let below = self.at(x, 0.0);
            self.svg
                .text("tick", below.0, below.1 + 17.0, Anchor::Middle, &across(x));
        }
    }

    fn line(&mut self, color: usize, points: &[(f64, f64)]) {
        let places: Vec<_> = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        if places.len() > 1 {
            self.svg.line(&format!("line c{color}"), &places);
        }
        for (x, y) in places {
            self.svg.dot(&format!("dot c{color}"), x, y);
        }
    }
}

/// Speed by threads.
fn threads(report: &Report) -> String {
    let step = report.steps.iter().find(|step| step.setting == "threads");
    let points: Vec<(f64, f64)> = step
        .into_iter()
        .flat_map(|step| &step.tried)
        .filter_map(|tried| Some((tried.value.parse().ok()?, tried.speed?.median)))
        .collect();
    let mut axes = Axes::new("speed by threads", "threads", "tok/s", &points);
    axes.grid(&|x| format!("{x:.1}"), &|y| format!("{y:.0}"));
    axes.line(0, &points);
    axes.svg.finish()
}

/// Memory by context.
fn contexts(report: &Report) -> String {
    let points: Vec<(f64, f64)> = report
        .contexts
        .iter()
        .map(|(context, bytes)| (*context as f64, *bytes as f64))
        .collect();
    let mut axes = Axes::new("memory by context", "tokens of context", "planned", &points);
    // `as` saturates.
    axes.grid(&|x| format!("{x:.0}"), &|y| human_bytes(y as u64));
    axes.line(1, &points);
    axes.svg.finish()
}

/// Every point by memory and speed, and those that none beats in both.
fn front(report: &Report) -> String {
    let place = |one: &Measured| {
        let speed = one.speed(report.together)?.median;
        let memory = one.resident();
        (memory > 0).then_some((memory as f64, speed))
    };
    let all: Vec<(f64, f64)> = report.measured.iter().filter_map(place).collect();
    let mut axes = Axes::new("speed and memory", "resident memory", "tok/s", &all);
    axes.grid(&|x| human_bytes(x as u64), &|y| format!("{y:.0}"));
    for point in &all {
        axes.line(5, &[*point]);
    }
    axes.line(2, &pareto(&all));
    axes.svg.finish()
}

/// Points that no other beats in both: less memory first.
fn pareto(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut front: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point.1 > last.1) {
            front.push(point);
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_none_beats() {
        let points = [(3.0, 9.0), (1.0, 2.0), (2.0, 1.0), (2.5, 5.0), (4.0, 8.0)];
        assert_eq!(pareto(&points), [(1.0, 2.0), (2.5, 5.0), (3.0, 9.0)]);
    }
}
