//! Operations on one row: quantisation, norm, rotation, gate.

use tritone_abi::numerics::{
    self, LANES, activation_scale, gelu_tanh, quantize_factor, quantize_one, relu2, silu,
};
use tritone_abi::{GateKind, QuantizedRow, RopeArgs, RopeStyle};

compiled_twice! {
    fn quantize(x: &[f32], group: usize, out: &mut QuantizedRow<'_>) = quantize_body;
}

/// Quantises a checked row.
#[inline(always)]
pub(crate) fn quantize_body(x: &[f32], group: usize, out: &mut QuantizedRow<'_>) {
    let (q, padding) = out.q.split_at_mut(x.len());
    for (g, (x, q)) in x
        .chunks_exact(group)
        .zip(q.chunks_exact_mut(group))
        .enumerate()
    {
        let max = abs_max(x);
        let factor = quantize_factor(max);
        let mut sum = 0i32;
        for (q, x) in q.iter_mut().zip(x) {
            *q = quantize_one(*x, factor);
            sum += i32::from(*q);
        }
        out.scales[g] = activation_scale(max);
        out.sums[g] = sum;
    }
    padding.fill(0);
}

/// [`numerics::abs_max`] over lanes: a maximum does not depend on the order.
#[inline(always)]
fn abs_max(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in chunks.by_ref() {
        for (m, v) in lanes.iter_mut().zip(chunk) {
            let a = v.abs();
            *m = if a > *m { a } else { *m };
        }
    }
    numerics::abs_max(&lanes).max(numerics::abs_max(chunks.remainder()))
}

compiled_twice! {
    fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = numerics::rms_norm;
}

compiled_twice! {
    fn rope(x: &mut [f32], args: &RopeArgs<'_>) = rope_body;
}

/// Rotates checked heads.
#[inline(always)]
pub(crate) fn rope_body(x: &mut [f32], args: &RopeArgs<'_>) {
    let pairs = args.cos.len();
    for head in x.chunks_exact_mut(args.head_dim) {
        match args.style {
            RopeStyle::Half => {
                let (first, second) = head[..2 * pairs].split_at_mut(pairs);
                for i in 0..pairs {
                    rotate(&mut first[i], &mut second[i], args.cos[i], args.sin[i]);
                }
            }
            RopeStyle::Interleaved => {
                for (i, pair) in head[..2 * pairs].chunks_exact_mut(2).enumerate() {
                    let [a, b] = pair else { continue };
                    rotate(a, b, args.cos[i], args.sin[i]);
                }
            }
        }
    }
}

#[inline(always)]
fn rotate(a: &mut f32, b: &mut f32, cos: f32, sin: f32) {
    (*a, *b) = (a.mul_add(cos, -(*b * sin)), b.mul_add(cos, *a * sin));
}

compiled_twice! {
    fn gate(kind: GateKind, gate: &[f32], up: &[f32], out: &mut [f32]) = gate_body;
}

/// Gates a checked row.
#[inline(always)]
pub(crate) fn gate_body(kind: GateKind, gate: &[f32], up: &[f32], out: &mut [f32]) {
    let row = out.iter_mut().zip(gate.iter().zip(up));
    match kind {
        GateKind::Relu2 => {
            for (out, (gate, up)) in row {
                *out = relu2(*gate) * up;
            }
        }
        GateKind::Silu => {
            for (out, (gate, up)) in row {
                *out = silu(*gate) * up;
            }
        }
        GateKind::GeluTanh => {
            for (out, (gate, up)) in row {
                *out = gelu_tanh(*gate) * up;
            }
        }
    }
}
