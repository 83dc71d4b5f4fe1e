//! Writing SVG 1.1: text in, well-formed XML out.

use std::fmt::{self, Write as _};

/// A picture that grows.
pub(in crate::cli) struct Svg {
    body: String,
}

/// Coordinates with a tenth of a pixel, and without a useless fraction.
struct At(f64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        // A negative zero is a zero.
        write!(f, "{}", if tenths == 0.0 { 0.0 } else { tenths })
    }
}

/// Where text goes from its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty picture with a style sheet.
    pub(in crate::cli) fn new(width: f64, height: f64, title: &str, style: &str) -> Self {
        let (width, height) = (At(width), At(height));
        let body = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n<style>{}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
            Escaped(title),
            Escaped(style),
        );
        Self { body }
    }

    pub(in crate::cli) fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            self.body,
            "<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            Escaped(class),
            At(x),
            At(y),
            Escaped(text)
        );
    }

    /// Text that runs upwards, its middle at the point.
    pub(in crate::cli) fn upwards(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y) = (At(x), At(y));
        let _ = writeln!(
            self.body,
            "<text class=\"{}\" transform=\"translate({x} {y}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            Escaped(class),
            Escaped(text)
        );
    }

    /// A line through all points.
    pub(in crate::cli) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let letter = if i == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{} {}", At(*x), At(*y));
        }
        let _ = writeln!(
            self.body,
            "<path class=\"{}\" d=\"{path}\"/>",
            Escaped(class)
        );
    }

    pub(in crate::cli) fn dot(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = (At(x), At(y));
        let class = Escaped(class);
        let _ = writeln!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>"
        );
    }

    /// The whole picture.
    pub(in crate::cli) fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }
}

/// Text as it may stand in XML 1.0: markup escaped, characters that XML has not replaced.
pub(in crate::cli) struct Escaped<'a>(pub(in crate::cli) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                    f.write_char(c)?;
                }
                _ => f.write_char('\u{fffd}')?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_is_no_markup() {
        let escaped = Escaped("a<b>&\"\u{7}").to_string();
        assert_eq!(escaped, "a&lt;b&gt;&amp;&quot;\u{fffd}");
    }
}
