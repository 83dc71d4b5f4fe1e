//! Where the program keeps what (XDG Base Directory Specification): one directory of its own in each
//! of the user's four.
//!
//! A variable that holds no absolute path is ignored, as the specification has it. `None` means that
//! there is no place: neither the variable nor `HOME` names one.

use std::path::PathBuf;

/// The environment, by name.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The program's directory in each of the user's.
const OWN: &str = "tritone";

/// What the user writes: settings and profiles.
pub(crate) fn config(env: Env<'_>) -> Option<PathBuf> {
    Some(base(env, "XDG_CONFIG_HOME", ".config")?.join(OWN))
}

/// What the program keeps for the user: conversations, models.
pub(crate) fn data(env: Env<'_>) -> Option<PathBuf> {
    Some(base(env, "XDG_DATA_HOME", ".local/share")?.join(OWN))
}

/// What the program remembers from one start to the next, and nobody would miss: logs, history of
/// measurements, hints that were shown.
pub(crate) fn state(env: Env<'_>) -> Option<PathBuf> {
    Some(base(env, "XDG_STATE_HOME", ".local/state")?.join(OWN))
}

/// What can be computed again.
pub(crate) fn cache(env: Env<'_>) -> Option<PathBuf> {
    Some(base(env, "XDG_CACHE_HOME", ".cache")?.join(OWN))
}

/// One of the user's directories: the variable's, or `below` the home directory.
pub(crate) fn base(env: Env<'_>, variable: &str, below: &str) -> Option<PathBuf> {
    absolute(env, variable).or_else(|| Some(absolute(env, "HOME")?.join(below)))
}

/// The path in a variable, if it is absolute.
pub(crate) fn absolute(env: Env<'_>, variable: &str) -> Option<PathBuf> {
    env(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_first_and_relative_ones_do_not_count() {
        let env = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/c".to_owned()),
            "XDG_DATA_HOME" => Some("relative".to_owned()),
            "HOME" => Some("/h".to_owned()),
            _ => None,
        };
        let named = |path: Option<PathBuf>| path.unwrap().display().to_string();
        assert_eq!(named(config(&env)), "/c/tritone");
        assert_eq!(named(data(&env)), "/h/.local/share/tritone");
        assert_eq!(named(state(&env)), "/h/.local/state/tritone");
        assert_eq!(named(cache(&env)), "/h/.cache/tritone");
        for place in [config, data, state, cache] {
            assert_eq!(place(&|_| None), None);
        }
    }
}
