//! Codecs against per-element formulas written down from the formats' descriptions.

use proptest::prelude::*;
use tritone_formats::codec::{
    CodecError, Rounding, Scales, Ternary, decode_row, encode_row, encode_ternary,
};
use tritone_formats::{SizeError, TensorType};

const BLOCKED: [TensorType; 3] = [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q6K];
/// Types that are read but not written.
const READ: [TensorType; 4] = [
    TensorType::Q4_1,
    TensorType::Iq4Nl,
    TensorType::Q4K,
    TensorType::Q5K,
];

/// Two to a power from -126 to 127, exactly: `powi` may round, and under Miri it does.
fn two_to(power: i32) -> f32 {
    f32::from_bits(((power + 127) as u32) << 23)
}

/// The value of an IEEE half from its parts.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * two_to(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * two_to(exponent - 15),
    }
}

fn half_at(bytes: &[u8]) -> f32 {
    half(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Element `i` of a stored row.
fn element(ty: TensorType, bytes: &[u8], i: usize) -> f32 {
    match ty {
        TensorType::Q8_0 => {
            let block = &bytes[i / 32 * 34..];
            f32::from(block[2 + i % 32] as i8) * half_at(block)
        }
        TensorType::Q4_0 => {
            let (block, i) = (&bytes[i / 32 * 18..], i % 32);
            let byte = block[2 + i % 16];
            let nibble = if i < 16 { byte & 15 } else { byte >> 4 };
            (f32::from(nibble) - 8.0) * half_at(block)
        }
        TensorType::Q6K => {
            let (block, i) = (&bytes[i / 256 * 210..], i % 256);
            let (h, quarter, l) = (i / 128, i % 128 / 32, i % 32);
            let low = block[h * 64 + [l, l + 32, l, l + 32][quarter]];
            let low = if quarter < 2 { low & 15 } else { low >> 4 };
            let high = block[128 + h * 32 + l] >> [0, 2, 4, 6][quarter] & 3;
            let sub = block[192 + i / 16] as i8;
            half_at(&block[208..]) * f32::from(sub) * (f32::from(low | high << 4) - 32.0)
        }
        TensorType::Q4_1 => {
            let (block, i) = (&bytes[i / 32 * 20..], i % 32);
            let nibble = block[4 + i % 16] >> (i / 16 * 4) & 15;
            f32::from(nibble) * half_at(block) + half_at(&block[2..])
        }
        TensorType::Iq4Nl => {
            let (block, i) = (&bytes[i / 32 * 18..], i % 32);
            let nibble = block[2 + i % 16] >> (i / 16 * 4) & 15;
            let table = [
                -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0,
                53.0, 69.0, 89.0, 113.0,
            ];
            table[usize::from(nibble)] * half_at(block)
        }
        TensorType::Q4K | TensorType::Q5K => {
            let len = if ty == TensorType::Q4K { 144 } else { 176 };
            let (block, i) = (&bytes[i / 256 * len..], i % 256);
            let (j, l) = (i / 32, i % 32);
            let b = &block[4..16];
            let (scale, minimum) = match j {
                0..4 => (b[j] & 63, b[j + 4] & 63),
                _ => (
                    (b[j + 4] & 15) | (b[j - 4] >> 6) << 4,
                    (b[j + 4] >> 4) | (b[j] >> 6) << 4,
                ),
            };
            let nibbles = &block[len - 128..];
            let mut q = nibbles[j / 2 * 32 + l] >> (j % 2 * 4) & 15;
            if ty == TensorType::Q5K && block[16 + l] >> j & 1 == 1 {
                q += 16;
            }
            half_at(block) * f32::from(scale) * f32::from(q)
                - half_at(&block[2..]) * f32::from(minimum)
        }
        _ => unreachable!("only blocked types"),
    }
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
#[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
fn every_half_decodes_and_comes_back() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let mut values = vec![0.0; 1 << 16];
    decode_row(TensorType::F16, &all, &mut values).unwrap();
    for (bits, &value) in (0..=u16::MAX).zip(&values) {
        assert!(same(value, half(bits)), "{bits:#06x}: {value}");
    }
    let mut back = Vec::new();
    encode_row(TensorType::F16, &values, &mut back).unwrap();
    for (i, (a, b)) in all.chunks(2).zip(back.chunks(2)).enumerate() {
        assert!(a == b || values[i].is_nan(), "{i:#06x}");
    }

    decode_row(TensorType::Bf16, &all, &mut values).unwrap();
    for (bits, &value) in (0..=u16::MAX).zip(&values) {
        assert!(
            same(value, f32::from_bits(u32::from(bits) << 16)),
            "{bits:#06x}: {value}"
        );
    }
    let mut back = Vec::new();
    encode_row(TensorType::Bf16, &values, &mut back).unwrap();
    for (i, (a, b)) in all.chunks(2).zip(back.chunks(2)).enumerate() {
        assert!(a == b || values[i].is_nan(), "{i:#06x}");
    }
}

#[test]
fn f16_rows_of_any_length() {
    for len in [0, 1, 63, 64, 65, 200] {
        let row: Vec<f32> = (0..len).map(|i| i as f32 * 0.25 - 9.0).collect();
        let mut bytes = Vec::new();
        encode_row(TensorType::F16, &row, &mut bytes).unwrap();
        let mut back = vec![0.0; len];
        decode_row(TensorType::F16, &bytes, &mut back).unwrap();
        assert_eq!(back, row);
    }
}

#[test]
fn lengths_are_checked() {
    let mut out = [0.0; 64];
    let wrong = decode_row(TensorType::Q8_0, &[0; 67], &mut out);
    let ty = TensorType::Q8_0;
    assert_eq!(
        wrong,
        Err(CodecError::StoredLength {
            ty,
            expected: 68,
            got: 67
        })
    );
    let wrong = decode_row(TensorType::Q6K, &[0; 210], &mut out);
    let source = SizeError::Row { multiple: 256 };
    assert_eq!(
        wrong,
        Err(CodecError::Size {
            ty: TensorType::Q6K,
            source
        })
    );
    assert!(decode_row(TensorType::I2S, &[0; 48], &mut out).is_err());
    assert!(encode_row(TensorType::I2S, &[0.0; 128], &mut Vec::new()).is_err());
    for ty in READ {
        let refused = encode_row(ty, &[0.0; 256], &mut Vec::new());
        assert_eq!(refused, Err(CodecError::NoEncoder { ty }));
    }
    let listed = TensorType::from_id(10).unwrap();
    assert!(encode_row(listed, &[0.0; 256], &mut Vec::new()).is_err());
}

#[test]
fn encoders_refuse_what_does_not_fit_and_leave_the_output() {
    let mut out = vec![7];
    let cases = [
        (TensorType::F16, 65_520.0),
        (TensorType::Bf16, f32::MAX),
        (TensorType::Q8_0, 1e7),
        (TensorType::Q4_0, 1e7),
        (TensorType::Q6K, 1e9),
        (TensorType::Q8_0, f32::NAN),
        (TensorType::Q4_0, f32::INFINITY),
        (TensorType::Q6K, f32::NEG_INFINITY),
    ];
    for (ty, bad) in cases {
        let mut row = [1.0; 512];
        row[300] = bad;
        let error = encode_row(ty, &row, &mut out).unwrap_err();
        assert!(
            matches!(error, CodecError::Unrepresentable { column: 300, .. }),
            "{ty} {bad}: {error}"
        );
        assert_eq!(out, [7], "{ty} {bad}");
    }
}

#[test]
fn zeros_and_tiny_values_stay_small() {
    for ty in BLOCKED {
        for tiny in [0.0, 1e-40, -1e-40, 1e-9] {
            let row = [tiny; 256];
            let mut bytes = Vec::new();
            encode_row(ty, &row, &mut bytes).unwrap();
            let mut back = [1.0; 256];
            decode_row(ty, &bytes, &mut back).unwrap();
            assert!(
                back.iter().all(|x| x.abs() <= 2e-6),
                "{ty} {tiny}: {back:?}"
            );
        }
    }
}

/// Rows of 512 values (half of that for Miri) whose blocks differ in size by powers of ten.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let block = (-6_i32..4, prop::collection::vec(-1.0_f32..1.0, 32));
    let scaled = block.prop_map(|(power, row)| {
        row.into_iter()
            .map(|x| x * 10_f32.powi(power))
            .collect::<Vec<f32>>()
    });
    let blocks = if cfg!(miri) { 8 } else { 16 };
    prop::collection::vec(scaled, blocks).prop_map(|blocks| blocks.concat())
}

fn largest(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |most, x| most.max(x.abs()))
}

proptest! {
    #[test]
    fn stored_bytes_decode_by_the_formula(bytes in prop::collection::vec(any::<u8>(), 420)) {
        for ty in BLOCKED.into_iter().chain(READ) {
            let columns = 256;
            let bytes = &bytes[..ty.row_bytes(columns).unwrap()];
            let mut out = vec![0.0; columns];
            decode_row(ty, bytes, &mut out).unwrap();
            for (i, &x) in out.iter().enumerate() {
                let expected = element(ty, bytes, i);
                prop_assert!(same(x, expected), "{} element {}: {} not {}", ty, i, x, expected);
            }
        }
    }

    #[test]
    fn encoding_is_as_close_as_the_type_allows(row in rows()) {
        for ty in BLOCKED {
            let mut bytes = Vec::new();
            encode_row(ty, &row, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), ty.row_bytes(row.len()).unwrap());
            let mut back = vec![0.0; row.len()];
            decode_row(ty, &bytes, &mut back).unwrap();
            for (i, (&x, &y)) in row.iter().zip(&back).enumerate() {
                let around = |n: usize| largest(&row[i / n * n..][..n]);
                // Half a step, a whole one where the grid is lopsided; the f16 scale is off by at
                // most 2^-11 of the value, or by half its smallest step when it is subnormal.
                let tolerance = match ty {
                    TensorType::Q8_0 => around(32) * (0.5 / 127.0 + 5e-4) + 127.0 * 3e-8,
                    TensorType::Q4_0 => around(32) * (1.0 / 8.0 + 5e-4) + 8.0 * 3e-8,
                    // And a step of the sub-scale, whose grid ends at 127 on one side, times 32.
                    _ => around(16) / 32.0 + around(256) * (1.0 / 128.0 + 5e-4) + 4096.0 * 3e-8,
                };
                prop_assert!((x - y).abs() <= tolerance, "{} element {}: {} became {}", ty, i, x, y);
            }
        }
    }

    #[test]
    fn ternary_rows_come_back(
        rows in 1_usize..5,
        blocks in 1_usize..4,
        seed in prop::collection::vec(-1_i8..=1, 4 * 3 * 128),
        scale in 0.0_f32..4.0,
        damage in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let columns = blocks * 128;
        let ternary = &seed[..rows * columns];
        let mut bytes = encode_i2s(ternary, rows, columns, scale).unwrap();
        prop_assert_eq!(bytes.len(), rows * columns / 4 + 32);

        for (i, &t) in ternary.iter().enumerate() {
            let (block, p) = (i / 128, i % 128);
            let code = bytes[block * 32 + p % 32] >> [6, 4, 2, 0][p / 32] & 3;
            prop_assert_eq!(code as i8 - 1, t);
        }
        let at = rows * columns / 4;
        prop_assert_eq!(&bytes[at..at + 4], scale.to_le_bytes());
        prop_assert!(bytes[at + 4..].iter().all(|&b| b == 0));

        let damaged = damage.map(|index| index.index(ternary.len()));
        if let Some(i) = damaged {
            bytes[i / 128 * 32 + i % 32] |= 3 << [6, 4, 2, 0][i % 128 / 32];
        }
        let view = i2s(&bytes, rows, columns).unwrap();
        prop_assert_eq!((view.rows(), view.columns()), (rows, columns));
        prop_assert_eq!(view.scales(), Ok(Scales::Tensor(scale)));
        for row in 0..rows {
            let mut canonical = vec![0xaa; columns / 4];
            let mut values = vec![9.0; columns];
            let unpacked = view.canonical_row(row, &mut canonical);
            let decoded = view.decode_row(row, &mut values);
            prop_assert_eq!(&unpacked, &decoded);
            if let Some(i) = damaged.filter(|i| i / columns == row) {
                let column = i % columns;
                prop_assert_eq!(unpacked, Err(CodecError::UnusedCode { row, column }));
                continue;
            }
            prop_assert_eq!(unpacked, Ok(()));
            for column in 0..columns {
                let t = ternary[row * columns + column];
                let code = canonical[column / 4] >> (2 * (column % 4)) & 3;
                prop_assert_eq!(code as i8 - 1, t, "row {} column {}", row, column);
                prop_assert_eq!(values[column], f32::from(t) * scale);
            }
        }
    }
}

fn i2s(bytes: &[u8], rows: usize, columns: usize) -> Result<Ternary<'_>, CodecError> {
    Ternary::new(TensorType::I2S, bytes, rows, columns)
}

fn encode_i2s(
    ternary: &[i8],
    rows: usize,
    columns: usize,
    scale: f32,
) -> Result<Vec<u8>, CodecError> {
    let (ty, scales) = (TensorType::I2S, Scales::Tensor(scale));
    encode_ternary(ty, ternary, (rows, columns), &scales, Rounding::Exact)
}

#[test]
fn ternary_tensors_are_checked() {
    let good = encode_i2s(&[1; 256], 2, 128, 0.5).unwrap();
    assert!(i2s(&good[1..], 2, 128).is_err());
    assert!(i2s(&good, 2, 127).is_err());
    assert!(i2s(&good, usize::MAX, 128).is_err());
    let view = i2s(&good, 2, 128).unwrap();
    assert!(matches!(
        view.canonical_row(2, &mut [0; 32]),
        Err(CodecError::NoSuchRow { row: 2, rows: 2 })
    ));
    assert!(view.canonical_row(0, &mut [0; 31]).is_err());
    assert!(view.decode_row(0, &mut [0.0; 129]).is_err());

    let mut infinite = good.clone();
    infinite[64..68].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let wrong = i2s(&infinite, 2, 128).unwrap();
    let scale = f32::INFINITY;
    assert_eq!(wrong.scales(), Err(CodecError::BadScale { scale }));
    assert_eq!(wrong.row_scales(1), Err(CodecError::BadScale { scale }));
    for (scale, sound) in [(0.0, true), (-0.0, true), (-0.5, false), (f32::NAN, false)] {
        let mut other = good.clone();
        other[64..68].copy_from_slice(&f32::to_le_bytes(scale));
        let read = i2s(&other, 2, 128).unwrap().scales();
        assert_eq!(read.is_ok(), sound, "{scale}");
    }

    let mut ternary = [0_i8; 256];
    ternary[200] = 2;
    assert_eq!(
        encode_i2s(&ternary, 2, 128, 1.0),
        Err(CodecError::NotTernary {
            row: 1,
            column: 72,
            value: 2
        })
    );
    assert!(encode_i2s(&ternary[..255], 2, 128, 1.0).is_err());
    assert!(encode_i2s(&[0; 128], 1, 128, f32::NAN).is_err());
    assert!(encode_i2s(&[0; 128], 2, 64, 1.0).is_err());
}
