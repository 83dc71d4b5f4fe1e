//! Who asks, without saying who: a client is a keyed hash of its API key or its address.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::keys::{self, Digest};
use super::mode;

/// A client of the server. Logs, queues and limits know clients by this only: without the secret of the
/// installation neither a key nor an address can be found from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId([u8; 16]);

impl ClientId {
    /// A client by its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A number to keep prompts of this client apart from those of others; never 0, which stands for
    /// prompts that all share.
    #[must_use]
    pub fn salt(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
    }
}

/// Twelve hexadecimal digits: enough to tell the clients of one server apart in its log.
impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

/// The secret of an installation, under which clients are hashed.
#[derive(Clone)]
pub struct InstallSecret(hmac::Key);

const FILE: &str = "client-secret";
const BYTES: usize = 32;

impl InstallSecret {
    /// The secret in a directory of state; it is made, readable for its owner only, where there is none yet.
    /// The second value is what the user should know.
    ///
    /// # Errors
    ///
    /// When the file can neither be read nor made, or does not hold a secret.
    pub fn open(directory: &Path) -> Result<(Self, Option<String>), SecretError> {
        let path = directory.join(FILE);
        let failed = |what, source| SecretError::Io {
            what,
            path: path.clone(),
            source,
        };
        let text = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(directory).map_err(|error| failed("make", error))?;
                create(directory, &path).map_err(|error| failed("make", error))?;
                read(&path).map_err(|error| failed("read", error))?
            }
            other => other.map_err(|error| failed("read", error))?,
        };
        let Some(bytes) = keys::unhex(text.trim_end()) else {
            return Err(SecretError::Content { path });
        };
        let notice = mode::open_to_others(&path).map(|mode| match mode::close_to_others(&path) {
            Ok(()) => format!("{} was open to others (mode {mode:04o}); now only its owner can read it", path.display()),
            Err(error) => format!(
                "{} is open to others (mode {mode:04o}), and that cannot be changed ({error}): they can work out which client of the log is which",
                path.display()
            ),
        });
        Ok((Self::from_bytes(&bytes), notice))
    }

    /// A secret that is forgotten when the program ends: clients then have other ids after a restart.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn ephemeral() -> Result<Self, SecretError> {
        Ok(Self::from_bytes(&random()?))
    }

    /// The secret made of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The client that has a key.
    #[must_use]
    pub fn by_key(&self, key: &Digest) -> ClientId {
        self.hash(b"key:", key.as_bytes())
    }

    /// The client at an address. A subscriber of IPv6 has at least a /64 to himself, so the rest does not
    /// count; IPv4 inside IPv6 is IPv4.
    #[must_use]
    pub fn by_address(&self, address: IpAddr) -> ClientId {
        match address.to_canonical() {
            IpAddr::V4(address) => self.hash(b"v4:", &address.octets()),
            IpAddr::V6(address) => self.hash(b"v6:", &address.octets()[..8]),
        }
    }

    fn hash(&self, kind: &[u8], bytes: &[u8]) -> ClientId {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(kind);
        context.update(bytes);
        let tag = context.sign();
        let mut id = [0; 16];
        id.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        ClientId(id)
    }
}

impl fmt::Debug for InstallSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallSecret(***)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file could not be read or made.
    #[error("cannot {what} {}, the secret under which clients are hashed: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is something else.
    #[error(
        "{} should hold 64 hexadecimal digits and does not: delete it to have a new secret made (clients then get other ids in the log)",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

fn random() -> Result<[u8; BYTES], SecretError> {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SecretError::Random)?;
    Ok(bytes)
}

/// At most a little more than a secret: the file may be anything.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(256).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a new secret under another name and links it, so that of two programs that start at once one
/// makes the secret and both read the same.
fn create(directory: &Path, path: &Path) -> io::Result<()> {
    let bytes = random().map_err(io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = directory.join(format!("{FILE}.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    mode::only_owner(&mut options);
    let mut file = options.open(&new)?;
    let written = writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    let _ = fs::remove_file(&new);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> InstallSecret {
        InstallSecret::from_bytes(&[7; 32])
    }

    #[test]
    fn addresses_are_one_client_by_subscriber() {
        let id = |address: &str| secret().by_address(address.parse().unwrap());
        assert_eq!(id("192.0.2.1"), id("::ffff:192.0.2.1"));
        assert_ne!(id("192.0.2.1"), id("192.0.2.2"));
        assert_eq!(id("2001:db8:1:2::1"), id("2001:db8:1:2:ffff::9"));
        assert_ne!(id("2001:db8:1:2::1"), id("2001:db8:1:3::1"));
    }

    #[test]
    fn keys_and_addresses_are_different_clients_under_each_secret() {
        let key = Digest::of(b"192.0.2.1");
        let (a, b) = (secret(), InstallSecret::from_bytes(&[8; 32]));
        assert_eq!(a.by_key(&key), secret().by_key(&key));
        assert_ne!(a.by_key(&key), b.by_key(&key));
        assert_ne!(a.by_key(&key), a.by_key(&Digest::of(b"192.0.2.2")));
    }

    #[test]
    fn shown_short_and_never_salt_zero() {
        let id = ClientId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string(), "abababababab");
        assert_eq!(ClientId::from_bytes([0; 16]).salt(), 1);
    }

    #[test]
    fn the_secret_is_made_once_and_only_for_its_owner() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("server");
        let (first, notice) = InstallSecret::open(&directory).unwrap();
        assert_eq!(notice, None);
        let (second, notice) = InstallSecret::open(&directory).unwrap();
        assert_eq!(notice, None);
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(first.by_address(address), second.by_address(address));
        let names: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [FILE]);
        assert!(!format!("{first:?}").contains("Key {"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = directory.join(FILE);
            let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let (_, notice) = InstallSecret::open(&directory).unwrap();
            assert!(notice.unwrap().contains("0644"));
            assert_eq!(mode(), 0o600);
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        for text in ["", "short", &"g".repeat(64), &"0".repeat(10_000)] {
            fs::write(state.path().join(FILE), text).unwrap();
            let error = InstallSecret::open(state.path()).unwrap_err().to_string();
            assert!(error.contains("delete it"), "{error}");
            assert_eq!(fs::read_to_string(state.path().join(FILE)).unwrap(), text);
        }
    }
}
