//! A fast checksum, to tell damaged or exchanged bytes from the right ones.
//!
//! Eight lanes of 64 bits take one word each of every 64-byte block: exclusive or, multiplication by
//! an odd number, rotation. Every step can be undone, so that a lane that differs once differs until
//! other bytes happen to cancel it. This finds accidents. It does not stand against somebody who
//! chooses the bytes: whoever may write to the file may write a model there as well.

const LANES: usize = 8;
const BLOCK: usize = 8 * LANES;
/// Odd numbers without a pattern: the fraction of the golden ratio, and of the root of 3.
const K: u64 = 0x9e37_79b9_7f4a_7c15;
const M: u64 = 0xbb67_ae85_84ca_a73b;

/// The checksum of `bytes`.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; LANES];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = M.wrapping_mul(2 * i as u64 + 1);
    }
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    for block in blocks {
        mix(&mut lanes, block);
    }
    if !tail.is_empty() {
        let mut last = [0; BLOCK];
        last[..tail.len()].copy_from_slice(tail);
        mix(&mut lanes, &last);
    }
    // The length tells padding from zeros that are there.
    let mut sum = bytes.len() as u64;
    for lane in lanes {
        sum = (sum ^ lane).wrapping_mul(K);
        sum ^= sum >> 32;
    }
    sum
}

#[inline(always)]
fn mix(lanes: &mut [u64; LANES], block: &[u8; BLOCK]) {
    for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
        *lane = (*lane ^ u64::from_le_bytes(*word))
            .wrapping_mul(K)
            .rotate_left(29);
    }
}

/// One checksum for several, in their order.
pub(super) fn combined(sums: &[u64]) -> u64 {
    let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    checksum(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_and_the_length_count(
            mut bytes in proptest::collection::vec(any::<u8>(), 1..300), at: usize, bit in 0u32..8
        ) {
            let sum = checksum(&bytes);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(checksum(&bytes), sum);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(checksum(&bytes), sum);
            bytes.push(0);
            prop_assert_ne!(checksum(&bytes), sum);
        }
    }

    #[test]
    fn order_counts() {
        let mut bytes = vec![0u8; 256];
        bytes[0] = 1;
        bytes[64] = 2;
        let sum = checksum(&bytes);
        bytes.swap(0, 64);
        assert_ne!(checksum(&bytes), sum);
        assert_ne!(combined(&[1, 2]), combined(&[2, 1]));
        // A file format depends on it.
        assert_eq!(checksum(b"tritone"), CHECK);
    }

    const CHECK: u64 = 10_412_275_059_942_981_912;
}
