//! Memory shared by the threads of a team.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use memmap2::MmapMut;

use super::team::Member;

/// Plain values for which all bit patterns are valid, so that zeroed memory holds values.
///
/// # Safety
/// Every bit pattern is a value, and there is no drop.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: numbers; all bit patterns are values.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// Large buffers begin on a multiple of this, so that huge pages cover all of them.
const HUGE_PAGE: usize = 2 << 20;

/// A zeroed buffer of fixed length on pages of its own. Pages are not resident until they are
/// first written.
#[derive(Debug)]
pub(crate) struct AlignedBuf<T: Plain> {
    map: Option<MmapMut>,
    ptr: NonNull<T>,
    len: usize,
}

// SAFETY: the buffer owns plain values.
unsafe impl<T: Plain> Send for AlignedBuf<T> {}
// SAFETY: shared access is reading, or goes through the unsafe methods of `Shared`.
unsafe impl<T: Plain> Sync for AlignedBuf<T> {}

impl<T: Plain> AlignedBuf<T> {
    /// `len` zeros, or `None` when the size overflows or the system has no room.
    #[must_use]
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .filter(|n| *n <= isize::MAX as usize)?;
        if bytes == 0 {
            return Some(Self {
                map: None,
                ptr: NonNull::dangling(),
                len,
            });
        }
        // Address space is cheap, and pages that are not touched take no memory.
        let slack = if bytes >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let mut map = MmapMut::map_anon(bytes.checked_add(slack)?).ok()?;
        let base = map.as_mut_ptr();
        let skip = base.addr().next_multiple_of(slack.max(1)) - base.addr();
        // SAFETY: `skip` is at most `slack`, so `bytes` bytes of the map follow.
        let start = unsafe { base.add(skip) };
        // A page is aligned for every plain type.
        let ptr = NonNull::new(start.cast::<T>())?;
        Some(Self {
            map: Some(map),
            ptr,
            len,
        })
    }

    /// Asks the system to back the buffer with huge pages; for large, fully used buffers that are
    /// read in order. It is a hint: a system without huge pages ignores it.
    pub(crate) fn prefer_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map {
            let _ = map.advise(memmap2::Advice::HugePage);
        }
    }

    /// Keeps the buffer in memory; all of it becomes resident.
    pub(crate) fn lock(&self) -> std::io::Result<()> {
        // SAFETY: `ptr` covers `len` initialised values; locking reads none of them.
        let bytes = unsafe {
            std::slice::from_raw_parts(self.ptr.as_ptr().cast(), self.len * size_of::<T>())
        };
        crate::map::lock(bytes)
    }

    /// All values.
    #[must_use]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `ptr` covers `len` initialised values that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// All values, to write.
    #[must_use]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and `&mut self` makes it the only borrow.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

/// A buffer that the threads of a team read and write in phases.
#[derive(Debug)]
pub(crate) struct Shared<T: Plain> {
    buf: AlignedBuf<T>,
}

impl<T: Plain> Shared<T> {
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        AlignedBuf::zeroed(len).map(|buf| Self { buf })
    }

    /// See [`AlignedBuf::prefer_huge_pages`].
    pub(crate) fn prefer_huge_pages(&self) {
        self.buf.prefer_huge_pages();
    }

    pub(crate) fn len(&self) -> usize {
        self.buf.len
    }

    /// Keeps the buffer in memory; all of it becomes resident.
    pub(crate) fn lock(&self) -> std::io::Result<()> {
        self.buf.lock()
    }

    pub(crate) fn base(&self) -> NonNull<T> {
        self.buf.ptr
    }

    /// Exclusive access outside a step.
    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        self.buf.as_mut_slice()
    }

    /// `len` values from `start`.
    ///
    /// # Safety
    /// No thread writes any of them while the slice lives.
    ///
    /// # Panics
    /// When the range leaves the buffer.
    pub(crate) unsafe fn read(&self, start: usize, len: usize) -> &[T] {
        assert!(
            start.checked_add(len).is_some_and(|end| end <= self.len()),
            "shared range"
        );
        // SAFETY: in range by the assertion; not written meanwhile by contract.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr().add(start), len) }
    }

    /// `len` values from `start`, to write.
    ///
    /// # Safety
    /// No other thread reads or writes any of them while the slice lives, and this thread holds
    /// no other slice of them.
    ///
    /// # Panics
    /// When the range leaves the buffer.
    #[expect(clippy::mut_from_ref, reason = "disjointness is the caller's contract")]
    pub(crate) unsafe fn write(&self, start: usize, len: usize) -> &mut [T] {
        assert!(
            start.checked_add(len).is_some_and(|end| end <= self.len()),
            "shared range"
        );
        // SAFETY: in range by the assertion; exclusive by contract.
        unsafe { std::slice::from_raw_parts_mut(self.base().as_ptr().add(start), len) }
    }
}

/// One value for every member of a team.
pub(crate) struct PerMember<T>(Vec<UnsafeCell<T>>);

// SAFETY: a value is reached through its own member only (see `get`), or through `&mut self`.
unsafe impl<T: Send> Sync for PerMember<T> {}

impl<T> PerMember<T> {
    pub(crate) fn new(values: Vec<T>) -> Self {
        Self(values.into_iter().map(UnsafeCell::new).collect())
    }

    /// The value of `member`.
    ///
    /// # Safety
    /// The member holds no other reference to its value. (No two threads are the same member of
    /// a running program.)
    #[expect(clippy::mut_from_ref, reason = "one member, one value")]
    pub(crate) unsafe fn get(&self, member: &Member<'_>) -> &mut T {
        // SAFETY: only this member's thread reaches the cell, once at a time by contract.
        unsafe { &mut *self.0[member.id()].get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        for len in [0usize, 1, 63, 64, 1000, 3 << 20] {
            let mut buf = AlignedBuf::<u8>::zeroed(len).unwrap();
            assert_eq!(buf.as_slice().len(), len);
            assert!(buf.as_slice().iter().all(|b| *b == 0));
            if len > 0 {
                assert_eq!(buf.as_slice().as_ptr().addr() % 64, 0);
                buf.as_mut_slice()[len - 1] = 7;
                assert_eq!(buf.as_slice()[len - 1], 7);
            }
        }
        assert!(AlignedBuf::<f32>::zeroed(usize::MAX / 2).is_none());
    }

    #[test]
    #[should_panic(expected = "shared range")]
    fn ranges_are_checked() {
        let shared = Shared::<f32>::zeroed(8).unwrap();
        // SAFETY: nobody else has the buffer.
        let _ = unsafe { shared.read(7, 2) };
    }
}
