//! The kernel against the definitions of `tritone_abi`, written as plain loops, over awkward
//! sizes. Everything goes through the exported table, as the engine's calls do.
#![expect(unsafe_code, reason = "wrapping the exported table")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use tritone_abi::host::TableKernel;
use tritone_abi::layout::{LayoutId, canonical_row_bytes, t2r32};
use tritone_abi::numerics::{self, f16_to_f32, f32_to_f16};
use tritone_abi::{
    Activations, AttendArgs, GateKind, HeadFormat, HeadInput, HeadMatrix, Kernel, KernelError,
    KvPage, MatOut, PAGE_TOKENS, PackArgs, QuantizedRow, RopeArgs, RopeStyle, ScratchNeed,
    TernaryMatrix, WeightScales, head, padded_stride,
};

/// The kernel, or `None` where the processor cannot run it.
fn kernel() -> Option<TableKernel> {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_avx512::TABLE) }.unwrap();
    (kernel.score().rank > 0).then_some(kernel)
}

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.bits() as u64 * n as u64) >> 32) as usize
    }

    /// From -2 to 2.
    fn float(&mut self) -> f32 {
        self.bits() as f32 / 1_073_741_824.0 - 2.0
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

/// Equal bits, or both NaN.
fn same(got: f32, want: f32) -> bool {
    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan())
}

fn assert_same(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            same(*g, *w),
            "{what}: element {i} is {g:e} instead of {w:e}"
        );
    }
}

struct Quantized {
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

/// Activations of which some rows are extreme.
fn activations(random: &mut Random, tokens: usize, cols: usize, group: usize) -> Quantized {
    let stride = padded_stride(cols);
    let mut q = vec![0i8; tokens * stride];
    let mut sums = Vec::new();
    for (t, row) in q.chunks_exact_mut(stride).enumerate() {
        for v in &mut row[..cols] {
            *v = match t % 4 {
                1 => -128,
                2 => 127,
                _ => random.bits() as i8,
            };
        }
        sums.extend(
            row[..cols]
                .chunks(group)
                .map(|g| g.iter().map(|v| i32::from(*v)).sum::<i32>()),
        );
    }
    let scales = random.floats(sums.len());
    Quantized { q, scales, sums }
}

impl Quantized {
    fn view(&self, tokens: usize, cols: usize, group: usize) -> Activations<'_> {
        let (q, scales, sums) = (&self.q, &self.scales, &self.sums);
        Activations {
            tokens,
            cols,
            group,
            q,
            scales,
            sums,
        }
    }
}

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

#[test]
fn rows_follow_the_definitions() {
    let Some(kernel) = kernel() else { return };
    let random = &mut Random(5);
    for n in [1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 128, 255, 640] {
        let (mut x, weight) = (random.floats(n), random.floats(n));
        let (mut got, mut want) = (vec![0.0; n], vec![0.0; n]);
        kernel.rms_norm(&x, &weight, 1e-5, &mut got).unwrap();
        numerics::rms_norm(&x, &weight, 1e-5, &mut want);
        assert_same(&got, &want, &format!("norm of {n}"));

        x[n / 2] *= 60.0;
        x[n / 3] = [f32::NAN, f32::INFINITY, -0.0, 0.5][n % 4];
        for (kind, f) in [
            (GateKind::Relu2, numerics::relu2 as fn(f32) -> f32),
            (GateKind::Silu, numerics::silu),
            (GateKind::GeluTanh, numerics::gelu_tanh),
        ] {
            kernel.gate(kind, &x, &weight, &mut got).unwrap();
            let want: Vec<f32> = x.iter().zip(&weight).map(|(x, up)| f(*x) * up).collect();
            assert_same(&got, &want, &format!("{kind:?} of {n}"));
        }
        for group in (1..=n).filter(|group| n % group == 0) {
            check_quantize(&kernel, &x, group);
        }
        check_quantize(&kernel, &vec![0.0; n], n);
        check_quantize(&kernel, &vec![f32::NAN; n], n);
    }
    // Exactly halfway between integers.
    check_quantize(&kernel, &[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5], 8);
}

fn check_quantize(kernel: &TableKernel, x: &[f32], group: usize) {
    let what = format!("{} values in groups of {group}", x.len());
    let groups = x.len() / group;
    let mut q = vec![99; padded_stride(x.len())];
    let (mut scales, mut sums) = (vec![0.0; groups], vec![0; groups]);
    let mut row = QuantizedRow {
        q: &mut q,
        scales: &mut scales,
        sums: &mut sums,
    };
    kernel.quantize(x, group, &mut row).unwrap();
    for (g, x) in x.chunks(group).enumerate() {
        let m = numerics::abs_max(x);
        let want: Vec<i8> = x
            .iter()
            .map(|v| numerics::quantize_one(*v, numerics::quantize_factor(m)))
            .collect();
        assert_eq!(q[g * group..][..group], want, "{what}: group {g}");
        assert!(
            same(scales[g], numerics::activation_scale(m)),
            "{what}: scale {g}"
        );
        assert_eq!(
            sums[g],
            want.iter().map(|v| i32::from(*v)).sum::<i32>(),
            "{what}: sum {g}"
        );
    }
    assert!(q[x.len()..].iter().all(|v| *v == 0), "{what}: padding");
}

#[test]
fn rope_rotates_the_pairs_of_its_style() {
    let Some(kernel) = kernel() else { return };
    let random = &mut Random(6);
    for (head_dim, half) in [
        (2, 1),
        (7, 3),
        (16, 8),
        (40, 20),
        (64, 32),
        (80, 16),
        (128, 64),
    ] {
        let (cos, sin) = (random.floats(half), random.floats(half));
        for style in [RopeStyle::Half, RopeStyle::Interleaved] {
            let x = random.floats(3 * head_dim);
            let (mut got, mut want) = (x.clone(), x);
            let args = RopeArgs {
                head_dim,
                cos: &cos,
                sin: &sin,
                style,
            };
            kernel.rope(&mut got, &args).unwrap();
            for head in want.chunks_exact_mut(head_dim) {
                for i in 0..half {
                    let (i, j) = match style {
                        RopeStyle::Half => (i, i + half),
                        RopeStyle::Interleaved => (2 * i, 2 * i + 1),
                    };
                    let angle = if style == RopeStyle::Half { i } else { i / 2 };
                    let (a, b, cos, sin) = (head[i], head[j], cos[angle], sin[angle]);
                    head[i] = a.mul_add(cos, -(b * sin));
                    head[j] = b.mul_add(cos, a * sin);
                }
            }
            assert_same(
                &got,
                &want,
                &format!("{style:?} of {head_dim}, {half} pairs"),
            );
        }
    }
}

/// One query by the definition.
fn attention(args: &AttendArgs<'_>, token: usize, q: &[f32]) -> Vec<f32> {
    let end = args.len + token;
    let start = if args.window == 0 {
        0
    } else {
        end.saturating_sub(args.window)
    };
    let mut result: Option<(f32, f32, Vec<f32>)> = None;
    for chunk in start / PAGE_TOKENS..end.div_ceil(PAGE_TOKENS) {
        let (page, base) = (&args.pages[chunk], chunk * PAGE_TOKENS);
        let seen: Vec<usize> = (0..PAGE_TOKENS)
            .filter(|j| (start..end).contains(&(base + j)))
            .collect();
        let score = |j: usize| {
            let key = |d: usize| f16_to_f32(page.k()[d * PAGE_TOKENS + j]);
            q.iter()
                .enumerate()
                .fold(0.0f32, |acc, (d, q)| q.mul_add(key(d), acc))
                * args.scale
        };
        let m = seen
            .iter()
            .map(|j| score(*j))
            .fold(f32::NEG_INFINITY, f32::max);
        let (mut p, mut lanes) = ([0.0f32; PAGE_TOKENS], [0.0f32; 16]);
        for j in &seen {
            p[*j] = numerics::exp(score(*j) - m);
        }
        for (j, p) in p.iter().enumerate() {
            lanes[j % 16] += p;
        }
        let l = numerics::sum_lanes(lanes);
        let o: Vec<f32> = (0..args.head_dim)
            .map(|d| {
                let value = |j: usize| f16_to_f32(page.v()[j * args.head_dim + d]);
                seen.iter()
                    .fold(0.0f32, |acc, j| p[*j].mul_add(value(*j), acc))
            })
            .collect();
        result = Some(match result {
            None => (m, l, o),
            Some((max, sum, old)) => {
                let n = max.max(m);
                let (a, b) = (numerics::exp(max - n), numerics::exp(m - n));
                let merged = old
                    .iter()
                    .zip(&o)
                    .map(|(x, o)| x.mul_add(a, o * b))
                    .collect();
                (n, sum.mul_add(a, l * b), merged)
            }
        });
    }
    let (_, l, o) = result.unwrap();
    o.iter().map(|o| o * (1.0 / l)).collect()
}

#[test]
fn attention_follows_its_definition() {
    let Some(kernel) = kernel() else { return };
    let random = &mut Random(7);
    for (head_dim, heads) in [(1, 1), (8, 3), (20, 5), (32, 4), (64, 6), (80, 2), (128, 4)] {
        let cells: Vec<Vec<u16>> = (0..8)
            .map(|_| {
                (0..head_dim * 64)
                    .map(|_| f32_to_f16(random.float()))
                    .collect()
            })
            .collect();
        let pages: Vec<KvPage<'_>> = cells
            .chunks(2)
            .map(|kv| KvPage::new(&kv[0], &kv[1], head_dim).unwrap())
            .collect();
        for (tokens, len, window) in [
            (1, 1, 0),
            (1, 63, 0),
            (1, 64, 0),
            (1, 65, 0),
            (1, 200, 0),
            (1, 200, 70),
            (1, 130, 2),
            (3, 1, 0),
            (5, 62, 0),
            (7, 125, 64),
            (4, 128, 1),
            (70, 100, 0),
            (67, 60, 65),
        ] {
            let what = format!("{heads} of {head_dim}, {tokens} tokens, {len} of {window}");
            let (width, q_stride) = (heads * head_dim, heads * head_dim + 3);
            let q = random.floats(tokens * q_stride);
            let scale = 1.0 / (head_dim as f32).sqrt();
            let pages = &pages;
            let args = AttendArgs {
                q: &q,
                q_stride,
                tokens,
                heads,
                head_dim,
                pages,
                len,
                window,
                scale,
            };
            let need = ScratchNeed {
                max_tokens: tokens,
                max_heads: heads,
                max_head_dim: head_dim,
                ..ScratchNeed::default()
            };
            let mut scratch = vec![0xaa; kernel.scratch_bytes(&need)];
            let stride = width + 2;
            let mut got = vec![f32::NAN; tokens * stride];
            let mut out = MatOut::new(&mut got, stride, 1..width + 1).unwrap();
            kernel.attend(&args, &mut out, &mut scratch).unwrap();
            for (t, row) in got.chunks_exact(stride).enumerate() {
                assert!(
                    row[0].is_nan() && row[width + 1].is_nan(),
                    "{what}: wrote elsewhere"
                );
                for (h, got) in row[1..=width].chunks_exact(head_dim).enumerate() {
                    let q = &q[t * q_stride + h * head_dim..][..head_dim];
                    let what = format!("{what}: token {t}, head {h}");
                    assert_same(got, &attention(&args, t, q), &what);
                }
            }
        }
    }
}

#[test]
fn contradicting_arguments_are_refused() {
    let Some(kernel) = kernel() else { return };
    let bad = |result: Result<(), KernelError>| {
        assert!(
            matches!(result, Err(KernelError::BadArgument(_))),
            "{result:?}"
        );
    };
    let (rows, cols, tokens) = (64, 64, 8);
    let data = vec![0x55; t2r32::packed_bytes(rows, cols).unwrap()];
    let w = |data| TernaryMatrix {
        layout: LayoutId::T2R32,
        rows,
        cols,
        scales: WeightScales::Tensor(1.0),
        data,
    };
    let x = activations(&mut Random(1), tokens, cols, cols);
    let x = x.view(tokens, cols, cols);
    let need = ScratchNeed {
        max_cols: cols,
        max_tokens: tokens,
        ..ScratchNeed::default()
    };
    let enough = kernel.scratch_bytes(&need);
    let product = |w: &TernaryMatrix<'_>, range, scratch| {
        let mut buffer = vec![0.0; tokens * rows];
        let mut out = MatOut::new(&mut buffer, rows, range).unwrap();
        let scratch: &mut [u8] = &mut vec![0; scratch];
        kernel.matmul(w, &x, &mut out, scratch)
    };
    product(&w(&data), 0..64, enough).unwrap();
    product(&w(&data), 32..32, enough).unwrap();
    bad(product(&w(&data[1..]), 0..64, enough));
    bad(product(&w(&data), 16..64, enough));
    bad(product(&w(&data), 0..40, enough));
    bad(product(&w(&data), 0..64, 100));
    let other = TernaryMatrix {
        layout: LayoutId(77),
        ..w(&data)
    };
    bad(product(&other, 0..64, enough));
    bad(kernel.pack(
        &PackArgs {
            codes: &[0; 3],
            rows: 1,
            cols: 16,
        },
        &mut [0; 128],
    ));
    assert_eq!(kernel.packed_bytes(0, 1), None);
    assert_eq!(kernel.packed_bytes(1, 131_073), None);

    let cells = vec![0; 8 * PAGE_TOKENS];
    let pages = [KvPage::new(&cells, &cells, 8).unwrap()];
    let args = AttendArgs {
        q: &[0.0; 64],
        q_stride: 8,
        tokens,
        heads: 1,
        head_dim: 8,
        pages: &pages,
        len: 1,
        window: 0,
        scale: 1.0,
    };
    let mut buffer = vec![0.0; 64];
    let mut out = MatOut::new(&mut buffer, 8, 0..8).unwrap();
    bad(kernel.attend(&args, &mut out, &mut []));
}
