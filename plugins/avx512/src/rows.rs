//! Operations on one row: norm, quantisation, rotation and gating.

use tritone_abi::numerics::{self, LANES};
use tritone_abi::{GateKind, QuantizedRow, RopeArgs, RopeStyle};

use crate::exp;
use crate::lanes::{F32x16, I8x16};

/// [`numerics::dot`] of slices of one length.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = F32x16::splat(0.0);
    for (x, y) in a.iter().zip(b) {
        sum = F32x16::load(x).fma(F32x16::load(y), sum);
    }
    if a_tail.is_empty() {
        return sum.sum();
    }
    let mut lanes = sum.to_array();
    for (lane, (x, y)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane = x.mul_add(*y, *lane);
    }
    F32x16::load(&lanes).sum()
}

/// [`numerics::rms_norm`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let r = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    let factor = F32x16::splat(r);
    let ((x, x_tail), (weight, weight_tail)) = (x.as_chunks(), weight.as_chunks());
    let (out, out_tail) = out.as_chunks_mut();
    for ((x, w), out) in x.iter().zip(weight).zip(out) {
        F32x16::load(x).mul(factor).mul(F32x16::load(w)).store(out);
    }
    for ((x, w), out) in x_tail.iter().zip(weight_tail).zip(out_tail) {
        *out = (x * r) * w;
    }
}

/// Quantises a row; `out` fits it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn quantize(x: &[f32], group: usize, out: &mut QuantizedRow<'_>) {
    let (q, padding) = out.q.split_at_mut(x.len());
    padding.fill(0);
    let places = out.scales.iter_mut().zip(out.sums.iter_mut());
    for ((x, q), (scale, sum)) in x
        .chunks_exact(group)
        .zip(q.chunks_exact_mut(group))
        .zip(places)
    {
        (*scale, *sum) = quantize_group(x, q);
    }
}

/// Quantises values that share a scale; gives the scale and the sum.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quantize_group(x: &[f32], q: &mut [i8]) -> (f32, i32) {
    let (x, x_tail) = x.as_chunks::<LANES>();
    let x_tail = F32x16::load_part(x_tail);
    // The maximum is the same in any order; NaN loses every comparison.
    let mut most = F32x16::splat(1e-5);
    for x in x {
        most = F32x16::load(x).abs().max(most);
    }
    let m = x_tail.abs().max(most).largest();
    let factor = F32x16::splat(numerics::quantize_factor(m));
    let mut sum = I8x16::zero();
    let (q, q_tail) = q.as_chunks_mut::<LANES>();
    for (x, q) in x.iter().zip(q) {
        let v = F32x16::load(x).mul(factor).to_i8();
        sum = sum.add(v);
        v.store(q);
    }
    if !q_tail.is_empty() {
        let v = x_tail.mul(factor).to_i8();
        let mut all = [0; LANES];
        v.store(&mut all);
        q_tail.copy_from_slice(&all[..q_tail.len()]);
        // Lanes behind the tail are `0 * factor`, which adds nothing.
        sum = sum.add(v);
    }
    (numerics::activation_scale(m), sum.sum())
}

/// Rotates the heads of one token; the table fits the heads.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn rope(x: &mut [f32], args: &RopeArgs<'_>) {
    let half = args.cos.len();
    for head in x.chunks_exact_mut(args.head_dim) {
        let rotated = &mut head[..2 * half];
        match args.style {
            RopeStyle::Half => {
                let (a, b) = rotated.split_at_mut(half);
                rotate_halves(a, b, args.cos, args.sin);
            }
            RopeStyle::Interleaved => rotate_pairs(rotated, args.cos, args.sin),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn rotate_halves(a: &mut [f32], b: &mut [f32], cos: &[f32], sin: &[f32]) {
    let ((cos, cos_tail), (sin, sin_tail)) = (cos.as_chunks(), sin.as_chunks());
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks_mut(), b.as_chunks_mut());
    for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(cos.iter().zip(sin)) {
        let (x, y) = (F32x16::load(a), F32x16::load(b));
        let (cos, sin) = (F32x16::load(cos), F32x16::load(sin));
        x.fma(cos, y.mul(sin).neg()).store(a);
        y.fma(cos, x.mul(sin)).store(b);
    }
    let angles = cos_tail.iter().zip(sin_tail);
    for ((a, b), (cos, sin)) in a_tail.iter_mut().zip(b_tail).zip(angles) {
        (*a, *b) = rotate_one(*a, *b, *cos, *sin);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn rotate_pairs(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let ((cos, cos_tail), (sin, sin_tail)) = (cos.as_chunks(), sin.as_chunks());
    let (x, x_tail) = x.as_chunks_mut::<LANES>();
    for (x, (cos, sin)) in x.iter_mut().zip(cos.iter().zip(sin)) {
        F32x16::load(x).rotate_pairs(cos, sin).store(x);
    }
    let angles = cos_tail.iter().zip(sin_tail);
    for (pair, (cos, sin)) in x_tail.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
        (pair[0], pair[1]) = rotate_one(pair[0], pair[1], *cos, *sin);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn rotate_one(a: f32, b: f32, cos: f32, sin: f32) -> (f32, f32) {
    (a.mul_add(cos, -(b * sin)), b.mul_add(cos, a * sin))
}

/// `out[i] = f(gate[i]) * up[i]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn gate(kind: GateKind, gate: &[f32], up: &[f32], out: &mut [f32]) {
    // One loop for each function, so that the choice is made outside of it.
    match kind {
        GateKind::Relu2 => gate_with(gate, up, out, |x| exp::relu2(x)),
        GateKind::Silu => gate_with(gate, up, out, |x| exp::silu(x)),
        GateKind::GeluTanh => gate_with(gate, up, out, |x| exp::gelu_tanh(x)),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn gate_with(gate: &[f32], up: &[f32], out: &mut [f32], f: impl Fn(F32x16) -> F32x16) {
    let ((gate, gate_tail), (up, up_tail)) = (gate.as_chunks(), up.as_chunks());
    let (out, out_tail) = out.as_chunks_mut();
    for ((x, up), out) in gate.iter().zip(up).zip(out) {
        f(F32x16::load(x)).mul(F32x16::load(up)).store(out);
    }
    if !out_tail.is_empty() {
        let x = F32x16::load_part(gate_tail);
        f(x).mul(F32x16::load_part(up_tail)).store_part(out_tail);
    }
}
