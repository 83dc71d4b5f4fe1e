//! What commands are about, for the help.

use super::Action;

/// What commands are about; the order of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Writing a message.
    Input,
    /// The conversation.
    Chat,
    /// What the model is told and how tokens are chosen.
    Model,
    /// What it runs on.
    Engine,
    /// Where to look.
    Screen,
}

impl Group {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Input,
        Self::Chat,
        Self::Model,
        Self::Engine,
        Self::Screen,
    ];

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Input => "Writing",
            Self::Chat => "Conversation",
            Self::Model => "Model and sampling",
            Self::Engine => "Kernels, profiles, models",
            Self::Screen => "Screen and program",
        }
    }

    /// What an action belongs to.
    pub(crate) fn of(action: Action) -> Self {
        match action {
            Action::Send
            | Action::Newline
            | Action::Complete
            | Action::Attach
            | Action::EditText
            | Action::Expand
            | Action::SearchHistory
            | Action::UndoEdit
            | Action::RedoEdit
            | Action::Composer
            | Action::Queue
            | Action::EditQueued => Self::Input,
            Action::System
            | Action::Sampling
            | Action::Temperature
            | Action::TopP
            | Action::TopK
            | Action::MinP
            | Action::MaxTokens
            | Action::Seed
            | Action::Think
            | Action::Keep => Self::Model,
            Action::Kernel
            | Action::NextKernel
            | Action::Race
            | Action::Model
            | Action::Profile
            | Action::Strategy
            | Action::MonitorExport
            | Action::Stats => Self::Engine,
            Action::Help
            | Action::Palette
            | Action::Show(_)
            | Action::PageUp
            | Action::PageDown
            | Action::Top
            | Action::Bottom
            | Action::Redraw
            | Action::Suspend
            | Action::Interrupt
            | Action::QuitIfEmpty
            | Action::Quit => Self::Screen,
            _ => Self::Chat,
        }
    }
}
