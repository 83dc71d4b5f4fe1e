//! Attention over the paged KV cache, chunk by chunk; see [`AttendArgs`] for the definition.
//!
//! Chunks are the outer loop: all queries (token and head) of the call use a page while it is in
//! cache. Queries that see the same cells of a page are taken [`TILE`] at a time and share the
//! conversion of its keys and values. The running result of a query lies in its output row; its
//! running maximum and sum lie in scratch memory.

mod page;

use core::ops::Range;

use tritone_abi::numerics::{self, LANES};
use tritone_abi::{AttendArgs, KernelError, KvFormat, MatOut, PAGE_TOKENS, merge_partial};

use crate::lanes::{Floats, Op, Simd};
use page::{Cell, Chunk};

/// Queries that share a conversion of keys and values.
const TILE: usize = 4;

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
pub(crate) fn attend<S: Simd>(
    s: S,
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
    s.run(Attend { args, out, running });
    Ok(())
}

/// [`merge_partial`] of checked arguments.
pub(crate) struct Merge<'a> {
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) acc: &'a mut [f32],
    pub(crate) next: &'a [f32],
}

impl Op for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, _: S) {
        // One multiplication and one fused multiply-add a value: the compiler needs no help.
        merge_partial(self.heads, self.head_dim, self.acc, self.next);
    }
}

struct Attend<'a, 'b> {
    args: &'a AttendArgs<'a>,
    out: &'a mut MatOut<'b>,
    /// One for every query.
    running: &'a mut [Running],
}

impl Op for Attend<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(mut self, s: S) {
        const { assert!(S::WIDTH == 1 || S::WIDTH == 2) };
        self.running.fill(Running { max: 0.0, sum: 0.0 });
        match (self.args.pages[0].format(), S::WIDTH) {
            (Some(KvFormat::F16), 1) => self.chunks::<S, u16, 1>(s),
            (Some(KvFormat::F16), _) => self.chunks::<S, u16, 2>(s),
            (Some(KvFormat::F32), 1) => self.chunks::<S, f32, 1>(s),
            (Some(KvFormat::F32), _) => self.chunks::<S, f32, 2>(s),
            (Some(KvFormat::Q8), 1) => self.chunks::<S, i8, 1>(s),
            (Some(KvFormat::Q8), _) => self.chunks::<S, i8, 2>(s),
            // Refused by the check.
            (None, _) => {}
        }
        self.finish();
    }
}

/// The cells of a chunk that a token sees.
fn cells(args: &AttendArgs<'_>, token: usize, chunk: usize) -> Range<usize> {
    let (seen, base) = (args.visible(token), chunk * PAGE_TOKENS);
    let inside = |cell: usize| cell.saturating_sub(base).min(PAGE_TOKENS);
    inside(seen.start)..inside(seen.end)
}

impl Attend<'_, '_> {
    #[inline(always)]
    fn chunks<S: Simd, C: Cell, const WIDTH: usize>(&mut self, s: S) {
        let args = self.args;
        let (first, last) = (args.visible(0), args.visible(args.tokens - 1));
        let last = last.end.div_ceil(PAGE_TOKENS).min(args.pages.len());
        for chunk in first.start / PAGE_TOKENS..last {
            let mut query = 0;
            while query < self.running.len() {
                let seen = cells(args, query / args.heads, chunk);
                if seen.is_empty() {
                    // The other heads of this token see nothing either.
                    query += args.heads;
                    continue;
                }
                let alike = (query + 1..self.running.len().min(query + TILE))
                    .take_while(|other| cells(args, other / args.heads, chunk) == seen)
                    .count();
                match alike {
                    0 => self.step::<S, C, WIDTH, 1>(s, query, chunk, seen),
                    1 => self.step::<S, C, WIDTH, 2>(s, query, chunk, seen),
                    2 => self.step::<S, C, WIDTH, 3>(s, query, chunk, seen),
                    _ => self.step::<S, C, WIDTH, TILE>(s, query, chunk, seen),
                }
                query += alike + 1;
            }
        }
    }

    /// One chunk for queries `query .. query + H`, which all see the cells `seen`.
    #[inline(always)]
    fn step<S: Simd, C: Cell, const WIDTH: usize, const H: usize>(
        &mut self,
        s: S,
        query: usize,
        chunk: usize,
        seen: Range<usize>,
    ) {
        let args = self.args;
        let (dim, page) = (args.head_dim, C::page(&args.pages[chunk]));
        let place = |h: usize| ((query + h) / args.heads, (query + h) % args.heads * dim);
        let q: [&[f32]; H] = core::array::from_fn(|h| {
            let (token, column) = place(h);
            &args.q[token * args.q_stride + column..][..dim]
        });
        // The first queries of a page ask for what comes next; the others, which find it in
        // cache, ask for what they have.
        let next = args.pages.get(chunk + 1).filter(|_| query == 0);
        let (v, next_k) = match next {
            Some(next) => (page.v, C::page(next).k),
            None => (page.k, page.k),
        };
        let mut p: [Chunk; H] = [[0.0; PAGE_TOKENS]; H];
        page::scores::<S, C, WIDTH, H>(s, page, q, args.scale, &seen, &mut p, v);
        let mut factors = [None; H];
        for h in 0..H {
            let (max, sum) = page::weigh(s, &mut p[h], &seen);
            if let Some(scales) = page.v_scales {
                page::times(s, &mut p[h], scales);
            }
            let running = &mut self.running[query + h];
            if args.visible(place(h).0).start / PAGE_TOKENS == chunk {
                *running = Running { max, sum };
                continue;
            }
            let most = if max > running.max { max } else { running.max };
            let (a, b) = (numerics::exp(running.max - most), numerics::exp(max - most));
            running.sum = running.sum.mul_add(a, sum * b);
            running.max = most;
            factors[h] = Some((a, b));
        }
        let mut o = [[[0.0; LANES]; WIDTH]; H];
        for first in (0..dim).step_by(WIDTH * LANES) {
            page::values::<S, C, WIDTH, H>(s, page, (&p, &seen), first, &mut o, next_k);
            for h in 0..H {
                let (token, column) = place(h);
                let end = dim.min(first + WIDTH * LANES);
                let place = &mut self.out.row(token)[column + first..column + end];
                for (place, o) in place.chunks_mut(LANES).zip(&o[h]) {
                    match factors[h] {
                        None => place.copy_from_slice(&o[..place.len()]),
                        Some((a, b)) => {
                            let (old, new) = (s.load_part(place), s.load(o).mul(s.splat(b)));
                            old.fma(s.splat(a), new).store_part(place);
                        }
                    }
                }
            }
        }
    }

    /// Divides by the sums, or writes them where the result is to be merged.
    #[inline(always)]
    fn finish(self) {
        let args = self.args;
        for (query, running) in self.running.iter().enumerate() {
            let (token, head) = (query / args.heads, query % args.heads);
            let row = self.out.row(token);
            let (out, states) = row.split_at_mut(args.heads * args.head_dim);
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
}
