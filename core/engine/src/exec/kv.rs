//! The KV cache: pages of 64 positions in binary16, handed out to sequences.
//!
//! A page holds 64 positions of all layers: `[layer][kv head][K | V]` with K transposed,
//! `[head_dim][64]`, and V `[64][head_dim]` (the layout the kernels' attention reads).

use std::ptr::NonNull;

use tritone_abi::{KernelError, KvPage, PAGE_TOKENS};

use super::shared::Shared;

/// Sizes of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Decoder layers.
    pub layers: usize,
    /// KV heads of a layer.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
}

impl KvShape {
    /// Values of one head's keys (or values) in a page.
    fn half(&self) -> usize {
        self.head_dim * PAGE_TOKENS
    }

    /// Bytes of one page.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.layers * self.kv_heads * self.half() * 2 * size_of::<u16>()
    }
}

/// Pages of one sequence, in order of position: from [`Runner::reserve`](crate::Runner::reserve),
/// back through [`Runner::release`](crate::Runner::release).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pages(Vec<u32>);

impl Pages {
    /// Positions these pages hold.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.0.len() * PAGE_TOKENS
    }

    /// Number of pages.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a page is in both.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        self.0.iter().any(|page| other.0.contains(page))
    }
}

/// All pages and the list of free ones.
#[derive(Debug)]
pub(crate) struct KvCache {
    cells: Shared<u16>,
    shape: KvShape,
    pages: usize,
    free: Vec<u32>,
}

impl KvCache {
    /// A cache of `pages` pages, or `None` when its size overflows. Memory becomes resident when
    /// a page is first written.
    #[must_use]
    pub(crate) fn new(shape: KvShape, pages: usize) -> Option<Self> {
        let cells = Shared::zeroed(shape.page_bytes().checked_div(2)?.checked_mul(pages)?)?;
        let free = (0..u32::try_from(pages).ok()?).rev().collect();
        Some(Self {
            cells,
            shape,
            pages,
            free,
        })
    }

    /// Sizes.
    #[must_use]
    pub(crate) fn shape(&self) -> KvShape {
        self.shape
    }

    /// Pages there are.
    #[must_use]
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Pages nobody holds.
    #[must_use]
    pub(crate) fn free_pages(&self) -> usize {
        self.free.len()
    }

    /// Grows `pages` to hold `positions`; `false` (and nothing taken) when too few are free.
    #[must_use]
    pub(crate) fn reserve(&mut self, pages: &mut Pages, positions: usize) -> bool {
        let missing = positions
            .div_ceil(PAGE_TOKENS)
            .saturating_sub(pages.0.len());
        if missing > self.free.len() {
            return false;
        }
        pages
            .0
            .extend(self.free.drain(self.free.len() - missing..).rev());
        true
    }

    /// Gives pages back beyond those that hold `positions`.
    pub(crate) fn truncate(&mut self, pages: &mut Pages, positions: usize) {
        let keep = positions.div_ceil(PAGE_TOKENS).min(pages.0.len());
        self.free.extend(pages.0.drain(keep..).rev());
    }

    /// Gives all pages back.
    pub(crate) fn release(&mut self, mut pages: Pages) {
        self.truncate(&mut pages, 0);
    }

    /// Whether all pages lie inside this cache.
    pub(crate) fn owns(&self, pages: &Pages) -> bool {
        pages.0.iter().all(|page| (*page as usize) < self.pages)
    }

    fn start(&self, page: u32, layer: usize, kv_head: usize) -> usize {
        let per_page = self.shape.layers * self.shape.kv_heads;
        let unit = page as usize * per_page + layer * self.shape.kv_heads + kv_head;
        unit * self.shape.half() * 2
    }

    /// Writes the key and value of `position`, converted to binary16.
    ///
    /// # Safety
    /// Nobody reads this position of this layer and head meanwhile, and nobody else writes it.
    ///
    /// # Panics
    /// When the position lies outside the pages, or a slice is not `head_dim` long.
    pub(crate) unsafe fn write(
        &self,
        pages: &Pages,
        layer: usize,
        kv_head: usize,
        position: usize,
        k: &[f32],
        v: &[f32],
    ) {
        let head_dim = self.shape.head_dim;
        assert!(k.len() == head_dim && v.len() == head_dim && layer < self.shape.layers);
        let start = self.start(pages.0[position / PAGE_TOKENS], layer, kv_head);
        let slot = position % PAGE_TOKENS;
        assert!(
            start + 2 * self.shape.half() <= self.cells.len(),
            "page inside the cache"
        );
        let base: NonNull<u16> = self.cells.base();
        for (d, (k, v)) in k.iter().zip(v).enumerate() {
            let key = start + d * PAGE_TOKENS + slot;
            let value = start + self.shape.half() + slot * head_dim + d;
            // SAFETY: both cells lie in this head's part of the page (assertion above), and by
            // contract belong to this call.
            unsafe {
                base.add(key).write(half::f16::from_f32(*k).to_bits());
                base.add(value).write(half::f16::from_f32(*v).to_bits());
            }
        }
    }

    /// Copies the first page of `source` over every other page of `into`.
    ///
    /// # Panics
    /// When `source` has no page, or a page lies outside this cache.
    pub(crate) fn repeat_page(&mut self, source: &Pages, into: &Pages) {
        let cells = self.cells.len() / self.pages.max(1);
        let from = source.0[0] as usize * cells;
        for page in into.0.iter().filter(|page| **page != source.0[0]) {
            self.cells
                .get_mut()
                .copy_within(from..from + cells, *page as usize * cells);
        }
    }

    /// Appends views of the first `count` pages for one layer and head to `out`.
    ///
    /// # Safety
    /// The views are dropped before the cache, and the positions that are read through them are
    /// not written while they live.
    ///
    /// # Errors
    /// Never for a cache with a valid shape.
    pub(crate) unsafe fn views(
        &self,
        pages: &Pages,
        layer: usize,
        kv_head: usize,
        count: usize,
        out: &mut Vec<KvPage<'static>>,
    ) -> Result<(), KernelError> {
        let half = self.shape.half();
        for page in &pages.0[..count] {
            let start = self.start(*page, layer, kv_head);
            // SAFETY: in range by the assertion in `read`; not written, and not used after the
            // cache is gone, by contract.
            let (k, v) = unsafe {
                let k = std::ptr::from_ref(self.cells.read(start, half));
                let v = std::ptr::from_ref(self.cells.read(start + half, half));
                (&*k, &*v)
            };
            out.push(KvPage::f16(k, v, self.shape.head_dim)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritone_abi::Cells;

    const SHAPE: KvShape = KvShape {
        layers: 2,
        kv_heads: 3,
        head_dim: 4,
    };

    #[test]
    fn pages_are_handed_out_and_come_back() {
        let mut cache = KvCache::new(SHAPE, 4).unwrap();
        let (mut a, mut b) = (Pages::default(), Pages::default());
        assert!(cache.reserve(&mut a, 65));
        assert_eq!((a.count(), cache.free_pages()), (2, 2));
        assert!(cache.reserve(&mut a, 128), "already there");
        assert!(!cache.reserve(&mut b, 200), "only two left");
        assert_eq!(cache.free_pages(), 2, "nothing taken");
        assert!(cache.reserve(&mut b, 100));
        let mut all = [a.0.clone(), b.0.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        cache.truncate(&mut a, 64);
        assert_eq!((a.positions(), cache.free_pages()), (64, 1));
        cache.release(a);
        cache.release(b);
        assert_eq!(cache.free_pages(), 4);
    }

    #[test]
    fn a_repeated_page_is_everywhere_and_nowhere_else() {
        let mut cache = KvCache::new(SHAPE, 4).unwrap();
        let (mut a, mut b) = (Pages::default(), Pages::default());
        assert!(cache.reserve(&mut a, 3 * PAGE_TOKENS) && cache.reserve(&mut b, 1));
        let cells = cache.cells.len() / 4;
        for (i, cell) in cache.cells.get_mut().iter_mut().enumerate() {
            *cell = i as u16;
        }
        let page = |cache: &mut KvCache, page: u32| {
            let start = page as usize * cells;
            cache.cells.get_mut()[start..start + cells].to_vec()
        };
        let (first, other) = (page(&mut cache, a.0[1]), page(&mut cache, b.0[0]));
        cache.repeat_page(&Pages(vec![a.0[1]]), &a);
        for at in &a.0 {
            assert!(page(&mut cache, *at) == first);
        }
        assert!(page(&mut cache, b.0[0]) == other && other != first);
    }

    #[test]
    fn a_written_position_is_where_kernels_read_it() {
        let mut cache = KvCache::new(SHAPE, 2).unwrap();
        let mut pages = Pages::default();
        assert!(cache.reserve(&mut pages, 128));
        for layer in 0..2 {
            for head in 0..3 {
                for position in 0..128 {
                    let x = (layer * 1000 + head * 200 + position) as f32;
                    let k: Vec<f32> = (0..4).map(|d| x + d as f32 * 0.25).collect();
                    let v: Vec<f32> = k.iter().map(|k| -k).collect();
                    // SAFETY: one thread.
                    unsafe { cache.write(&pages, layer, head, position, &k, &v) };
                }
            }
        }
        for layer in 0..2 {
            for head in 0..3 {
                let mut views = Vec::new();
                // SAFETY: nobody writes.
                unsafe { cache.views(&pages, layer, head, 2, &mut views) }.unwrap();
                for position in 0..128 {
                    let (page, slot) = (&views[position / 64], position % 64);
                    let Cells::F16 { k: keys, v: values } = page.cells() else {
                        panic!("binary16 cells");
                    };
                    for d in 0..4 {
                        let want = (layer * 1000 + head * 200 + position) as f32 + d as f32 * 0.25;
                        let k = half::f16::from_bits(keys[d * 64 + slot]).to_f32();
                        let v = half::f16::from_bits(values[slot * 4 + d]).to_f32();
                        assert_eq!(k, half::f16::from_f32(want).to_f32());
                        assert_eq!(v, -k);
                    }
                }
            }
        }
    }
}
