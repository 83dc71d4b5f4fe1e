//! What happened at a moment.

/// Longest text of an event, in bytes.
const MAX_TEXT: usize = 200;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The program started.
    Start,
    /// Another kernel took over.
    Kernel,
    /// Another profile was applied.
    Profile,
    /// Another model was loaded.
    Model,
    /// An alert was raised.
    Alert,
    /// An alert is over.
    AlertOver,
    /// An answer began.
    AnswerBegin,
    /// An answer ended.
    AnswerEnd,
}

impl EventKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Start,
        Self::Kernel,
        Self::Profile,
        Self::Model,
        Self::Alert,
        Self::AlertOver,
        Self::AnswerBegin,
        Self::AnswerEnd,
    ];

    /// Name in JSON and CSV.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Kernel => "kernel",
            Self::Profile => "profile",
            Self::Model => "model",
            Self::Alert => "alert",
            Self::AlertOver => "alert_over",
            Self::AnswerBegin => "answer_begin",
            Self::AnswerEnd => "answer_end",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What kind of thing.
    pub kind: EventKind,
    text: String,
}

impl Event {
    /// Something that happened at `at`. Of `text` the first 200 bytes are kept.
    #[must_use]
    pub fn new(at: u64, kind: EventKind, text: &str) -> Self {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            at,
            kind,
            text: text.get(..end).unwrap_or_default().to_owned(),
        }
    }

    /// Which kernel, profile, model or alert.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let event = Event::new(0, EventKind::Kernel, &"ä".repeat(150));
        assert_eq!(event.text(), "ä".repeat(100));
        let event = Event::new(0, EventKind::Kernel, &format!("x{}", "ä".repeat(150)));
        assert_eq!(event.text().len(), 199);
    }

    #[test]
    fn kinds_have_names() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.name()), Some(kind));
        }
    }
}
