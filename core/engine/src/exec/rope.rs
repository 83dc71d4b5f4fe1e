//! Tables of cosines and sines for rotary position embedding.

use tritone_abi::RopeStyle;

use super::AlignedBuf;
use crate::recipe::{Recipe, Rope, RopeScaling};

/// The tables of all layers: of those that see all positions, and of those with a window.
#[derive(Debug)]
pub(crate) struct RopeTables {
    all: Option<RopeTable>,
    window: Option<RopeTable>,
}

impl RopeTables {
    /// The tables for `context` positions, or `None` when their size overflows.
    #[must_use]
    pub(crate) fn new(recipe: &Recipe, context: usize) -> Option<Self> {
        let table = |rope: Option<&Rope>| match rope {
            Some(rope) => RopeTable::new(rope, context).map(Some),
            None => Some(None),
        };
        Some(Self {
            all: table(recipe.rope.as_ref())?,
            window: table(recipe.window_rope.as_ref())?,
        })
    }

    /// Bytes of the tables.
    #[must_use]
    pub(crate) fn bytes(recipe: &Recipe, context: usize) -> u64 {
        let ropes = recipe.rope.iter().chain(&recipe.window_rope);
        ropes.map(|rope| RopeTable::bytes(rope, context)).sum()
    }

    /// The arguments that rotate heads at `position` in a layer with this window; `None` where it knows
    /// no positions.
    ///
    /// # Panics
    /// When the position lies outside the context.
    #[must_use]
    pub(crate) fn at(
        &self,
        recipe: &Recipe,
        window: Option<usize>,
        position: usize,
    ) -> Option<tritone_abi::RopeArgs<'_>> {
        let table = match window {
            Some(_) => self.window.as_ref(),
            None => self.all.as_ref(),
        };
        Some(table?.at(position, recipe.head_dim))
    }
}

/// Cosines and sines of all positions of a context, `[position][rot / 2]` each.
///
/// Angles are `position * theta^(-2i / rot)`, scaled as [`RopeScaling`] says, in binary64 with
/// `libm`'s functions, which do not depend on the platform, rounded once to binary32.
#[derive(Debug)]
struct RopeTable {
    cos: AlignedBuf<f32>,
    sin: AlignedBuf<f32>,
    half: usize,
    style: RopeStyle,
}

impl RopeTable {
    /// The table for `context` positions, or `None` when its size overflows.
    #[must_use]
    fn new(rope: &Rope, context: usize) -> Option<Self> {
        let half = rope.dims / 2;
        let len = context.checked_mul(half)?;
        let mut cos = AlignedBuf::zeroed(len)?;
        let mut sin = AlignedBuf::zeroed(len)?;
        let (rates, gain) = rates(rope, context);
        for position in 0..context {
            let row = position * half..(position + 1) * half;
            let out = cos.as_mut_slice()[row.clone()]
                .iter_mut()
                .zip(&mut sin.as_mut_slice()[row]);
            for ((c, s), rate) in out.zip(&rates) {
                let angle = position as f64 * rate;
                *c = (gain * libm::cos(angle)) as f32;
                *s = (gain * libm::sin(angle)) as f32;
            }
        }
        Some(Self {
            cos,
            sin,
            half,
            style: rope.style,
        })
    }

    /// Bytes of a table.
    #[must_use]
    fn bytes(rope: &Rope, context: usize) -> u64 {
        context as u64 * (rope.dims / 2) as u64 * 8
    }

    /// The arguments that rotate heads of `head_dim` at `position`.
    ///
    /// # Panics
    /// When the position lies outside the context.
    #[must_use]
    fn at(&self, position: usize, head_dim: usize) -> tritone_abi::RopeArgs<'_> {
        let row = position * self.half..(position + 1) * self.half;
        tritone_abi::RopeArgs {
            head_dim,
            cos: &self.cos.as_slice()[row.clone()],
            sin: &self.sin.as_slice()[row],
            style: self.style,
        }
    }
}

/// Turns within the first context from which on YaRN keeps an angle, and up to which it divides it.
const FAST: f64 = 32.0;
const SLOW: f64 = 1.0;

/// The angle of every pair for one position, and what cosines and sines are multiplied by,
/// with a context of `context` positions.
fn rates(rope: &Rope, context: usize) -> (Vec<f64>, f64) {
    let (dims, theta) = (rope.dims as f64, f64::from(rope.theta));
    let plain = (0..rope.dims / 2).map(|i| 1.0 / libm::pow(theta, 2.0 * i as f64 / dims));
    match &rope.scaling {
        RopeScaling::None => (plain.collect(), 1.0),
        RopeScaling::Linear { factor } => {
            (plain.map(|rate| rate / f64::from(*factor)).collect(), 1.0)
        }
        RopeScaling::Yarn { factor, original } => {
            let factor = f64::from(*factor);
            // The pair that turns so many times within the first context.
            let pair = |turns: f64| {
                let span = *original as f64 / (turns * 2.0 * std::f64::consts::PI);
                dims * libm::log(span) / (2.0 * libm::log(theta))
            };
            let low = libm::floor(pair(FAST)).max(0.0);
            let high = libm::ceil(pair(SLOW)).min(dims - 1.0);
            let width = (high - low).max(0.001);
            let mix = |(i, rate): (usize, f64)| {
                let slow = ((i as f64 - low) / width).clamp(0.0, 1.0);
                rate * (1.0 - slow) + rate / factor * slow
            };
            let gain = 0.1 * libm::log(factor) + 1.0;
            (plain.enumerate().map(mix).collect(), gain)
        }
        RopeScaling::Factors {
            short,
            long,
            original,
            gain,
        } => {
            let divisors = if context > *original { long } else { short };
            let divided = plain.zip(divisors.iter());
            let rates = divided.map(|(rate, divisor)| rate / f64::from(*divisor));
            (rates.collect(), f64::from(*gain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bonsai 8B: factor 4 over 16384, 128 values a head, theta 1e6.
    #[test]
    fn yarn_keeps_fast_pairs_divides_slow_ones_and_scales_all() {
        let scaling = RopeScaling::Yarn {
            factor: 4.0,
            original: 16_384,
        };
        let rope = |scaling| Rope {
            theta: 1e6,
            dims: 128,
            style: RopeStyle::Half,
            scaling,
        };
        let (plain, one) = rates(&rope(RopeScaling::None), 2);
        let (yarn, gain) = rates(&rope(scaling.clone()), 2);
        assert_eq!(one, 1.0);
        assert!((gain - 1.138_629_436).abs() < 1e-9);
        // 128 ln(16384 / 64 pi) / (2 ln 1e6) = 20.4 and 128 ln(16384 / 2 pi) / (2 ln 1e6) = 36.4.
        for i in 0..64 {
            let slow = ((i as f64 - 20.0) / 17.0).clamp(0.0, 1.0);
            let expected = plain[i] * (1.0 - slow * 0.75);
            assert!((yarn[i] / expected - 1.0).abs() < 1e-12, "pair {i}");
        }
        let (linear, one) = rates(&rope(RopeScaling::Linear { factor: 2.0 }), 2);
        assert!(one == 1.0 && linear.iter().zip(&plain).all(|(a, b)| *a == b / 2.0));
        let table = RopeTable::new(&rope(scaling), 2).unwrap();
        let at = table.at(0, 128);
        assert!(
            at.cos.iter().all(|c| *c == gain as f32),
            "also at position 0"
        );
    }
}
