//! Thousands of damaged headers: an error or success, never a panic, and little memory.
//!
//! One test only, because the allocator counts for the whole process.

#![allow(
    unsafe_code,
    reason = "counting allocations means implementing GlobalAlloc"
)]

mod exercise;
mod raw;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tritone_formats::GgufFile;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; counting does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `ptr` came from `alloc` above, hence from the system allocator, with `layout`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were allocated at once while `bytes` were parsed, beyond what was before.
fn peak_of_parsing(bytes: &[u8]) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let parsed = GgufFile::new(bytes);
    let peak = PEAK.load(Ordering::Relaxed);
    drop(parsed);
    peak.saturating_sub(before)
}

/// A header that makes the parser keep as much as it ever does per byte: minimal entries.
fn crowded(count: u64) -> Vec<u8> {
    let mut raw = raw::Raw::header(3, count, count);
    for i in 0..count {
        raw = raw.key(&format!("{i:x}"), 0, &[0]);
    }
    for i in 0..count {
        raw = raw.tensor(&format!("{i:x}"), &[1], 24, i * 32);
    }
    raw.data(32, &vec![0; count as usize * 32])
}

#[test]
#[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
fn damaged_headers_neither_panic_nor_allocate() {
    let sound = raw::rich();
    exercise::exercise(&sound).unwrap();
    let limit = |len: usize| (64 << 10) + 4 * len;
    let (mut cases, mut refused) = (0, 0);
    let mut check = |bytes: &[u8]| {
        let peak = peak_of_parsing(bytes);
        assert!(
            peak <= limit(bytes.len()),
            "{peak} bytes for a file of {}",
            bytes.len()
        );
        let outcome = exercise::exercise(bytes);
        cases += 1;
        refused += usize::from(outcome.is_err());
        outcome.is_err()
    };

    // The last tensor ends with the file, so no strict prefix is sound.
    for end in 0..sound.len() {
        assert!(
            check(&sound[..end]),
            "a file cut at byte {end} of {} is accepted",
            sound.len()
        );
    }

    let header = GgufFile::new(&sound)
        .unwrap()
        .part(0)
        .unwrap()
        .data_offset();
    let mut damaged = sound.clone();
    for at in 0..header {
        for byte in (0..8)
            .map(|bit| sound[at] ^ 1 << bit)
            .chain([0, 0x7f, 0x80, 0xff])
        {
            damaged[at] = byte;
            check(&damaged);
        }
        damaged[at] = sound[at];
    }

    let len = sound.len() as u64;
    let extremes = [
        0,
        1,
        len - 1,
        len,
        len + 1,
        1 << 31,
        1 << 32,
        1 << 61,
        1 << 62,
        1 << 63,
    ];
    let extremes =
        extremes
            .into_iter()
            .chain([u64::MAX / 2, u64::MAX / 32, u64::MAX - 7, u64::MAX]);
    for extreme in extremes {
        for at in 0..header - 8 {
            damaged[at..at + 8].copy_from_slice(&extreme.to_le_bytes());
            check(&damaged);
            damaged[at..at + 8].copy_from_slice(&sound[at..at + 8]);
        }
    }
    assert_eq!(damaged, sound, "damage was not undone");
    assert!(cases > 10_000, "{cases} cases");
    assert!(
        refused > cases / 4 && refused < cases,
        "{refused} of {cases} cases refused"
    );

    // Counts at the limits, with and without entries behind them.
    let crowd = crowded(10_000);
    let peak = peak_of_parsing(&crowd);
    assert!(GgufFile::new(&crowd).is_ok());
    assert!(
        peak <= (16 << 20) + 4 * crowd.len(),
        "{peak} bytes for {} of header",
        crowd.len()
    );
    for counts in [
        (1 << 17, 1 << 16),
        (u64::MAX, 0),
        (0, u64::MAX),
        (1 << 17, 0),
    ] {
        let bytes = raw::Raw::header(3, counts.0, counts.1).bytes(&[0; 4096]).0;
        assert!(peak_of_parsing(&bytes) <= limit(bytes.len()), "{counts:?}");
        assert!(GgufFile::new(&bytes).is_err(), "{counts:?}");
    }
}
