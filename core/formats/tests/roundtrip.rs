//! From every ternary type to every other and back.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use half::f16;
use proptest::prelude::*;
use tritone_formats::TensorType;
use tritone_formats::codec::{
    CodecError, Rounding, Scales, Span, Ternary, encode_ternary, ternary_values,
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

const COLUMNS: usize = 512;

/// Columns under one scale of a type.
fn reach(ty: TensorType, rows: usize) -> usize {
    let bytes = vec![0; ty.tensor_bytes(&[COLUMNS, rows]).unwrap()];
    match Ternary::new(ty, &bytes, rows, COLUMNS).unwrap().span() {
        Span::Tensor => usize::MAX,
        Span::Row => COLUMNS,
        Span::Columns(columns) => columns,
    }
}

/// What is in a tensor.
fn read(ty: TensorType, bytes: &[u8], rows: usize) -> (Vec<i8>, Scales) {
    let view = Ternary::new(ty, bytes, rows, COLUMNS).unwrap();
    let mut codes = vec![0; COLUMNS / 4];
    let mut ternary = Vec::new();
    for row in 0..rows {
        view.canonical_row(row, &mut codes).unwrap();
        ternary.extend(ternary_values(&codes));
    }
    (ternary, view.scales().unwrap())
}

proptest! {
    #[test]
    fn what_a_type_holds_comes_back_and_what_it_does_not_is_refused(
        seed in any::<u64>(),
        groups in 1_usize..3,
    ) {
        let rows = 4 * groups;
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as u32
        };
        for from in ALL {
            let one_bit = from == TensorType::Q1_0;
            let ternary: Vec<i8> = (0..rows * COLUMNS)
                .map(|_| if one_bit { random() % 2 * 2 } else { random() % 3 } as i8 - 1)
                .collect();
            let mut draw = || f16::from_bits(0x2000 + (random() % 0x1800) as u16).to_f32();
            let scales = match reach(from, rows) {
                usize::MAX => Scales::Tensor(draw()),
                COLUMNS => Scales::Row((0..rows).map(|_| draw()).collect()),
                columns => Scales::Group {
                    columns,
                    values: (0..rows * COLUMNS / columns).map(|_| draw()).collect(),
                },
            };
            let shape = (rows, COLUMNS);
            let first = encode_ternary(from, &ternary, shape, &scales, Rounding::Exact).unwrap();
            for to in ALL {
                let (ternary, scales) = read(from, &first, rows);
                let there = encode_ternary(to, &ternary, shape, &scales, Rounding::Exact);
                let there = match there {
                    Err(CodecError::Zero { .. }) => {
                        prop_assert!(to == TensorType::Q1_0 && !one_bit, "{} to {}", from, to);
                        continue;
                    }
                    Err(CodecError::ScaleVaries { .. }) => {
                        prop_assert!(reach(to, rows) > reach(from, rows), "{} to {}", from, to);
                        continue;
                    }
                    there => there.unwrap(),
                };
                prop_assert!(reach(to, rows) <= reach(from, rows), "{} to {}", from, to);
                let (same, again) = read(to, &there, rows);
                let mut places = (0..rows).flat_map(|r| (0..COLUMNS).step_by(64).map(move |c| (r, c)));
                let kept = |(r, c)| again.at(COLUMNS, r, c) == scales.at(COLUMNS, r, c);
                prop_assert!(same == ternary && places.all(kept), "{} to {}", from, to);
                let back = encode_ternary(from, &same, shape, &again, Rounding::Exact).unwrap();
                prop_assert!(back == first, "{} to {} and back", from, to);
            }
        }
    }
}
