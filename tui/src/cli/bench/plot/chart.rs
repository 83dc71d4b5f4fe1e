//! One chart: numbers over a few places of a variable.

use super::svg::{Anchor, Svg};

/// A number with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Value of the variable: threads, tokens, sequences.
    pub(super) x: usize,
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// Points of one way to run the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Which colour of the legend.
    pub(super) color: usize,
    pub(super) points: Vec<Point>,
}

/// Points over one variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chart {
    pub(super) title: String,
    /// The variable, with its unit.
    pub(super) x: &'static str,
    /// The number, with its unit.
    pub(super) y: &'static str,
    pub(super) series: Vec<Series>,
}

/// Colours in the style sheet; more series begin again, with broken lines.
pub(super) const COLORS: usize = 6;

pub(super) const WIDTH: f64 = 400.0;
pub(super) const HEIGHT: f64 = 270.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 48.0;
/// Half the width of the bars that end a spread.
const CAP: f64 = 3.0;

/// The class of a series' marks.
pub(super) fn class(color: usize) -> String {
    let broken = if color >= COLORS { " broken" } else { "" };
    format!("c{}{broken}", color % COLORS)
}

impl Chart {
    /// Draws the chart with its corner at (`left`, `top`). Places of the variable lie at equal
    /// distances, so that 0 and 4096 have room beside each other.
    pub(super) fn draw(&self, svg: &mut Svg, left: f64, top: f64) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut places: Vec<usize> = points().map(|point| point.x).collect();
        places.sort_unstable();
        places.dedup();
        let highest = points().map(|point| point.max).fold(0.0, f64::max);
        let step = step(highest);
        let lines = (highest / step).ceil().max(1.0);
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let (x0, y0) = (left + LEFT, top + TOP);
        let y = |value: f64| y0 + height - height * value / (step * lines);
        let x = |place: usize| {
            let at = places.iter().position(|known| *known == place).unwrap_or(0);
            x0 + width * (at as f64 + 0.5) / places.len().max(1) as f64
        };

        svg.text("title", x0, top + 18.0, Anchor::Start, &self.title);
        for line in 0..=lines as usize {
            let value = step * line as f64;
            svg.line("grid", &[(x0, y(value)), (x0 + width, y(value))]);
            svg.text(
                "tick",
                x0 - 6.0,
                y(value) + 4.0,
                Anchor::End,
                &number(value, step),
            );
        }
        for place in &places {
            svg.line("grid", &[(x(*place), y(0.0)), (x(*place), y(0.0) + 4.0)]);
            let label = place.to_string();
            svg.text("tick", x(*place), y(0.0) + 17.0, Anchor::Middle, &label);
        }
        svg.text(
            "label",
            x0 + width / 2.0,
            top + HEIGHT - 12.0,
            Anchor::Middle,
            self.x,
        );
        svg.upwards("label", left + 16.0, y0 + height / 2.0, self.y);

        for (i, series) in self.series.iter().enumerate() {
            let class = class(series.color);
            // Spreads at one place stand beside each other.
            let aside = (i as f64 - (self.series.len() as f64 - 1.0) / 2.0) * 5.0;
            let at = |point: &Point| x(point.x) + aside;
            let mut ordered = series.points.clone();
            ordered.sort_by_key(|point| point.x);
            let path: Vec<_> = ordered.iter().map(|p| (at(p), y(p.median))).collect();
            svg.line(&format!("line {class}"), &path);
            for point in &ordered {
                let (x, low, high) = (at(point), y(point.min), y(point.max));
                svg.line(&format!("spread {class}"), &[(x, low), (x, high)]);
                for end in [low, high] {
                    svg.line(
                        &format!("spread {class}"),
                        &[(x - CAP, end), (x + CAP, end)],
                    );
                }
                svg.dot(&format!("dot {class}"), x, y(point.median));
            }
        }
    }
}

/// A round distance between grid lines: at most six of them up to `highest`.
fn step(highest: f64) -> f64 {
    if !(highest.is_finite() && highest > 0.0) {
        return 1.0;
    }
    let rough = highest / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter();
    let mut round = round.map(|factor| factor * power);
    round
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power * 10.0)
}

/// A value on a grid of `step`, with the digits that tell its lines apart.
fn number(value: f64, step: f64) -> String {
    let digits = (-(step.log10().floor())).clamp(0.0, 6.0) as usize;
    let fraction = step / 10f64.powf(step.log10().floor());
    let digits = digits + usize::from((fraction - 2.5).abs() < 1e-9 && step < 10.0);
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_round() {
        for (highest, want) in [
            (9.4, 2.0),
            (10.0, 2.0),
            (11.0, 2.5),
            (0.031, 0.01),
            (1234.0, 250.0),
            (0.0, 1.0),
            (f64::NAN, 1.0),
        ] {
            let step = step(highest);
            assert!((step / want - 1.0).abs() < 1e-9, "{highest}: {step}");
        }
        assert_eq!(number(2.5, 2.5), "2.5");
        assert_eq!(number(0.02, 0.01), "0.02");
        assert_eq!(number(500.0, 250.0), "500");
        assert_eq!(number(4.0, 2.0), "4");
    }
}
