//! Attention over the paged KV cache, chunk by chunk.

use core::ops::Range;

use tritone_abi::numerics::{LANES, exp, f16_to_f32, sum_lanes};
use tritone_abi::{AttendArgs, Cells, KvPage, MatOut, PAGE_TOKENS, merge_partial};

/// Query heads that share one conversion of keys and values.
const TILE: usize = 8;

type Scores = [[f32; PAGE_TOKENS]; TILE];

compiled_twice! {
    fn attend(args: &AttendArgs<'_>, out: &mut MatOut<'_>) = body;
}

compiled_twice! {
    fn merge(heads: usize, head_dim: usize, acc: &mut [f32], next: &[f32]) = merge_partial;
}

/// Attention of checked arguments.
#[inline(always)]
pub(crate) fn body(args: &AttendArgs<'_>, out: &mut MatOut<'_>) {
    let dim = args.head_dim;
    for token in 0..args.tokens {
        let visible = args.visible(token);
        let (out, states) = out.row(token).split_at_mut(args.heads * dim);
        if visible.is_empty() {
            out.fill(0.0);
            states.fill(0.0);
            continue;
        }
        for first in (0..args.heads).step_by(TILE) {
            let heads = TILE.min(args.heads - first);
            let q = &args.q[token * args.q_stride + first * dim..][..heads * dim];
            let out = &mut out[first * dim..][..heads * dim];
            let running = attend_heads(args, q, visible.clone(), out);
            for (h, running) in running[..heads].iter().enumerate() {
                if args.partial {
                    let state = &mut states[2 * (first + h)..][..2];
                    state.copy_from_slice(&[running.max, running.sum]);
                } else {
                    let r = 1.0 / running.sum;
                    for o in &mut out[h * dim..][..dim] {
                        *o *= r;
                    }
                }
            }
        }
    }
}

/// Largest score so far and the sum of the weights relative to it.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
}

/// Up to [`TILE`] heads of one token over the `visible` cells; `out` is not yet divided by the
/// sums.
#[inline(always)]
fn attend_heads(
    args: &AttendArgs<'_>,
    q: &[f32],
    visible: Range<usize>,
    out: &mut [f32],
) -> [Running; TILE] {
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
        if let Cells::Q8 { v_scales, .. } = page.cells() {
            for p in p.as_flattened_mut().chunks_exact_mut(PAGE_TOKENS) {
                for (p, scale) in p.iter_mut().zip(v_scales) {
                    *p *= scale;
                }
            }
        }
        let whole = dim - dim % LANES;
        for d in (0..whole).step_by(LANES) {
            merge_values::<LANES>(page, &p, cells.clone(), d, factors, out);
        }
        for d in whole..dim {
            merge_values::<1>(page, &p, cells.clone(), d, factors, out);
        }
    }
    running
}

/// Scaled scores of all 64 cells of a page, the invisible ones included.
#[inline(always)]
fn scores(page: &KvPage<'_>, q: &[f32], scale: f32) -> Scores {
    match page.cells() {
        Cells::F16 { k, .. } => fold_keys(k, q, [scale; PAGE_TOKENS], |k| f16_to_f32(*k)),
        Cells::F32 { k, .. } => fold_keys(k, q, [scale; PAGE_TOKENS], |k| *k),
        Cells::Q8 { k, k_scales, .. } => {
            fold_keys(k, q, k_scales.map(|k| scale * k), |k| f32::from(*k))
        }
    }
}

#[inline(always)]
fn fold_keys<T>(
    keys: &[T],
    q: &[f32],
    scales: [f32; PAGE_TOKENS],
    float: impl Fn(&T) -> f32,
) -> Scores {
    let dim = keys.len() / PAGE_TOKENS;
    let mut s = [[0.0f32; PAGE_TOKENS]; TILE];
    for (d, cells) in keys.chunks_exact(PAGE_TOKENS).enumerate() {
        let mut k = [0.0f32; PAGE_TOKENS];
        for (k, cell) in k.iter_mut().zip(cells) {
            *k = float(cell);
        }
        for (s, q) in s.iter_mut().zip(q.chunks_exact(dim)) {
            for (s, k) in s.iter_mut().zip(&k) {
                *s = q[d].mul_add(*k, *s);
            }
        }
    }
    for s in &mut s {
        for (s, scale) in s.iter_mut().zip(&scales) {
            *s *= scale;
        }
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
    // Not -0, which other orders would not find.
    max += 0.0;
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
    let o: [[f32; N]; TILE] = match page.cells() {
        Cells::F16 { v, .. } => fold_values(v, dim, &p[..heads], cells, d, |v| f16_to_f32(*v)),
        Cells::F32 { v, .. } => fold_values(v, dim, &p[..heads], cells, d, |v| *v),
        Cells::Q8 { v, .. } => fold_values(v, dim, &p[..heads], cells, d, |v| f32::from(*v)),
    };
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

#[inline(always)]
fn fold_values<const N: usize, T>(
    values: &[T],
    dim: usize,
    p: &[[f32; PAGE_TOKENS]],
    cells: Range<usize>,
    d: usize,
    float: impl Fn(&T) -> f32,
) -> [[f32; N]; TILE] {
    let mut o = [[0.0f32; N]; TILE];
    for j in cells {
        let mut v = [0.0f32; N];
        for (v, cell) in v.iter_mut().zip(&values[j * dim + d..][..N]) {
            *v = float(cell);
        }
        for (o, p) in o.iter_mut().zip(p) {
            for (o, v) in o.iter_mut().zip(&v) {
                *o = p[j].mul_add(*v, *o);
            }
        }
    }
    o
}
