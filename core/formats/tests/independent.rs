//! Every type against an encoder of its own, written from the description of the format: what it puts
//! into bytes has to come out, value for value.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use half::{bf16, f16};
use proptest::prelude::*;
use tritone_formats::TensorType;
use tritone_formats::codec::{Ternary, decode_row};

/// A small generator of numbers (Steele's SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u8 {
        (self.next() % n) as u8
    }

    /// A positive half that is neither tiny nor large.
    fn half(&mut self) -> f16 {
        f16::from_bits(0x2000 + (self.next() % 0x1800) as u16)
    }

    fn float(&mut self) -> f32 {
        f32::from_bits(0x3a00_0000 + (self.next() % 0x0600_0000) as u32)
    }
}

/// Rows of a ternary tensor as bytes, and what they stand for.
struct Stored {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

/// Five digits, the first of them the most significant, as a fraction of 243 in 256ths.
fn fraction(digits: &[u8]) -> u8 {
    let mut number = 0_u32;
    for i in 0..5 {
        number = number * 3 + u32::from(digits.get(i).copied().unwrap_or(0));
    }
    (number * 256).div_ceil(243) as u8
}

/// Puts `codes` of two bits into a byte, the first into the lowest bits.
fn low_first(codes: [u8; 4]) -> u8 {
    codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6
}

fn high_first([a, b, c, d]: [u8; 4]) -> u8 {
    low_first([d, c, b, a])
}

/// The four elements from `at` on, `apart` places apart.
fn four(codes: &[u8], at: usize, apart: usize) -> [u8; 4] {
    [0, 1, 2, 3].map(|i| codes[at + i * apart])
}

/// The `count` elements from `at` on, `apart` places apart.
fn some(codes: &[u8], at: usize, apart: usize, count: usize) -> Vec<u8> {
    (0..count).map(|i| codes[at + i * apart]).collect()
}

/// A block of 256 of TQ1_0.
fn tq1_0(codes: &[u8], scale: f16) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..32).map(|m| fraction(&some(codes, m, 32, 5))).collect();
    bytes.extend((0..16).map(|m| fraction(&some(codes, 160 + m, 16, 5))));
    bytes.extend((0..4).map(|j| fraction(&some(codes, 240 + j, 4, 4))));
    bytes.extend(scale.to_le_bytes());
    bytes
}

/// A block of 128 of PTQ1_0.
fn ptq1_0(codes: &[u8], scale: f16) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..16).map(|m| fraction(&some(codes, m, 16, 5))).collect();
    bytes.extend((0..8).map(|m| fraction(&some(codes, 80 + m, 8, 5))));
    bytes.extend((0..2).map(|j| fraction(&some(codes, 120 + j, 2, 4))));
    bytes.extend(scale.to_le_bytes());
    bytes
}

/// A block of 256 of TQ2_0.
fn tq2_0(codes: &[u8], scale: f16) -> Vec<u8> {
    let halves = codes.chunks(128);
    let bytes = halves.flat_map(|half| (0..32).map(|m| low_first(four(half, m, 32))));
    bytes.chain(scale.to_le_bytes()).collect()
}

/// A block of Q2_0 or PQ2_0.
fn q2_0(codes: &[u8], scale: f16) -> Vec<u8> {
    let packed = codes.chunks(4).map(|c| low_first([c[0], c[1], c[2], c[3]]));
    scale.to_le_bytes().into_iter().chain(packed).collect()
}

/// A block of 128 of Q1_0: codes are 0 and 2.
fn q1_0(codes: &[u8], scale: f16) -> Vec<u8> {
    let bits = codes.chunks(8).map(|eight| {
        let bits = eight.iter().enumerate();
        bits.fold(0, |byte, (i, code)| byte | (code / 2) << i)
    });
    scale.to_le_bytes().into_iter().chain(bits).collect()
}

/// 64 columns of a row of IQ1_BN: the first digit of a byte is the least significant.
fn iq1_bn(codes: &[u8]) -> Vec<u8> {
    let reversed = |digits: &[u8]| {
        let mut digits = digits.to_vec();
        digits.resize(5, 0);
        digits.reverse();
        fraction(&digits)
    };
    let mut bytes = Vec::new();
    for group in codes.chunks(16) {
        bytes.extend(group[..15].chunks(5).map(reversed));
    }
    bytes.push(reversed(&some(codes, 15, 16, 4)));
    bytes
}

/// 64 columns of four rows of IQ2_BN_R4.
fn iq2_bn_r4(rows: [&[u8]; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for l in 0..4 {
        for row in rows {
            bytes.extend((0..4).map(|i| low_first(four(row, 16 * l + i, 4))));
        }
    }
    bytes
}

/// A random tensor of a type, by its own encoder.
fn ternary(ty: TensorType, rows: usize, columns: usize, dice: &mut Dice) -> Stored {
    let codes: Vec<u8> = (0..rows * columns)
        .map(|_| match ty {
            TensorType::Q1_0 => 2 * dice.below(2),
            _ => dice.below(3),
        })
        .collect();
    let values = |scale: &dyn Fn(usize) -> f32| -> Vec<f32> {
        let codes = codes.iter().enumerate();
        codes
            .map(|(i, code)| (f32::from(*code) - 1.0) * scale(i))
            .collect()
    };
    // One scale behind all, and 28 bytes that mean nothing.
    let whole = |packed: Vec<u8>, scale: f32| Stored {
        bytes: [&packed[..], &scale.to_le_bytes(), &[0; 28]].concat(),
        values: values(&|_| scale),
    };
    let mut blocks = |len: usize, encode: fn(&[u8], f16) -> Vec<u8>| {
        let scales: Vec<f16> = codes.chunks(len).map(|_| dice.half()).collect();
        let blocks = codes.chunks(len).zip(&scales);
        Stored {
            bytes: blocks
                .flat_map(|(block, scale)| encode(block, *scale))
                .collect(),
            values: values(&|i| scales[i / len].to_f32()),
        }
    };
    match ty {
        TensorType::I2S => {
            let blocks = codes.chunks(128);
            let packed = blocks.flat_map(|b| (0..32).map(|p| high_first(four(b, p, 32))));
            whole(packed.collect(), dice.float())
        }
        TensorType::I2sArm => {
            let blocks = codes.chunks(64);
            let packed = blocks.flat_map(|b| (0..16).map(|p| high_first(four(b, p, 16))));
            whole(packed.collect(), dice.float())
        }
        TensorType::I2sRows4 => {
            let groups = codes.chunks(4 * columns);
            let packed =
                groups.flat_map(|g| (0..columns).map(move |c| high_first(four(g, c, columns))));
            whole(packed.collect(), dice.float())
        }
        TensorType::Tq1_0 => blocks(256, tq1_0),
        TensorType::Tq2_0 => blocks(256, tq2_0),
        TensorType::Q2_0 => blocks(64, q2_0),
        TensorType::Q2_0G128 | TensorType::Pq2_0 => blocks(128, q2_0),
        TensorType::Ptq1_0 => blocks(128, ptq1_0),
        TensorType::Q1_0 => blocks(128, q1_0),
        TensorType::Iq1Bn => {
            let scales: Vec<f16> = (0..rows).map(|_| dice.half()).collect();
            let rows = codes.chunks(columns).zip(&scales);
            let bytes = rows.flat_map(|(row, scale)| {
                let packed = row.chunks(64).flat_map(iq1_bn);
                scale
                    .to_le_bytes()
                    .into_iter()
                    .chain(packed)
                    .collect::<Vec<_>>()
            });
            Stored {
                bytes: bytes.collect(),
                values: values(&|i| scales[i / columns].to_f32()),
            }
        }
        TensorType::Iq2Bn => {
            let scales: Vec<f32> = (0..rows).map(|_| dice.float()).collect();
            let rows = codes.chunks(columns).zip(&scales);
            let bytes = rows.flat_map(|(row, scale)| {
                let blocks = row.chunks(64);
                let packed = blocks.flat_map(|b| (0..16).map(|j| low_first(four(b, j, 16))));
                scale
                    .to_le_bytes()
                    .into_iter()
                    .chain(packed)
                    .collect::<Vec<_>>()
            });
            Stored {
                bytes: bytes.collect(),
                values: values(&|i| scales[i / columns]),
            }
        }
        TensorType::Iq2BnR4 => {
            let scales: Vec<f32> = (0..rows).map(|_| dice.float()).collect();
            let mut bytes = Vec::new();
            for (four, scales) in codes.chunks(4 * columns).zip(scales.chunks(4)) {
                bytes.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
                for c in (0..columns).step_by(64) {
                    let rows = [0, 1, 2, 3].map(|k| &four[k * columns + c..][..64]);
                    bytes.extend(iq2_bn_r4(rows));
                }
            }
            Stored {
                bytes,
                values: values(&|i| scales[i / columns]),
            }
        }
        _ => unreachable!("only ternary types"),
    }
}

/// The twelve bytes of eight scales and eight minima of six bits each.
fn sixes(scales: &[u8; 8], minima: &[u8; 8]) -> [u8; 12] {
    let mut bytes = [0; 12];
    for j in 0..4 {
        bytes[j] = scales[j] | (scales[j + 4] >> 4) << 6;
        bytes[j + 4] = minima[j] | (minima[j + 4] >> 4) << 6;
        bytes[j + 8] = (scales[j + 4] & 15) | (minima[j + 4] & 15) << 4;
    }
    bytes
}

/// Nibbles of 32 values, of which the second half lies in the high ones.
fn nibbles(q: &[u8]) -> Vec<u8> {
    (0..16).map(|j| q[j] | q[j + 16] << 4).collect()
}

const IQ4_NL: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// A random row of 256 values of a type, by its own encoder.
fn floats(ty: TensorType, dice: &mut Dice) -> Stored {
    let mut bytes = Vec::new();
    let mut values = Vec::new();
    match ty {
        TensorType::F32 => {
            values.extend((0..256).map(|_| dice.float()));
            bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        }
        TensorType::F16 => {
            let halves: Vec<f16> = (0..256).map(|_| dice.half()).collect();
            values.extend(halves.iter().map(|x| x.to_f32()));
            bytes.extend(halves.iter().flat_map(|x| x.to_le_bytes()));
        }
        TensorType::Bf16 => {
            let shorts: Vec<bf16> = (0..256).map(|_| bf16::from_f32(dice.float())).collect();
            values.extend(shorts.iter().map(|x| x.to_f32()));
            bytes.extend(shorts.iter().flat_map(|x| x.to_le_bytes()));
        }
        TensorType::Q8_0 => {
            for _ in 0..8 {
                let (d, q): (f16, Vec<i8>) =
                    (dice.half(), (0..32).map(|_| dice.next() as i8).collect());
                bytes.extend(d.to_le_bytes());
                bytes.extend(q.iter().map(|q| *q as u8));
                values.extend(q.iter().map(|q| f32::from(*q) * d.to_f32()));
            }
        }
        TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Iq4Nl => {
            for _ in 0..8 {
                let (d, m) = (dice.half(), dice.half());
                let q: Vec<u8> = (0..32).map(|_| dice.below(16)).collect();
                bytes.extend(d.to_le_bytes());
                if ty == TensorType::Q4_1 {
                    bytes.extend(m.to_le_bytes());
                }
                bytes.extend(nibbles(&q));
                values.extend(q.iter().map(|q| match ty {
                    TensorType::Q4_0 => (f32::from(*q) - 8.0) * d.to_f32(),
                    TensorType::Q4_1 => f32::from(*q) * d.to_f32() + m.to_f32(),
                    _ => f32::from(IQ4_NL[usize::from(*q)]) * d.to_f32(),
                }));
            }
        }
        TensorType::Q4K | TensorType::Q5K => {
            let (d, dmin) = (dice.half(), dice.half());
            let scales = [0; 8].map(|_: u8| dice.below(64));
            let minima = [0; 8].map(|_: u8| dice.below(64));
            let most = if ty == TensorType::Q5K { 32 } else { 16 };
            let q: Vec<u8> = (0..256).map(|_| dice.below(most)).collect();
            bytes.extend(d.to_le_bytes());
            bytes.extend(dmin.to_le_bytes());
            bytes.extend(sixes(&scales, &minima));
            if ty == TensorType::Q5K {
                // Bit j of byte l is the fifth one of value l of run j.
                let high = |l: usize| (0..8).fold(0, |byte, j| byte | (q[32 * j + l] >> 4) << j);
                bytes.extend((0..32).map(high));
            }
            for pair in q.chunks(64) {
                bytes.extend((0..32).map(|l| (pair[l] & 15) | (pair[l + 32] & 15) << 4));
            }
            values.extend(q.iter().enumerate().map(|(i, q)| {
                let j = i / 32;
                let scale = d.to_f32() * f32::from(scales[j]);
                scale * f32::from(*q) - dmin.to_f32() * f32::from(minima[j])
            }));
        }
        TensorType::Q6K => {
            let d = dice.half();
            let scales: Vec<i8> = (0..16).map(|_| dice.next() as i8).collect();
            let q: Vec<u8> = (0..256).map(|_| dice.below(64)).collect();
            let (mut low, mut high) = (Vec::new(), Vec::new());
            for half in q.chunks(128) {
                low.extend((0..64).map(|l| (half[l] & 15) | (half[l + 64] & 15) << 4));
                high.extend((0..32).map(|l| {
                    low_first([
                        half[l] >> 4,
                        half[l + 32] >> 4,
                        half[l + 64] >> 4,
                        half[l + 96] >> 4,
                    ])
                }));
            }
            bytes = [low, high, scales.iter().map(|s| *s as u8).collect()].concat();
            bytes.extend(d.to_le_bytes());
            values.extend(
                q.iter()
                    .enumerate()
                    .map(|(i, q)| d.to_f32() * f32::from(scales[i / 16]) * (f32::from(*q) - 32.0)),
            );
        }
        _ => unreachable!("only types of floats"),
    }
    Stored { bytes, values }
}

const TERNARY: [TensorType; 13] = [
    TensorType::I2S,
    TensorType::I2sArm,
    TensorType::I2sRows4,
    TensorType::Tq1_0,
    TensorType::Tq2_0,
    TensorType::Q2_0,
    TensorType::Q2_0G128,
    TensorType::Pq2_0,
    TensorType::Ptq1_0,
    TensorType::Q1_0,
    TensorType::Iq1Bn,
    TensorType::Iq2Bn,
    TensorType::Iq2BnR4,
];

const FLOATS: [TensorType; 10] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::Bf16,
    TensorType::Q8_0,
    TensorType::Q6K,
    TensorType::Q5K,
    TensorType::Q4K,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Iq4Nl,
];

proptest! {
    #[test]
    fn ternary_tensors_come_out_as_they_were_put_in(seed in any::<u64>(), groups in 1_usize..3) {
        let (rows, columns) = (4 * groups, 512);
        for ty in TERNARY {
            let stored = ternary(ty, rows, columns, &mut Dice(seed));
            prop_assert_eq!(stored.bytes.len(), ty.tensor_bytes(&[columns, rows]).unwrap(), "{}", ty);
            let view = Ternary::new(ty, &stored.bytes, rows, columns).unwrap();
            let mut row = vec![9.0; columns];
            for (i, expected) in stored.values.chunks(columns).enumerate() {
                view.decode_row(i, &mut row).unwrap();
                prop_assert_eq!(&row, expected, "{} row {}", ty, i);
            }
        }
    }

    #[test]
    fn rows_of_floats_come_out_as_they_were_put_in(seed in any::<u64>()) {
        for ty in FLOATS {
            let stored = floats(ty, &mut Dice(seed));
            prop_assert_eq!(stored.bytes.len(), ty.row_bytes(256).unwrap(), "{}", ty);
            let mut row = vec![9.0; 256];
            decode_row(ty, &stored.bytes, &mut row).unwrap();
            prop_assert_eq!(&row, &stored.values, "{}", ty);
        }
    }
}
