//! A cursor over the header that compares every length with what is left.

use std::ops::Range;

use super::MAX_NAME;
use crate::error::GgufError;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.pos)
    }

    /// The next `len` bytes and where they stand.
    pub(super) fn span(
        &mut self,
        len: usize,
        what: &'static str,
    ) -> Result<Range<usize>, GgufError> {
        let end = self
            .pos
            .checked_add(len)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(GgufError::Truncated {
            what,
            offset: self.pos,
            need: u64::try_from(len).unwrap_or(u64::MAX),
            left: self.left(),
        })?;
        let span = self.pos..end;
        self.pos = end;
        Ok(span)
    }

    pub(super) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], GgufError> {
        let span = self.span(len, what)?;
        Ok(self.bytes.get(span).unwrap_or_default())
    }

    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let bytes = self.take(N, what)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.fixed(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.fixed(what).map(u64::from_le_bytes)
    }

    /// A count of entries that take at least `smallest` bytes each and must fit into what is left.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        smallest: usize,
    ) -> Result<usize, GgufError> {
        let offset = self.pos;
        let count = self.u64(what)?;
        self.fits(what, count, offset, smallest)
    }

    /// Checks a `count` that was read at `offset`.
    pub(super) fn fits(
        &self,
        what: &'static str,
        count: u64,
        offset: usize,
        smallest: usize,
    ) -> Result<usize, GgufError> {
        let left = self.left();
        let most = left.checked_div(smallest).unwrap_or(left);
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= most)
            .ok_or(GgufError::CountPastEnd {
                what,
                count,
                offset,
                left,
                most,
            })
    }

    /// A length and that many bytes.
    pub(super) fn string(&mut self, what: &'static str) -> Result<Range<usize>, GgufError> {
        let len = self.u64(what)?;
        let fits = usize::try_from(len).ok().filter(|&len| len <= self.left());
        let len = fits.ok_or(GgufError::Truncated {
            what,
            offset: self.pos,
            need: len,
            left: self.left(),
        })?;
        self.span(len, what)
    }

    /// A string that is a key or a tensor's name: not too long, and UTF-8.
    pub(super) fn name(
        &mut self,
        what: &'static str,
    ) -> Result<(Range<usize>, &'a str), GgufError> {
        let span = self.string(what)?;
        let offset = span.start;
        if span.len() > MAX_NAME {
            return Err(GgufError::NameTooLong {
                what,
                offset,
                len: span.len(),
                limit: MAX_NAME,
            });
        }
        let bytes = self.bytes.get(span.clone()).unwrap_or_default();
        let text =
            std::str::from_utf8(bytes).map_err(|_| GgufError::NameNotUtf8 { what, offset })?;
        Ok((span, text))
    }
}
