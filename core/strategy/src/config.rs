//! What the user says about strategies.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tritone_client::{Address, Times};

use crate::bitnet_cpp;
use crate::error::{Fault, StrategyError};
use crate::native::Native;
use crate::remote::Endpoint;
use crate::transformers;

/// The strategies in the order in which they are tried, where the user says nothing: what is fastest here and promises
/// most comes first. Servers that the user has configured come after these.
pub const ORDER: [&str; 3] = [
    Native::NAME,
    crate::BitnetCpp::NAME,
    crate::Transformers::NAME,
];

/// Longest key that is read from a file, in bytes.
const LONGEST_KEY: u64 = 4096;

/// What the user says about strategies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The strategies in the order in which they are tried, if the user says so; no other is tried then.
    pub order: Option<Vec<String>>,
    /// The server of llama.cpp's family that is started here.
    pub bitnet_cpp: bitnet_cpp::Settings,
    /// The server for directories of the transformers library that is started here, or runs already.
    pub transformers: transformers::Settings,
    /// Servers, in the order in which they are written down.
    pub servers: Vec<Server>,
}

/// Where the key of a server is; never the key itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyPlace {
    /// It wants none.
    #[default]
    None,
    /// In this variable of the environment.
    Variable(String),
    /// In this file, which nobody else may read.
    File(PathBuf),
}

/// A server that the user has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name with which it is chosen.
    pub name: String,
    /// Where it is.
    pub url: Address,
    /// Where its key is.
    pub key: KeyPlace,
    /// The model to ask for; empty for the first it has.
    pub model: String,
    /// Longest time without a piece of an answer, in seconds.
    pub timeout_s: Option<u64>,
}

impl Server {
    /// How it is spoken to; `variable` reads the environment.
    ///
    /// # Errors
    /// When its key is not where it should be.
    pub fn endpoint(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Endpoint, StrategyError> {
        let mut endpoint = Endpoint::new(&self.name, self.url.clone());
        self.model.clone_into(&mut endpoint.model);
        endpoint.key = match &self.key {
            KeyPlace::None => None,
            KeyPlace::Variable(name) => {
                let key = variable(name).map(|key| key.trim().to_owned());
                let key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
                    let text = format!("the variable {name} with its key is not set");
                    StrategyError::new(Fault::Missing, text)
                        .remedy(format!("set {name} to the key of the server"))
                })?;
                Some(key)
            }
            KeyPlace::File(path) => Some(key_of(path)?),
        };
        if let Some(seconds) = self.timeout_s {
            let time = Duration::from_secs(seconds);
            endpoint.times = Times {
                connect: endpoint.times.connect.min(time),
                answer: time,
                silence: time,
            };
        }
        Ok(endpoint)
    }
}

/// The key in a file that only its owner may read.
fn key_of(path: &Path) -> Result<String, StrategyError> {
    let shown = path.display();
    let fault =
        |text: String, remedy: String| Err(StrategyError::new(Fault::Missing, text).remedy(remedy));
    let read = || -> std::io::Result<(u32, String)> {
        let file = File::open(path)?;
        let open_to = open_to_others(&file)?;
        let mut text = String::new();
        file.take(LONGEST_KEY + 1).read_to_string(&mut text)?;
        Ok((open_to, text))
    };
    let (open_to, text) = match read() {
        Ok(read) => read,
        Err(error) => {
            let remedy = "write the key of the server into it, and nothing else";
            return fault(
                format!("its key cannot be read from {shown}: {error}"),
                remedy.to_owned(),
            );
        }
    };
    if open_to != 0 {
        return fault(
            format!("others can read the key in {shown}"),
            format!("chmod 600 {shown}"),
        );
    }
    let key = text.trim();
    if key.is_empty() || text.len() as u64 > LONGEST_KEY || key.contains(char::is_whitespace) {
        return fault(
            format!(
                "what is in {shown} is no key: expected one word of at most {LONGEST_KEY} bytes"
            ),
            "write the key of the server into it, and nothing else".to_owned(),
        );
    }
    Ok(key.to_owned())
}

/// The bits that let others than its owner at a file.
#[cfg(unix)]
fn open_to_others(file: &File) -> std::io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.mode() & 0o077)
}

/// Elsewhere the system's own rules hold.
#[cfg(not(unix))]
fn open_to_others(_: &File) -> std::io::Result<u32> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(key: KeyPlace) -> Server {
        Server {
            name: "studio".to_owned(),
            url: "http://127.0.0.1:1/v1".parse().unwrap(),
            key,
            model: "m".to_owned(),
            timeout_s: Some(3),
        }
    }

    #[test]
    fn keys_come_from_the_environment() {
        let named = server(KeyPlace::Variable("STUDIO_KEY".to_owned()));
        let endpoint = named.endpoint(&|name| (name == "STUDIO_KEY").then(|| " k1 ".to_owned()));
        let endpoint = endpoint.unwrap();
        assert_eq!(endpoint.key.as_deref(), Some("k1"));
        assert_eq!(endpoint.times.silence, Duration::from_secs(3));
        assert!(!format!("{endpoint:?}").contains("k1"));
        let error = named.endpoint(&|_| None).unwrap_err();
        assert_eq!(error.fault, Fault::Missing);
        assert!(error.to_string().contains("set STUDIO_KEY"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn keys_come_from_files_that_nobody_else_reads() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("tritone-key-{}", std::process::id()));
        let from = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let endpoint = server(KeyPlace::File(path.clone())).endpoint(&|_| None);
            endpoint.map(|endpoint| endpoint.key.unwrap())
        };
        assert_eq!(from("secret\n", 0o600).unwrap(), "secret");
        let error = from("secret\n", 0o644).unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && !error.contains("secret"),
            "{error}"
        );
        let error = from("two words", 0o600).unwrap_err().to_string();
        assert!(
            error.contains("no key") && !error.contains("two"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
        let error = server(KeyPlace::File(path)).endpoint(&|_| None);
        assert!(error.unwrap_err().to_string().contains("cannot be read"));
    }
}
