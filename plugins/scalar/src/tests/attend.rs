//! Attention.

use super::*;

/// `M`, `L` and `O` of one head.
type State = (f32, f32, Vec<f32>);

/// One head of one token, straight from the documentation of `AttendArgs`: the state after the
/// cells `seen`, if there is one.
fn attend_by_definition(
    q: &[f32],
    pages: &[KvPage<'_>],
    seen: Range<usize>,
    scale: f32,
) -> Option<State> {
    let dim = q.len();
    let mut state: Option<State> = None;
    for (chunk, page) in pages.iter().enumerate() {
        let base = chunk * PAGE_TOKENS;
        let visible: Vec<usize> = (0..PAGE_TOKENS)
            .filter(|j| seen.contains(&(base + j)))
            .collect();
        if visible.is_empty() {
            continue;
        }
        let key = |j: usize, d: usize| match page.cells() {
            Cells::F16 { k, .. } => f16_to_f32(k[d * PAGE_TOKENS + j]),
            Cells::F32 { k, .. } => k[d * PAGE_TOKENS + j],
            Cells::Q8 { k, .. } => f32::from(k[d * PAGE_TOKENS + j]),
        };
        let value = |j: usize, d: usize| match page.cells() {
            Cells::F16 { v, .. } => f16_to_f32(v[j * dim + d]),
            Cells::F32 { v, .. } => v[j * dim + d],
            Cells::Q8 { v, .. } => f32::from(v[j * dim + d]),
        };
        let (k_scale, v_scale) = match page.cells() {
            Cells::Q8 {
                k_scales, v_scales, ..
            } => (*k_scales, *v_scales),
            _ => ([1.0; PAGE_TOKENS], [1.0; PAGE_TOKENS]),
        };
        let mut s = [f32::NEG_INFINITY; PAGE_TOKENS];
        for j in &visible {
            let dot = (0..dim).fold(0.0f32, |acc, d| q[d].mul_add(key(*j, d), acc));
            s[*j] = dot * (scale * k_scale[*j]);
        }
        let m = s.iter().copied().fold(f32::NEG_INFINITY, f32::max) + 0.0;
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
                    (p[*j] * v_scale[*j]).mul_add(value(*j, d), acc)
                })
            })
            .collect();
        state = Some(match state {
            None => (m, l, o),
            Some(before) => merged(before, (m, l, o)),
        });
    }
    state
}

fn merged((max, sum, o): State, (m, l, new): State) -> State {
    let n = max.max(m);
    let (a, b) = (exp(max - n), exp(m - n));
    let o = o.iter().zip(new).map(|(x, o)| x.mul_add(a, o * b));
    (n, sum.mul_add(a, l * b), o.collect())
}

/// Keys and values of one page, as the generator makes them.
struct Page {
    halves: [Vec<u16>; 2],
    floats: [Vec<f32>; 2],
    codes: [Vec<i8>; 2],
    scales: [[f32; PAGE_TOKENS]; 2],
}

impl Page {
    fn new(rng: &mut Rng, dim: usize) -> Self {
        let n = dim * PAGE_TOKENS;
        let mut half = || (0x3800 + (rng.next() & 0xc00) + (rng.next() & 0x83ff)) as u16;
        let halves = core::array::from_fn(|_| (0..n).map(|_| half()).collect());
        let floats = core::array::from_fn(|_| rng.floats(n));
        let codes = core::array::from_fn(|_| (0..n).map(|_| rng.next() as i8).collect());
        let scales = core::array::from_fn(|_| core::array::from_fn(|_| rng.floats(1)[0] * 0.01));
        Self {
            halves,
            floats,
            codes,
            scales,
        }
    }

    fn view(&self, format: KvFormat, dim: usize) -> KvPage<'_> {
        let [k, v] = &self.codes;
        let [k_scales, v_scales] = &self.scales;
        let page = match format {
            KvFormat::F16 => KvPage::f16(&self.halves[0], &self.halves[1], dim),
            KvFormat::F32 => KvPage::f32(&self.floats[0], &self.floats[1], dim),
            KvFormat::Q8 => KvPage::q8((k, k_scales), (v, v_scales), dim),
        };
        page.unwrap()
    }
}

fn check_attention(
    rng: &mut Rng,
    (tokens, heads, dim): (usize, usize, usize),
    len: usize,
    window: usize,
    format: KvFormat,
) {
    let count = (len + tokens - 1).div_ceil(PAGE_TOKENS);
    let cells: Vec<Page> = (0..count).map(|_| Page::new(rng, dim)).collect();
    let pages: Vec<KvPage<'_>> = cells.iter().map(|page| page.view(format, dim)).collect();
    let (width, q_stride) = (heads * dim, heads * dim + 5);
    let q = rng.floats((tokens - 1) * q_stride + width);
    let args = AttendArgs {
        q: &q,
        q_stride,
        tokens,
        heads,
        head_dim: dim,
        pages: &pages,
        first: 0,
        len,
        window,
        scale: 0.3,
        partial: false,
    };
    let run = |args: &AttendArgs<'_>| {
        let width = args.width();
        let (a, b) = both(
            tokens,
            width + 4,
            2..width + 2,
            |out| Scalar.attend(args, out, &mut []).unwrap(),
            |out| crate::attend::body(args, out),
        );
        assert_eq!(bits(&a), bits(&b), "compilations differ");
        a
    };
    let whole = run(&args);
    // The same in two parts, and the parts merged.
    let cut = (rng.next() as usize) % count;
    let parts = [(0, 0..cut), (cut * PAGE_TOKENS, cut..count)].map(|(first, part)| {
        (!part.is_empty()).then(|| {
            run(&AttendArgs {
                first,
                pages: &pages[part],
                partial: true,
                ..args
            })
        })
    });
    for t in 0..tokens {
        let end = len + t;
        let start = match window {
            0 => 0,
            window => end.saturating_sub(window),
        };
        let part_width = width + 2 * heads;
        let rows = parts.each_ref().map(|part| {
            let part = part.as_ref()?;
            Some(&part[t * (part_width + 4) + 2..][..part_width])
        });
        let both = rows[0].zip(rows[1]).map(|(first, second)| {
            let mut acc = first.to_vec();
            Scalar.attend_merge(heads, dim, &mut acc, second).unwrap();
            acc
        });
        for h in 0..heads {
            let q = &q[t * q_stride + h * dim..][..dim];
            let at = cut * PAGE_TOKENS;
            let want = attend_by_definition(q, &pages, start..end, 0.3).unwrap();
            let got = &whole[t * (width + 4) + 2 + h * dim..][..dim];
            let normed: Vec<f32> = want.2.iter().map(|o| o * (1.0 / want.1)).collect();
            assert_eq!(bits(got), bits(&normed), "token {t} head {h}");
            let wants = [
                attend_by_definition(q, &pages[..cut], start..end.min(at), 0.3),
                attend_by_definition(
                    q,
                    &pages[cut..],
                    start.saturating_sub(at)..end.saturating_sub(at),
                    0.3,
                ),
            ];
            let check = |row: &[f32], want: &Option<State>| {
                let (m, l, o) = want.clone().unwrap_or((0.0, 0.0, vec![0.0; dim]));
                let state = &row[width + 2 * h..][..2];
                assert_eq!(bits(state), bits(&[m, l]), "token {t} head {h}");
                assert_eq!(bits(&row[h * dim..][..dim]), bits(&o), "token {t} head {h}");
            };
            for (row, want) in rows.iter().zip(&wants) {
                if let Some(row) = row {
                    check(row, want);
                }
            }
            if let Some(both) = &both {
                let [a, b] = wants;
                let want = match (a, b) {
                    (Some(a), Some(b)) => Some(merged(a, b)),
                    (a, b) => a.or(b),
                };
                check(both, &want);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(96)))]

    #[test]
    fn attention_follows_the_definition(
        seed: u64, tokens in 1..end(6), heads in 1..end(11), dim in 1..end(40),
        len in 1usize..200, window in 0usize..90, format in 0u32..3
    ) {
        let format = KvFormat::from_u32(format).unwrap();
        check_attention(&mut Rng(seed), (tokens, heads, dim), len, window, format);
    }
}
