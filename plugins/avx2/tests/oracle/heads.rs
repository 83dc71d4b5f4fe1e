//! Logits.

use tritone_abi::host::TableKernel;
use tritone_abi::numerics::{self, f16_to_f32, f32_to_f16};
use tritone_abi::{HeadFormat, HeadInput, HeadMatrix, Kernel, MatOut, head, padded_stride};

use crate::data::{Random, activations, same};
use crate::kernel;

fn check_head(kernel: &TableKernel, format: HeadFormat, rows: usize, cols: usize, tokens: usize) {
    let what = format!("{format:?}, {rows} x {cols}, {tokens} tokens");
    let random = &mut Random((rows * 31 + cols * 7 + tokens) as u64);
    let begin = if rows > 32 { 16 } else { 0 };
    let stride = rows + 3;
    let mut got = vec![f32::NAN; tokens * stride];
    let mut out = MatOut::new(&mut got, stride, begin..rows).unwrap();
    let mut data: Vec<u8> = (0..format.bytes(rows, cols).unwrap())
        .map(|_| random.bits() as u8)
        .collect();
    // Random codes, but scales (all of `F16`) that are no NaN and not too large.
    let halves = if format == HeadFormat::F16 {
        data.len()
    } else {
        64
    };
    let step = if format == HeadFormat::F16 {
        data.len()
    } else {
        format.block_bytes()
    };
    for block in data.chunks_exact_mut(step) {
        for half in block[..halves].chunks_exact_mut(2) {
            half.copy_from_slice(&f32_to_f16(random.float()).to_le_bytes());
        }
    }
    let w = HeadMatrix {
        format,
        rows,
        cols,
        data: &data,
    };
    let x = random.floats(tokens * cols);
    let codes = (format != HeadFormat::F16).then(|| activations(random, tokens, cols, 32));
    let input = match &codes {
        None => HeadInput::F32 { x: &x, tokens },
        Some(codes) => HeadInput::Int8(codes.view(tokens, cols, 32)),
    };
    kernel.head(&w, &input, &mut out, &mut []).unwrap();
    for t in 0..tokens {
        for r in 0..stride {
            if r < begin || r >= rows {
                assert!(
                    got[t * stride + r].is_nan(),
                    "{what}: wrote row {r} of token {t}"
                );
                continue;
            }
            let want = match &codes {
                None => {
                    let row: Vec<f32> = data[2 * r * cols..2 * (r + 1) * cols]
                        .chunks_exact(2)
                        .map(|h| f16_to_f32(u16::from_le_bytes([h[0], h[1]])))
                        .collect();
                    numerics::dot(&x[t * cols..(t + 1) * cols], &row)
                }
                Some(x) => (0..cols / 32).fold(0.0, |acc: f32, g| {
                    let value = |c| head::weight(format, &data, cols, r, c);
                    let sum: i32 = (32 * g..32 * g + 32)
                        .map(|c| value(c).0 * i32::from(x.q[t * padded_stride(cols) + c]))
                        .sum();
                    let scale = value(32 * g).1 * x.scales[t * (cols / 32) + g];
                    (sum as f32).mul_add(scale, acc)
                }),
            };
            let got = got[t * stride + r];
            assert!(
                same(got, want),
                "{what}: row {r}, token {t}: {got:e} instead of {want:e}"
            );
        }
    }
}

#[test]
fn heads_follow_their_formats() {
    let Some(kernel) = kernel() else { return };
    for tokens in [1, 2, 3, 4, 5, 7] {
        for (rows, cols) in [(1, 1), (16, 16), (21, 40), (50, 100), (37, 257)] {
            check_head(&kernel, HeadFormat::F16, rows, cols, tokens);
        }
        for format in [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4] {
            for (rows, cols) in [(1, 32), (16, 64), (17, 96), (50, 128), (37, 352)] {
                check_head(&kernel, format, rows, cols, tokens);
            }
        }
    }
}
