//! Logits of binary16 rows.

use tritone_abi::head::GROUP_ROWS;
use tritone_abi::numerics::{self, LANES};
use tritone_abi::{HeadMatrix, MatOut};

use crate::lanes::{Floats, Op, Simd};

/// Tokens, or rows, that share a load: as many sums are under way.
const TILE: usize = 4;

/// How far ahead of its use a cache line of a single row is asked for.
const AHEAD_BYTES: usize = 4096;

/// Logits of a binary16 head; `x` is `tokens` rows of `w.cols` floats, and `out` fits both.
pub(crate) struct FloatHead<'a, 'b> {
    pub(crate) w: &'a HeadMatrix<'a>,
    pub(crate) x: &'a [f32],
    pub(crate) tokens: usize,
    pub(crate) out: &'a mut MatOut<'b>,
}

impl Op for FloatHead<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        let Self { w, x, tokens, out } = self;
        let rows = out.range();
        let weights = |row: usize| &w.data[2 * w.cols * row..][..2 * w.cols];
        let hidden = |token: usize| &x[w.cols * token..][..w.cols];
        for first in rows.clone().step_by(GROUP_ROWS) {
            let end = rows.end.min(first + GROUP_ROWS);
            let mut token = 0;
            // Several tokens share the conversion of a row; a single one takes four rows at a
            // time, so that either way four sums are under way.
            while token + TILE <= tokens {
                let x = core::array::from_fn(|t| hidden(token + t));
                for row in first..end {
                    let [logits] = dots::<S, 1, TILE>(s, [weights(row)], x);
                    for (t, logit) in logits.iter().enumerate() {
                        out.row(token + t)[row - rows.start] = *logit;
                    }
                }
                token += TILE;
            }
            for token in token..tokens {
                let mut row = first;
                while row + TILE <= end {
                    let w = core::array::from_fn(|r| weights(row + r));
                    let logits = dots::<S, TILE, 1>(s, w, [hidden(token)]);
                    let place = &mut out.row(token)[row - rows.start..][..TILE];
                    place.copy_from_slice(logits.as_flattened());
                    row += TILE;
                }
                for row in row..end {
                    let [[logit]] = dots::<S, 1, 1>(s, [weights(row)], [hidden(token)]);
                    out.row(token)[row - rows.start] = logit;
                }
            }
        }
    }
}

/// Every [`dot`](numerics::dot) of `R` binary16 rows with `T` rows of floats, all of one length.
#[inline(always)]
fn dots<S: Simd, const R: usize, const T: usize>(
    s: S,
    w: [&[u8]; R],
    x: [&[f32]; T],
) -> [[f32; T]; R] {
    let n = x[0].len() / LANES;
    let halves: [&[[u8; 2 * LANES]]; R] =
        core::array::from_fn(|r| &w[r].as_chunks::<{ 2 * LANES }>().0[..n]);
    let values: [&[[f32; LANES]]; T] = core::array::from_fn(|t| &x[t].as_chunks::<LANES>().0[..n]);
    let mut sums = [[s.splat(0.0); T]; R];
    // Rows lie one behind the other, so the next ones are this far away. Several streams at once are too
    // short for the processor to find them by itself.
    let ahead = if R > 1 { R * w[0].len() } else { AHEAD_BYTES };
    for i in 0..n {
        let mut x = [s.splat(0.0); T];
        for t in 0..T {
            x[t] = s.load(&values[t][i]);
        }
        for r in 0..R {
            s.prefetch(halves[r][i].as_ptr().wrapping_add(ahead));
            let w = s.load_f16_bytes(&halves[r][i]);
            for t in 0..T {
                sums[r][t] = x[t].fma(w, sums[r][t]);
            }
        }
    }
    let mut dots = [[0.0; T]; R];
    for r in 0..R {
        for t in 0..T {
            let tail = &x[t][LANES * n..];
            if tail.is_empty() {
                dots[r][t] = sums[r][t].sum();
                continue;
            }
            // Lanes without a value are kept as they are, down to the sign of a zero.
            let mut lanes = sums[r][t].to_array();
            let halves = w[r][2 * LANES * n..].as_chunks::<2>().0;
            for (lane, (x, half)) in lanes.iter_mut().zip(tail.iter().zip(halves)) {
                let half = numerics::f16_to_f32(u16::from_le_bytes(*half));
                *lane = x.mul_add(half, *lane);
            }
            dots[r][t] = s.load(&lanes).sum();
        }
    }
    dots
}
