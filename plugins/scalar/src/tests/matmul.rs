//! The ternary product.

use super::*;

fn ternary(rng: &mut Rng, rows: usize, cols: usize) -> Vec<u8> {
    let codes: Vec<u8> = (0..rows * cols.div_ceil(4))
        .map(|i| {
            let mut byte = 0u8;
            for j in 0..4 {
                let col = i % cols.div_ceil(4) * 4 + j;
                let code = if col < cols { rng.next() % 3 } else { 1 };
                byte |= (code as u8) << (2 * j);
            }
            byte
        })
        .collect();
    let mut data = vec![0xffu8; Scalar.packed_bytes(rows, cols).unwrap()];
    Scalar
        .pack(
            &PackArgs {
                codes: &codes,
                rows,
                cols,
            },
            &mut data,
        )
        .unwrap();
    data
}

fn matmul_by_definition(w: &TernaryMatrix<'_>, x: &Activations<'_>, t: usize, r: usize) -> f32 {
    let sum = |cols: Range<usize>| -> i64 {
        cols.map(|c| {
            i64::from(t2r32::weight(w.data, w.cols, r, c)) * i64::from(x.q[t * x.stride() + c])
        })
        .sum()
    };
    match w.scales {
        WeightScales::Tensor(s) => sum(0..w.cols) as f32 * (s * x.scales[t]),
        WeightScales::Row(s) => sum(0..w.cols) as f32 * (s[r] * x.scales[t]),
        WeightScales::Group { group, scales } => {
            let groups = w.cols / group;
            (0..groups).fold(0.0, |acc, g| {
                let s = scales[(r / 32 * groups + g) * 32 + r % 32];
                let sum = sum(g * group..(g + 1) * group) as f32;
                sum.mul_add(s * x.scales[t * groups + g], acc)
            })
        }
    }
}

fn check_product(rng: &mut Rng, rows: usize, cols: usize, tokens: usize, kind: usize) {
    let data = ternary(rng, rows, cols);
    let padded = rows.next_multiple_of(32);
    let group = [64, 128, 256][kind % 3];
    let scales = rng.floats(padded * cols.max(1));
    let scales = match kind {
        0 => WeightScales::Tensor(0.37),
        1 => WeightScales::Row(&scales[..padded]),
        _ => WeightScales::Group {
            group,
            scales: &scales[..padded * (cols / group)],
        },
    };
    let w = TernaryMatrix {
        layout: LayoutId::T2R32,
        rows,
        cols,
        scales,
        data: &data,
    };
    let x = Quantized::random(rng, tokens, cols, scales.activation_group(cols));
    let x = x.view();
    let start = rng.next() as usize % rows.div_ceil(32) * 32;
    let range = start..rows;
    let (a, b) = both(
        tokens,
        rows + 3,
        range.clone(),
        |out| Scalar.matmul(&w, &x, out, &mut []).unwrap(),
        |out| crate::matmul::body(&w, &x, out),
    );
    assert_eq!(bits(&a), bits(&b), "compilations differ");
    for t in 0..tokens {
        for r in 0..rows + 3 {
            let want = if range.contains(&r) {
                matmul_by_definition(&w, &x, t, r)
            } else {
                7.5
            };
            let got = a[t * (rows + 3) + r];
            assert_eq!(got.to_bits(), want.to_bits(), "token {t} row {r}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]

    #[test]
    fn products_follow_the_definition(
        seed: u64, rows in 1..12 * end(9), cols in 1..100 * end(7), tokens in 1..end(10), kind in 0usize..5
    ) {
        let cols = if kind < 2 { cols } else { cols.next_multiple_of(256) };
        check_product(&mut Rng(seed), rows, cols, tokens, kind);
    }
}

#[test]
#[cfg_attr(miri, ignore = "long rows: an hour under Miri")]
fn the_largest_sums_are_exact() {
    for (cols, value) in [(6912usize, -128i8), (131_072, -128), (131_072, 127)] {
        let codes = [0x00u8, 0xaa].map(|byte| vec![byte; cols / 4]).concat();
        let mut data = vec![0; Scalar.packed_bytes(2, cols).unwrap()];
        let args = PackArgs {
            codes: &codes,
            rows: 2,
            cols,
        };
        Scalar.pack(&args, &mut data).unwrap();
        let w = TernaryMatrix {
            layout: LayoutId::T2R32,
            rows: 2,
            cols,
            scales: WeightScales::Tensor(1.0),
            data: &data,
        };
        let q = vec![value; cols];
        let sum = i32::from(value) * cols as i32;
        let x = Activations {
            tokens: 1,
            cols,
            group: cols,
            q: &q,
            scales: &[1.0],
            sums: &[sum],
        };
        let mut out = [0.0f32; 2];
        let mut view = MatOut::new(&mut out, 2, 0..2).unwrap();
        Scalar.matmul(&w, &x, &mut view, &mut []).unwrap();
        assert_eq!(out, [-sum as f32, sum as f32]);
    }
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let rng = &mut Rng(1);
    let data = ternary(rng, 64, 64);
    let x = Quantized::random(rng, 1, 64, 64);
    let run = |layout, data: &[u8], range: Range<usize>| {
        let scales = WeightScales::Tensor(1.0);
        let w = TernaryMatrix {
            layout,
            rows: 64,
            cols: 64,
            scales,
            data,
        };
        let mut out = [7.5f32; 64];
        let mut view = MatOut::new(&mut out, 64, range).unwrap();
        let result = Scalar.matmul(&w, &x.view(), &mut view, &mut []);
        assert!(
            result.is_ok() || out == [7.5; 64],
            "written in spite of {result:?}"
        );
        result
    };
    assert!(run(LayoutId::T2R32, &data, 32..64).is_ok());
    for (layout, data, range) in [
        (LayoutId(9), &data[..], 0..64),
        (LayoutId::T2R32, &data[1..], 0..64),
        (LayoutId::T2R32, &data[..], 16..64),
        (LayoutId::T2R32, &data[..], 0..48),
    ] {
        let result = run(layout, data, range);
        assert!(matches!(result, Err(KernelError::BadArgument(_))));
    }
    assert_eq!(Scalar.packed_bytes(32, 131_073), None);
    assert_eq!(Scalar.packed_bytes(0, 16), None);
    let args = PackArgs {
        codes: &[0; 4],
        rows: 1,
        cols: 16,
    };
    assert!(Scalar.pack(&args, &mut [0; 127]).is_err());
    assert!(Scalar.pack(&args, &mut [0; 128]).is_ok());
}
