//! Q6_K: blocks of 256 six-bit values, 16 signed sub-scales of 16 values each, one f16 scale.
//!
//! A block is two halves of 128 elements. In a half, byte `l` (0..32) of the upper bits holds two
//! bits each for elements `l`, `l + 32`, `l + 64` and `l + 96`; their low nibbles are in bytes `l`
//! (elements `l` low, `l + 64` high) and `l + 32` (elements `l + 32` low, `l + 96` high).

use half::f16;

use super::{all_finite, extreme};

const BLOCK: usize = 256;
const BYTES: usize = 210;
/// Elements under one sub-scale.
const SUB: usize = 16;
/// Where the parts of a block begin.
const UPPER: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes
        .as_chunks::<BYTES>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<BLOCK>().0);
    for (block, out) in blocks {
        let scale = f16::from_le_bytes([block[SCALE], block[SCALE + 1]]).to_f32();
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let low = &block[half * 64..][..64];
            let upper = &block[UPPER + half * 32..][..32];
            let scales = &block[SCALES + half * 8..][..8];
            let step = |sub: usize| scale * f32::from(scales[sub].cast_signed());
            for l in 0..32 {
                let (a, b, bits) = (low[l], low[l + 32], upper[l]);
                let quants = [a & 15, b & 15, a >> 4, b >> 4];
                for (quarter, low) in quants.into_iter().enumerate() {
                    let q = low | (bits >> (2 * quarter) & 3) << 4;
                    out[quarter * 32 + l] = step(quarter * 2 + l / SUB) * (f32::from(q) - 32.0);
                }
            }
        }
    }
}

/// Every sub-block's extreme becomes −32 steps; the largest sub-scale becomes −128.
///
/// On error, the column of a value that is not finite or too large for an f16 scale.
pub(super) fn encode(row: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    all_finite(row)?;
    for (number, row) in row.as_chunks::<BLOCK>().0.iter().enumerate() {
        let mut steps = [0.0_f32; BLOCK / SUB];
        for (step, sub) in steps.iter_mut().zip(row.as_chunks::<SUB>().0) {
            *step = extreme(sub).1 / -32.0;
        }
        let (_, most) = extreme(&steps);
        let stored = f16::from_f32(most / -128.0);
        if stored.is_infinite() {
            return Err(number * BLOCK + extreme(row).0);
        }
        let scale = stored.to_f32();

        let mut block = [0_u8; BYTES];
        block[SCALE..].copy_from_slice(&stored.to_le_bytes());
        for (sub, (step, row)) in steps.iter().zip(row.as_chunks::<SUB>().0).enumerate() {
            // A scale that underflows to zero leaves nothing to divide by; `as` saturates.
            let stored = if scale == 0.0 {
                0
            } else {
                (step / scale).round() as i8
            };
            block[SCALES + sub] = stored.cast_unsigned();
            let step = scale * f32::from(stored);
            for (i, &x) in row.iter().enumerate() {
                let q = if step == 0.0 { 0.0 } else { (x / step).round() };
                let q = (q.clamp(-32.0, 31.0) + 32.0) as u8;
                let element = sub * SUB + i;
                let (half, l, quarter) = (element / 128, element % 32, element % 128 / 32);
                block[half * 64 + l + quarter % 2 * 32] |= (q & 15) << (quarter / 2 * 4);
                block[UPPER + half * 32 + l] |= (q >> 4) << (2 * quarter);
            }
        }
        out.extend(block);
    }
    Ok(())
}
