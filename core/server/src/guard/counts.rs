//! How often the guard stepped in.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that the owner of a server should be able to see happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityEvent {
    /// A `Host` that is not ours, or none.
    Host,
    /// A page of a foreign origin.
    Origin,
    /// A request without a key.
    KeyMissing,
    /// A key that is not one of ours.
    KeyWrong,
    /// An admin route without an admin key.
    Admin,
    /// More requests than a client may send.
    RequestRate,
    /// More tokens than a client may have.
    TokenRate,
    /// A prompt that a rule refused.
    PromptRefused,
    /// A prompt with characters that are not taken.
    PromptInvalid,
    /// A prompt in which something was replaced or left out.
    PromptChanged,
    /// A prompt that a rule flagged.
    PromptFlagged,
    /// An answer that a rule ended.
    AnswerRefused,
    /// An answer in which something was replaced.
    AnswerChanged,
    /// An answer that a rule flagged.
    AnswerFlagged,
    /// Keys were read again.
    KeysReloaded,
    /// Keys were read again and were wrong.
    KeysRefused,
}

impl SecurityEvent {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Host,
        Self::Origin,
        Self::KeyMissing,
        Self::KeyWrong,
        Self::Admin,
        Self::RequestRate,
        Self::TokenRate,
        Self::PromptRefused,
        Self::PromptInvalid,
        Self::PromptChanged,
        Self::PromptFlagged,
        Self::AnswerRefused,
        Self::AnswerChanged,
        Self::AnswerFlagged,
        Self::KeysReloaded,
        Self::KeysRefused,
    ];

    /// Its name, as the label of a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::KeyMissing => "key_missing",
            Self::KeyWrong => "key_wrong",
            Self::Admin => "admin",
            Self::RequestRate => "request_rate",
            Self::TokenRate => "token_rate",
            Self::PromptRefused => "prompt_refused",
            Self::PromptInvalid => "prompt_invalid",
            Self::PromptChanged => "prompt_changed",
            Self::PromptFlagged => "prompt_flagged",
            Self::AnswerRefused => "answer_refused",
            Self::AnswerChanged => "answer_changed",
            Self::AnswerFlagged => "answer_flagged",
            Self::KeysReloaded => "keys_reloaded",
            Self::KeysRefused => "keys_refused",
        }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct SecurityCounts([AtomicU64; SecurityEvent::ALL.len()]);

impl SecurityCounts {
    /// Counts an event.
    pub fn note(&self, event: SecurityEvent) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often an event was counted.
    #[must_use]
    pub fn get(&self, event: SecurityEvent) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_event_has_a_count_and_a_name_of_its_own() {
        let counts = SecurityCounts::default();
        for (index, event) in SecurityEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index);
            assert_eq!(counts.get(event), 0);
            (0..=index).for_each(|_| counts.note(event));
            assert_eq!(counts.get(event), index as u64 + 1);
        }
        let names: HashSet<_> = SecurityEvent::ALL.map(SecurityEvent::name).into();
        assert_eq!(names.len(), SecurityEvent::ALL.len());
    }
}
