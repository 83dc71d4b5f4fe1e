//! Writing a picture so that a terminal that takes a character for wider or narrower than we do spoils
//! nothing else.
//!
//! Only what has changed is written, and what follows what was just written is written without saying
//! where: as long as both sides count cells alike. About emoji that are joined, coloured or asked for, and
//! about some letters of Indic scripts, terminals differ. So after such a cluster it is said where to go
//! on, and its own cells are emptied before; `view::disputed` sees to what lies behind it.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::{Cell, CellWidth as _};
use ratatui::layout::{Position, Size};

use crate::chat::glyph::is_disputed;

/// A terminal that is told where to go on after what it may count differently.
#[derive(Debug)]
pub(crate) struct Steady<W: Write>(CrosstermBackend<W>);

impl<W: Write> Steady<W> {
    pub(crate) const fn new(writer: W) -> Self {
        Self(CrosstermBackend::new(writer))
    }
}

impl<W: Write> Write for Steady<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.0)
    }
}

impl<W: Write> Backend for Steady<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut run = Vec::new();
        // The cells of a cluster that are not its first.
        let mut covered = (0, 0..0);
        for (x, y, cell) in content {
            if covered.0 == y && covered.1.contains(&x) {
                continue;
            }
            if !is_disputed(cell.symbol()) {
                run.push((x, y, cell));
                continue;
            }
            self.0.draw(run.drain(..))?;
            let width = cell.cell_width().max(1);
            let mut blank = Cell::default();
            blank.set_style(cell.style());
            self.0.draw((x..x + width).map(|x| (x, y, &blank)))?;
            self.0.draw(std::iter::once((x, y, cell)))?;
            covered = (y, x + 1..x + width);
        }
        self.0.draw(run.into_iter())
    }

    fn append_lines(&mut self, count: u16) -> io::Result<()> {
        self.0.append_lines(count)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.0.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.0.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    use super::*;
    use crate::view::disputed::mark;

    const COLUMNS: u16 = 16;
    const ROWS: u16 = 4;

    /// What was written since the last look.
    #[derive(Default)]
    struct Written(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Draws one picture after the other and checks after each that every cell that is not a cluster
    /// of disputed width, or covered by one, is on the screen.
    fn check(pictures: &[Vec<String>]) -> Result<(), TestCaseError> {
        let written = Written::default();
        let bytes = std::rc::Rc::clone(&written.0);
        let viewport = Viewport::Fixed(Rect::new(0, 0, COLUMNS, ROWS));
        let mut terminal =
            Terminal::with_options(Steady::new(written), TerminalOptions { viewport }).unwrap();
        let size = |value| NonZeroU16::new(value).unwrap();
        // A row more than is drawn, so that nothing scrolls.
        let mut screen = vt100::Parser::new(size(ROWS + 1), size(COLUMNS), 0);
        for picture in pictures {
            let mut shown = Buffer::default();
            terminal
                .draw(|frame| {
                    let buffer = frame.buffer_mut();
                    for (row, text) in (0..ROWS).zip(picture) {
                        let mut column = 0;
                        for (_, cluster) in crate::chat::glyph::clusters(text, 0) {
                            let width = cluster.cell_width();
                            if column + width > COLUMNS {
                                break;
                            }
                            let most = usize::from(width);
                            buffer.set_stringn(column, row, cluster, most, Style::new());
                            column += width;
                        }
                    }
                    mark(buffer);
                    shown = buffer.clone();
                })
                .unwrap();
            screen.process(&bytes.take());
            for row in 0..ROWS {
                let mut column = 0;
                while column < COLUMNS {
                    let cell = &shown[(column, row)];
                    let width = cell.cell_width().max(1);
                    let seen = screen.screen().cell(row, column).unwrap().contents();
                    let seen = if seen.is_empty() { " " } else { seen };
                    if !is_disputed(cell.symbol()) {
                        prop_assert_eq!(
                            seen,
                            cell.symbol(),
                            "column {} of row {} of {:?}:\n{}",
                            column,
                            row,
                            pictures,
                            screen.screen().contents()
                        );
                    }
                    column += width;
                }
            }
        }
        Ok(())
    }

    #[test]
    fn nothing_is_left_of_what_was_before_an_emoji_that_is_asked_for() {
        let text = |line: &str| vec![line.to_owned(), "below it".to_owned()];
        check(&[
            text("abcdefghijklmnop"),
            text("ab❤\u{fe0f}efghijklmnop"),
            text("ab❤\u{fe0f}ef"),
            text("a 👩\u{200d}🚀 and more"),
            text("a 👩\u{200d}🚀 AND MORE"),
            text("ten letters 👩\u{200d}🚀 b"),
            text("fourteen lette👍🏽"),
            text("🇩🇪🇫🇷 1\u{fe0f}\u{20e3} क्षि abc"),
            text("plain"),
        ])
        .unwrap();
    }

    fn lines() -> impl Strategy<Value = Vec<String>> {
        let piece = prop_oneof![
            6 => "[a-z ]{1,5}",
            2 => Just("漢字".to_owned()),
            1 => Just("e\u{301}".to_owned()),
            1 => Just("❤\u{fe0f}".to_owned()),
            1 => Just("👩\u{200d}🚀".to_owned()),
            1 => Just("👍🏽".to_owned()),
            1 => Just("🇩🇪".to_owned()),
            1 => Just("1\u{fe0f}\u{20e3}".to_owned()),
            1 => Just("क्षि".to_owned()),
            1 => Just("ｶﾞ".to_owned()),
            1 => Just("각".to_owned()),
            1 => Just("␛".to_owned()),
        ];
        let line = proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat());
        proptest::collection::vec(line, usize::from(ROWS))
    }

    proptest! {
        #[test]
        fn a_terminal_that_counts_otherwise_shows_the_rest_as_it_is(
            pictures in proptest::collection::vec(lines(), 1..6),
        ) {
            check(&pictures)?;
        }
    }
}
