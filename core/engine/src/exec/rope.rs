//! Tables of cosines and sines for rotary position embedding.

use tritone_abi::RopeStyle;

use super::AlignedBuf;
use crate::recipe::Rope;

/// Cosines and sines of all positions of a context, `[position][rot / 2]` each.
///
/// Angles are `position * theta^(-2i / rot)` in binary64 with `libm`'s functions, which do not
/// depend on the platform, rounded once to binary32.
#[derive(Debug)]
pub(crate) struct RopeTable {
    cos: AlignedBuf<f32>,
    sin: AlignedBuf<f32>,
    half: usize,
    style: RopeStyle,
}

impl RopeTable {
    /// The table for `context` positions, or `None` when its size overflows.
    #[must_use]
    pub(crate) fn new(rope: &Rope, context: usize) -> Option<Self> {
        let half = rope.dims / 2;
        let len = context.checked_mul(half)?;
        let mut cos = AlignedBuf::zeroed(len)?;
        let mut sin = AlignedBuf::zeroed(len)?;
        let rates: Vec<f64> = (0..half)
            .map(|i| 1.0 / libm::pow(f64::from(rope.theta), 2.0 * i as f64 / rope.dims as f64))
            .collect();
        for position in 0..context {
            let row = position * half..(position + 1) * half;
            let out = cos.as_mut_slice()[row.clone()]
                .iter_mut()
                .zip(&mut sin.as_mut_slice()[row]);
            for ((c, s), rate) in out.zip(&rates) {
                let angle = position as f64 * rate;
                *c = libm::cos(angle) as f32;
                *s = libm::sin(angle) as f32;
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
    pub(crate) fn bytes(rope: &Rope, context: usize) -> u64 {
        context as u64 * (rope.dims / 2) as u64 * 8
    }

    /// The arguments that rotate heads of `head_dim` at `position`.
    ///
    /// # Panics
    /// When the position lies outside the context.
    #[must_use]
    pub(crate) fn at(&self, position: usize, head_dim: usize) -> tritone_abi::RopeArgs<'_> {
        let row = position * self.half..(position + 1) * self.half;
        tritone_abi::RopeArgs {
            head_dim,
            cos: &self.cos.as_slice()[row.clone()],
            sin: &self.sin.as_slice()[row],
            style: self.style,
        }
    }
}
