//! What differs between two profiles, and when a change holds.

use serde::Serialize;

use crate::keys::{Applies, KEYS};
use crate::resolve::Resolved;

/// A setting that has another value in another profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The setting.
    pub key: &'static str,
    /// Its value now, as text.
    pub from: String,
    /// Its value then, as text.
    pub to: String,
    /// When the change holds in a running program.
    pub applies: Applies,
}

/// What changes from one profile to another, in the order of [`KEYS`]; words about the profile (its
/// name, description and tips) are left out.
pub fn changes(from: &Resolved, to: &Resolved) -> Vec<Change> {
    KEYS.iter()
        .filter(|key| !matches!(key.name, "name" | "description" | "tips"))
        .filter_map(|key| {
            let (from, to) = (from.origin_of(key.name)?, to.origin_of(key.name)?);
            (from.value != to.value).then(|| Change {
                key: key.name,
                from: from.value.clone(),
                to: to.value.clone(),
                applies: key.applies,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layers, resolve};

    #[test]
    fn only_what_differs_changes() {
        let edge = resolve(Some("edge"), &Layers::none()).unwrap();
        assert_eq!(changes(&edge, &edge), []);
        let layers = Layers::none().with_flag("--kv", "kv_type", "q8");
        let other = resolve(Some("edge"), &layers).unwrap();
        let change = &changes(&edge, &other)[0];
        assert_eq!(
            (change.key, change.from.as_str(), change.to.as_str()),
            ("kv_type", "f16", "q8")
        );
        assert_eq!(change.applies, Applies::AfterAnswer);
        let mobile = resolve(Some("mobile"), &Layers::none()).unwrap();
        let keys: Vec<_> = changes(&edge, &mobile).iter().map(|c| c.key).collect();
        assert!(keys.starts_with(&["threads", "memory_mb", "priority", "batch", "context"]));
        assert!(!keys.contains(&"tips"));
    }
}
