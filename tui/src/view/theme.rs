//! The styles there are, by what they are for.
//!
//! Only the sixteen colours of the terminal's own palette are used, so that the person's choice of
//! colours holds. Which of them can be read depends on the background: blue is lost on black,
//! yellow on white. What a colour says is also said in words, so that nothing is lost without.

use ratatui::style::{Color, Modifier, Style};

/// The background of the terminal.
#[allow(dead_code, reason = "views take the roles up one by one")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Background {
    /// Nobody said, and the terminal does not tell: only colours that can be read on both.
    #[default]
    Unknown,
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

/// How the screen is to look; it may change while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Colours may be used.
    pub(crate) color: bool,
    /// What they are read on.
    pub(crate) background: Background,
    /// Lines, charts and marks are drawn with ASCII characters only.
    pub(crate) ascii: bool,
}

/// What a piece of program text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(dead_code, reason = "views take the roles up one by one")]
pub(crate) enum Code {
    /// Anything else.
    Plain,
    /// `fn`, `return`, also operators that are words.
    Keyword,
    /// A string or a character.
    String,
    /// A comment.
    Comment,
    /// A number, a truth value, a constant of the language.
    Number,
    /// The name of a function where it is defined or called.
    Function,
    /// The name of a type.
    Type,
    /// Brackets, commas, operators.
    Punctuation,
}

/// Styles, with or without colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    look: Look,
}

#[allow(dead_code, reason = "views take the roles up one by one")]
impl Theme {
    pub(crate) fn new(look: Look) -> Self {
        Self { look }
    }

    /// Whether only ASCII characters may be drawn. What a view draws otherwise is folded to ASCII
    /// at the end ([`super::ascii`]); a view that can do better asks here.
    pub(crate) fn ascii(self) -> bool {
        self.look.ascii
    }

    /// What is read.
    pub(crate) fn text(self) -> Style {
        Style::new()
    }

    /// What matters less.
    pub(crate) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What stands out.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What the person wrote.
    pub(crate) fn user(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// Where the eye is to go: keys, links, the active tab.
    pub(crate) fn accent(self) -> Style {
        self.colored(Color::Cyan, Color::Cyan, Color::Blue)
    }

    /// What is selected.
    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is going on.
    pub(crate) fn active(self) -> Style {
        self.ok()
    }

    /// What is as it should be.
    pub(crate) fn ok(self) -> Style {
        self.colored(Color::Green, Color::Green, Color::Green)
    }

    /// What needs attention soon.
    pub(crate) fn warning(self) -> Style {
        self.colored(Color::Yellow, Color::Yellow, Color::Magenta)
    }

    /// What went wrong.
    pub(crate) fn error(self) -> Style {
        self.colored(Color::Red, Color::LightRed, Color::Red)
    }

    /// What a search found.
    pub(crate) fn found(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// A heading in an answer.
    pub(crate) fn heading(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// A link in an answer.
    pub(crate) fn link(self) -> Style {
        self.accent().add_modifier(Modifier::UNDERLINED)
    }

    /// Program text, by what it is.
    pub(crate) fn code(self, class: Code) -> Style {
        match class {
            Code::Plain => self.text(),
            Code::Punctuation => self.text(),
            Code::Comment => self.dim().add_modifier(Modifier::ITALIC),
            Code::Keyword => self.colored(Color::Magenta, Color::LightMagenta, Color::Magenta),
            Code::String => self.ok(),
            Code::Number => self.colored(Color::Red, Color::Yellow, Color::Red),
            Code::Function => self.colored(Color::Cyan, Color::LightBlue, Color::Blue),
            Code::Type => self.colored(Color::Cyan, Color::Cyan, Color::Cyan),
        }
    }

    /// The line of a chart, or one of several in one picture (they repeat after six).
    pub(crate) fn chart(self, series: usize) -> Style {
        const SERIES: [[Color; 3]; 6] = [
            [Color::Cyan, Color::Cyan, Color::Blue],
            [Color::Green, Color::Green, Color::Green],
            [Color::Magenta, Color::LightMagenta, Color::Magenta],
            [Color::Yellow, Color::Yellow, Color::Red],
            [Color::Red, Color::LightRed, Color::Cyan],
            [Color::Cyan, Color::LightBlue, Color::Reset],
        ];
        let [unknown, dark, light] = SERIES[series % SERIES.len()];
        self.colored(unknown, dark, light)
    }

    /// Axes and grid of a chart.
    pub(crate) fn axis(self) -> Style {
        self.dim()
    }

    /// A mark on the time axis of a chart, and its caption.
    pub(crate) fn marker(self) -> Style {
        self.colored(Color::Yellow, Color::Yellow, Color::Magenta)
            .add_modifier(Modifier::BOLD)
    }

    /// How far something has got: the full part of a bar, by its share of what is possible.
    pub(crate) fn level(self, share: f64) -> Style {
        if share >= 0.9 {
            self.error()
        } else if share >= 0.75 {
            self.warning()
        } else {
            self.ok()
        }
    }

    fn colored(self, unknown: Color, dark: Color, light: Color) -> Style {
        if !self.look.color {
            return Style::new();
        }
        Style::new().fg(match self.look.background {
            Background::Unknown => unknown,
            Background::Dark => dark,
            Background::Light => light,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(look: Look) -> Vec<Style> {
        let theme = Theme::new(look);
        let code = [
            Code::Plain,
            Code::Keyword,
            Code::String,
            Code::Comment,
            Code::Number,
            Code::Function,
            Code::Type,
            Code::Punctuation,
        ];
        let mut roles = vec![
            theme.text(),
            theme.dim(),
            theme.strong(),
            theme.user(),
            theme.accent(),
            theme.active(),
            theme.ok(),
            theme.warning(),
            theme.error(),
            theme.selected(),
            theme.found(),
            theme.heading(),
            theme.link(),
            theme.axis(),
            theme.marker(),
        ];
        roles.extend(code.map(|class| theme.code(class)));
        roles.extend((0..8).map(|series| theme.chart(series)));
        roles.extend([0.0, 0.8, 1.0].map(|share| theme.level(share)));
        roles
    }

    const LOOK: Look = Look {
        color: true,
        background: Background::Unknown,
        ascii: false,
    };

    #[test]
    fn only_the_palette_of_the_terminal_and_what_can_be_read_on_its_background() {
        for background in [Background::Unknown, Background::Dark, Background::Light] {
            for style in roles(Look { background, ..LOOK }) {
                let Some(color) = style.fg else { continue };
                assert!(
                    !matches!(color, Color::Rgb(..) | Color::Indexed(_)),
                    "{color} is not of the palette"
                );
                let lost: &[Color] = match background {
                    Background::Dark => &[Color::Black, Color::Blue],
                    Background::Light => &[Color::White, Color::Gray, Color::Yellow],
                    Background::Unknown => &[Color::Black, Color::White, Color::Gray, Color::Blue],
                };
                assert!(!lost.contains(&color), "{color} on {background:?}");
                assert_eq!(style.bg, None, "a background of ours fights the person's");
            }
        }
    }

    #[test]
    fn without_colours_the_chosen_and_the_important_still_stand_out() {
        let look = Look {
            color: false,
            ..LOOK
        };
        assert!(roles(look).iter().all(|style| style.fg.is_none()));
        let theme = Theme::new(look);
        for style in [
            theme.selected(),
            theme.strong(),
            theme.user(),
            theme.heading(),
        ] {
            assert_ne!(style, theme.text());
        }
    }
}
