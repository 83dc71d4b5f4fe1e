//! API keys. Only their SHA-256 digests are kept.

mod file;
mod source;

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use file::KeyFileError;
pub use source::{KeySources, KeysError, Loaded};

use super::secret::Secret;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Routes that need no key.
    Public,
    /// The API.
    Api,
    /// The API, and what changes the server.
    Admin,
}

/// The SHA-256 digest of a key.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a key as it is sent.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, key);
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// A digest written as 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares all bytes, wherever the first difference is.
    fn is(&self, other: &Self) -> bool {
        let differences = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differences) == 0
    }
}

/// The digest of a key is not the key, but short keys can be found from it: it is not shown.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

/// A key that opens something.
#[derive(Clone, Debug)]
pub struct Key {
    /// What the owner of the server calls it.
    pub name: Arc<str>,
    /// Its digest.
    pub digest: Digest,
    /// What it opens.
    pub scope: Scope,
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Adds a key.
    ///
    /// # Errors
    ///
    /// The name of the key that is there already, under this name or with this digest.
    pub fn add(&mut self, key: Key) -> Result<(), Arc<str>> {
        let there = |other: &&Key| other.name == key.name || other.digest.is(&key.digest);
        if let Some(other) = self.keys.iter().find(there) {
            return Err(other.name.clone());
        }
        self.keys.push(key);
        Ok(())
    }

    /// How many keys open a scope by their own right.
    #[must_use]
    pub fn count(&self, scope: Scope) -> usize {
        self.keys.iter().filter(|key| key.scope == scope).count()
    }

    /// The key that was sent, if it is one of ours. The work is the same for each key that is sent: one
    /// digest, and a comparison with every key there is.
    #[must_use]
    pub fn find(&self, sent: &[u8]) -> Option<&Key> {
        let digest = Digest::of(sent);
        self.keys.iter().fold(None, |found, key| {
            if key.digest.is(&digest) {
                Some(key)
            } else {
                found
            }
        })
    }
}

/// The key in the headers of a request: `Authorization: Bearer`, `x-api-key` or `api-key`, whichever comes
/// first in this order. `None` where there is none, or one that is not text.
#[must_use]
pub fn sent_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"Bearer ")
            .then(|| key.trim_ascii())
    });
    bearer
        .or_else(|| Some(headers.get("x-api-key")?.as_bytes()))
        .or_else(|| Some(headers.get("api-key")?.as_bytes()))
}

/// 32 bytes written as 64 hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// What is wrong with a key that somebody chose, if anything.
fn unfit(key: &Secret) -> Option<&'static str> {
    let bytes = key.reveal();
    if bytes.is_empty() {
        Some("is empty")
    } else if bytes.len() < 8 {
        Some("has fewer than 8 characters and could be guessed")
    } else if bytes.len() > 512 {
        Some("is longer than 512 characters")
    } else if !bytes.iter().all(u8::is_ascii_graphic) {
        Some("has a space or a character outside ASCII, which a header cannot carry")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn key(name: &str, key: &str, scope: Scope) -> Key {
        Key {
            name: name.into(),
            digest: Digest::of(key.as_bytes()),
            scope,
        }
    }

    #[test]
    fn known_digest() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(Digest::of(b"abc").is(&Digest::parse(abc).unwrap()));
        assert!(Digest::of(b"abc").is(&Digest::parse(&abc.to_uppercase()).unwrap()));
        assert!(!Digest::of(b"abd").is(&Digest::parse(abc).unwrap()));
        for wrong in ["", &abc[1..], &abc.replace('b', "g"), &"é".repeat(32)] {
            assert!(Digest::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn each_key_is_found_wherever_it_stands_and_no_other() {
        let mut set = KeySet::default();
        for index in 0..20 {
            let scope = if index == 19 {
                Scope::Admin
            } else {
                Scope::Api
            };
            set.add(key(&format!("n{index}"), &format!("key-{index}"), scope))
                .unwrap();
        }
        for index in 0..20 {
            let found = set.find(format!("key-{index}").as_bytes()).unwrap();
            assert_eq!(*found.name, *format!("n{index}"));
        }
        for wrong in ["", "key-", "key-20", "key-1 ", "KEY-1"] {
            assert!(set.find(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(KeySet::default().find(b"").is_none());
        assert_eq!((set.count(Scope::Api), set.count(Scope::Admin)), (19, 1));
    }

    #[test]
    fn a_digest_that_differs_in_any_bit_is_another() {
        let right = Digest::of(b"key");
        for bit in 0..256 {
            let mut wrong = right;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!right.is(&wrong), "bit {bit}");
        }
    }

    #[test]
    fn twice_the_same_is_refused() {
        let mut set = KeySet::default();
        set.add(key("a", "one", Scope::Api)).unwrap();
        assert_eq!(*set.add(key("a", "two", Scope::Api)).unwrap_err(), *"a");
        assert_eq!(*set.add(key("b", "one", Scope::Admin)).unwrap_err(), *"a");
    }

    #[test]
    fn three_headers_carry_keys() {
        type Row = (
            &'static [(&'static str, &'static str)],
            Option<&'static str>,
        );
        let table: [Row; 10] = [
            (&[], None),
            (&[("authorization", "Bearer k1")], Some("k1")),
            (&[("authorization", "bearer   k1 ")], Some("k1")),
            (&[("authorization", "Basic azE=")], None),
            (&[("authorization", "Bearer")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("x-api-key", "k2")], Some("k2")),
            (&[("api-key", "k3")], Some("k3")),
            (
                &[("api-key", "k3"), ("authorization", "Bearer k1")],
                Some("k1"),
            ),
            (
                &[("authorization", "Basic x"), ("x-api-key", "k2")],
                Some("k2"),
            ),
        ];
        for (sent, key) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let found = sent_key(&headers).filter(|key| !key.is_empty());
            assert_eq!(found, key.map(str::as_bytes), "{sent:?}");
        }
    }
}
