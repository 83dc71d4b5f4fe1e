//! F32, F16 and BF16.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Values converted at a time: the conversion of a slice uses the processor's instruction for it.
const BATCH: usize = 64;

pub(super) fn decode_f32(bytes: &[u8], out: &mut [f32]) {
    for (x, stored) in out.iter_mut().zip(bytes.as_chunks().0) {
        *x = f32::from_le_bytes(*stored);
    }
}

pub(super) fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    let mut halves = [f16::ZERO; BATCH];
    for (out, bytes) in out.chunks_mut(BATCH).zip(bytes.chunks(2 * BATCH)) {
        for (half, stored) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*stored);
        }
        halves[..out.len()].convert_to_f32_slice(out);
    }
}

pub(super) fn decode_bf16(bytes: &[u8], out: &mut [f32]) {
    for (x, stored) in out.iter_mut().zip(bytes.as_chunks().0) {
        *x = bf16::from_le_bytes(*stored).to_f32();
    }
}

/// On error, the column whose finite value would become infinite.
pub(super) fn encode_f16(row: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut halves = [f16::ZERO; BATCH];
    for (batch, row) in row.chunks(BATCH).enumerate() {
        let halves = &mut halves[..row.len()];
        halves.convert_from_f32_slice(row);
        let overflows = |(half, x): (&f16, &f32)| half.is_infinite() && x.is_finite();
        if let Some(i) = halves.iter().zip(row).position(overflows) {
            return Err(batch * BATCH + i);
        }
        let start = out.len();
        out.resize(start + 2 * row.len(), 0);
        for (stored, half) in out[start..].as_chunks_mut().0.iter_mut().zip(halves) {
            *stored = half.to_le_bytes();
        }
    }
    Ok(())
}

/// On error, the column whose finite value would become infinite.
pub(super) fn encode_bf16(row: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    for (column, &x) in row.iter().enumerate() {
        let stored = bf16::from_f32(x);
        if stored.is_infinite() && x.is_finite() {
            return Err(column);
        }
        out.extend(stored.to_le_bytes());
    }
    Ok(())
}
