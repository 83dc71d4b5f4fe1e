//! Memory as weights lie in it.

use crate::exec::AlignedBuf;

/// Zeroed bytes on pages of their own, huge pages where the system has them: the memory that packed
/// weights lie in, for measurements of what reading it costs.
#[derive(Debug)]
pub struct PageBytes(AlignedBuf<u8>);

impl PageBytes {
    /// `len` zeros, or `None` when the system has no room. A page becomes resident when it is first
    /// written.
    #[must_use]
    pub fn zeroed(len: usize) -> Option<Self> {
        let bytes = AlignedBuf::zeroed(len)?;
        bytes.prefer_huge_pages();
        Some(Self(bytes))
    }

    /// All bytes; the first lies at the start of a page.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// All bytes, to write.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_mut_slice()
    }
}
