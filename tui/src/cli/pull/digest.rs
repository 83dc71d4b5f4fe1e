//! Checksums of what is received.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::listing::Checksum;

/// Takes the bytes of a file in order.
#[derive(Clone)]
pub(super) struct Digest(Context);

impl Digest {
    /// For a file of `size` bytes that is to have this checksum.
    pub(super) fn new(checksum: Option<&Checksum>, size: u64) -> Self {
        match checksum {
            Some(Checksum::GitBlob(_)) => {
                // What git hashes begins with a head.
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {size}\0").as_bytes());
                Self(context)
            }
            Some(Checksum::Sha256(_)) | None => Self(Context::new(&SHA256)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal digits.
    pub(super) fn finish(self) -> String {
        let digest = self.0.finish();
        let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    }
}

/// Whether `hex` is what `checksum` says.
pub(super) fn agrees(checksum: &Checksum, hex: &str) -> bool {
    match checksum {
        Checksum::Sha256(expected) | Checksum::GitBlob(expected) => expected == hex,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        let hex = |checksum: Checksum, bytes: &[u8]| {
            let mut digest = Digest::new(Some(&checksum), bytes.len() as u64);
            digest.update(bytes);
            digest.finish()
        };
        // FIPS 180-2, B.1, and `git hash-object` of a file with that content.
        assert_eq!(
            hex(Checksum::Sha256(String::new()), b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(Checksum::GitBlob(String::new()), b"hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
    }
}
