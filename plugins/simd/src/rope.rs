//! Rotary position embedding.

use tritone_abi::numerics::LANES;
use tritone_abi::{RopeArgs, RopeStyle};

use crate::lanes::{Floats, Op, Simd};

/// Rotates the heads of one token; the table fits the heads.
pub(crate) struct Rope<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) args: &'a RopeArgs<'a>,
}

impl Op for Rope<'_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        let RopeArgs {
            head_dim,
            cos,
            sin,
            style,
        } = *self.args;
        let half = cos.len();
        for head in self.x.chunks_exact_mut(head_dim) {
            let rotated = &mut head[..2 * half];
            match style {
                RopeStyle::Half => {
                    let (a, b) = rotated.split_at_mut(half);
                    halves(s, a, b, cos, sin);
                }
                RopeStyle::Interleaved => pairs(s, rotated, cos, sin),
            }
        }
    }
}

#[inline(always)]
fn halves<S: Simd>(s: S, a: &mut [f32], b: &mut [f32], cos: &[f32], sin: &[f32]) {
    let ((cos, cos_tail), (sin, sin_tail)) = (cos.as_chunks(), sin.as_chunks());
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks_mut(), b.as_chunks_mut());
    for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(cos.iter().zip(sin)) {
        let (x, y) = (s.load(a), s.load(b));
        let (cos, sin) = (s.load(cos), s.load(sin));
        x.fma(cos, y.mul(sin).neg()).store(a);
        y.fma(cos, x.mul(sin)).store(b);
    }
    let angles = cos_tail.iter().zip(sin_tail);
    for ((a, b), (cos, sin)) in a_tail.iter_mut().zip(b_tail).zip(angles) {
        (*a, *b) = rotate_one(*a, *b, *cos, *sin);
    }
}

#[inline(always)]
fn pairs<S: Simd>(s: S, x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let ((cos, cos_tail), (sin, sin_tail)) = (cos.as_chunks(), sin.as_chunks());
    let (x, x_tail) = x.as_chunks_mut::<LANES>();
    for (x, (cos, sin)) in x.iter_mut().zip(cos.iter().zip(sin)) {
        s.load(x).rotate_pairs(cos, sin).store(x);
    }
    let angles = cos_tail.iter().zip(sin_tail);
    for (pair, (cos, sin)) in x_tail.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
        (pair[0], pair[1]) = rotate_one(pair[0], pair[1], *cos, *sin);
    }
}

#[inline(always)]
fn rotate_one(a: f32, b: f32, cos: f32, sin: f32) -> (f32, f32) {
    (a.mul_add(cos, -(b * sin)), b.mul_add(cos, a * sin))
}
