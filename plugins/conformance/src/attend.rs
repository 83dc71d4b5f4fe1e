//! Attention.

use tritone_abi::{AttendArgs, Kernel, KvPage, PAGE_TOKENS, ScratchNeed};
use tritone_scalar::Scalar;

use crate::data::{Guarded, Output, POISON, Rng, scratch};
use crate::misuse;
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

const DIMS: [usize; 8] = [64, 80, 96, 128, 256, 20, 33, 1];
const LENGTHS: [usize; 13] = [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 1000];
const TOKENS: [usize; 4] = [1, 2, 5, 17];
const WINDOWS: [usize; 5] = [0, 1, 7, 64, 100];
const HEADS: [usize; 7] = [1, 2, 3, 4, 5, 8, 9];

/// What the visible cells hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Plain,
    /// Scores far beyond the range of the exponential.
    BigScores,
    /// All scores equal: queries are zero.
    Flat,
    /// The oldest and the newest position hold NaN among their values; a token that does not see
    /// them must not notice.
    BadEnds,
}

const CONTENTS: [Contents; 4] = [
    Contents::Plain,
    Contents::BigScores,
    Contents::BadEnds,
    Contents::Flat,
];

#[derive(Clone, Copy, Debug)]
struct Case {
    tokens: usize,
    heads: usize,
    head_dim: usize,
    len: usize,
    window: usize,
    contents: Contents,
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let mut n = 0;
    for head_dim in DIMS {
        for len in LENGTHS {
            let (windows, tokens) = if suite.full() {
                (&WINDOWS[..], &TOKENS[..])
            } else {
                let (w, t) = (n % WINDOWS.len(), n / 3 % TOKENS.len());
                (&WINDOWS[w..=w], &TOKENS[t..=t])
            };
            for window in windows {
                for tokens in tokens {
                    n += 1;
                    attend(
                        suite,
                        Case {
                            tokens: *tokens,
                            heads: HEADS[n % HEADS.len()],
                            head_dim,
                            len,
                            window: *window,
                            contents: CONTENTS[n / 2 % CONTENTS.len()],
                        },
                    );
                }
            }
        }
    }
    // Every window with every count of tokens, across the border of a chunk.
    for (i, window) in WINDOWS.into_iter().enumerate() {
        for (j, tokens) in TOKENS.into_iter().enumerate() {
            for (len, contents) in [(60, Contents::Plain), (121, Contents::BadEnds)] {
                attend(
                    suite,
                    Case {
                        tokens,
                        heads: HEADS[(i + j) % HEADS.len()],
                        head_dim: 64,
                        len,
                        window,
                        contents,
                    },
                );
            }
        }
    }
    misuse::attend_cases(suite);
}

/// The cells of a cache: garbage wherever no token may look.
pub(crate) struct Cache {
    head_dim: usize,
    pages: Vec<[Guarded<u16>; 2]>,
}

impl Cache {
    /// Pages for `positions`, of which those from `first` on are visible to some token, and one
    /// page of garbage more when `extra` is set.
    pub(crate) fn new(
        head_dim: usize,
        first: usize,
        positions: usize,
        extra: bool,
        rng: &mut Rng,
    ) -> Self {
        let count = positions.div_ceil(PAGE_TOKENS) + usize::from(extra);
        let pages = (0..count).map(|page| {
            let cells = head_dim * PAGE_TOKENS;
            let mut k = Guarded::new(cells, rng.below(32), 0, 0x7e77);
            let mut v = Guarded::new(cells, rng.below(32), 0, 0x7e77);
            for i in 0..cells {
                // Keys lie [head_dim][64], values [64][head_dim].
                let seen = |j| (first..positions).contains(&(page * PAGE_TOKENS + j));
                for (out, j) in [(&mut k, i % PAGE_TOKENS), (&mut v, i / head_dim)] {
                    out.get_mut()[i] = if seen(j) { rng.half() } else { rng.bad_half() };
                }
            }
            [k, v]
        });
        let pages = pages.collect();
        Self { head_dim, pages }
    }

    /// Puts NaN into the first and the last value of a position.
    fn spoil(&mut self, position: usize) {
        let start = position % PAGE_TOKENS * self.head_dim;
        let v = &mut self.pages[position / PAGE_TOKENS][1];
        v.get_mut()[start] = 0x7e01;
        v.get_mut()[start + self.head_dim - 1] = 0xfe55;
    }

    pub(crate) fn view(&self) -> Result<Vec<KvPage<'_>>, String> {
        self.pages
            .iter()
            .map(|[k, v]| KvPage::f16(k.get(), v.get(), self.head_dim))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
}

fn attend(suite: &mut Suite<'_>, case: Case) {
    suite.case(format_args!("{case:?}"), |kernel, rng| {
        run(kernel, &case, rng)
    });
}

fn run(kernel: &dyn Kernel, case: &Case, rng: &mut Rng) -> Verdict {
    let &Case {
        tokens,
        heads,
        head_dim,
        len,
        window,
        contents,
    } = case;
    let positions = len + tokens - 1;
    let first = match window {
        0 => 0,
        _ => len.saturating_sub(window),
    };
    let mut cache = Cache::new(head_dim, first, positions, rng.below(3) == 0, rng);
    if contents == Contents::BadEnds {
        cache.spoil(positions - 1);
        // Without a window every token sees the oldest position: nothing to tell apart then.
        if first > 0 {
            cache.spoil(first);
        }
    }
    let pages = cache.view()?;
    let width = heads * head_dim;
    let q_stride = width + rng.below(40);
    let (size, scale) = match contents {
        Contents::BigScores => (1e4, 50.0),
        Contents::Flat => (0.0, 1.0),
        _ => (3.0, 1.0 / (head_dim as f32).sqrt()),
    };
    let q = rng.floats((tokens - 1) * q_stride + width, size);
    let q = Guarded::of(&q, rng.below(16), POISON);
    let args = AttendArgs {
        q: q.get(),
        q_stride,
        tokens,
        heads,
        head_dim,
        pages: &pages,
        first: 0,
        len,
        window,
        scale,
        partial: false,
    };
    let mut want = Output::new(tokens, width, 0..width, 0);
    oracle(
        want.view()
            .and_then(|mut out| Scalar.attend(&args, &mut out, &mut [])),
    )?;
    let before = rng.below(20);
    let range = before..before + width;
    let mut got = Output::new(tokens, range.end + rng.below(20), range, rng.below(16));
    let mut scratch = scratch(kernel, &need(&args), rng);
    worked(
        got.view()
            .and_then(|mut out| kernel.attend(&args, &mut out, scratch.get_mut())),
    )?;
    scratch.intact("scratch memory")?;
    got.compare(want.cells(), width, 0)?;
    Ok(Outcome::Passed)
}

/// The scratch memory an attention call may count on.
pub(crate) fn need(args: &AttendArgs<'_>) -> ScratchNeed {
    ScratchNeed {
        max_cols: 0,
        max_tokens: args.tokens,
        max_heads: args.heads,
        max_head_dim: args.head_dim,
    }
}
