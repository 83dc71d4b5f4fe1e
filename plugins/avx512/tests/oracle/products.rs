//! Ternary products.

use tritone_abi::host::TableKernel;
use tritone_abi::layout::{LayoutId, canonical_row_bytes};
use tritone_abi::{
    Kernel, MatOut, PackArgs, ScratchNeed, TernaryMatrix, WeightScales, padded_stride,
};

use crate::data::{Random, activations, same};
use crate::kernel;

/// Canonical rows and their weights; every third row is all +1, so that sums are extreme.
fn ternary(random: &mut Random, rows: usize, cols: usize) -> (Vec<u8>, Vec<i32>) {
    let stride = canonical_row_bytes(cols);
    let (mut codes, mut weights) = (vec![0x55u8; rows * stride], vec![0; rows * cols]);
    for r in 0..rows {
        for c in 0..cols {
            let code = if r % 3 == 1 { 2 } else { random.below(3) as u8 };
            let shift = 2 * (c % 4);
            let byte = &mut codes[r * stride + c / 4];
            *byte = *byte & !(3 << shift) | code << shift;
            weights[r * cols + c] = i32::from(code) - 1;
        }
    }
    (codes, weights)
}

fn check_matmul(kernel: &TableKernel, rows: usize, cols: usize, tokens: usize, group: usize) {
    let what = format!("{rows} x {cols}, {tokens} tokens, group {group}");
    let random = &mut Random((rows * 31 + cols * 7 + tokens + group) as u64);
    let (codes, weights) = ternary(random, rows, cols);
    let mut data = vec![0; kernel.packed_bytes(rows, cols).unwrap()];
    kernel
        .pack(
            &PackArgs {
                codes: &codes,
                rows,
                cols,
            },
            &mut data,
        )
        .unwrap();
    let padded = rows.next_multiple_of(32);
    // 0 is a scale a tensor, 1 a scale a row.
    let span = if group < 2 { cols } else { group };
    let groups = cols / span;
    let mut scales = vec![0.0; padded * groups];
    for r in 0..rows {
        for g in 0..groups {
            scales[(r / 32 * groups + g) * 32 + r % 32] = random.float();
        }
    }
    let x = activations(random, tokens, cols, span);
    let w = TernaryMatrix {
        layout: LayoutId::T2R32,
        rows,
        cols,
        scales: match group {
            0 => WeightScales::Tensor(0.37),
            1 => WeightScales::Row(&scales),
            _ => WeightScales::Group {
                group,
                scales: &scales,
            },
        },
        data: &data,
    };
    let need = ScratchNeed {
        max_cols: cols,
        max_tokens: tokens,
        ..ScratchNeed::default()
    };
    let mut scratch = vec![0xaa; kernel.scratch_bytes(&need)];
    let begin = if rows > 64 { 32 } else { 0 };
    let stride = rows + 5;
    let mut got = vec![f32::NAN; tokens * stride];
    let mut out = MatOut::new(&mut got, stride, begin..rows).unwrap();
    kernel
        .matmul(&w, &x.view(tokens, cols, span), &mut out, &mut scratch)
        .unwrap();
    for t in 0..tokens {
        for r in 0..stride {
            if r < begin || r >= rows {
                assert!(
                    got[t * stride + r].is_nan(),
                    "{what}: wrote row {r} of token {t}"
                );
                continue;
            }
            let mut want = 0.0f32;
            for g in 0..groups {
                let sum: i32 = (g * span..(g + 1) * span)
                    .map(|c| weights[r * cols + c] * i32::from(x.q[t * padded_stride(cols) + c]))
                    .sum();
                let a = x.scales[t * groups + g];
                want = match group {
                    0 => sum as f32 * (0.37 * a),
                    1 => sum as f32 * (scales[r] * a),
                    _ => {
                        (sum as f32).mul_add(scales[(r / 32 * groups + g) * 32 + r % 32] * a, want)
                    }
                };
            }
            let got = got[t * stride + r];
            assert!(
                same(got, want),
                "{what}: row {r}, token {t}: {got:e} instead of {want:e}"
            );
        }
    }
}

#[test]
fn ternary_products_are_exact() {
    let Some(kernel) = kernel() else { return };
    for tokens in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13] {
        for (rows, cols) in [(1, 1), (31, 15), (32, 16), (33, 17), (70, 100), (97, 257)] {
            check_matmul(&kernel, rows, cols, tokens, 0);
            check_matmul(&kernel, rows, cols, tokens, 1);
        }
        for (rows, cols, group) in [(33, 64, 64), (96, 128, 64), (65, 384, 128), (40, 512, 256)] {
            check_matmul(&kernel, rows, cols, tokens, group);
        }
    }
    check_matmul(&kernel, 130, 2560, 7, 1);
    check_matmul(&kernel, 6, 131_072, 3, 0);
    check_matmul(&kernel, 6, 131_072, 5, 256);
}
