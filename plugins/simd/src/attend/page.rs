//! The loops over one page of the KV cache.

use core::ops::Range;

use tritone_abi::numerics::LANES;
use tritone_abi::{Cells, KvPage, PAGE_TOKENS};

use crate::exp::exp;
use crate::lanes::{Floats, Simd};

/// Scores, then weights, of one query in one chunk.
pub(super) type Chunk = [f32; PAGE_TOKENS];

/// Sixteen of a query's sums.
pub(super) type Part = [f32; LANES];

/// Most sixteens of values that are taken at once.
const MAX_WIDTH: usize = 2;

/// A cached number in its stored form.
pub(super) trait Cell: Copy + Default {
    fn load<S: Simd>(s: S, cells: &[Self; LANES]) -> S::Floats;

    /// What a page of this form holds; nothing, if it is of another form.
    fn page<'a>(page: &KvPage<'a>) -> Page<'a, Self>;
}

/// Keys `[head_dim][64]` and values `[64][head_dim]`, with their scales if they have any.
#[derive(Clone, Copy)]
pub(super) struct Page<'a, C> {
    pub(super) k: &'a [C],
    pub(super) v: &'a [C],
    pub(super) k_scales: Option<&'a Chunk>,
    pub(super) v_scales: Option<&'a Chunk>,
}

impl<C> Page<'_, C> {
    const NOTHING: Self = Self {
        k: &[],
        v: &[],
        k_scales: None,
        v_scales: None,
    };
}

impl Cell for u16 {
    #[inline(always)]
    fn load<S: Simd>(s: S, cells: &[Self; LANES]) -> S::Floats {
        s.load_f16(cells)
    }

    #[inline(always)]
    fn page<'a>(page: &KvPage<'a>) -> Page<'a, Self> {
        match page.cells() {
            Cells::F16 { k, v } => Page {
                k,
                v,
                ..Page::NOTHING
            },
            _ => Page::NOTHING,
        }
    }
}

impl Cell for f32 {
    #[inline(always)]
    fn load<S: Simd>(s: S, cells: &[Self; LANES]) -> S::Floats {
        s.load(cells)
    }

    #[inline(always)]
    fn page<'a>(page: &KvPage<'a>) -> Page<'a, Self> {
        match page.cells() {
            Cells::F32 { k, v } => Page {
                k,
                v,
                ..Page::NOTHING
            },
            _ => Page::NOTHING,
        }
    }
}

impl Cell for i8 {
    #[inline(always)]
    fn load<S: Simd>(s: S, cells: &[Self; LANES]) -> S::Floats {
        s.load_i8(cells)
    }

    #[inline(always)]
    fn page<'a>(page: &KvPage<'a>) -> Page<'a, Self> {
        match page.cells() {
            Cells::Q8 {
                k,
                v,
                k_scales,
                v_scales,
            } => Page {
                k,
                v,
                k_scales: Some(k_scales),
                v_scales: Some(v_scales),
            },
            _ => Page::NOTHING,
        }
    }
}

/// Asks for a part of `ahead`, a page's keys or values, in even steps over the
/// `4 / WIDTH * head_dim` rounds of a loop over a page.
#[inline(always)]
fn prefetch<S: Simd, C, const WIDTH: usize>(s: S, ahead: &[C], round: usize) {
    s.prefetch(ahead.as_ptr().wrapping_add(round * WIDTH * LANES).cast());
}

/// Scaled scores of the cells `seen`, and of others near them. Meanwhile `ahead` is asked for.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "counted loops over register arrays read alike"
)]
pub(super) fn scores<S: Simd, C: Cell, const WIDTH: usize, const H: usize>(
    s: S,
    page: Page<'_, C>,
    q: [&[f32]; H],
    scale: f32,
    seen: &Range<usize>,
    p: &mut [Chunk; H],
    ahead: &[C],
) {
    let dim = page.k.len() / PAGE_TOKENS;
    let q = q.map(|q| q[..dim].as_ptr());
    let scale = s.splat(scale);
    for part in seen.start / (WIDTH * LANES)..seen.end.min(PAGE_TOKENS).div_ceil(WIDTH * LANES) {
        let mut sums = [[s.splat(0.0); WIDTH]; H];
        for d in 0..dim {
            prefetch::<S, C, WIDTH>(s, ahead, part * dim + d);
            for i in 0..WIDTH {
                let first = d * PAGE_TOKENS + (part * WIDTH + i) * LANES;
                // SAFETY: `d` is below the number of key rows and the length of the queries;
                // the part ends within the 64 cells of a row, which `2 * LANES` divides.
                unsafe {
                    let k = C::load(s, &*page.k.as_ptr().add(first).cast());
                    for h in 0..H {
                        sums[h][i] = s.splat(*q[h].add(d)).fma(k, sums[h][i]);
                    }
                }
            }
        }
        for i in 0..WIDTH {
            let part = part * WIDTH + i;
            let scale = match page.k_scales {
                None => scale,
                Some(scales) => scale.mul(s.load(&scales.as_chunks().0[part])),
            };
            for h in 0..H {
                sums[h][i]
                    .mul(scale)
                    .store(&mut p[h].as_chunks_mut().0[part]);
            }
        }
    }
}

/// Turns the scores of the cells `seen` into `exp(s - max)`, the others into 0; gives `max` and
/// the sum of the weights.
#[inline(always)]
pub(super) fn weigh<S: Simd>(s: S, p: &mut Chunk, seen: &Range<usize>) -> (f32, f32) {
    p[..seen.start].fill(f32::NEG_INFINITY);
    p[seen.end..].fill(f32::NEG_INFINITY);
    let mut most = s.splat(f32::NEG_INFINITY);
    for part in p.as_chunks().0 {
        most = s.load(part).max(most);
    }
    // Not -0, which other orders would not find.
    let max = most.largest() + 0.0;
    for part in p.as_chunks_mut().0 {
        exp(s, s.load(part).sub(s.splat(max))).store(part);
    }
    p[..seen.start].fill(0.0);
    p[seen.end..].fill(0.0);
    let mut sum = s.splat(0.0);
    for part in p.as_chunks().0 {
        sum = sum.add(s.load(part));
    }
    (max, sum.sum())
}

/// `p[j] *= scales[j]`.
#[inline(always)]
pub(super) fn times<S: Simd>(s: S, p: &mut Chunk, scales: &Chunk) {
    for (part, scales) in p.as_chunks_mut().0.iter_mut().zip(scales.as_chunks().0) {
        s.load(part).mul(s.load(scales)).store(part);
    }
}

/// `WIDTH` sixteens of values from `first`, folded over the cells `seen`, into `o`; zeros stand
/// for what lies behind the end of the head. Meanwhile `ahead` is asked for.
#[inline(always)]
pub(super) fn values<S: Simd, C: Cell, const WIDTH: usize, const H: usize>(
    s: S,
    page: Page<'_, C>,
    (p, seen): (&[Chunk; H], &Range<usize>),
    first: usize,
    o: &mut [[Part; WIDTH]; H],
    ahead: &[C],
) {
    let (dim, whole) = (page.v.len() / PAGE_TOKENS, WIDTH * LANES);
    let round = first / whole * PAGE_TOKENS;
    if first + whole <= dim {
        let v = (&page.v[first..], dim);
        return fold::<S, C, WIDTH, H>(s, v, (p, seen), o, ahead, round);
    }
    let mut padded = [C::default(); PAGE_TOKENS * MAX_WIDTH * LANES];
    for (part, row) in padded.chunks_exact_mut(whole).zip(page.v.chunks_exact(dim)) {
        part[..dim - first].copy_from_slice(&row[first..]);
    }
    fold::<S, C, WIDTH, H>(s, (&padded, whole), (p, seen), o, ahead, round);
}

/// The loop of [`values`]: the values of cell `j` start at `v[j * stride]`.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "counted loops over register arrays read alike"
)]
fn fold<S: Simd, C: Cell, const WIDTH: usize, const H: usize>(
    s: S,
    (v, stride): (&[C], usize),
    (p, seen): (&[Chunk; H], &Range<usize>),
    o: &mut [[Part; WIDTH]; H],
    ahead: &[C],
    round: usize,
) {
    assert!(v.len() >= (PAGE_TOKENS - 1) * stride + WIDTH * LANES);
    let mut sums = [[s.splat(0.0); WIDTH]; H];
    for j in seen.start..seen.end.min(PAGE_TOKENS) {
        prefetch::<S, C, WIDTH>(s, ahead, round + j);
        for i in 0..WIDTH {
            // SAFETY: `j` is below 64, so the assertion above leaves room for `WIDTH` sixteens.
            let v = unsafe { &*v.as_ptr().add(j * stride + i * LANES).cast() };
            let v = C::load(s, v);
            for h in 0..H {
                sums[h][i] = s.splat(p[h][j]).fma(v, sums[h][i]);
            }
        }
    }
    // Through memory, so that the sums stay in registers whatever is done with them.
    for h in 0..H {
        for i in 0..WIDTH {
            sums[h][i].store(&mut o[h][i]);
        }
    }
}
