//! Memory for buffers: from the heap, or ending at a page that may not be touched.

use core::cell::Cell;
use core::ops::{Deref, DerefMut};

thread_local! {
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with all buffers that this thread makes fenced.
pub(crate) fn fenced<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FENCED.set(self.0);
        }
    }
    let _restore = Restore(FENCED.replace(true));
    body()
}

/// Owned values.
pub(crate) enum Buffer<T> {
    Heap(Vec<T>),
    #[cfg(unix)]
    Fenced(pages::Pages<T>),
}

impl<T: Copy> Buffer<T> {
    /// `len` values, and `behind` more where nothing else keeps a kernel from writing there.
    pub(crate) fn new(len: usize, behind: usize, value: T) -> Self {
        #[cfg(unix)]
        if FENCED.get() {
            return Self::Fenced(pages::Pages::new(len, value));
        }
        Self::Heap(vec![value; len + behind])
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Heap(values) => values,
            #[cfg(unix)]
            Self::Fenced(values) => values,
        }
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Heap(values) => values,
            #[cfg(unix)]
            Self::Fenced(values) => values,
        }
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "maps memory")]
mod pages {
    use core::ops::{Deref, DerefMut};
    use core::ptr::{NonNull, null_mut};

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    /// Values that end where an untouchable page begins.
    pub(crate) struct Pages<T> {
        mapping: *mut core::ffi::c_void,
        bytes: usize,
        values: NonNull<T>,
        len: usize,
    }

    impl<T: Copy> Pages<T> {
        /// # Panics
        /// When the system has no memory left to map.
        pub(super) fn new(len: usize, value: T) -> Self {
            let page = rustix::param::page_size();
            let used = size_of::<T>() * len;
            let room = used.next_multiple_of(page);
            let bytes = room + page;
            // SAFETY: a fresh mapping, of which nobody knows but us; the last page is inside it.
            let mapping = unsafe {
                mmap_anonymous(
                    null_mut(),
                    bytes,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE,
                )
                .and_then(|mapping| {
                    mprotect(mapping.byte_add(room), page, MprotectFlags::empty())?;
                    Ok(mapping)
                })
            };
            let mapping = mapping.unwrap_or_else(|error| panic!("mapping {bytes} bytes: {error}"));
            // SAFETY: `used` is at most `room`, so this lies in the mapping; it is aligned,
            // because a page's size is a multiple of the alignment and so is `used`.
            let values: NonNull<T> =
                unsafe { NonNull::new_unchecked(mapping.byte_add(room - used).cast()) };
            for i in 0..len {
                // SAFETY: `len` values fit between here and the last page.
                unsafe { values.add(i).write(value) };
            }
            Self {
                mapping,
                bytes,
                values,
                len,
            }
        }
    }

    impl<T> Deref for Pages<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            // SAFETY: `len` values were written there, and we own them.
            unsafe { core::slice::from_raw_parts(self.values.as_ptr(), self.len) }
        }
    }

    impl<T> DerefMut for Pages<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            // SAFETY: as above, and the borrow is exclusive.
            unsafe { core::slice::from_raw_parts_mut(self.values.as_ptr(), self.len) }
        }
    }

    impl<T> Drop for Pages<T> {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours, and its last borrow is over. If it cannot be taken
            // down, it stays.
            let _ = unsafe { munmap(self.mapping, self.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_fenced_buffer_ends_at_a_page() {
        for len in [0, 1, 7, 4096, 5000] {
            let mut buffer = fenced(|| Buffer::new(len, 9, 0xabcd_u16));
            assert_eq!(buffer.len(), len, "nothing lies behind it");
            assert!(buffer.iter().all(|v| *v == 0xabcd));
            let end = buffer.as_ptr_range().end.addr();
            assert!(end.is_multiple_of(rustix::param::page_size()));
            buffer.fill(3);
            assert!(buffer.iter().all(|v| *v == 3));
        }
        assert_eq!(Buffer::new(5, 9, 1u8).len(), 14, "not fenced any more");
    }
}
