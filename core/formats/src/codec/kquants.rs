//! Q4_K and Q5_K: blocks of 256 in eight sub-blocks of 32, each with a six-bit scale and minimum.
//!
//! A value is `d * scale * q - dmin * minimum`. Every 32 bytes of nibbles serve two sub-blocks, the
//! low nibbles first; the fifth bits of all eight sub-blocks lie in 32 bytes, one bit each.

use half::f16;

const BLOCK: usize = 256;
/// Where the packed scales end.
const NIBBLES_Q4: usize = 16;
const FIFTH_BITS: usize = 16;
const NIBBLES_Q5: usize = 48;

/// Scale and minimum of sub-block `j` out of the twelve bytes they are packed in.
fn scale_and_minimum(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (
            packed[j + 4] & 15 | packed[j - 4] >> 6 << 4,
            packed[j + 4] >> 4 | packed[j] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(minimum))
}

fn decode<const BYTES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    nibbles: usize,
    fifth: impl Fn(&[u8; BYTES], usize, usize) -> u8,
) {
    let out = out.as_chunks_mut::<BLOCK>().0.iter_mut();
    for (block, out) in bytes.as_chunks::<BYTES>().0.iter().zip(out) {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        let (d, least) = (half(0), half(2));
        for (j, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, minimum) = scale_and_minimum(&block[4..16], j);
            let (step, offset) = (d * scale, least * minimum);
            let run = &block[nibbles + j / 2 * 32..][..32];
            for (l, (x, byte)) in out.iter_mut().zip(run).enumerate() {
                let q = (byte >> (j % 2 * 4) & 15) + fifth(block, j, l);
                *x = step * f32::from(q) - offset;
            }
        }
    }
}

pub(super) fn decode_q4_k(bytes: &[u8], out: &mut [f32]) {
    decode::<144>(bytes, out, NIBBLES_Q4, |_, _, _| 0);
}

pub(super) fn decode_q5_k(bytes: &[u8], out: &mut [f32]) {
    let fifth = |block: &[u8; 176], j: usize, l: usize| (block[FIFTH_BITS + l] >> j & 1) << 4;
    decode::<176>(bytes, out, NIBBLES_Q5, fifth);
}
