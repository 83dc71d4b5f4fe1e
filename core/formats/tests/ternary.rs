//! Every stored form of ternary weights against formulas for one element, written down from the
//! formats' descriptions, and against encoders.

use half::f16;
use proptest::prelude::*;
use tritone_formats::TensorType;
use tritone_formats::codec::{
    CodecError, Rounding, Scales, Span, Ternary, decode_row, encode_ternary,
};

const ALL: [TensorType; 13] = [
    TensorType::I2S,
    TensorType::I2sArm,
    TensorType::I2sRows4,
    TensorType::Tq1_0,
    TensorType::Tq2_0,
    TensorType::Q1_0,
    TensorType::Q2_0,
    TensorType::Q2_0G128,
    TensorType::Pq2_0,
    TensorType::Ptq1_0,
    TensorType::Iq1Bn,
    TensorType::Iq2Bn,
    TensorType::Iq2BnR4,
];

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn float_at(bytes: &[u8], at: usize) -> f32 {
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| bytes[at + i]);
    f32::from_le_bytes([a, b, c, d])
}

/// Digit `n` of a byte of base-3 digits, as llama.cpp computes it.
fn digit(byte: u8, n: u32) -> u8 {
    let q = byte.wrapping_mul(3_u8.pow(n));
    ((u16::from(q) * 3) >> 8) as u8
}

/// Code and scale of one element of a stored tensor.
fn element(
    ty: TensorType,
    bytes: &[u8],
    (rows, columns): (usize, usize),
    r: usize,
    c: usize,
) -> (u8, f32) {
    let tail = rows * columns / 4;
    let two = |byte: u8, shift: usize| byte >> shift & 3;
    match ty {
        TensorType::I2S => {
            let (block, p) = ((r * columns + c) / 128, c % 128);
            (
                two(bytes[block * 32 + p % 32], 6 - p / 32 * 2),
                float_at(bytes, tail),
            )
        }
        TensorType::I2sArm => {
            let (block, p) = ((r * columns + c) / 64, c % 64);
            (
                two(bytes[block * 16 + p % 16], 6 - p / 16 * 2),
                float_at(bytes, tail),
            )
        }
        TensorType::I2sRows4 => {
            let byte = bytes[r / 4 * columns + c];
            (two(byte, 6 - r % 4 * 2), float_at(bytes, tail))
        }
        TensorType::Tq2_0 => {
            let block = &bytes[(r * columns + c) / 256 * 66..];
            let (h, l, m) = (c % 256 / 128, c % 128 / 32, c % 32);
            (two(block[h * 32 + m], 2 * l), half_at(block, 64))
        }
        TensorType::Tq1_0 => {
            let block = &bytes[(r * columns + c) / 256 * 54..];
            let code = match c % 256 {
                e @ 0..160 => digit(block[e % 32], e as u32 / 32),
                e @ 160..240 => digit(block[32 + e % 16], (e as u32 - 160) / 16),
                e => digit(block[48 + e % 4], (e as u32 - 240) / 4),
            };
            (code, half_at(block, 52))
        }
        TensorType::Ptq1_0 => {
            let block = &bytes[(r * columns + c) / 128 * 28..];
            let code = match c % 128 {
                e @ 0..80 => digit(block[e % 16], e as u32 / 16),
                e @ 80..120 => digit(block[16 + e % 8], (e as u32 - 80) / 8),
                e => digit(block[24 + e % 2], (e as u32 - 120) / 2),
            };
            (code, half_at(block, 26))
        }
        TensorType::Q2_0 | TensorType::Q2_0G128 | TensorType::Pq2_0 => {
            let n = if ty == TensorType::Q2_0 { 64 } else { 128 };
            let block = &bytes[(r * columns + c) / n * (2 + n / 4)..];
            (two(block[2 + c % n / 4], c % 4 * 2), half_at(block, 0))
        }
        TensorType::Q1_0 => {
            let block = &bytes[(r * columns + c) / 128 * 18..];
            (
                2 * (block[2 + c % 128 / 8] >> (c % 8) & 1),
                half_at(block, 0),
            )
        }
        TensorType::Iq2Bn => {
            let row = &bytes[r * (4 + columns / 4)..];
            let (block, e) = (&row[4 + c / 64 * 16..], c % 64);
            (two(block[e % 16], e / 16 * 2), float_at(row, 0))
        }
        TensorType::Iq2BnR4 => {
            let group = &bytes[r / 4 * 4 * (4 + columns / 4)..];
            let (k, e) = (r % 4, c % 64);
            let (l, i, part) = (e / 16, e % 4, e % 16 / 4);
            let byte = group[16 + c / 64 * 64 + 16 * l + 4 * k + i];
            (two(byte, 2 * part), float_at(group, 4 * k))
        }
        TensorType::Iq1Bn => {
            let row = &bytes[r * (2 + columns / 64 * 13)..];
            let (block, e) = (&row[2 + c / 64 * 13..], c % 64);
            let (group, k) = (e / 16, e % 16);
            // The first element is the least significant digit, as ik_llama.cpp computes it.
            let digit = |byte: u8, j: usize| {
                let v = u16::from(byte.wrapping_mul([81, 27, 9, 3, 1][j]));
                ((v + (v >> 1)) >> 7) as u8
            };
            let code = match k {
                15 => digit(block[12], group),
                _ => digit(block[3 * group + k / 5], k % 5),
            };
            (code, half_at(row, 0))
        }
        _ => unreachable!("only ternary types"),
    }
}

/// Scales as fine as the type takes, each one an f16.
fn scales_for(
    ty: TensorType,
    rows: usize,
    columns: usize,
    draw: &mut impl FnMut() -> f32,
) -> Scales {
    let stored = vec![0; ty.tensor_bytes(&[columns, rows]).unwrap_or(0)];
    let view = Ternary::new(ty, &stored, rows, columns);
    match view.map_or(Span::Tensor, |view| view.span()) {
        Span::Tensor => Scales::Tensor(draw()),
        Span::Row => Scales::Row((0..rows).map(|_| draw()).collect()),
        Span::Columns(n) => Scales::Group {
            columns: n,
            values: (0..rows * columns / n).map(|_| draw()).collect(),
        },
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_where_the_formats_put_it_and_comes_back(
        groups in 1_usize..3,
        blocks in 1_usize..4,
        seed in any::<u64>(),
    ) {
        let (rows, columns) = (groups * 4, blocks * 256);
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as u32
        };
        for ty in ALL {
            let ternary: Vec<i8> = (0..rows * columns)
                .map(|_| match ty {
                    TensorType::Q1_0 => (random() % 2 * 2) as i8 - 1,
                    _ => (random() % 3) as i8 - 1,
                })
                .collect();
            let mut draw = || f16::from_bits(0x2000 + (random() % 0x1800) as u16).to_f32();
            let scales = scales_for(ty, rows, columns, &mut draw);
            let shape = (rows, columns);
            let bytes = encode_ternary(ty, &ternary, shape, &scales, Rounding::Exact).unwrap();
            prop_assert_eq!(bytes.len(), ty.tensor_bytes(&[columns, rows]).unwrap());

            let view = Ternary::new(ty, &bytes, rows, columns).unwrap();
            let read = view.scales().unwrap();
            for row in 0..rows {
                let (mut canonical, mut values) = (vec![0xaa; columns / 4], vec![9.0; columns]);
                view.canonical_row(row, &mut canonical).unwrap();
                view.decode_row(row, &mut values).unwrap();
                for column in 0..columns {
                    let t = ternary[row * columns + column];
                    let scale = scales.at(columns, row, column).unwrap();
                    let place = format!("{ty} row {row} column {column}");
                    prop_assert_eq!(read.at(columns, row, column), Some(scale), "{}", &place);
                    let stored = element(ty, &bytes, shape, row, column);
                    prop_assert_eq!(stored, ((t + 1) as u8, scale), "{}", &place);
                    let code = canonical[column / 4] >> (2 * (column % 4)) & 3;
                    prop_assert_eq!(code as i8 - 1, t, "{}", &place);
                    prop_assert_eq!(values[column], f32::from(t) * scale, "{}", &place);
                }
            }
        }
    }

    #[test]
    fn any_bytes_decode_by_the_formula_or_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 4 * 512),
    ) {
        for ty in ALL {
            let shape = (4, 256);
            let bytes = &bytes[..ty.tensor_bytes(&[256, 4]).unwrap()];
            let view = Ternary::new(ty, bytes, 4, 256).unwrap();
            for row in 0..4 {
                let expected: Vec<_> = (0..256).map(|c| element(ty, bytes, shape, row, c)).collect();
                let unused = expected.iter().position(|(code, _)| *code == 3);
                let mut canonical = [0; 64];
                let unpacked = view.canonical_row(row, &mut canonical);
                let refusal = unused.map(|column| CodecError::UnusedCode { row, column });
                prop_assert_eq!(unpacked.clone().err(), refusal, "{}", ty);
                let finite = expected.iter().all(|(_, scale)| scale.is_finite() && *scale >= 0.0);
                let mut values = [0.0; 256];
                let decoded = view.decode_row(row, &mut values);
                prop_assert_eq!(decoded.is_ok(), finite && unused.is_none(), "{}: {:?}", ty, decoded);
                if decoded.is_ok() {
                    for (x, (code, scale)) in values.iter().zip(expected) {
                        prop_assert_eq!(*x, (f32::from(code) - 1.0) * scale, "{}", ty);
                    }
                }
            }
        }
    }
}

fn group(columns: usize, values: &[f32]) -> Scales {
    let values = values.to_vec();
    Scales::Group { columns, values }
}

#[test]
fn equal_scales_become_one_and_blocks_of_zeros_stand_in_nobodys_way() {
    let mut ternary = vec![1; 2 * 768];
    ternary[256..512].fill(0);
    let read = |values: &[f32]| {
        let scales = group(256, values);
        let ty = TensorType::Tq2_0;
        let bytes = encode_ternary(ty, &ternary, (2, 768), &scales, Rounding::Exact).unwrap();
        Ternary::new(ty, &bytes, 2, 768).unwrap().scales().unwrap()
    };
    assert_eq!(read(&[0.5; 6]), Scales::Tensor(0.5));
    assert_eq!(read(&[0.5, 0.0, 0.5, 0.5, 0.5, 0.5]), Scales::Tensor(0.5));
    assert_eq!(
        read(&[0.5, 0.0, 0.5, 2.0, 2.0, 2.0]),
        Scales::Row(vec![0.5, 2.0])
    );
    let uneven = [0.5, 0.25, 0.5, 2.0, 2.0, 2.0];
    assert_eq!(
        read(&uneven),
        group(256, &uneven),
        "a scale is kept as it is"
    );
    let zero = [0.0, 0.5, 0.5, 2.0, 2.0, 2.0];
    assert_eq!(read(&zero), group(256, &zero), "this zero silences ones");
}

#[test]
fn what_a_form_cannot_hold_is_refused() {
    let ones = [1_i8; 256];
    let encode = |ty, ternary: &[i8], scales: &Scales, rounding| {
        encode_ternary(ty, ternary, (1, 256), scales, rounding)
    };
    let third = Scales::Tensor(1.0 / 3.0);
    for ty in ALL {
        let f32_scale = matches!(
            ty,
            TensorType::I2S
                | TensorType::I2sArm
                | TensorType::I2sRows4
                | TensorType::Iq2Bn
                | TensorType::Iq2BnR4
        );
        let shape = (4, 256);
        let four = [1_i8; 1024];
        let exact = encode_ternary(ty, &four, shape, &third, Rounding::Exact);
        let scale = 1.0 / 3.0;
        match f32_scale {
            true => assert!(exact.is_ok(), "{ty}"),
            false => assert_eq!(exact, Err(CodecError::InexactScale { scale, ty })),
        }
        assert!(encode_ternary(ty, &four, shape, &third, Rounding::Nearest).is_ok());
        let nan = Scales::Tensor(f32::NAN);
        assert!(matches!(
            encode_ternary(ty, &four, shape, &nan, Rounding::Nearest),
            Err(CodecError::BadScale { .. })
        ));
        assert!(encode_ternary(ty, &four[1..], shape, &third, Rounding::Nearest).is_err());
        let mut two = four;
        two[300] = 2;
        assert_eq!(
            encode_ternary(ty, &two, shape, &third, Rounding::Nearest),
            Err(CodecError::NotTernary {
                row: 1,
                column: 44,
                value: 2
            })
        );
    }
    let huge = encode(
        TensorType::Tq2_0,
        &ones,
        &Scales::Tensor(1e6),
        Rounding::Nearest,
    );
    assert!(
        matches!(huge, Err(CodecError::InexactScale { .. })),
        "beyond f16"
    );
    let uneven = group(128, &[0.5, 0.25]);
    assert!(encode(TensorType::Pq2_0, &ones, &uneven, Rounding::Exact).is_ok());
    for ty in [TensorType::Tq2_0, TensorType::I2S, TensorType::Iq2Bn] {
        assert_eq!(
            encode(ty, &ones, &uneven, Rounding::Exact),
            Err(CodecError::ScaleVaries {
                row: 0,
                column: 128,
                ty
            })
        );
    }
    let rows = Scales::Row(vec![0.5, 0.25]);
    let ty = TensorType::I2S;
    assert_eq!(
        encode_ternary(ty, &[1; 256], (2, 128), &rows, Rounding::Exact),
        Err(CodecError::ScaleVaries {
            row: 1,
            column: 0,
            ty
        })
    );
    let mut zero = ones;
    zero[7] = 0;
    let ty = TensorType::Q1_0;
    assert_eq!(
        encode(ty, &zero, &Scales::Tensor(1.0), Rounding::Exact),
        Err(CodecError::Zero {
            row: 0,
            column: 7,
            ty
        })
    );
    let ty = TensorType::F16;
    assert_eq!(
        encode(ty, &ones, &Scales::Tensor(1.0), Rounding::Exact),
        Err(CodecError::NotTernaryType { ty })
    );
}

#[test]
fn tensors_are_checked() {
    for ty in ALL {
        let len = ty.tensor_bytes(&[256, 4]).unwrap();
        let bytes = vec![0; len];
        assert!(Ternary::new(ty, &bytes[1..], 4, 256).is_err(), "{ty}");
        assert!(Ternary::new(ty, &bytes, 4, 255).is_err(), "{ty}");
        assert!(Ternary::new(ty, &bytes, usize::MAX, 256).is_err(), "{ty}");
        let view = Ternary::new(ty, &bytes, 4, 256).unwrap();
        assert_eq!((view.rows(), view.columns(), view.ty()), (4, 256, ty));
        let none = Err(CodecError::NoSuchRow { row: 4, rows: 4 });
        assert_eq!(view.canonical_row(4, &mut [0; 64]), none);
        assert_eq!(view.decode_row(4, &mut [0.0; 256]), none);
        assert!(view.row_scales(4).is_err());
        assert!(view.canonical_row(0, &mut [0; 63]).is_err());
        assert!(view.decode_row(0, &mut [0.0; 255]).is_err());
        assert!(view.stored(0..4).end <= len && !view.stored(1..2).is_empty());
    }
    assert!(
        Ternary::new(TensorType::Iq2BnR4, &[0; 204], 3, 256).is_err(),
        "three rows of four"
    );
    assert!(Ternary::new(TensorType::Q8_0, &[0; 272], 1, 256).is_err());
}

#[test]
fn rows_that_stand_alone_decode_alone() {
    let (ternary, scales) = ([1; 512], Scales::Row(vec![0.5, 2.0]));
    for ty in [TensorType::Tq2_0, TensorType::Pq2_0, TensorType::Ptq1_0] {
        let bytes = encode_ternary(ty, &ternary, (2, 256), &scales, Rounding::Exact).unwrap();
        let len = ty.row_bytes(256).unwrap();
        let mut out = [0.0; 256];
        decode_row(ty, &bytes[len..], &mut out).unwrap();
        assert_eq!(out, [2.0; 256], "{ty}");
    }
    assert!(decode_row(TensorType::Iq2Bn, &[0; 68], &mut [0.0; 256]).is_err());
}
