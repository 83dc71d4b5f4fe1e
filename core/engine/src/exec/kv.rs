//! The KV cache: pages of 64 positions, handed out to sequences.
//!
//! A page holds 64 positions of all layers: `[layer][kv head][K | V]` with K transposed,
//! `[head_dim][64]`, and V `[64][head_dim]` (the layout the kernels' attention reads). In int8 the
//! scales of the 64 positions, binary32, lie before the codes of K and before those of V.

use std::ops::Range;
use std::ptr::NonNull;

use tritone_abi::numerics::quantize_row;
use tritone_abi::{KernelError, KvFormat, KvPage, PAGE_TOKENS};

use super::shared::Shared;
use super::state::{Snapshot, States};

/// Sizes of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Layers with attention.
    pub layers: usize,
    /// KV heads of a layer.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Stored form.
    pub format: KvFormat,
}

/// Bytes of the scales of 64 positions.
const SCALE_BYTES: usize = PAGE_TOKENS * size_of::<f32>();

impl KvShape {
    /// Bytes of one head's keys (or values) in a page; a multiple of 64.
    fn half(&self) -> usize {
        let values = self.head_dim * PAGE_TOKENS;
        match self.format {
            KvFormat::F16 => values * size_of::<u16>(),
            KvFormat::F32 => values * size_of::<f32>(),
            KvFormat::Q8 => values + SCALE_BYTES,
        }
    }

    /// Bytes of one page.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.layers * self.kv_heads * self.half() * 2
    }
}

/// Pages of one sequence, in order of position, and the slot of its recurrent state, if the model
/// has one: from [`Runner::reserve`](crate::Runner::reserve),
/// back through [`Runner::release`](crate::Runner::release).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pages(Vec<u32>, Option<u32>);

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

    /// Whether a page, or the state, is in both.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        self.0.iter().any(|page| other.0.contains(page)) || (self.1.is_some() && self.1 == other.1)
    }
}

/// All pages and the list of free ones.
#[derive(Debug)]
pub(crate) struct KvCache {
    cells: Shared<u8>,
    shape: KvShape,
    pages: usize,
    free: Vec<u32>,
    /// Recurrent states, where the model has some.
    states: Option<States>,
}

impl KvCache {
    /// A cache of `pages` pages, or `None` when its size overflows. Memory becomes resident when
    /// a page is first written.
    #[must_use]
    pub(crate) fn new(shape: KvShape, pages: usize) -> Option<Self> {
        let cells = Shared::zeroed(shape.page_bytes().checked_mul(pages)?)?;
        // Attention reads 16 KiB here and 16 KiB there: with pages of 4 KiB it would wait for
        // translations.
        cells.prefer_huge_pages();
        let free = (0..u32::try_from(pages).ok()?).rev().collect();
        Some(Self {
            cells,
            shape,
            pages,
            free,
            states: None,
        })
    }

    /// The cache with recurrent states beside its pages.
    pub(crate) fn with_states(self, states: Option<States>) -> Self {
        Self { states, ..self }
    }

    /// The slot of the state of a sequence.
    pub(crate) fn state(&self, pages: &Pages) -> Option<(&States, u32)> {
        self.states.as_ref().zip(pages.1)
    }

    /// Positions that the recurrent state of a sequence has seen; `None` where there is none.
    pub(crate) fn state_position(&self, pages: &Pages) -> Option<usize> {
        let (states, slot) = self.state(pages)?;
        Some(states.position(slot))
    }

    /// Says how many positions the recurrent state of a sequence has seen, if it has one.
    pub(crate) fn set_state_position(&mut self, pages: &Pages, position: usize) {
        if let (Some(states), Some(slot)) = (&mut self.states, pages.1) {
            states.set_position(slot, position);
        }
    }

    /// Whether a sequence can begin: recurrent states have a free slot.
    pub(crate) fn has_state(&self) -> bool {
        self.states.as_ref().is_none_or(|states| states.free() > 0)
    }

    /// A copy of the recurrent state of a sequence, if there is room for one.
    pub(crate) fn snapshot(&mut self, pages: &Pages) -> Option<Snapshot> {
        self.states.as_mut()?.snapshot(pages.1?)
    }

    /// Gives a copy up.
    pub(crate) fn forget(&mut self, snapshot: Snapshot) {
        if let Some(states) = &mut self.states {
            states.give_back(snapshot.into_slot());
        }
    }

    /// The sequence goes on from `snapshot` instead of its own state.
    pub(crate) fn restore(&mut self, pages: &mut Pages, snapshot: Snapshot) {
        if let Some(states) = &mut self.states
            && let Some(old) = pages.1.replace(snapshot.into_slot())
        {
            states.give_back(old);
        }
    }

    /// Sizes.
    #[must_use]
    pub(crate) fn shape(&self) -> KvShape {
        self.shape
    }

    /// Keeps all pages in memory.
    pub(crate) fn lock(&self) -> std::io::Result<()> {
        self.cells.lock()?;
        self.states.as_ref().map_or(Ok(()), States::lock)
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

    /// Grows `pages` to hold `positions`, with a recurrent state where the model has them; `false`
    /// (and nothing taken) when too few are free.
    #[must_use]
    pub(crate) fn reserve(&mut self, pages: &mut Pages, positions: usize) -> bool {
        let missing = positions
            .div_ceil(PAGE_TOKENS)
            .saturating_sub(pages.0.len());
        if missing > self.free.len() || (pages.1.is_none() && !self.has_state()) {
            return false;
        }
        if pages.1.is_none() {
            pages.1 = self.states.as_mut().and_then(States::take);
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
        if let (Some(states), Some(slot)) = (&mut self.states, pages.1) {
            states.give_back(slot);
        }
    }

    /// Whether all pages lie inside this cache, and the state.
    pub(crate) fn owns(&self, pages: &Pages) -> bool {
        let state = match &self.states {
            None => pages.1.is_none(),
            Some(states) => pages.1.is_some_and(|slot| states.owns(slot)),
        };
        state && pages.0.iter().all(|page| (*page as usize) < self.pages)
    }

    fn start(&self, page: u32, layer: usize, kv_head: usize) -> usize {
        let per_page = self.shape.layers * self.shape.kv_heads;
        let unit = page as usize * per_page + layer * self.shape.kv_heads + kv_head;
        unit * self.shape.half() * 2
    }

    /// Writes the key and value of `position` in the cache's format.
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
        let base = self.cells.base();
        // SAFETY: both parts lie in the page (assertion above); this position's cells belong to
        // this call by contract.
        unsafe {
            let keys = base.add(start);
            let values = base.add(start + self.shape.half());
            match self.shape.format {
                KvFormat::F16 => {
                    scatter(keys.cast(), slot, PAGE_TOKENS, k, |k| {
                        half::f16::from_f32(k).to_bits()
                    });
                    scatter(values.cast(), slot * head_dim, 1, v, |v| {
                        half::f16::from_f32(v).to_bits()
                    });
                }
                KvFormat::F32 => {
                    scatter(keys.cast(), slot, PAGE_TOKENS, k, |k| k);
                    scatter(values.cast(), slot * head_dim, 1, v, |v| v);
                }
                KvFormat::Q8 => {
                    for (part, x, first, step) in [
                        (keys, k, slot, PAGE_TOKENS),
                        (values, v, slot * head_dim, 1),
                    ] {
                        let scale = quantize_row(x, |i, q| {
                            part.add(SCALE_BYTES)
                                .cast::<i8>()
                                .add(first + i * step)
                                .write(q);
                        });
                        part.cast::<f32>().add(slot).write(scale);
                    }
                }
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

    /// Copies the pages of `from` that hold `positions` over those of `into`.
    ///
    /// # Panics
    /// When either has no pages for them, or a page lies outside this cache.
    pub(crate) fn copy_pages(&mut self, from: &Pages, into: &Pages, positions: Range<usize>) {
        let cells = self.cells.len() / self.pages.max(1);
        let which = positions.start / PAGE_TOKENS..positions.end.div_ceil(PAGE_TOKENS);
        for (from, into) in from.0[which.clone()].iter().zip(&into.0[which]) {
            let start = *from as usize * cells;
            self.cells
                .get_mut()
                .copy_within(start..start + cells, *into as usize * cells);
        }
    }

    /// Appends views of `which` pages for one layer and head to `out`.
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
        which: Range<usize>,
        out: &mut Vec<KvPage<'static>>,
    ) -> Result<(), KernelError> {
        let (half, values) = (self.shape.half(), self.shape.head_dim * PAGE_TOKENS);
        for page in &pages.0[which] {
            let start = self.start(*page, layer, kv_head);
            // SAFETY: in range by the assertion in `read`; not written, and not used after the
            // cache is gone, by contract. Parts start on multiples of 64 of a page of memory, so
            // that they are aligned for their values, and `half` covers them.
            let page = unsafe {
                let k = self.cells.read(start, half).as_ptr();
                let v = self.cells.read(start + half, half).as_ptr();
                match self.shape.format {
                    KvFormat::F16 => KvPage::f16(
                        std::slice::from_raw_parts(k.cast(), values),
                        std::slice::from_raw_parts(v.cast(), values),
                        self.shape.head_dim,
                    ),
                    KvFormat::F32 => KvPage::f32(
                        std::slice::from_raw_parts(k.cast(), values),
                        std::slice::from_raw_parts(v.cast(), values),
                        self.shape.head_dim,
                    ),
                    KvFormat::Q8 => {
                        let part = |p: *const u8| {
                            let codes = p.add(SCALE_BYTES).cast::<i8>();
                            let scales = p.cast::<[f32; PAGE_TOKENS]>();
                            (std::slice::from_raw_parts(codes, values), &*scales)
                        };
                        KvPage::q8(part(k), part(v), self.shape.head_dim)
                    }
                }
            };
            out.push(page?);
        }
        Ok(())
    }
}

/// Writes `x[i]`, converted, to `base[first + i * step]`.
///
/// # Safety
/// All these places are inside one buffer and belong to the caller.
unsafe fn scatter<T>(
    base: NonNull<T>,
    first: usize,
    step: usize,
    x: &[f32],
    convert: impl Fn(f32) -> T,
) {
    for (i, x) in x.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { base.add(first + i * step).write(convert(*x)) }
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
        format: KvFormat::F16,
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
            *cell = (i / 7 + i) as u8;
        }
        let page = |cache: &mut KvCache, page: u32| {
            let start = page as usize * cells;
            cache.cells.get_mut()[start..start + cells].to_vec()
        };
        let (first, other) = (page(&mut cache, a.0[1]), page(&mut cache, b.0[0]));
        cache.repeat_page(&Pages(vec![a.0[1]], None), &a);
        for at in &a.0 {
            assert!(page(&mut cache, *at) == first);
        }
        assert!(page(&mut cache, b.0[0]) == other && other != first);
    }

    #[test]
    fn a_written_position_is_where_kernels_read_it() {
        for format in [KvFormat::F16, KvFormat::Q8, KvFormat::F32] {
            written_and_read(format);
        }
    }

    fn written_and_read(format: KvFormat) {
        let mut cache = KvCache::new(KvShape { format, ..SHAPE }, 2).unwrap();
        let mut pages = Pages::default();
        assert!(cache.reserve(&mut pages, 128));
        let key = |layer: usize, head: usize, position: usize| -> [f32; 4] {
            let x = (layer * 1000 + head * 200 + position) as f32;
            std::array::from_fn(|d| x + d as f32 * 0.25)
        };
        for layer in 0..2 {
            for head in 0..3 {
                for position in 0..128 {
                    let k = key(layer, head, position);
                    let v = k.map(|k| -2.0 * k);
                    // SAFETY: one thread.
                    unsafe { cache.write(&pages, layer, head, position, &k, &v) };
                }
            }
        }
        for layer in 0..2 {
            for head in 0..3 {
                let mut views = Vec::new();
                // SAFETY: nobody writes.
                unsafe { cache.views(&pages, layer, head, 0..2, &mut views) }.unwrap();
                for position in 0..128 {
                    let (page, slot) = (&views[position / 64], position % 64);
                    let want = key(layer, head, position);
                    let mut codes = [0i8; 4];
                    let scale = tritone_abi::numerics::quantize_row(&want, |d, q| codes[d] = q);
                    for d in 0..4 {
                        match page.cells() {
                            Cells::F16 { k, v } => {
                                let k = half::f16::from_bits(k[d * 64 + slot]).to_f32();
                                let v = half::f16::from_bits(v[slot * 4 + d]).to_f32();
                                assert_eq!(k, half::f16::from_f32(want[d]).to_f32());
                                assert_eq!(v, -2.0 * k);
                            }
                            Cells::F32 { k, v } => {
                                assert_eq!(k[d * 64 + slot], want[d]);
                                assert_eq!(v[slot * 4 + d], -2.0 * want[d]);
                            }
                            Cells::Q8 {
                                k,
                                v,
                                k_scales,
                                v_scales,
                            } => {
                                assert_eq!(k[d * 64 + slot], codes[d]);
                                assert_eq!(v[slot * 4 + d], -codes[d]);
                                assert_eq!(k_scales[slot], scale);
                                assert_eq!(v_scales[slot], 2.0 * scale);
                            }
                        }
                    }
                }
            }
        }
    }
}
