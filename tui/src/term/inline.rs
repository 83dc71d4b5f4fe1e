//! The lowest lines of the terminal: what is finished goes up into the terminal's own history, and
//! below it lies the part that changes.
//!
//! The part begins at a row of the screen that is known once and then kept count of: asking the
//! terminal again where the cursor is would race with what is typed.

use std::io::{self, Write};

use crossterm::cursor::MoveTo;
use crossterm::queue;
use crossterm::style::{Attribute, Print, PrintStyledContent, SetAttribute, StyledContent};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::IntoCrossterm as _;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Where the part that changes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inline {
    /// Size of the terminal.
    columns: u16,
    rows: u16,
    /// First row of the part.
    top: u16,
    height: u16,
}

impl Inline {
    /// A part below row `row`, where the cursor is; `None` if the terminal did not say. Then it is at
    /// the bottom, and what was on the screen goes up.
    pub(super) fn begin(
        out: &mut impl Write,
        size: (u16, u16),
        cursor: Option<(u16, u16)>,
    ) -> io::Result<Self> {
        let (columns, rows) = size;
        let mut part = Self {
            columns,
            rows,
            top: 0,
            height: 0,
        };
        match cursor {
            Some((column, row)) => {
                part.top = row.min(rows.saturating_sub(1));
                // What the shell left in this row stays.
                if column > 0 {
                    part.top += 1;
                    part.make_room(out, 1)?;
                }
            }
            None => part.top = rows,
        }
        Ok(part)
    }

    /// Where the part is.
    pub(super) fn area(&self) -> Rect {
        Rect::new(0, self.top, self.columns, self.height)
    }

    /// Size of the terminal.
    pub(super) fn size(&self) -> (u16, u16) {
        (self.columns, self.rows)
    }

    /// Gives the part `height` rows and empties it.
    pub(super) fn set_height(&mut self, out: &mut impl Write, height: u16) -> io::Result<()> {
        let height = height.min(self.rows);
        queue!(out, BeginSynchronizedUpdate)?;
        self.wipe(out)?;
        self.make_room(out, height)?;
        queue!(out, EndSynchronizedUpdate)?;
        self.height = height;
        out.flush()
    }

    /// The terminal has another size. Where the part is now cannot be known, as terminals move what
    /// is on them; it is drawn where it fits.
    pub(super) fn resized(&mut self, out: &mut impl Write, size: (u16, u16)) -> io::Result<()> {
        self.note_size(size);
        self.wipe(out)
    }

    /// The same, while something else is on the screen.
    pub(super) fn note_size(&mut self, size: (u16, u16)) {
        (self.columns, self.rows) = size;
        self.top = self.top.min(self.rows.saturating_sub(self.height));
    }

    /// Writes `lines` above the part, for good. The part is empty then, and has to be drawn.
    pub(super) fn print(&mut self, out: &mut impl Write, lines: &Buffer) -> io::Result<()> {
        queue!(out, BeginSynchronizedUpdate)?;
        self.wipe(out)?;
        for row in lines.content.chunks(usize::from(lines.area.width.max(1))) {
            line(out, row)?;
            queue!(out, Print("\r\n"))?;
        }
        let written = self.top.saturating_add(lines.area.height);
        self.top = written.min(self.rows.saturating_sub(1));
        self.make_room(out, self.height)?;
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }

    /// Empties the whole screen and begins at its top.
    pub(super) fn anew(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.top = 0;
        queue!(out, Clear(ClearType::All))
    }

    /// Takes the part away and leaves the cursor where it began.
    pub(super) fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.wipe(out)?;
        self.height = 0;
        out.flush()
    }

    fn wipe(&self, out: &mut impl Write) -> io::Result<()> {
        let top = self.top.min(self.rows.saturating_sub(1));
        queue!(
            out,
            SetAttribute(Attribute::Reset),
            MoveTo(0, top),
            Clear(ClearType::FromCursorDown)
        )
    }

    /// Scrolls until there are `height` rows from the top of the part on.
    fn make_room(&mut self, out: &mut impl Write, height: u16) -> io::Result<()> {
        let missing = self.top.saturating_add(height).saturating_sub(self.rows);
        if missing > 0 {
            queue!(out, MoveTo(0, self.rows.saturating_sub(1)))?;
            for _ in 0..missing {
                queue!(out, Print("\n"))?;
            }
            self.top = self.top.saturating_sub(missing);
        }
        queue!(out, MoveTo(0, self.top))
    }
}

/// Writes a row up to its last character, so that a terminal that makes its lines narrower has no
/// blanks to wrap.
fn line(out: &mut impl Write, row: &[ratatui::buffer::Cell]) -> io::Result<()> {
    let blank = |cell: &ratatui::buffer::Cell| cell.symbol() == " ";
    let end = row
        .iter()
        .rposition(|cell| !blank(cell))
        .map_or(0, |at| at + 1);
    let mut skip = 0;
    for cell in row.iter().take(end) {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let width = crate::chat::glyph::width(cell.symbol());
        skip = width.saturating_sub(1);
        let style = cell.style().into_crossterm();
        queue!(
            out,
            PrintStyledContent(StyledContent::new(style, cell.symbol()))
        )?;
    }
    queue!(out, SetAttribute(Attribute::Reset))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use ratatui::style::{Color, Style};

    use super::*;

    fn terminal(columns: u16, rows: u16) -> vt100::Parser {
        let size = |value| NonZeroU16::new(value).unwrap();
        vt100::Parser::new(size(rows), size(columns), 100)
    }

    fn lines(texts: &[&str]) -> Buffer {
        let height = u16::try_from(texts.len()).unwrap();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, height));
        for (row, text) in (0..).zip(texts) {
            buffer.set_string(0, row, text, Style::new().fg(Color::Cyan));
        }
        buffer
    }

    fn draw(screen: &mut vt100::Parser, part: &Inline) {
        for row in 0..part.area().height {
            let at = part.area().y + row + 1;
            screen.process(format!("\x1b[{at};1Hlive {row}").as_bytes());
        }
    }

    #[test]
    fn finished_lines_go_up_and_the_part_stays_below_them() {
        let mut screen = terminal(10, 6);
        screen.process(b"$ tritone\r\n");
        let mut bytes = Vec::new();
        let mut part = Inline::begin(&mut bytes, (10, 6), Some((0, 1))).unwrap();
        part.set_height(&mut bytes, 3).unwrap();
        screen.process(&std::mem::take(&mut bytes));
        assert_eq!(part.area(), Rect::new(0, 1, 10, 3));
        draw(&mut screen, &part);
        assert_eq!(
            screen.screen().contents(),
            "$ tritone\nlive 0\nlive 1\nlive 2"
        );

        part.print(&mut bytes, &lines(&["one", "two  漢"])).unwrap();
        screen.process(&std::mem::take(&mut bytes));
        draw(&mut screen, &part);
        let contents = "$ tritone\none\ntwo  漢\nlive 0\nlive 1\nlive 2";
        assert_eq!(screen.screen().contents(), contents);
        assert_eq!(part.area().bottom(), 6);

        // The next ones push the first ones into the history.
        part.print(&mut bytes, &lines(&["3", "4", "5", "6", "7", "8", "9"]))
            .unwrap();
        screen.process(&std::mem::take(&mut bytes));
        draw(&mut screen, &part);
        assert_eq!(
            screen.screen().contents(),
            "7\n8\n9\nlive 0\nlive 1\nlive 2"
        );
        screen.screen_mut().set_scrollback(100);
        let history = screen.screen().contents();
        assert!(
            history.starts_with("$ tritone\none\ntwo  漢\n3\n"),
            "{history}"
        );
        screen.screen_mut().set_scrollback(0);

        part.end(&mut bytes).unwrap();
        screen.process(&bytes);
        assert_eq!(screen.screen().contents(), "7\n8\n9");
        assert_eq!(screen.screen().cursor_position(), (3, 0));
    }

    #[test]
    fn the_part_grows_upwards_at_the_bottom_and_shrinks_from_below() {
        let mut screen = terminal(10, 5);
        screen.process(b"a\r\nb\r\nc$");
        let mut bytes = Vec::new();
        let mut part = Inline::begin(&mut bytes, (10, 5), Some((2, 2))).unwrap();
        part.set_height(&mut bytes, 4).unwrap();
        screen.process(&std::mem::take(&mut bytes));
        draw(&mut screen, &part);
        assert_eq!(
            screen.screen().contents(),
            "c$\nlive 0\nlive 1\nlive 2\nlive 3"
        );
        part.set_height(&mut bytes, 2).unwrap();
        screen.process(&std::mem::take(&mut bytes));
        draw(&mut screen, &part);
        assert_eq!(screen.screen().contents(), "c$\nlive 0\nlive 1");
        part.resized(&mut bytes, (8, 2)).unwrap();
        assert_eq!(part.area(), Rect::new(0, 0, 8, 2));
    }

    #[test]
    fn a_terminal_that_does_not_say_where_the_cursor_is_loses_nothing() {
        let mut screen = terminal(10, 4);
        screen.process(b"old\r\n");
        let mut bytes = Vec::new();
        let mut part = Inline::begin(&mut bytes, (10, 4), None).unwrap();
        part.set_height(&mut bytes, 2).unwrap();
        screen.process(&bytes);
        assert_eq!(part.area().bottom(), 4);
        screen.screen_mut().set_scrollback(100);
        assert!(screen.screen().contents().contains("old"));
    }
}
