//! The views, of which one is on the screen.

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// The conversation.
    #[default]
    Chat,
    /// What the machine does for it.
    Monitor,
    /// The kernels there are.
    Kernels,
    /// The profiles there are.
    Profiles,
    /// The models on this machine.
    Models,
    /// Ways to run the model.
    Strategies,
    /// Earlier conversations.
    Sessions,
    /// What the program has to say about itself.
    Logs,
}

impl View {
    /// All of them, in the order of the tab bar.
    pub(crate) const ALL: [Self; 8] = [
        Self::Chat,
        Self::Monitor,
        Self::Kernels,
        Self::Profiles,
        Self::Models,
        Self::Strategies,
        Self::Sessions,
        Self::Logs,
    ];

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Chat => "Chat",
            Self::Monitor => "Monitor",
            Self::Kernels => "Kernels",
            Self::Profiles => "Profiles",
            Self::Models => "Models",
            Self::Strategies => "Strategies",
            Self::Sessions => "Sessions",
            Self::Logs => "Logs",
        }
    }
}
