//! Base-3 digits in a byte.
//!
//! `n` digits, the first one most significant, are the fraction `v / 3ⁿ`; the byte is the fraction
//! times 256, rounded up (`n` is 5; four digits are stored as five whose last is 0).

/// The five digits of every byte, most significant first.
pub(super) static DIGITS: [[u8; 5]; 256] = table();

const fn table() -> [[u8; 5]; 256] {
    let mut table = [[0; 5]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut digit) = (byte, 0);
        while digit < 5 {
            // Three times a fraction of one is a digit and the fraction behind it.
            table[byte][digit] = ((rest * 3) >> 8) as u8;
            rest = (rest * 3) & 255;
            digit += 1;
        }
        byte += 1;
    }
    table
}

/// The byte of five digits, most significant first.
pub(super) fn byte(digits: [u8; 5]) -> u8 {
    let v = digits.iter().fold(0, |v, d| v * 3 + u32::from(*d));
    // At most (242 * 256 + 242) / 243 = 255.
    (v * 256).div_ceil(243) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_come_back_and_are_the_published_formula() {
        for v in 0..243_u32 {
            let digits = [v / 81, v / 27 % 3, v / 9 % 3, v / 3 % 3, v % 3].map(|d| d as u8);
            assert_eq!(DIGITS[usize::from(byte(digits))], digits);
        }
        for byte in 0..=255_u8 {
            for (n, power) in [1, 3, 9, 27, 81].into_iter().enumerate() {
                let q = byte.wrapping_mul(power);
                assert_eq!(
                    DIGITS[usize::from(byte)][n],
                    ((u16::from(q) * 3) >> 8) as u8
                );
            }
        }
    }
}
