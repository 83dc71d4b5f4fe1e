//! How likely a model finds tokens, in numbers that are the same on every machine.

use super::exp::{LEAST, exp};

/// Sums that run side by side; the order of additions is part of the definition.
const LANES: usize = 16;

/// The logarithm of a softmax over a row of logits.
///
/// `e^x` is the sampler's own, in binary32; what is below e^-29 of the greatest counts as nothing.
/// Sums are binary64: lane `i mod 16` adds in increasing `i`, then lanes are added 8, 4, 2 and 1
/// apart. The logarithm is that of the `libm` crate. So the result depends on the logits alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSoftmax {
    greatest: f32,
    sum: f64,
    ln_sum: f64,
}

impl LogSoftmax {
    /// Adds up the row. An empty one, or one without a finite greatest logit, makes everything NaN.
    #[must_use]
    pub fn new(logits: &[f32]) -> Self {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !greatest.is_finite() {
            let (sum, ln_sum) = (f64::NAN, f64::NAN);
            return Self {
                greatest,
                sum,
                ln_sum,
            };
        }
        let sum = lanes(logits, |x| f64::from(weight(x - greatest)));
        Self {
            greatest,
            sum,
            ln_sum: libm::log(sum),
        }
    }

    /// Natural logarithm of the probability of a token with this logit; never above 0.
    #[must_use]
    pub fn ln(&self, logit: f32) -> f64 {
        f64::from(logit) - f64::from(self.greatest) - self.ln_sum
    }

    /// Kullback-Leibler divergence, in nats, of what `other` says from what `base` says about the
    /// same position: the sum of `p ln(p / q)`, where `p` are the probabilities of `base`. Rounding
    /// may put it a little below 0.
    #[must_use]
    pub fn divergence(base: &[f32], other: &[f32]) -> f64 {
        let (p, q) = (Self::new(base), Self::new(other));
        // Pairs are added in the order of a row.
        let mut sums = [0.0; LANES];
        for (i, (a, b)) in base.iter().zip(other).enumerate() {
            let weight = f64::from(weight(a - p.greatest));
            if weight > 0.0 {
                sums[i % LANES] += weight * (p.ln(*a) - q.ln(*b));
            }
        }
        total(sums) / p.sum
    }
}

/// `e^x` for `x <= 0`.
#[inline(always)]
fn weight(x: f32) -> f32 {
    let e = exp(x.max(LEAST));
    if x < LEAST { 0.0 } else { e }
}

#[inline(always)]
fn lanes(row: &[f32], value: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += value(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += value(*x);
    }
    total(sums)
}

fn total(mut sums: [f64; LANES]) -> f64 {
    for apart in [8, 4, 2, 1] {
        for i in 0..apart {
            sums[i] += sums[i + apart];
        }
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the book, in binary64.
    fn plain(logits: &[f32]) -> Vec<f64> {
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let terms = logits.iter().map(|x| f64::from(*x) - f64::from(most));
        let sum: f64 = terms.clone().map(f64::exp).sum();
        terms.map(|x| x - sum.ln()).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_logarithm_of_a_softmax(
            a in prop::collection::vec(-60.0_f32..60.0, 1..200),
            shift in -3.0_f32..3.0,
        ) {
            let soft = LogSoftmax::new(&a);
            for (x, want) in a.iter().zip(plain(&a)) {
                prop_assert!((soft.ln(*x) - want).abs() < 1e-6, "{} is not {want}", soft.ln(*x));
            }
            let b: Vec<f32> = a.iter().enumerate().map(|(i, x)| x + shift * (i % 3) as f32).collect();
            let want: f64 = plain(&a)
                .iter()
                .zip(plain(&b))
                .map(|(p, q)| p.exp() * (p - q))
                .sum();
            let got = LogSoftmax::divergence(&a, &b);
            prop_assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_no_number() {
        assert!(LogSoftmax::new(&[]).ln(0.0).is_nan());
        assert!(LogSoftmax::new(&[f32::INFINITY, 0.0]).ln(0.0).is_nan());
        let banned = LogSoftmax::new(&[0.0, f32::NEG_INFINITY]);
        assert_eq!(banned.ln(0.0), 0.0);
        assert_eq!(banned.ln(f32::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(LogSoftmax::divergence(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
    }
}
