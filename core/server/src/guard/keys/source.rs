//! Where keys come from.

use std::path::{Path, PathBuf};

use super::file::{self, KeyFileError};
use super::{Digest, Key, KeySet, Scope, unfit};
use crate::guard::secret::Secret;

/// Names of the files in systemd's directory of credentials.
const CREDENTIAL: &str = "tritone-api-keys";
const ADMIN_CREDENTIAL: &str = "tritone-admin-key";

/// All places where keys may be.
#[derive(Clone, Debug, Default)]
pub struct KeySources {
    /// A file of API keys.
    pub file: Option<PathBuf>,
    /// A file of admin keys.
    pub admin_file: Option<PathBuf>,
    /// The API key of the environment.
    pub key: Option<Secret>,
    /// The admin key of the environment.
    pub admin_key: Option<Secret>,
    /// systemd's directory of credentials.
    pub credentials: Option<PathBuf>,
}

/// Keys that were read, and what the user should know about them.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The keys.
    pub keys: KeySet,
    /// Such as: a file that others can read.
    pub notices: Vec<String>,
}

/// Why keys were not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file is wrong.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A variable is wrong.
    #[error("the key in {name} {what}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A variable has a key that is there already.
    #[error("the key in {name} is there already, as {other}: each key needs a text of its own")]
    Twice {
        /// The variable.
        name: &'static str,
        /// The other key.
        other: String,
    },
    /// A reload would open a server that was closed.
    #[error("no key is left, which would open the server to everybody: the keys stay as they were")]
    NoneLeft,
}

impl KeySources {
    /// Adds `TRITONE_API_KEY`, `TRITONE_ADMIN_KEY` and systemd's credentials to files that are named.
    #[must_use]
    pub fn with_environment(file: Option<PathBuf>, admin_file: Option<PathBuf>) -> Self {
        let variable = |name| std::env::var(name).ok().map(Secret::new);
        Self {
            file,
            admin_file,
            key: variable("TRITONE_API_KEY"),
            admin_key: variable("TRITONE_ADMIN_KEY"),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// Reads all keys.
    ///
    /// # Errors
    ///
    /// At the first thing that is wrong: of a broken set none is taken.
    pub fn load(&self) -> Result<Loaded, KeysError> {
        let mut loaded = Loaded::default();
        let Loaded { keys, notices } = &mut loaded;
        let there = |name| {
            let path = self
                .credentials
                .as_deref()
                .map(|directory: &Path| directory.join(name));
            path.filter(|path| path.exists())
        };
        for (path, scope) in [
            (self.file.clone(), Scope::Api),
            (there(CREDENTIAL), Scope::Api),
            (self.admin_file.clone(), Scope::Admin),
            (there(ADMIN_CREDENTIAL), Scope::Admin),
        ] {
            if let Some(path) = path {
                file::read(&path, scope, keys, notices)?;
            }
        }
        for (key, name, called, scope) in [
            (&self.key, "TRITONE_API_KEY", "environment", Scope::Api),
            (
                &self.admin_key,
                "TRITONE_ADMIN_KEY",
                "environment-admin",
                Scope::Admin,
            ),
        ] {
            let Some(key) = key else { continue };
            if let Some(what) = unfit(key) {
                return Err(KeysError::Variable { name, what });
            }
            let key = Key {
                name: called.into(),
                digest: Digest::of(key.reveal()),
                scope,
            };
            keys.add(key).map_err(|other| KeysError::Twice {
                name,
                other: other.to_string(),
            })?;
        }
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_add_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let sources = KeySources {
            file: Some(path("keys", "a:file-0123456789abc")),
            admin_file: Some(path("admin", "root:admin-0123456789abc")),
            key: Some(Secret::new("variable-0123456789".into())),
            admin_key: Some(Secret::new("admin-variable-0123456789".into())),
            credentials: Some(directory.path().to_owned()),
        };
        path(CREDENTIAL, "c:credential-0123456789");
        let keys = sources.load().unwrap().keys;
        assert_eq!((keys.count(Scope::Api), keys.count(Scope::Admin)), (3, 2));
        let scope = |key: &str| keys.find(key.as_bytes()).map(|key| key.scope);
        assert_eq!(scope("variable-0123456789"), Some(Scope::Api));
        assert_eq!(scope("admin-variable-0123456789"), Some(Scope::Admin));
        assert_eq!(scope("credential-0123456789"), Some(Scope::Api));
        assert!(!format!("{sources:?}").contains("0123456789"));
    }

    #[test]
    fn nothing_anywhere_is_no_keys() {
        let keys = KeySources::default().load().unwrap().keys;
        assert_eq!(keys.count(Scope::Api), 0);
    }

    #[test]
    fn variables_are_checked_like_files() {
        let load = |key: &str, admin: Option<&str>| {
            let sources = KeySources {
                key: Some(Secret::new(key.into())),
                admin_key: admin.map(|key| Secret::new(key.into())),
                ..KeySources::default()
            };
            sources.load().map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(load("", None), "the key in TRITONE_API_KEY is empty");
        let twice = load("one-and-the-same", Some("one-and-the-same"));
        assert!(
            twice.contains("TRITONE_ADMIN_KEY is there already, as environment"),
            "{twice}"
        );
    }
}
