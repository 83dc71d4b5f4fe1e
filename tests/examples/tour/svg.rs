//! A screen as a picture.

use std::fmt::Write as _;

/// Cells of text and the size of one, in the picture's units.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 12.0;

const INK: &str = "#c9d1d9";
const PAPER: &str = "#0d1117";

const ANSI: [&str; 16] = [
    "#484f58", "#ff7b72", "#7ee787", "#d29922", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9",
    "#6e7681", "#ffa198", "#aff5b4", "#e3b341", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#f0f6fc",
];

/// How a cell looks.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Look {
    fn of(cell: &vt100::Cell) -> Self {
        let mut ink = colour(cell.fgcolor());
        let mut paper = colour(cell.bgcolor());
        if cell.inverse() {
            (ink, paper) = (
                Some(paper.unwrap_or_else(|| PAPER.to_owned())),
                Some(ink.unwrap_or_else(|| INK.to_owned())),
            );
        }
        Self {
            ink: ink.unwrap_or_else(|| INK.to_owned()),
            paper,
            bold: cell.bold(),
            dim: cell.dim(),
            italic: cell.italic(),
            underline: cell.underline(),
        }
    }
}

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Idx(i) => ANSI.get(usize::from(i)).map(|&name| name.to_owned()),
        vt100::Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
    }
}

/// Draws `screen`: cells of one look that follow each other are one piece of text.
pub(crate) fn draw(screen: &vt100::Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = CELL;
    let (w, h) = (
        f64::from(columns.get()) * width + 2.0 * MARGIN,
        f64::from(rows.get()) * height + 2.0 * MARGIN,
    );
    let title = escaped(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..rows.get() {
        let mut column = 0;
        while column < columns.get() {
            let Some(cell) = screen.cell(row, column) else {
                break;
            };
            let look = Look::of(cell);
            let start = column;
            let mut text = String::new();
            while let Some(cell) = screen
                .cell(row, column)
                .filter(|cell| column < columns.get() && Look::of(cell) == look)
            {
                match cell.contents() {
                    _ if cell.is_wide_continuation() => {}
                    "" => text.push(' '),
                    contents => text.push_str(contents),
                }
                column += 1;
            }
            piece(&mut svg, row, start, column - start, &text, &look);
        }
    }
    svg + "</svg>\n"
}

fn piece(svg: &mut String, row: u16, column: u16, cells: u16, text: &str, look: &Look) {
    let (width, height) = CELL;
    let x = MARGIN + f64::from(column) * width;
    let y = MARGIN + f64::from(row) * height;
    let long = f64::from(cells) * width;
    if let Some(paper) = &look.paper {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{long:.1}\" height=\"{height}\" fill=\"{paper}\"/>"
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let mut style = String::new();
    for (set, attribute) in [
        (look.bold, " font-weight=\"bold\""),
        (look.dim, " opacity=\"0.6\""),
        (look.italic, " font-style=\"italic\""),
        (look.underline, " text-decoration=\"underline\""),
    ] {
        if set {
            style.push_str(attribute);
        }
    }
    let (ink, text) = (&look.ink, escaped(text));
    let y = y + 14.0;
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{long:.1}\" xml:space=\"preserve\" fill=\"{ink}\"{style}>{text}</text>"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
