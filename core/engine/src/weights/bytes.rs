//! Where packed bytes lie.

use std::io;

use super::cache::Pack;
use crate::exec::AlignedBuf;

/// Packed bytes: in memory of ours, or in a mapped pack file.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// Packed in this process.
    Own(AlignedBuf<u8>),
    /// Packed in an earlier one.
    Mapped(Pack),
}

impl Bytes {
    /// All of them; aligned to a page.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(buf) => buf.as_slice(),
            Self::Mapped(pack) => pack.as_slice(),
        }
    }

    /// Keeps them in memory.
    pub(crate) fn lock(&self) -> io::Result<()> {
        match self {
            Self::Own(buf) => buf.lock(),
            Self::Mapped(pack) => pack.lock(),
        }
    }
}
