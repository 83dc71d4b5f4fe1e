//! Q8_0, Q4_0, Q4_1 and IQ4_NL: blocks of 32 with one f16 scale.

use half::f16;

use super::{all_finite, extreme};

const BLOCK: usize = 32;

pub(super) fn decode_q8_0(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes
        .as_chunks::<34>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<BLOCK>().0);
    for (&[s0, s1, ref quants @ ..], out) in blocks {
        let scale = f16::from_le_bytes([s0, s1]).to_f32();
        for (x, q) in out.iter_mut().zip(quants) {
            *x = f32::from(q.cast_signed()) * scale;
        }
    }
}

pub(super) fn decode_q4_0(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes
        .as_chunks::<18>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<BLOCK>().0);
    for (&[s0, s1, ref nibbles @ ..], out) in blocks {
        let scale = f16::from_le_bytes([s0, s1]).to_f32();
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(nibbles) {
            *low = (f32::from(byte & 15) - 8.0) * scale;
            *high = (f32::from(byte >> 4) - 8.0) * scale;
        }
    }
}

pub(super) fn decode_q4_1(bytes: &[u8], out: &mut [f32]) {
    let out = out.as_chunks_mut::<BLOCK>().0.iter_mut();
    for (&[s0, s1, m0, m1, ref nibbles @ ..], out) in bytes.as_chunks::<20>().0.iter().zip(out) {
        let scale = f16::from_le_bytes([s0, s1]).to_f32();
        let minimum = f16::from_le_bytes([m0, m1]).to_f32();
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(nibbles) {
            *low = f32::from(byte & 15) * scale + minimum;
            *high = f32::from(byte >> 4) * scale + minimum;
        }
    }
}

/// What the nibbles of IQ4_NL stand for.
const IQ4_NL: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

pub(super) fn decode_iq4_nl(bytes: &[u8], out: &mut [f32]) {
    let out = out.as_chunks_mut::<BLOCK>().0.iter_mut();
    for (&[s0, s1, ref nibbles @ ..], out) in bytes.as_chunks::<18>().0.iter().zip(out) {
        let scale = f16::from_le_bytes([s0, s1]).to_f32();
        let value = |nibble: u8| f32::from(IQ4_NL[usize::from(nibble)]) * scale;
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(nibbles) {
            *low = value(byte & 15);
            *high = value(byte >> 4);
        }
    }
}

/// Scale = largest magnitude / 127, values rounded half away from zero.
///
/// On error, the column of a value that is not finite or too large for an f16 scale.
pub(super) fn encode_q8_0(row: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    all_finite(row)?;
    for (block, row) in row.as_chunks::<BLOCK>().0.iter().enumerate() {
        let (column, most) = extreme(row);
        let scale = most.abs() / 127.0;
        let stored = f16::from_f32(scale);
        if stored.is_infinite() {
            return Err(block * BLOCK + column);
        }
        out.extend(stored.to_le_bytes());
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        // The clamp matters when 1/scale overflows for denormal input; `as` saturates and NaN is 0.
        out.extend(row.map(|x| ((x * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned()));
    }
    Ok(())
}

/// The value of largest magnitude becomes −8 steps, so the scale carries its sign.
///
/// On error, the column of a value that is not finite or too large for an f16 scale.
pub(super) fn encode_q4_0(row: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    all_finite(row)?;
    for (block, row) in row.as_chunks::<BLOCK>().0.iter().enumerate() {
        let (column, most) = extreme(row);
        let scale = most / -8.0;
        let stored = f16::from_f32(scale);
        if stored.is_infinite() {
            return Err(block * BLOCK + column);
        }
        out.extend(stored.to_le_bytes());
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let nibble = |x: f32| (x * inverse + 8.5).clamp(0.0, 15.0) as u8;
        let (low, high) = row.split_at(BLOCK / 2);
        out.extend(
            low.iter()
                .zip(high)
                .map(|(&low, &high)| nibble(low) | nibble(high) << 4),
        );
    }
    Ok(())
}
