//! Attention over the paged KV cache, chunk by chunk.

use core::ops::Range;

use tritone_abi::numerics::{LANES, exp, f16_to_f32, sum_lanes};
use tritone_abi::{AttendArgs, KvPage, MatOut, PAGE_TOKENS};

/// Query heads that share one conversion of keys and values.
const TILE: usize = 8;

type Scores = [[f32; PAGE_TOKENS]; TILE];

compiled_twice! {
    fn attend(args: &AttendArgs<'_>, out: &mut MatOut<'_>) = body;
}

/// Attention of checked arguments.
#[inline(always)]
pub(crate) fn body(args: &AttendArgs<'_>, out: &mut MatOut<'_>) {
    let dim = args.head_dim;
    for token in 0..args.tokens {
        let end = args.len + token;
        let start = match args.window {
            0 => 0,
            window => end.saturating_sub(window),
        };
        for first in (0..args.heads).step_by(TILE) {
            let heads = TILE.min(args.heads - first);
            let q = &args.q[token * args.q_stride + first * dim..][..heads * dim];
            let out = &mut out.row(token)[first * dim..][..heads * dim];
            attend_heads(args, q, start..end, out);
        }
    }
}

/// Largest score so far and the sum of the weights relative to it.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
}

/// Up to [`TILE`] heads of one token over the `visible` positions.
#[inline(always)]
fn attend_heads(args: &AttendArgs<'_>, q: &[f32], visible: Range<usize>, out: &mut [f32]) {
    let (dim, heads) = (args.head_dim, q.len() / args.head_dim);
    let first_chunk = visible.start / PAGE_TOKENS;
    let mut running = [Running { max: 0.0, sum: 0.0 }; TILE];
    for chunk in first_chunk..visible.end.div_ceil(PAGE_TOKENS) {
        let page = &args.pages[chunk];
        let base = chunk * PAGE_TOKENS;
        let cells = visible.start.max(base) - base..(visible.end - base).min(PAGE_TOKENS);
        let mut p = scores(page, q, args.scale);
        let mut factors = [(0.0f32, 1.0f32); TILE];
        for h in 0..heads {
            let chunk_state = weigh(&mut p[h], cells.clone());
            if chunk == first_chunk {
                running[h] = chunk_state;
            } else {
                let max = if chunk_state.max > running[h].max {
                    chunk_state.max
                } else {
                    running[h].max
                };
                let (a, b) = (exp(running[h].max - max), exp(chunk_state.max - max));
                let sum = running[h].sum.mul_add(a, chunk_state.sum * b);
                running[h] = Running { max, sum };
                factors[h] = (a, b);
            }
        }
        let factors = (chunk != first_chunk).then_some(&factors);
        let whole = dim - dim % LANES;
        for d in (0..whole).step_by(LANES) {
            merge_values::<LANES>(page, &p, cells.clone(), d, factors, out);
        }
        for d in whole..dim {
            merge_values::<1>(page, &p, cells.clone(), d, factors, out);
        }
    }
    for (out, running) in out.chunks_exact_mut(dim).zip(&running) {
        let r = 1.0 / running.sum;
        for o in out {
            *o *= r;
        }
    }
}

/// Scaled scores of all 64 cells of a page, the invisible ones included.
#[inline(always)]
fn scores(page: &KvPage<'_>, q: &[f32], scale: f32) -> Scores {
    let dim = page.head_dim();
    let mut s = [[0.0f32; PAGE_TOKENS]; TILE];
    for (d, halves) in page.k().chunks_exact(PAGE_TOKENS).enumerate() {
        let mut k = [0.0f32; PAGE_TOKENS];
        for (k, half) in k.iter_mut().zip(halves) {
            *k = f16_to_f32(*half);
        }
        for (s, q) in s.iter_mut().zip(q.chunks_exact(dim)) {
            for (s, k) in s.iter_mut().zip(&k) {
                *s = q[d].mul_add(*k, *s);
            }
        }
    }
    for v in s.as_flattened_mut() {
        *v *= scale;
    }
    s
}

/// Turns the scores of the visible `cells` into `exp(s - max)`, the others into 0.
#[inline(always)]
fn weigh(s: &mut [f32; PAGE_TOKENS], cells: Range<usize>) -> Running {
    let mut max = f32::NEG_INFINITY;
    for v in &s[cells.clone()] {
        max = if *v > max { *v } else { max };
    }
    s[..cells.start].fill(0.0);
    s[cells.end..].fill(0.0);
    for v in &mut s[cells] {
        *v = exp(*v - max);
    }
    let mut lanes = [0.0f32; LANES];
    for part in s.chunks_exact(LANES) {
        for (lane, p) in lanes.iter_mut().zip(part) {
            *lane += p;
        }
    }
    Running {
        max,
        sum: sum_lanes(lanes),
    }
}

/// Folds `N` value columns from `d` over the visible `cells` and merges them into `out`: as they
/// are without `factors` (the first chunk), else `out * a + o * b`.
#[inline(always)]
fn merge_values<const N: usize>(
    page: &KvPage<'_>,
    p: &Scores,
    cells: Range<usize>,
    d: usize,
    factors: Option<&[(f32, f32); TILE]>,
    out: &mut [f32],
) {
    let dim = page.head_dim();
    let heads = out.len() / dim;
    let mut o = [[0.0f32; N]; TILE];
    for j in cells {
        let mut v = [0.0f32; N];
        for (v, half) in v.iter_mut().zip(&page.v()[j * dim + d..][..N]) {
            *v = f16_to_f32(*half);
        }
        for (o, p) in o[..heads].iter_mut().zip(p) {
            for (o, v) in o.iter_mut().zip(&v) {
                *o = p[j].mul_add(*v, *o);
            }
        }
    }
    for (h, (out, o)) in out.chunks_exact_mut(dim).zip(&o).enumerate() {
        let out = &mut out[d..d + N];
        match factors {
            None => out.copy_from_slice(o),
            Some(factors) => {
                let (a, b) = factors[h];
                for (out, o) in out.iter_mut().zip(o) {
                    *out = out.mul_add(a, *o * b);
                }
            }
        }
    }
}
