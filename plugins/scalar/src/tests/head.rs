//! The output head.

use super::*;

fn check_head(rng: &mut Rng, format: HeadFormat, rows: usize, cols: usize, tokens: usize) {
    let floats = rng.floats(tokens * cols);
    let mut data = vec![0u8; format.bytes(rows, cols).unwrap()];
    if format == HeadFormat::F16 {
        for half in data.chunks_exact_mut(2) {
            // Every class of binary16: normal, subnormal, infinite, NaN.
            half.copy_from_slice(&(rng.next() as u16).to_le_bytes());
        }
    } else {
        let group_bytes = format.bytes(16, cols).unwrap();
        for (g, out) in data.chunks_exact_mut(group_bytes).enumerate() {
            let n = 16.min(rows - g * 16);
            head_abi::pack_group(format, &rng.floats(n * cols), cols, out).unwrap();
        }
    }
    let x = Quantized::random(
        rng,
        tokens,
        cols,
        if cols.is_multiple_of(32) { 32 } else { 1 },
    );
    let input = match format {
        HeadFormat::F16 => HeadInput::F32 { x: &floats, tokens },
        _ => HeadInput::Int8(x.view()),
    };
    let w = HeadMatrix {
        format,
        rows,
        cols,
        data: &data,
    };
    let start = rng.next() as usize % rows.div_ceil(16) * 16;
    let (a, b) = both(
        tokens,
        rows,
        start..rows,
        |out| Scalar.head(&w, &input, out, &mut []).unwrap(),
        |out| match &input {
            HeadInput::F32 { x, .. } => crate::head::floats_body(&w, x, out),
            HeadInput::Int8(x) => crate::head::codes_body(&w, x, out),
        },
    );
    for t in 0..tokens {
        for r in start..rows {
            let want = if format == HeadFormat::F16 {
                let mut lanes = [0.0f32; 16];
                for c in 0..cols {
                    let at = (r * cols + c) * 2;
                    let w = f16_to_f32(u16::from_le_bytes([data[at], data[at + 1]]));
                    lanes[c % 16] = floats[t * cols + c].mul_add(w, lanes[c % 16]);
                }
                sum_lanes(lanes)
            } else {
                (0..cols / 32).fold(0.0f32, |acc, g| {
                    let weight = |c| head_abi::weight(format, &data, cols, r, c);
                    let q = |c| i32::from(x.q[t * padded_stride(cols) + c]);
                    let sum: i32 = (g * 32..g * 32 + 32).map(|c| weight(c).0 * q(c)).sum();
                    let scale = weight(g * 32).1 * x.scales[t * (cols / 32) + g];
                    (sum as f32).mul_add(scale, acc)
                })
            };
            for got in [a[t * rows + r], b[t * rows + r]] {
                let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                assert!(same, "{format:?} token {t} row {r}: {got} {want}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]

    #[test]
    fn heads_follow_the_definition(
        seed: u64, rows in 1usize..50, blocks in 1..end(6), odd in 0usize..32, tokens in 1..end(7)
    ) {
        let rng = &mut Rng(seed);
        for format in [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4] {
            check_head(rng, format, rows, blocks * 32, tokens);
        }
        check_head(rng, HeadFormat::F16, rows, blocks * 32 - odd, tokens);
    }
}
