//! How the program behaves at the terminal, as far as the person can choose.

use std::time::Duration;

/// Colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Those that suit the terminal's background, which is asked for it.
    #[default]
    Auto,
    /// For light text on dark.
    Dark,
    /// For dark text on light.
    Light,
    /// None.
    None,
}

/// Which part of the terminal is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// All of it, on the alternate screen.
    #[default]
    Full,
    /// The lowest lines; what is finished goes into the terminal's own history.
    Inline,
}

/// How text goes into the clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipboard {
    /// By way of the terminal and of the system, whichever is nearer to the person first.
    #[default]
    Auto,
    /// By way of the terminal (OSC 52).
    Terminal,
    /// By way of the system.
    System,
    /// Not at all.
    Off,
}

/// How the program behaves at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Colours.
    pub theme: Theme,
    /// Only ASCII characters in lines, charts and marks.
    pub ascii: bool,
    /// The mouse belongs to the program, not to the terminal's selection.
    pub mouse: bool,
    /// Most pictures a second, from 1 to 60.
    pub fps: u32,
    /// Which part of the terminal is used.
    pub screen: Screen,
    /// Keys of vi edit the input, not those of emacs.
    pub vi: bool,
    /// Things may move that need not.
    pub animations: bool,
    /// How text goes into the clipboard.
    pub clipboard: Clipboard,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            ascii: false,
            mouse: false,
            fps: 30,
            screen: Screen::default(),
            vi: false,
            animations: true,
            clipboard: Clipboard::default(),
        }
    }
}

impl Manners {
    /// Shortest time between two pictures.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps.clamp(1, 60)
    }
}
