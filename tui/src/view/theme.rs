//! The few styles there are.

use ratatui::style::{Color, Modifier, Style};

/// Styles, with or without colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    color: bool,
}

impl Theme {
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    /// What is read.
    pub(super) fn text(self) -> Style {
        Style::new()
    }

    /// What matters less.
    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What stands out.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What the person wrote.
    pub(super) fn user(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is selected.
    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is going on.
    pub(super) fn active(self) -> Style {
        self.colored(Color::Green)
    }

    /// What needs attention soon.
    pub(super) fn warning(self) -> Style {
        self.colored(Color::Yellow)
    }

    /// What went wrong.
    pub(super) fn error(self) -> Style {
        self.colored(Color::Red)
    }

    fn colored(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}
