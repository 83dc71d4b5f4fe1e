//! I2_S, the ternary type of bitnet.cpp and of the largest files: rows to canonical ones, many codes at
//! a time.
//!
//! A tensor is `n/4` bytes of codes, an f32 scale and 28 bytes of padding. Blocks of 128 consecutive
//! elements of a row take 32 bytes: byte `p` holds element `p` in bits 7–6, `p + 32` in 5–4, `p + 64` in
//! 3–2 and `p + 96` in 1–0.
//!
//! Builds of bitnet.cpp for ARM have written other interleavings under the same number. Nothing in
//! a file tells them apart; every published file has the layout above.

/// Bytes in a block.
const BYTES: usize = 32;
/// The lower bit of every two-bit field.
const LOW_BITS: u64 = 0x5555_5555_5555_5555;

/// Unpacks blocks; the result is zero unless a code is 3.
pub(super) fn canonical_blocks(stored: &[u8], out: &mut [u8]) -> u64 {
    let mut unused = 0;
    for (block, out) in stored.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        unused |= canonical_block(block, out);
    }
    unused
}

/// Unpacks a block; the result is zero unless a code is 3.
///
/// Four stored bytes are a 4 × 4 matrix of two-bit fields (byte, field), and the canonical bytes
/// are its rows after transposing, last field first. Two exchanges transpose two such matrices in a
/// 64-bit word: the off-diagonal 2 × 2 parts, then the off-diagonal fields inside each part.
#[inline]
fn canonical_block(block: &[u8; BYTES], out: &mut [u8; BYTES]) -> u64 {
    let mut unused = 0;
    for (k, stored) in block.as_chunks().0.iter().enumerate() {
        let mut w = u64::from_le_bytes(*stored);
        unused |= w & (w >> 1) & LOW_BITS;
        let swap = ((w >> 12) ^ w) & 0x0000_f0f0_0000_f0f0;
        w ^= swap ^ (swap << 12);
        let swap = ((w >> 6) ^ w) & 0x00cc_00cc_00cc_00cc;
        w ^= swap ^ (swap << 6);
        let [d0, c0, b0, a0, d1, c1, b1, a1] = w.to_le_bytes();
        for (group, pair) in [[a0, a1], [b0, b1], [c0, c1], [d0, d1]]
            .into_iter()
            .enumerate()
        {
            out[group * 8 + 2 * k] = pair[0];
            out[group * 8 + 2 * k + 1] = pair[1];
        }
    }
    unused
}
