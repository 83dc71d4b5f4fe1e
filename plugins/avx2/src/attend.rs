//! Attention over the paged KV cache, chunk by chunk; see [`AttendArgs`] for the definition.
//!
//! Chunks are the outer loop: all queries (token and head) of the call use a page while it is in
//! cache. Queries that see the same cells of a page are taken [`TILE`] at a time and share the
//! conversion of its keys and values. The running result of a query lies in its output row; its
//! running maximum and sum lie in scratch memory.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::ops::Range;

use tritone_abi::numerics::{self, LANES};
use tritone_abi::{
    AttendArgs, Cells, KernelError, KvFormat, KvPage, MatOut, PAGE_TOKENS, merge_partial,
};

use crate::exp::exp;
use crate::isa::Isa;
use crate::lanes::F32x16;

/// Queries that share a conversion of keys and values.
const TILE: usize = 4;

/// Sixteens of positions, or of a head's values, taken at once: with [`TILE`] queries they keep
/// eight registers of sums busy, which hides the latency of the multiplications.
const WIDTH: usize = 1;

/// Scores, then weights, of one query in one chunk.
type Chunk = [f32; PAGE_TOKENS];

/// Largest score so far, and the sum of the weights relative to it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Running {
    max: f32,
    sum: f32,
}

/// Scratch memory for `queries` (tokens times heads).
pub(crate) fn scratch_bytes(queries: usize) -> usize {
    queries
        .saturating_mul(size_of::<Running>())
        .saturating_add(align_of::<Running>())
}

/// Attention of checked arguments.
///
/// # Errors
/// When `scratch` is too short.
pub(crate) fn attend(
    _: Isa,
    args: &AttendArgs<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) -> Result<(), KernelError> {
    if args.pages[0].format() != Some(KvFormat::F16) {
        return Err(KernelError::Unsupported("attend"));
    }
    // SAFETY: every bit pattern is a valid f32, and `Running` is two of them.
    let (_, running, _) = unsafe { scratch.align_to_mut::<Running>() };
    let running = args
        .tokens
        .checked_mul(args.heads)
        .and_then(|queries| running.get_mut(..queries))
        .ok_or(KernelError::BadArgument("scratch memory is too short"))?;
    // SAFETY: the proof says that the function's features are there.
    unsafe { chunks(args, out, running) };
    Ok(())
}

/// The cells of a chunk that a token sees.
fn cells(args: &AttendArgs<'_>, token: usize, chunk: usize) -> Range<usize> {
    let (seen, base) = (args.visible(token), chunk * PAGE_TOKENS);
    let inside = |cell: usize| cell.saturating_sub(base).min(PAGE_TOKENS);
    inside(seen.start)..inside(seen.end)
}

/// Keys and values in binary16.
fn halves<'a>(page: &KvPage<'a>) -> (&'a [u16], &'a [u16]) {
    match page.cells() {
        Cells::F16 { k, v } => (k, v),
        Cells::Q8 { .. } => (&[], &[]),
    }
}

/// [`merge_partial`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn merge(heads: usize, head_dim: usize, acc: &mut [f32], next: &[f32]) {
    merge_partial(heads, head_dim, acc, next);
}

#[target_feature(enable = "avx2,fma,f16c")]
fn chunks(args: &AttendArgs<'_>, out: &mut MatOut<'_>, running: &mut [Running]) {
    let (first, last) = (args.visible(0), args.visible(args.tokens - 1));
    running.fill(Running { max: 0.0, sum: 0.0 });
    for chunk in first.start / PAGE_TOKENS..last.end.div_ceil(PAGE_TOKENS) {
        let mut query = 0;
        while query < running.len() {
            let seen = cells(args, query / args.heads, chunk);
            if seen.is_empty() {
                // The other heads of this token see nothing either.
                query += args.heads;
                continue;
            }
            let alike = (query + 1..running.len().min(query + TILE))
                .take_while(|other| cells(args, other / args.heads, chunk) == seen)
                .count();
            let running = &mut running[query..];
            match alike {
                0 => step::<1>(args, out, running, query, chunk, seen),
                1 => step::<2>(args, out, running, query, chunk, seen),
                2 => step::<3>(args, out, running, query, chunk, seen),
                _ => step::<TILE>(args, out, running, query, chunk, seen),
            }
            query += alike + 1;
        }
    }
    for (query, running) in running.iter().enumerate() {
        let (token, head) = (query / args.heads, query % args.heads);
        let (out, states) = out.row(token).split_at_mut(args.heads * args.head_dim);
        let out = &mut out[head * args.head_dim..][..args.head_dim];
        if args.partial {
            states[2 * head..2 * head + 2].copy_from_slice(&[running.max, running.sum]);
            if args.visible(token).is_empty() {
                out.fill(0.0);
            }
            continue;
        }
        let r = 1.0 / running.sum;
        for o in out {
            *o *= r;
        }
    }
}

/// One chunk for queries `query .. query + H`, which all see the cells `seen`.
#[target_feature(enable = "avx2,fma,f16c")]
fn step<const H: usize>(
    args: &AttendArgs<'_>,
    out: &mut MatOut<'_>,
    running: &mut [Running],
    query: usize,
    chunk: usize,
    seen: Range<usize>,
) {
    let (dim, page) = (args.head_dim, &args.pages[chunk]);
    let place = |h: usize| ((query + h) / args.heads, (query + h) % args.heads * dim);
    let q: [&[f32]; H] = core::array::from_fn(|h| {
        let (token, column) = place(h);
        &args.q[token * args.q_stride + column..][..dim]
    });
    // The first queries of a page ask for what comes next; the others, which find it in cache,
    // ask for what they have.
    let next = args.pages.get(chunk + 1).filter(|_| query == 0);
    let (v, next_k) = match next {
        Some(next) => (halves(page).1, halves(next).0),
        None => (halves(page).0, halves(page).0),
    };
    let mut p = [[0.0; PAGE_TOKENS]; H];
    scores(page, q, args.scale, &seen, &mut p, v);
    let mut factors = [None; H];
    for h in 0..H {
        let new = weigh(&mut p[h], &seen);
        if args.visible(place(h).0).start / PAGE_TOKENS == chunk {
            running[h] = new;
            continue;
        }
        let old = running[h];
        let max = if new.max > old.max { new.max } else { old.max };
        let (a, b) = (numerics::exp(old.max - max), numerics::exp(new.max - max));
        let sum = old.sum.mul_add(a, new.sum * b);
        running[h] = Running { max, sum };
        factors[h] = Some((a, b));
    }
    for first in (0..dim).step_by(WIDTH * LANES) {
        let o = values(page, &p, &seen, first, next_k);
        for h in 0..H {
            let (token, column) = place(h);
            let end = dim.min(first + WIDTH * LANES);
            let place = &mut out.row(token)[column + first..column + end];
            for (place, o) in place.chunks_mut(LANES).zip(o[h]) {
                match factors[h] {
                    None => o.store_part(place),
                    Some((a, b)) => {
                        let (old, new) = (F32x16::load_part(place), o.mul(F32x16::splat(b)));
                        old.fma(F32x16::splat(a), new).store_part(place);
                    }
                }
            }
        }
    }
}

/// Asks for a cache line of `ahead`, in even steps over the `4 / WIDTH * head_dim` rounds that a
/// page takes: it has `2 * head_dim` lines.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn prefetch(ahead: &[u16], round: usize) {
    // A prefetch cannot fault, wherever it points.
    let line = ahead
        .as_ptr()
        .cast::<i8>()
        .wrapping_add(round * WIDTH / 2 * 64);
    _mm_prefetch::<_MM_HINT_T0>(line);
}

/// Scaled scores of the cells `seen`, and of others near them. Meanwhile `ahead` is asked for.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[expect(
    clippy::needless_range_loop,
    reason = "counted loops over register arrays read alike"
)]
fn scores<const H: usize>(
    page: &KvPage<'_>,
    q: [&[f32]; H],
    scale: f32,
    seen: &Range<usize>,
    s: &mut [Chunk; H],
    ahead: &[u16],
) {
    let dim = page.head_dim();
    let keys = halves(page).0;
    let q = q.map(|q| q[..dim].as_ptr());
    let scale = F32x16::splat(scale);
    for part in seen.start / (WIDTH * LANES)..seen.end.div_ceil(WIDTH * LANES) {
        let mut sums = [[F32x16::splat(0.0); WIDTH]; H];
        for d in 0..dim {
            prefetch(ahead, part * dim + d);
            for i in 0..WIDTH {
                let first = d * PAGE_TOKENS + (part * WIDTH + i) * LANES;
                // SAFETY: `d` is below the head's size, which is the number of key rows and the
                // length of the queries; the part ends within the 64 cells of a row.
                unsafe {
                    let k = F32x16::load_f16(&*keys.as_ptr().add(first).cast());
                    for h in 0..H {
                        sums[h][i] = F32x16::splat(*q[h].add(d)).fma(k, sums[h][i]);
                    }
                }
            }
        }
        for h in 0..H {
            let place = &mut s[h].as_chunks_mut::<{ WIDTH * LANES }>().0[part];
            for (place, sum) in place.as_chunks_mut().0.iter_mut().zip(sums[h]) {
                sum.mul(scale).store(place);
            }
        }
    }
}

/// Turns the scores of the cells `seen` into `exp(s - max)`, the others into 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn weigh(s: &mut Chunk, seen: &Range<usize>) -> Running {
    s[..seen.start].fill(f32::NEG_INFINITY);
    s[seen.end..].fill(f32::NEG_INFINITY);
    let mut most = F32x16::splat(f32::NEG_INFINITY);
    for part in s.as_chunks().0 {
        most = F32x16::load(part).max(most);
    }
    let max = most.largest();
    for part in s.as_chunks_mut().0 {
        exp(F32x16::load(part).sub(F32x16::splat(max))).store(part);
    }
    s[..seen.start].fill(0.0);
    s[seen.end..].fill(0.0);
    let mut sum = F32x16::splat(0.0);
    for part in s.as_chunks().0 {
        sum = sum.add(F32x16::load(part));
    }
    Running {
        max,
        sum: sum.sum(),
    }
}

/// [`WIDTH`] sixteens of values from `first`, folded over the cells `seen`; zeros stand for what
/// lies behind the end of the head. Meanwhile `ahead` is asked for.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn values<const H: usize>(
    page: &KvPage<'_>,
    p: &[Chunk; H],
    seen: &Range<usize>,
    first: usize,
    ahead: &[u16],
) -> [[F32x16; WIDTH]; H] {
    const WHOLE: usize = WIDTH * LANES;
    let dim = page.head_dim();
    let rounds = first / WHOLE * PAGE_TOKENS;
    if first + WHOLE <= dim {
        return fold_values(&halves(page).1[first..], dim, p, seen, ahead, rounds);
    }
    let mut padded = [0; PAGE_TOKENS * WHOLE];
    for (part, row) in padded
        .chunks_exact_mut(WHOLE)
        .zip(halves(page).1.chunks_exact(dim))
    {
        part[..dim - first].copy_from_slice(&row[first..]);
    }
    fold_values(&padded, WHOLE, p, seen, ahead, rounds)
}

/// The loop of [`values`]: the values of cell `j` start at `v[j * stride]`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[expect(
    clippy::needless_range_loop,
    reason = "counted loops over register arrays read alike"
)]
fn fold_values<const H: usize>(
    v: &[u16],
    stride: usize,
    p: &[Chunk; H],
    seen: &Range<usize>,
    ahead: &[u16],
    rounds: usize,
) -> [[F32x16; WIDTH]; H] {
    let cells = seen.start..seen.end.min(PAGE_TOKENS);
    assert!(v.len() >= (PAGE_TOKENS - 1) * stride + WIDTH * LANES);
    let mut o = [[F32x16::splat(0.0); WIDTH]; H];
    for j in cells {
        prefetch(ahead, rounds + j);
        for i in 0..WIDTH {
            // SAFETY: `j` is below 64, so the assertion above leaves room for `WIDTH` sixteens.
            let v = unsafe { &*v.as_ptr().add(j * stride + i * LANES).cast() };
            let v = F32x16::load_f16(v);
            for h in 0..H {
                o[h][i] = F32x16::splat(p[h][j]).fma(v, o[h][i]);
            }
        }
    }
    o
}
