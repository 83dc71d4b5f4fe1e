//! Attention over the paged KV cache.

use tritone_abi::numerics::{self, f16_to_f32, f32_to_f16};
use tritone_abi::{AttendArgs, Cells, Kernel, KvPage, MatOut, PAGE_TOKENS, ScratchNeed};

use crate::data::{Random, assert_same};
use crate::kernel;

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
        let Cells::F16 { k, v } = page.cells() else {
            panic!("binary16 cells");
        };
        let seen: Vec<usize> = (0..PAGE_TOKENS)
            .filter(|j| (start..end).contains(&(base + j)))
            .collect();
        let score = |j: usize| {
            let key = |d: usize| f16_to_f32(k[d * PAGE_TOKENS + j]);
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
                let value = |j: usize| f16_to_f32(v[j * args.head_dim + d]);
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
            .map(|kv| KvPage::f16(&kv[0], &kv[1], head_dim).unwrap())
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
                first: 0,
                len,
                window,
                scale,
                partial: false,
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
