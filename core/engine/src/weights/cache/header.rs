//! The header of a pack file.
//!
//! All numbers are little-endian.
//!
//! ```text
//!   0  magic "TRITPACK"
//!   8  u32 version of this format      12  u32 version of the kernel ABI
//!  16  u32 kind: 1 weights, 2 head,     20  u32 layout id, or head format
//!      3 ternary head
//!  24  u64 checksum of the shapes and places of what is packed
//!  32  u64 bytes of data, from DATA_START on to the end of the file
//!  40  u64 checksum of the data: that of the checksums of its CHUNK-byte pieces
//!  48  source: u64 bytes, i64 seconds and u64 nanoseconds of its last change, u64 inode
//!  80  u64 checksum of the source's header and samples of its data
//!  88  u64 checksum of all tensors that were packed
//!  96  zeros
//! 248  u64 checksum of the 248 bytes before
//! ```

use super::Part;
use super::hash::checksum;
use super::key::SourceKey;

/// Version of the format and of what packing means.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"TRITPACK";

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 256;
/// Where the data begins: on a huge page. What lies between takes no room on disk.
pub(super) const DATA_START: usize = 2 << 20;
/// Bytes with a checksum of their own.
pub(super) const CHUNK: usize = 4 << 20;

/// What a pack file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// What is in it.
    pub(super) part: Part,
    /// Checksum of shapes and places.
    pub(super) shape: u64,
    /// Bytes of data.
    pub(super) bytes: u64,
    /// Checksum of the data.
    pub(super) data: u64,
    /// The model file it was made from.
    pub(super) source: SourceKey,
    /// Checksum of the tensors it was made from.
    pub(super) content: u64,
}

impl Header {
    /// The first bytes of the file.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let (kind, id) = self.part.code();
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        for word in [VERSION, tritone_abi::ABI_VERSION, kind, id] {
            bytes.extend(word.to_le_bytes());
        }
        let source = &self.source;
        let words = [
            self.shape,
            self.bytes,
            self.data,
            source.bytes,
            source.seconds as u64,
            source.nanos,
            source.inode,
            source.sample,
            self.content,
        ];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.resize(HEADER_BYTES - 8, 0);
        bytes.extend(checksum(&bytes).to_le_bytes());
        let mut out = [0; HEADER_BYTES];
        out.copy_from_slice(&bytes);
        out
    }

    /// Reads the first bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let pair = |at: usize| (word(at) as u32, (word(at) >> 32) as u32);
        if &bytes[..8] != MAGIC {
            return Err("it is no pack file");
        }
        if pair(8) != (VERSION, tritone_abi::ABI_VERSION) {
            return Err("it was written by another version");
        }
        if checksum(&bytes[..HEADER_BYTES - 8]) != word(HEADER_BYTES - 8) {
            return Err("its header is damaged");
        }
        let (kind, id) = pair(16);
        Ok(Self {
            part: Part::from_code(kind, id).ok_or("it holds something unknown")?,
            shape: word(24),
            bytes: word(32),
            data: word(40),
            source: SourceKey {
                bytes: word(48),
                seconds: word(56) as i64,
                nanos: word(64),
                inode: word(72),
                sample: word(80),
            },
            content: word(88),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tritone_abi::{HeadFormat, LayoutId};

    fn header() -> Header {
        Header {
            part: Part::Weights(LayoutId::T2R32),
            shape: 1,
            bytes: 2,
            data: 3,
            source: SourceKey {
                bytes: 4,
                seconds: -5,
                nanos: 6,
                inode: 7,
                sample: 8,
            },
            content: 9,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for part in [
            Part::Weights(LayoutId::T2R32),
            Part::Head(HeadFormat::Q6),
            Part::TernaryHead(LayoutId::T2R32),
        ] {
            let header = Header { part, ..header() };
            assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
    }

    proptest! {
        /// Whatever the numbers are, and however they were put under a right checksum.
        #[test]
        fn any_fields_are_read_as_written(
            kind in 0u32..5, id in any::<u32>(), words in any::<[u64; 9]>(),
        ) {
            let mut bytes = header().encode();
            bytes[16..20].copy_from_slice(&kind.to_le_bytes());
            bytes[20..24].copy_from_slice(&id.to_le_bytes());
            for (at, word) in words.iter().enumerate() {
                bytes[24 + 8 * at..][..8].copy_from_slice(&word.to_le_bytes());
            }
            let sum = checksum(&bytes[..HEADER_BYTES - 8]);
            bytes[HEADER_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
            match Header::decode(&bytes) {
                Ok(header) => prop_assert_eq!(header.encode(), bytes),
                Err(why) => {
                    prop_assert_eq!(why, "it holds something unknown");
                    prop_assert!(Part::from_code(kind, id).is_none());
                }
            }
        }

        #[test]
        fn any_bytes_are_refused(bytes in any::<[[u8; 32]; 8]>()) {
            let mut flat = [0; HEADER_BYTES];
            flat.copy_from_slice(bytes.as_flattened());
            prop_assert!(Header::decode(&flat).is_err());
            flat[..16].copy_from_slice(&header().encode()[..16]);
            prop_assert_eq!(Header::decode(&flat), Err("its header is damaged"));
        }

        #[test]
        fn no_changed_byte_is_accepted(at in 0usize..HEADER_BYTES, change in 1u8..) {
            let mut bytes = header().encode();
            bytes[at] ^= change;
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }
}
