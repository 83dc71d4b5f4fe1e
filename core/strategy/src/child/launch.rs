//! What is started, and how.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::Log;
use crate::error::{Fault, StrategyError};

/// Variables of the environment that a program gets: what it needs to find its parts, and no keys.
const KEPT: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "SSL_CERT_FILE",
    "SYSTEMROOT",
    "TEMP",
];

/// Beginnings of names of variables that it gets too.
const KEPT_BEGINNINGS: [&str; 1] = ["PYTHON"];

/// Arguments for a port.
pub(crate) type Arguments = Arc<dyn Fn(u16) -> Vec<OsString> + Send + Sync>;

/// What a start that failed comes from, as the program's lines tell.
pub(crate) type Reading = Arc<dyn Fn(&Log) -> Option<StrategyError> + Send + Sync>;

/// A server that is started as a program.
#[derive(Clone)]
pub(crate) struct Launch {
    /// Its name, for people.
    pub(crate) name: String,
    /// The program, by its whole path.
    pub(crate) program: PathBuf,
    /// Its arguments. No key is among them: everybody on the machine can read them.
    pub(crate) arguments: Arguments,
    /// Variables of its environment besides the usual.
    pub(crate) environment: BTreeMap<String, String>,
    /// Names of variables that are to hold the key, where it takes one.
    pub(crate) key_variables: &'static [&'static str],
    /// Routes that answer well as soon as the server is ready; all but the last may be unknown to it.
    pub(crate) ready: &'static [&'static str],
    /// Longest time until then.
    pub(crate) start_limit: Duration,
    /// Bytes that it has to read for that, as far as they are known.
    pub(crate) bytes: u64,
    /// Finds out why it did not start.
    pub(crate) reading: Reading,
}

impl Launch {
    /// The environment that it gets, with `key` for the server.
    pub(super) fn variables(&self, key: &str) -> Vec<(OsString, OsString)> {
        let kept = kept();
        let own = self.environment.iter();
        let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let keys = self.key_variables.iter();
        let keys = keys.map(|name| (OsString::from(name), OsString::from(key)));
        kept.chain(own).chain(keys).collect()
    }
}

/// The variables of this process that programs get.
pub(super) fn kept() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| is_kept(name))
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        KEPT.contains(&name)
            || KEPT_BEGINNINGS
                .iter()
                .any(|beginning| name.starts_with(beginning))
    })
}

/// A port that is free now. Another program may take it before ours does.
pub(super) fn free_port() -> Result<u16, StrategyError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| {
            StrategyError::new(
                Fault::Port,
                format!("no port of this machine is free: {error}"),
            )
            .remedy("end programs that hold many connections, and try again")
        })
}

/// A key of 128 random bits.
pub(super) fn random_key() -> Result<String, StrategyError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        StrategyError::new(Fault::Other, "the system gives no random numbers for a key")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_secrets_of_the_environment_stay_here() {
        for name in ["PATH", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH"] {
            assert!(is_kept(OsStr::new(name)), "{name}");
        }
        for name in [
            "OPENAI_API_KEY",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "LD_PRELOAD",
            "path",
        ] {
            assert!(!is_kept(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn keys_differ() {
        let (one, two) = (random_key().unwrap(), random_key().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
        assert_ne!(free_port().unwrap(), 0);
    }
}
