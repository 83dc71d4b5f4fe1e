//! What the screen needs of the program around it.

use std::sync::Arc;

use tritone_engine::LoadProgress;

use super::backend::Backend;
use super::profiles::ProfilesCard;

/// What is to be run on; whatever is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// A model: a path or a name of `tritone models`.
    pub model: Option<String>,
    /// A profile: its name or its path.
    pub profile: Option<String>,
    /// Settings of the profile and their values, as on the command line: `("context", "2048")`.
    pub settings: Vec<(String, String)>,
}

impl Order {
    /// This order after `earlier` ones: what it does not name is theirs. A profile takes the settings
    /// that were made before it away.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        let mut settings = match self.profile {
            Some(_) => Vec::new(),
            None => earlier.settings,
        };
        settings.retain(|(key, _)| self.settings.iter().all(|(new, _)| new != key));
        settings.extend(self.settings);
        Self {
            model: self.model.or(earlier.model),
            profile: self.profile.or(earlier.profile),
            settings,
        }
    }

    /// What it asks for, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.model.as_ref().map(|model| format!("model {model}")));
        parts.extend(
            self.profile
                .as_ref()
                .map(|profile| format!("profile {profile}")),
        );
        let setting = |(key, value): &(String, String)| format!("{key} {value}");
        parts.extend(self.settings.iter().map(setting));
        parts.join(", ")
    }
}

/// The program around the screen.
pub trait Host: Send + Sync {
    /// Loads what `order` asks for, reporting progress; when a report is answered with `false` it gives
    /// up. The error is a sentence for the user.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    fn load(
        &self,
        order: &Order,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, String>;

    /// The profiles there are, seen from `order`, which runs on `backend`.
    ///
    /// # Errors
    /// Why they cannot be shown.
    fn profiles(&self, order: &Order, backend: &dyn Backend) -> Result<ProfilesCard, String> {
        let _ = (order, backend);
        Err("there are no profiles here".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_orders_win_and_keep_what_they_do_not_name() {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let earlier = Order {
            model: Some("a".to_owned()),
            profile: None,
            settings: vec![set("context", "1"), set("threads", "2")],
        };
        let later = Order {
            settings: vec![set("context", "9")],
            ..Order::default()
        };
        let both = later.after(earlier.clone());
        assert_eq!(both.summary(), "model a, threads 2, context 9");
        let profile = Order {
            profile: Some("edge".to_owned()),
            ..Order::default()
        };
        assert_eq!(profile.after(earlier).summary(), "model a, profile edge");
    }
}
