//! Measures of what plain loops reach on this machine.

compiled_twice! {
    fn read(data: &[u8], sum: &mut u64) = read_body;
}

/// Adds the little-endian words of `data` to `sum`; the last one is padded with zeros.
#[inline(always)]
pub(crate) fn read_body(data: &[u8], sum: &mut u64) {
    const LANES: usize = 16;
    let mut lanes = [0u64; LANES];
    let (blocks, rest) = data.as_chunks::<{ LANES * 8 }>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    for word in rest.chunks(8) {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        *sum = sum.wrapping_add(u64::from_le_bytes(padded));
    }
    *sum = lanes.iter().fold(*sum, |sum, lane| sum.wrapping_add(*lane));
}

/// Multiply-adds in one round of [`int8`].
pub(crate) const MACS: u64 = 256;

compiled_twice! {
    fn int8(rounds: u64, sums: &mut [i32; 64]) = int8_body;
}

/// Multiplies and adds the same small vectors again and again.
#[inline(always)]
pub(crate) fn int8_body(rounds: u64, sums: &mut [i32; 64]) {
    let a: [i16; 256] = std::array::from_fn(|i| (i % 3) as i16 - 1);
    for round in 0..rounds {
        // Hidden from the optimiser, which would else multiply once and scale.
        let b = std::hint::black_box(round as i16 & 0x7f);
        for (i, sum) in sums.iter_mut().enumerate() {
            for a in &a[i * 4..i * 4 + 4] {
                *sum = sum.wrapping_add(i32::from(*a) * i32::from(b));
            }
        }
    }
}
