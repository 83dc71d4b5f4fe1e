//! The arithmetic of gated DeltaNet, in one defined order.
//!
//! All of it is separate multiplications and additions of binary32, so that it compiles to the same
//! bits everywhere and to vector code for any processor: a state is bound by memory when one token is
//! computed, and little of the work when many are. Sums over a vector run over sixteen lanes
//! ([`LANES`]), those over the rows of a state in increasing order, one lane a column.

use tritone_abi::numerics::{LANES, sum_lanes};

use crate::sample::exp::{LEAST, exp};

/// `1 / (1 + e^-x)`: with `e = exp(-|x|)`, the argument at least -29, `1 / (1 + e)` or `e / (1 + e)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let least = -x.abs();
    // NaN takes the bound.
    let e = exp(if least > LEAST { least } else { LEAST });
    let above = if x >= 0.0 { 1.0 } else { e };
    above / (1.0 + e)
}

/// `x sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// How much of a state remains after a position: `exp(a softplus(x))`, `a` negative.
pub(crate) fn decay(x: f32, a: f32) -> f32 {
    let softplus = x.max(0.0) + libm::log1pf(libm::expf(-x.abs()));
    libm::expf(a * softplus)
}

/// `sum(a[i] b[i])` over lanes; the slices have one length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (mut ca, mut cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in ca.by_ref().zip(cb.by_ref()) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(ca.remainder()).zip(cb.remainder()) {
        *lane += a * b;
    }
    sum_lanes(lanes)
}

/// Divides a head by its length, `sqrt(x x + eps)`, and multiplies it with `factor`.
pub(crate) fn normalize(x: &mut [f32], eps: f32, factor: f32) {
    let factor = 1.0 / (dot(x, x) + eps).sqrt() * factor;
    for x in x {
        *x *= factor;
    }
}

/// One position of a causal convolution of every channel with its own taps, and SiLU.
///
/// `window` holds the positions before, oldest first, and then those before the next position;
/// `taps` is `[tap][channels]`, of which `range` are computed, the last tap for `x` itself. Terms are
/// added oldest first.
pub(crate) fn convolve(
    taps: &[f32],
    channels: usize,
    range: std::ops::Range<usize>,
    window: &mut [f32],
    sum: &mut [f32],
    x: &mut [f32],
) {
    let width = x.len();
    sum.fill(0.0);
    let past = window.chunks_exact(width).chain([&*x]);
    for (taps, past) in taps.chunks_exact(channels).zip(past) {
        for ((sum, tap), past) in sum.iter_mut().zip(&taps[range.clone()]).zip(past) {
            *sum += tap * past;
        }
    }
    if let Some(rest) = window.len().checked_sub(width) {
        window.copy_within(width.., 0);
        window[rest..].copy_from_slice(x);
    }
    for (x, sum) in x.iter_mut().zip(sum) {
        *x = silu(*sum);
    }
}

/// One position of sixteen columns of a state: with `kept = S^T k`,
/// `d = strength (v - decay kept)`, the state becomes `decay S + k d^T`, and `out = S^T q`.
///
/// `state` is `[row][16]`, with as many rows as `k` and `q` have values.
#[inline]
pub(crate) fn advance(
    state: &mut [f32],
    (q, k, v): (&[f32], &[f32], &[f32; LANES]),
    (decay, strength): (f32, f32),
    out: &mut [f32; LANES],
) {
    let (rows, _) = state.as_chunks_mut::<LANES>();
    let mut kept = [0.0f32; LANES];
    for (row, k) in rows.iter().zip(k) {
        for (kept, s) in kept.iter_mut().zip(row) {
            *kept += k * s;
        }
    }
    let mut d = [0.0f32; LANES];
    for ((d, v), kept) in d.iter_mut().zip(v).zip(kept) {
        *d = strength * (v - decay * kept);
    }
    let mut sum = [0.0f32; LANES];
    for ((row, k), q) in rows.iter_mut().zip(k).zip(q) {
        for ((s, d), sum) in row.iter_mut().zip(&d).zip(&mut sum) {
            let next = decay * *s + k * d;
            *s = next;
            *sum += q * next;
        }
    }
    *out = sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_close_to_their_formulas() {
        for i in -20_000..20_000 {
            let x = i as f32 * 0.005;
            let wide = f64::from(x);
            let want = 1.0 / (1.0 + (-wide).exp());
            assert!((f64::from(sigmoid(x)) - want).abs() < 2e-7, "{x}");
            assert!((f64::from(silu(x)) - wide * want).abs() < 1e-5, "{x}");
            let want = (-0.3 * (1.0 + wide.exp()).ln()).exp();
            assert!((f64::from(decay(x, -0.3)) - want).abs() < 1e-5, "{x}");
        }
        assert_eq!(
            sigmoid(f32::NAN).to_bits(),
            sigmoid(f32::NEG_INFINITY).to_bits()
        );
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert_eq!(sigmoid(0.0), 0.5);
    }

    #[test]
    fn a_repeated_key_overwrites() {
        // With full strength and no decay, a state gives back the last value of a unit key.
        let mut state = vec![0.0; 32 * LANES];
        let key: Vec<f32> = (0..32).map(|i| if i < 4 { 0.5 } else { 0.0 }).collect();
        let mut out = [0.0; LANES];
        for round in 0..3 {
            let value: [f32; LANES] = std::array::from_fn(|i| (round * 100 + i) as f32);
            advance(&mut state, (&key, &key, &value), (1.0, 1.0), &mut out);
            assert_eq!(out, value);
        }
        let other: Vec<f32> = (0..32).map(|i| if i == 9 { 1.0 } else { 0.0 }).collect();
        advance(
            &mut state,
            (&other, &other, &[7.0; LANES]),
            (0.5, 1.0),
            &mut out,
        );
        assert_eq!(out, [7.0; LANES]);
        advance(
            &mut state,
            (&key, &key, &[0.0; LANES]),
            (1.0, 0.0),
            &mut out,
        );
        assert_eq!(out, std::array::from_fn(|i| (200 + i) as f32 * 0.5));
    }

    #[test]
    fn the_last_tap_is_the_newest_position() {
        // Two of three channels, taps 1, 10 and 100, of positions 1, 2, 3, ...
        let taps: Vec<f32> = [1.0, 10.0, 100.0].iter().flat_map(|t| [*t; 3]).collect();
        let (mut window, mut sum) = (vec![0.0; 4], vec![0.0; 2]);
        let mut last = [0.0; 2];
        for position in 1..=4 {
            last = [position as f32, -(position as f32)];
            convolve(&taps, 3, 1..3, &mut window, &mut sum, &mut last);
        }
        assert_eq!(last, [silu(432.0), silu(-432.0)]);
        assert_eq!(window, [3.0, -3.0, 4.0, -4.0]);
    }
}
