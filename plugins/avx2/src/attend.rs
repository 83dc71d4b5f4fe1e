//! Attention over the paged KV cache, chunk by chunk; see [`AttendArgs`] for the definition.
//!
//! Chunks are the outer loop: all queries (token and head) of the call use a page while it is in
//! cache. Queries that see the same cells of a page are taken [`TILE`] at a time and share the
//! conversion of its keys and values. The running result of a query lies in its output row; its
//! running maximum and sum lie in scratch memory.

use core::ops::Range;

use tritone_abi::numerics::{self, LANES};
use tritone_abi::{AttendArgs, KernelError, KvPage, MatOut, PAGE_TOKENS};

use crate::exp::exp;
use crate::isa::Isa;
use crate::lanes::F32x16;

/// Queries that share a conversion: four sums of two registers each.
const TILE: usize = 4;

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

/// Positions that a token sees.
fn visible(args: &AttendArgs<'_>, token: usize) -> Range<usize> {
    let end = args.len + token;
    let start = match args.window {
        0 => 0,
        window => end.saturating_sub(window),
    };
    start..end
}

/// The cells of a chunk that a token sees.
fn cells(args: &AttendArgs<'_>, token: usize, chunk: usize) -> Range<usize> {
    let (seen, base) = (visible(args, token), chunk * PAGE_TOKENS);
    let inside = |position: usize| position.saturating_sub(base).min(PAGE_TOKENS);
    inside(seen.start)..inside(seen.end)
}

#[target_feature(enable = "avx2,fma,f16c")]
fn chunks(args: &AttendArgs<'_>, out: &mut MatOut<'_>, running: &mut [Running]) {
    let (first, last) = (visible(args, 0), visible(args, args.tokens - 1));
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
        let r = 1.0 / running.sum;
        for o in &mut out.row(token)[head * args.head_dim..][..args.head_dim] {
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
    let mut p = [[0.0; PAGE_TOKENS]; H];
    scores(page, q, args.scale, &seen, &mut p);
    let mut factors = [None; H];
    for h in 0..H {
        let new = weigh(&mut p[h], &seen);
        if visible(args, place(h).0).start / PAGE_TOKENS == chunk {
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
    for d in (0..dim).step_by(LANES) {
        let o = values(page, &p, &seen, d);
        for h in 0..H {
            let (token, column) = place(h);
            let end = dim.min(d + LANES);
            let place = &mut out.row(token)[column + d..column + end];
            match factors[h] {
                None => o[h].store_part(place),
                Some((a, b)) => {
                    let (old, new) = (F32x16::load_part(place), o[h].mul(F32x16::splat(b)));
                    old.fma(F32x16::splat(a), new).store_part(place);
                }
            }
        }
    }
}

/// Scaled scores of the cells `seen`, and of others in the same sixteens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scores<const H: usize>(
    page: &KvPage<'_>,
    q: [&[f32]; H],
    scale: f32,
    seen: &Range<usize>,
    s: &mut [Chunk; H],
) {
    let keys = page.k().as_chunks::<PAGE_TOKENS>().0;
    let scale = F32x16::splat(scale);
    for part in seen.start / LANES..seen.end.div_ceil(LANES) {
        let mut sums = [F32x16::splat(0.0); H];
        for (d, keys) in keys.iter().enumerate() {
            let k = F32x16::load_f16(&keys.as_chunks().0[part]);
            for h in 0..H {
                sums[h] = F32x16::splat(q[h][d]).fma(k, sums[h]);
            }
        }
        for h in 0..H {
            let place = &mut s[h].as_chunks_mut().0[part];
            sums[h].mul(scale).store(place);
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

/// Values `d .. d + 16` (fewer at the end of the head) folded over the cells `seen`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn values<const H: usize>(
    page: &KvPage<'_>,
    p: &[Chunk; H],
    seen: &Range<usize>,
    d: usize,
) -> [F32x16; H] {
    let mut o = [F32x16::splat(0.0); H];
    let dim = page.head_dim();
    for (j, row) in page
        .v()
        .chunks_exact(dim)
        .enumerate()
        .take(seen.end)
        .skip(seen.start)
    {
        let v = match row[d..].first_chunk() {
            Some(cells) => F32x16::load_f16(cells),
            None => {
                let mut cells = [0u16; LANES];
                cells[..dim - d].copy_from_slice(&row[d..]);
                F32x16::load_f16(&cells)
            }
        };
        for h in 0..H {
            o[h] = F32x16::splat(p[h][j]).fma(v, o[h]);
        }
    }
    o
}
