//! Formats and arithmetic of the output head (and of nothing else: embeddings are looked up from
//! the model file).
//!
//! # `F16`
//!
//! Row-major binary16, `cols` values a row, straight from the file. A logit is
//! [`numerics::dot`](crate::numerics::dot) of the normed hidden state and the row.
//!
//! # `Q8`, `Q6`, `Q4`
//!
//! Rows in groups of 16, columns in blocks of 64 (padded with zeros). A (group, block) is
//! 64 bytes of scales, then code vectors of 64 bytes: lane `l` (4 bytes) of a vector belongs to
//! row `l` of the group, its byte `b` to column `4 * kq + b` of the block, where `kq` = 0..15 is
//! the *column quad*.
//!
//! * scales: 2 x 16 binary16, for columns 0..31 of the sixteen rows, then for columns 32..63;
//! * `Q8`: vector `kq` holds `code = value + 128`;
//! * `Q4`: 8 vectors of `code = value + 8`: vector `v` = 0..3 holds quad `v` in the low nibbles
//!   and quad `v + 4` in the high ones, vector 4 + `v` quads `8 + v` and `12 + v`;
//! * `Q6`: `code = value + 32`; 8 vectors of low nibbles laid out as in `Q4`, then 4 vectors of
//!   the upper two bits: vector `u` holds quad `4 * u + p` in bits `2p`, `2p + 1`.
//!
//! The hidden state is quantised in groups of 32. A logit is, from 0 and in increasing group `g`:
//! `acc = fma(sum[g] as f32, scale[g] * a[g], acc)` with the exact integer product `sum[g]` of
//! values and activations. Bits a weight: 8.5, 6.5, 4.5.

use crate::args::Activations;
use crate::error::KernelError;
use crate::numerics::{f16_to_f32, f32_to_f16};

/// Rows in a group of a quantised head.
pub const GROUP_ROWS: usize = 16;
/// Columns in a block of a quantised head.
pub const BLOCK_COLS: usize = 64;
/// Columns that share a weight scale and an activation scale.
pub const SCALE_COLS: usize = 32;

/// How the head's rows are stored.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadFormat {
    /// Row-major binary16.
    F16 = 0,
    /// 8-bit codes, one scale for 32 columns.
    Q8 = 1,
    /// 6-bit codes, one scale for 32 columns.
    Q6 = 2,
    /// 4-bit codes, one scale for 32 columns.
    Q4 = 3,
}

impl HeadFormat {
    /// The format with this number.
    #[must_use]
    pub fn from_u32(value: u32) -> Option<Self> {
        [Self::F16, Self::Q8, Self::Q6, Self::Q4]
            .into_iter()
            .find(|f| *f as u32 == value)
    }

    /// Bytes of one (16 rows, 64 columns) block of a quantised format.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F16 => GROUP_ROWS * BLOCK_COLS * 2,
            Self::Q8 => 64 + 16 * 64,
            Self::Q6 => 64 + 12 * 64,
            Self::Q4 => 64 + 8 * 64,
        }
    }

    /// Bytes of a head of `rows` by `cols`, or `None` on overflow.
    #[must_use]
    pub fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        match self {
            Self::F16 => rows.checked_mul(cols)?.checked_mul(2),
            _ => rows
                .div_ceil(GROUP_ROWS)
                .checked_mul(cols.div_ceil(BLOCK_COLS))?
                .checked_mul(self.block_bytes()),
        }
    }

    /// Largest magnitude on the positive side of a code; the scale is `abs_max / limit`.
    fn limit(self) -> i32 {
        match self {
            Self::F16 => 0,
            Self::Q8 => 127,
            Self::Q6 => 31,
            Self::Q4 => 7,
        }
    }
}

/// The head's weights.
#[derive(Clone, Copy, Debug)]
pub struct HeadMatrix<'a> {
    /// Format of `data`.
    pub format: HeadFormat,
    /// Rows: the vocabulary.
    pub rows: usize,
    /// Columns: the hidden size.
    pub cols: usize,
    /// `format.bytes(rows, cols)` bytes; binary16 little-endian for [`HeadFormat::F16`].
    pub data: &'a [u8],
}

/// The hidden states of `tokens` rows, in the form the format wants.
#[derive(Clone, Copy, Debug)]
pub enum HeadInput<'a> {
    /// For [`HeadFormat::F16`]: `tokens` rows of `cols` floats.
    F32 {
        /// Row-major values.
        x: &'a [f32],
        /// Rows.
        tokens: usize,
    },
    /// For the quantised formats: groups of 32 columns.
    Int8(Activations<'a>),
}

impl HeadInput<'_> {
    /// Rows.
    #[must_use]
    pub fn tokens(&self) -> usize {
        match self {
            Self::F32 { tokens, .. } => *tokens,
            Self::Int8(a) => a.tokens,
        }
    }
}

impl HeadMatrix<'_> {
    /// Checks weights, input and output range against each other.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(
        &self,
        x: &HeadInput<'_>,
        tokens: usize,
        range: core::ops::Range<usize>,
    ) -> Result<(), KernelError> {
        let bad = |rule| Err(KernelError::BadArgument(rule));
        if self.rows == 0 || self.cols == 0 || self.cols > 131_072 {
            return bad("a head has 1.. rows and 1..=131072 columns");
        }
        if self.format.bytes(self.rows, self.cols) != Some(self.data.len()) {
            return bad("head data does not fit the shape");
        }
        if x.tokens() != tokens || range.end > self.rows {
            return bad("head output does not fit the shape");
        }
        if !range.start.is_multiple_of(GROUP_ROWS)
            || !(range.end.is_multiple_of(GROUP_ROWS) || range.end == self.rows)
        {
            return bad("head ranges are whole groups of 16 rows");
        }
        match (self.format, x) {
            (HeadFormat::F16, HeadInput::F32 { x, tokens })
                if tokens.checked_mul(self.cols) == Some(x.len()) =>
            {
                Ok(())
            }
            (HeadFormat::Q8 | HeadFormat::Q6 | HeadFormat::Q4, HeadInput::Int8(a)) => {
                a.check()?;
                if a.cols != self.cols || a.group != SCALE_COLS {
                    return bad("a quantised head takes activations in groups of 32");
                }
                Ok(())
            }
            _ => bad("head input does not fit the format"),
        }
    }
}

/// Quantises `rows` (at most [`GROUP_ROWS`]) rows of `cols` f32 values into one row group.
/// `cols` is a multiple of 32; missing rows and columns become zeros.
///
/// Per 32 columns: `scale = f16(abs_max / limit)`, `value = round_half_even(x / scale)` clamped
/// to the format's range; NaN gives 0.
///
/// # Errors
/// [`KernelError::BadArgument`] when lengths do not fit, the format is `F16`, or `cols` is not a
/// multiple of 32.
pub fn pack_group(
    format: HeadFormat,
    rows: &[f32],
    cols: usize,
    out: &mut [u8],
) -> Result<(), KernelError> {
    let n = rows.len().checked_div(cols).unwrap_or(0);
    let fits = cols > 0
        && cols.is_multiple_of(SCALE_COLS)
        && rows.len() == n * cols
        && (1..=GROUP_ROWS).contains(&n)
        && format != HeadFormat::F16
        && format.bytes(n, cols) == Some(out.len());
    if !fits {
        return Err(KernelError::BadArgument("head rows do not fit a row group"));
    }
    let limit = format.limit();
    for (block, out) in out.chunks_exact_mut(format.block_bytes()).enumerate() {
        let (scales, codes) = out.split_at_mut(64);
        for lane in 0..GROUP_ROWS {
            let mut quads = [[0u8; 4]; BLOCK_COLS / 4];
            for (half, quads) in quads.chunks_exact_mut(SCALE_COLS / 4).enumerate() {
                let start = block * BLOCK_COLS + half * SCALE_COLS;
                let values: &[f32] = if lane < n && start < cols {
                    &rows[lane * cols + start..lane * cols + start + SCALE_COLS]
                } else {
                    &[0.0; SCALE_COLS]
                };
                let max = values
                    .iter()
                    .fold(0.0f32, |m, v| if v.abs() > m { v.abs() } else { m });
                let scale = f32_to_f16(max / limit as f32);
                scales[(half * GROUP_ROWS + lane) * 2..][..2].copy_from_slice(&scale.to_le_bytes());
                quantize(values, f16_to_f32(scale), limit, quads.as_flattened_mut());
            }
            put_lane(format, codes, lane, &quads.map(u32::from_le_bytes));
        }
    }
    Ok(())
}

/// Codes of `values` with the scale `step`, which is not negative.
fn quantize(values: &[f32], step: f32, limit: i32, codes: &mut [u8]) {
    // Added to a small number, this leaves the nearest integer in the low bits, half to even.
    const ROUND: f32 = 12_582_912.0;
    let zero = (limit + 1) as u32;
    if step == 0.0 {
        codes.fill(zero as u8);
        return;
    }
    let (low, high) = ((-limit - 1) as f32, limit as f32);
    for (code, v) in codes.iter_mut().zip(values) {
        let q = v / step;
        let q = if q > low { q } else { low };
        let q = if q < high { q } else { high };
        // Infinity in `values` makes the scale infinite, and infinity over infinity no number.
        let q = if (v / step).is_nan() { 0.0 } else { q };
        let integer = (q + ROUND).to_bits().wrapping_sub(ROUND.to_bits());
        *code = integer.wrapping_add(zero) as u8;
    }
}

/// Writes the codes of one row, a column quad in each word, into its lane of a block.
fn put_lane(format: HeadFormat, codes: &mut [u8], lane: usize, quads: &[u32; BLOCK_COLS / 4]) {
    let mut put = |vector: usize, word: u32| {
        codes[vector * 64 + lane * 4..][..4].copy_from_slice(&word.to_le_bytes());
    };
    // Vector `v` of a nibble format: this quad and the one four later.
    let pair = |v: usize| (quads[v / 4 * 8 + v % 4], quads[v / 4 * 8 + v % 4 + 4]);
    match format {
        HeadFormat::Q8 | HeadFormat::F16 => {
            for (vector, word) in quads.iter().enumerate() {
                put(vector, *word);
            }
        }
        HeadFormat::Q4 => {
            for vector in 0..8 {
                let (low, high) = pair(vector);
                put(vector, low | high << 4);
            }
        }
        HeadFormat::Q6 => {
            for vector in 0..8 {
                let (low, high) = pair(vector);
                put(vector, low & 0x0f0f_0f0f | (high & 0x0f0f_0f0f) << 4);
            }
            for (u, quads) in quads.chunks_exact(4).enumerate() {
                let upper = |p: usize| (quads[p] >> 4 & 0x0303_0303) << (2 * p);
                put(8 + u, upper(0) | upper(1) | upper(2) | upper(3));
            }
        }
    }
}

/// Value (not code) and scale of the weight at `row`, `col` of a quantised head. Slow; for
/// oracles and tests.
///
/// # Panics
/// When the position lies outside `data`, or the format is `F16`.
#[must_use]
pub fn weight(format: HeadFormat, data: &[u8], cols: usize, row: usize, col: usize) -> (i32, f32) {
    let blocks = cols.div_ceil(BLOCK_COLS);
    let start = (row / GROUP_ROWS * blocks + col / BLOCK_COLS) * format.block_bytes();
    let block = &data[start..start + format.block_bytes()];
    let (lane, col) = (row % GROUP_ROWS, col % BLOCK_COLS);
    let s = (col / SCALE_COLS * GROUP_ROWS + lane) * 2;
    let scale = f16_to_f32(u16::from_le_bytes([block[s], block[s + 1]]));
    let (kq, b) = (col / 4, col % 4);
    let at = |vector: usize| block[64 + vector * 64 + lane * 4 + b];
    let low = || at(kq / 8 * 4 + kq % 4) >> (4 * (kq / 4 % 2)) & 15;
    let code = match format {
        HeadFormat::F16 => panic!("an f16 head has no codes"),
        HeadFormat::Q8 => at(kq),
        HeadFormat::Q4 => low(),
        HeadFormat::Q6 => low() | (at(8 + kq / 4) >> (2 * (kq % 4)) & 3) << 4,
    };
    (i32::from(code) - format.limit() - 1, scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantised_heads_keep_values_within_half_a_step(
            n in 1usize..=16, blocks32 in 1usize..5, seed: u64
        ) {
            let cols = blocks32 * 32;
            let mut state = seed | 1;
            let rows: Vec<f32> = (0..n * cols).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 40) as f32 / 8388608.0 - 1.0) * 3.0
            }).collect();
            for format in [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4] {
                let mut out = vec![0xaau8; format.bytes(n, cols).unwrap()];
                pack_group(format, &rows, cols, &mut out).unwrap();
                for r in 0..n { for c in 0..cols {
                    let (q, scale) = weight(format, &out, cols, r, c);
                    let (got, want) = (q as f32 * scale, rows[r * cols + c]);
                    prop_assert!((got - want).abs() <= scale * 0.51, "{format:?} {r},{c}: {got} {want}");
                }}
                let padded_cols = cols.next_multiple_of(BLOCK_COLS);
                for c in cols..padded_cols {
                    prop_assert_eq!(weight(format, &out, cols, 0, c), (0, 0.0));
                }
            }
        }
    }

    #[test]
    fn codes_are_the_nearest_half_to_even_and_hold_for_odd_values() {
        for format in [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4] {
            let limit = format.limit();
            let mut row = [0.0f32; 64];
            // Halves between codes, with the scale 1; then one odd value a half block.
            for (i, v) in row[..32].iter_mut().enumerate() {
                *v = (i as f32 - 15.5).clamp(-limit as f32 - 0.5, limit as f32);
            }
            row[31] = limit as f32;
            let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, 0.0, 3e38];
            for odd in odd {
                row[32..].fill(0.25);
                row[40] = odd;
                let mut out = vec![0xaau8; format.bytes(1, 64).unwrap()];
                pack_group(format, &row, 64, &mut out).unwrap();
                for (c, v) in row.iter().enumerate() {
                    let (q, scale) = weight(format, &out, 64, 0, c);
                    let near = if scale > 0.0 {
                        (v / scale).round_ties_even() as i32
                    } else {
                        0
                    };
                    assert_eq!(
                        q,
                        near.clamp(-limit - 1, limit),
                        "{format:?} {odd} {c}: {v}"
                    );
                }
            }
        }
    }

    #[test]
    fn shapes_are_checked() {
        let mut out = vec![0u8; HeadFormat::Q4.bytes(1, 64).unwrap()];
        assert!(pack_group(HeadFormat::Q4, &[0.0; 64], 64, &mut out).is_ok());
        assert!(pack_group(HeadFormat::Q4, &[0.0; 63], 63, &mut out).is_err());
        assert!(pack_group(HeadFormat::F16, &[0.0; 64], 64, &mut out).is_err());
        assert!(pack_group(HeadFormat::Q8, &[0.0; 64], 64, &mut out).is_err());
        assert_eq!(HeadFormat::from_u32(3), Some(HeadFormat::Q4));
        assert_eq!(HeadFormat::from_u32(4), None);
    }
}
