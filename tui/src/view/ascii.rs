//! The screen in ASCII: what is drawn with lines, blocks and dots becomes what stands for it.
//!
//! It is done to the finished picture, in one place, so that no view can forget it. Letters of
//! other scripts are what somebody wrote, not decoration; they stay.

use ratatui::buffer::Buffer;

/// What stands for a character of decoration; one cell for one cell.
fn stand_in(c: char) -> Option<&'static str> {
    Some(match c {
        '─' | '━' | '╌' | '╍' | '┄' | '┅' | '┈' | '┉' | '╴' | '╶' | '╸' | '╺' => {
            "-"
        }
        '│' | '┃' | '╎' | '╏' | '┆' | '┇' | '┊' | '┋' | '╵' | '╷' | '╹' | '╻' => {
            "|"
        }
        '═' => "=",
        '║' => "|",
        '\u{2500}'..='\u{257f}' => "+",
        '▁' => "_",
        '▂' | '▔' => ".",
        '▃' => "-",
        '▄' | '▀' => "=",
        '▅' => "+",
        '▆' => "*",
        '▏' | '▎' | '▍' | '▕' => "|",
        '░' => ".",
        '▒' => ":",
        '▓' => "*",
        '\u{2580}'..='\u{259f}' => "#",
        '■' | '▪' | '◼' | '◾' | '▮' => "#",
        '□' | '▫' | '◻' | '◽' | '▯' => "o",
        '▲' | '△' | '▴' | '▵' | '↑' | '⇧' | '⇡' | '⌃' => "^",
        '▼' | '▽' | '▾' | '▿' | '↓' | '⇣' => "v",
        '▶' | '▷' | '▸' | '▹' | '►' | '→' | '›' | '»' | '❯' | '⇢' | '➜' | '⟩' => {
            ">"
        }
        '◀' | '◁' | '◂' | '◃' | '◄' | '←' | '‹' | '«' | '❮' | '⇠' | '⟨' => "<",
        '↵' | '⏎' => "<",
        '●' | '•' | '◦' | '∙' | '⋅' | '○' | '◉' | '◆' | '◇' | '★' | '☆' => {
            "*"
        }
        '·' => "|",
        '…' | '⋯' => "~",
        '⋮' => ":",
        '✓' | '✔' | '☑' => "+",
        '✗' | '✘' | '☒' | '×' => "x",
        '☐' => "o",
        '–' | '—' | '−' | '‐' | '‑' => "-",
        '±' => "~",
        'µ' | 'μ' => "u",
        '°' => "d",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        '\u{2400}'..='\u{2426}' | '\u{fffd}' => "?",
        '\u{2800}'..='\u{28ff}' => match u32::from(c) & 0xff {
            0 => " ",
            dots if dots.count_ones() <= 2 => ".",
            dots if dots.count_ones() <= 5 => ":",
            _ => "#",
        },
        _ => return None,
    })
}

/// Replaces decoration in `buffer`.
pub(super) fn fold(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let mut characters = cell.symbol().chars();
        if let (Some(c), None) = (characters.next(), characters.next())
            && !c.is_ascii()
            && let Some(stand_in) = stand_in(c)
        {
            cell.set_symbol(stand_in);
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::CellWidth as _;
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn lines_and_charts_become_ascii_and_letters_stay() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
        buffer.set_string(0, 0, "─│┌…·⣿⡀⠀█▁Größe 漢", ratatui::style::Style::new());
        fold(&mut buffer);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text.trim_end(), "-|+~|#. #_Größe 漢");
    }

    /// Every character of lines, blocks, dots and pictures of control characters has a stand-in of
    /// one cell, and only where the character takes one.
    #[test]
    fn nothing_is_forgotten_and_nothing_moves() {
        for range in [0x2500..=0x259f_u32, 0x2800..=0x28ff, 0x2400..=0x2426] {
            for c in range.filter_map(char::from_u32) {
                let ascii = stand_in(c).unwrap();
                assert!(ascii.len() == 1 && ascii.is_ascii(), "{c:?}");
                assert_eq!(c.to_string().as_str().cell_width(), 1, "{c:?}");
            }
        }
    }
}
