//! A line over time, drawn with the dots of braille: two in a row and four in a column of every cell.
//!
//! Each column of dots stands for a stretch of time: from the least to the greatest value in it, joined
//! with the column before. Time of which nothing is known stays empty.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use tritone_monitor::Point;

use super::put;

/// Dots of a cell, by column and by row from the top.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// The cell without dots.
const BLANK: u32 = 0x2800;

/// What is drawn.
pub(super) struct Chart<'p> {
    /// Two for every column of cells.
    pub(super) points: &'p [Option<Point>],
    /// The value at the top; the bottom is 0.
    pub(super) top: f64,
    pub(super) style: Style,
    /// One character a cell instead of dots.
    pub(super) ascii: bool,
}

impl Chart<'_> {
    /// Points that an area so wide has room for.
    pub(super) fn room(width: u16) -> usize {
        usize::from(width) * 2
    }

    /// Draws it, over what is there already.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let rows = usize::from(area.height) * if self.ascii { 1 } else { 4 };
        let columns = self.columns(rows);
        for column in 0..area.width {
            let at = usize::from(column) * 2;
            let pair = [columns.get(at), columns.get(at + 1)].map(|c| c.copied().flatten());
            for row in 0..area.height {
                let text = if self.ascii {
                    sign(pair, usize::from(row))
                } else {
                    braille(pair, usize::from(row) * 4)
                };
                if let Some(text) = text {
                    put(
                        buffer,
                        area,
                        column,
                        row,
                        text.encode_utf8(&mut [0; 4]),
                        self.style,
                    );
                }
            }
        }
    }

    /// The first and the last row of every column of dots, from the top.
    fn columns(&self, rows: usize) -> Vec<Option<(usize, usize)>> {
        let last = rows.saturating_sub(1);
        let row = |value: f64| {
            let share = if self.top > 0.0 {
                value / self.top
            } else {
                0.0
            };
            // `as` saturates, and makes 0 of what is no number.
            last - ((share.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
        };
        let mut before: Option<usize> = None;
        let mut columns = Vec::with_capacity(self.points.len());
        for point in self.points {
            let Some(point) = point else {
                before = None;
                columns.push(None);
                continue;
            };
            let (mut first, mut end) = (row(point.max), row(point.min));
            // The line goes on from where it was, without touching that row twice.
            if let Some(before) = before {
                if before < first {
                    first = before + 1;
                } else if before > end {
                    end = before - 1;
                }
            }
            before = Some(row(point.mean));
            columns.push(Some((first, end)));
        }
        columns
    }
}

/// The dots of a cell whose first row of dots is `top`; `None` if it has none.
fn braille(pair: [Option<(usize, usize)>; 2], top: usize) -> Option<char> {
    let mut dots = 0;
    for (column, rows) in DOTS.iter().zip(pair) {
        let Some((first, last)) = rows else { continue };
        for (row, dot) in (top..).zip(column) {
            if (first..=last).contains(&row) {
                dots |= dot;
            }
        }
    }
    (dots != 0).then(|| char::from_u32(BLANK + dots)).flatten()
}

/// The character of a cell in ASCII.
fn sign(pair: [Option<(usize, usize)>; 2], row: usize) -> Option<char> {
    let known = pair.into_iter().flatten();
    let (first, last) = known.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    match row {
        _ if !(first..=last).contains(&row) => None,
        _ if row == first => Some('*'),
        _ => Some(':'),
    }
}

/// A round number that `value` does not exceed, and not much greater; 1 for nothing.
pub(super) fn round_top(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| value <= step * power);
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(value: f64) -> Option<Point> {
        spread(value, value)
    }

    fn spread(min: f64, max: f64) -> Option<Point> {
        Some(Point {
            min,
            mean: f64::midpoint(min, max),
            max,
        })
    }

    fn drawn(
        points: &[Option<Point>],
        top: f64,
        (width, height): (u16, u16),
        ascii: bool,
    ) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let chart = Chart {
            points,
            top,
            style: Style::new(),
            ascii,
        };
        chart.draw(area, &mut buffer);
        let rows = buffer.content.chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }

    #[test]
    fn a_line_that_rises() {
        let points: Vec<_> = (0..8).map(|i| point(f64::from(i))).collect();
        assert_eq!(drawn(&points, 7.0, (4, 2), false), ["  ⡠⠊", "⡠⠊  "]);
    }

    #[test]
    fn a_jump_is_joined_and_a_gap_is_not() {
        let points = [
            point(0.0),
            point(0.0),
            point(7.0),
            point(7.0),
            None,
            None,
            point(7.0),
            point(0.0),
        ];
        assert_eq!(drawn(&points, 7.0, (4, 2), false), [" ⡏ ⢱", "⣀⠇ ⢸"]);
    }

    #[test]
    fn least_and_greatest_are_seen() {
        let points = [spread(0.0, 7.0), None];
        assert_eq!(drawn(&points, 7.0, (1, 2), false), ["⡇", "⡇"]);
        assert_eq!(drawn(&points, 7.0, (1, 3), true), ["*", ":", ":"]);
    }

    #[test]
    fn nothing_and_too_much_stay_inside() {
        assert_eq!(drawn(&[], 1.0, (2, 1), false), ["  "]);
        assert_eq!(drawn(&[None; 4], 1.0, (2, 1), false), ["  "]);
        let wild = [
            point(f64::INFINITY),
            point(-1.0),
            point(f64::NAN),
            point(1e300),
        ];
        assert_eq!(drawn(&wild, 1.0, (2, 1), false)[0].chars().count(), 2);
        assert_eq!(drawn(&[point(3.0)], 0.0, (1, 1), false), ["⡀"]);
    }

    #[test]
    fn tops_are_round() {
        for (value, top) in [
            (0.0, 1.0),
            (0.3, 0.3),
            (1.0, 1.0),
            (31.2, 40.0),
            (99.0, 100.0),
            (1501.0, 2000.0),
        ] {
            assert!((round_top(value) - top).abs() < 1e-9, "{value}");
        }
    }

    proptest! {
        /// Every known point has a dot in its column, and no unknown one has; whatever the size.
        #[test]
        fn what_is_known_is_seen(
            values in prop::collection::vec(prop::option::of((0.0..100.0_f64, 0.0..50.0_f64)), 0..40),
            height in 1..6_u16,
        ) {
            let points: Vec<_> = values.iter().map(|v| v.and_then(|(min, more)| spread(min, min + more))).collect();
            let width = u16::try_from(points.len().div_ceil(2).max(1)).unwrap();
            let rows = drawn(&points, 100.0, (width, height), false);
            for (at, point) in points.iter().enumerate() {
                let mask: u32 = DOTS[at % 2].iter().sum();
                let seen = rows.iter().any(|row| {
                    let c = row.chars().nth(at / 2).unwrap_or(' ');
                    u32::from(c) >= BLANK && (u32::from(c) - BLANK) & mask != 0
                });
                prop_assert_eq!(seen, point.is_some(), "column {}", at);
            }
        }
    }
}
