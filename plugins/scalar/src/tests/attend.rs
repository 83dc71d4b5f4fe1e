//! Attention.

use super::*;

/// One head of one token, straight from the documentation of `AttendArgs`.
fn attend_by_definition(
    q: &[f32],
    pages: &[KvPage<'_>],
    seen: Range<usize>,
    scale: f32,
) -> Vec<f32> {
    let dim = q.len();
    let (mut max, mut sum, mut result) = (0.0f32, 0.0f32, Vec::new());
    for (chunk, page) in pages.iter().enumerate() {
        let base = chunk * PAGE_TOKENS;
        let visible: Vec<usize> = (0..PAGE_TOKENS)
            .filter(|j| seen.contains(&(base + j)))
            .collect();
        if visible.is_empty() {
            continue;
        }
        let (keys, values) = (page.k(), page.v());
        let mut s = [f32::NEG_INFINITY; PAGE_TOKENS];
        for j in &visible {
            let dot = (0..dim).fold(0.0f32, |acc, d| {
                q[d].mul_add(f16_to_f32(keys[d * PAGE_TOKENS + j]), acc)
            });
            s[*j] = dot * scale;
        }
        let m = s.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut p = [0.0f32; PAGE_TOKENS];
        for j in &visible {
            p[*j] = exp(s[*j] - m);
        }
        let l = sum_lanes(core::array::from_fn(|i| {
            p[i] + p[i + 16] + p[i + 32] + p[i + 48]
        }));
        let o: Vec<f32> = (0..dim)
            .map(|d| {
                visible.iter().fold(0.0f32, |acc, j| {
                    p[*j].mul_add(f16_to_f32(values[j * dim + d]), acc)
                })
            })
            .collect();
        if result.is_empty() {
            (max, sum, result) = (m, l, o);
        } else {
            let n = max.max(m);
            let (a, b) = (exp(max - n), exp(m - n));
            sum = sum.mul_add(a, l * b);
            for (total, o) in result.iter_mut().zip(o) {
                *total = total.mul_add(a, o * b);
            }
            max = n;
        }
    }
    result.iter().map(|o| o * (1.0 / sum)).collect()
}

fn check_attention(
    rng: &mut Rng,
    (tokens, heads, dim): (usize, usize, usize),
    len: usize,
    window: usize,
) {
    let count = (len + tokens - 1).div_ceil(PAGE_TOKENS);
    let mut half = || (0x3800 + (rng.next() & 0xc00) + (rng.next() & 0x83ff)) as u16;
    let cells: Vec<[Vec<u16>; 2]> = (0..count)
        .map(|_| core::array::from_fn(|_| (0..dim * PAGE_TOKENS).map(|_| half()).collect()))
        .collect();
    let pages: Vec<KvPage<'_>> = cells
        .iter()
        .map(|[k, v]| KvPage::new(k, v, dim).unwrap())
        .collect();
    let (width, q_stride) = (heads * dim, heads * dim + 5);
    let q = rng.floats((tokens - 1) * q_stride + width);
    let args = AttendArgs {
        q: &q,
        q_stride,
        tokens,
        heads,
        head_dim: dim,
        pages: &pages,
        len,
        window,
        scale: 0.3,
    };
    let (a, b) = both(
        tokens,
        width + 4,
        2..width + 2,
        |out| Scalar.attend(&args, out, &mut []).unwrap(),
        |out| crate::attend::body(&args, out),
    );
    assert_eq!(bits(&a), bits(&b), "compilations differ");
    for t in 0..tokens {
        let end = len + t;
        let start = if window == 0 {
            0
        } else {
            end.saturating_sub(window)
        };
        for h in 0..heads {
            let q = &q[t * q_stride + h * dim..][..dim];
            let want = attend_by_definition(q, &pages, start..end, 0.3);
            let got = &a[t * (width + 4) + 2 + h * dim..][..dim];
            assert_eq!(bits(got), bits(&want), "token {t} head {h}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attention_follows_the_definition(
        seed: u64, tokens in 1usize..6, heads in 1usize..11, dim in 1usize..40,
        len in 1usize..200, window in 0usize..90
    ) {
        check_attention(&mut Rng(seed), (tokens, heads, dim), len, window);
    }
}
