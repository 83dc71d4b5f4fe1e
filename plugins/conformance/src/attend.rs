//! Attention.

use core::ops::Range;

use tritone_abi::{AttendArgs, Kernel, KvFormat, PAGE_TOKENS, ScratchNeed};
use tritone_scalar::Scalar;

use crate::cache::Cache;
use crate::data::{Guarded, Output, POISON, Rng, scratch};
use crate::misuse;
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

pub(crate) const DIMS: [usize; 8] = [64, 80, 96, 128, 256, 20, 33, 1];
const LENGTHS: [usize; 13] = [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 1000];
const TOKENS: [usize; 4] = [1, 2, 5, 17];
const WINDOWS: [usize; 9] = [0, 1, 7, 63, 64, 65, 100, 512, 4096];
pub(crate) const HEADS: [usize; 7] = [1, 2, 3, 4, 5, 8, 9];
const FORMATS: [KvFormat; 3] = [KvFormat::F16, KvFormat::Q8, KvFormat::F32];

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

#[derive(Clone, Debug)]
struct Case {
    format: KvFormat,
    tokens: usize,
    heads: usize,
    head_dim: usize,
    len: usize,
    window: usize,
    contents: Contents,
    /// Pages that a partial result is wanted of. Without, the whole result is, of all pages or
    /// of those that the window reaches.
    part: Option<Range<usize>>,
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let mut n = 0;
    for head_dim in suite.sizes(DIMS) {
        for len in suite.sizes(LENGTHS) {
            let (every_window, every_tokens) = (suite.sizes(WINDOWS), suite.sizes(TOKENS));
            let (windows, tokens) = if suite.full() {
                (&every_window[..], &every_tokens[..])
            } else {
                let (w, t) = (n % WINDOWS.len(), n / 3 % TOKENS.len());
                (&every_window[w..=w], &every_tokens[t..=t])
            };
            for window in windows {
                for tokens in tokens {
                    n += 1;
                    attend(
                        suite,
                        Case {
                            format: FORMATS[n / 4 % 3],
                            tokens: *tokens,
                            heads: HEADS[n % HEADS.len()],
                            head_dim,
                            len,
                            window: *window,
                            contents: CONTENTS[n / 2 % CONTENTS.len()],
                            part: None,
                        },
                    );
                }
            }
        }
    }
    // Every window with every count of tokens, across the border of a chunk.
    for (i, window) in suite.sizes(WINDOWS).into_iter().enumerate() {
        for (j, tokens) in suite.sizes(TOKENS).into_iter().enumerate() {
            for (len, contents) in [
                (60, Contents::Plain),
                (121, Contents::BadEnds),
                (570, Contents::BadEnds),
            ] {
                attend(
                    suite,
                    Case {
                        format: FORMATS[(i + j) % 3],
                        tokens,
                        heads: HEADS[(i + j) % HEADS.len()],
                        head_dim: 64,
                        len,
                        window,
                        contents,
                        part: None,
                    },
                );
            }
        }
    }
    parts(suite);
    spans(suite);
    misuse::attend_cases(suite);
}

/// Partial results: of the first pages, of some in the middle, of the last and beyond, where some
/// tokens or all of them see nothing.
fn parts(suite: &mut Suite<'_>) {
    let mut n = 0;
    for format in FORMATS {
        for (len, tokens, window) in [
            (1, 1, 0),
            (64, 1, 0),
            (64, 3, 0),
            (60, 17, 7),
            (130, 5, 0),
            (190, 5, 5),
            (190, 17, 100),
            (300, 2, 64),
            (191, 17, 1),
            (250, 2, 63),
            (250, 5, 65),
            (260, 5, 512),
            (200, 17, 4096),
        ] {
            for part in [0..1, 0..2, 1..2, 1..4, 3..4, 2..6] {
                n += 1;
                attend(
                    suite,
                    Case {
                        format,
                        tokens,
                        heads: HEADS[n % HEADS.len()],
                        head_dim: [64, 80, 128, 33, 20][n / 3 % 5],
                        len,
                        window,
                        contents: CONTENTS[n % CONTENTS.len()],
                        part: Some(part),
                    },
                );
            }
        }
    }
}

/// A window that reaches over the border of two spans of 512 positions, each of them in part.
fn spans(suite: &mut Suite<'_>) {
    for (n, (window, part)) in [
        (512, 0..8),
        (512, 8..16),
        (512, 3..8),
        (65, 7..8),
        (63, 8..10),
        (4096, 0..8),
        (100, 0..8),
    ]
    .into_iter()
    .enumerate()
    {
        for tokens in [1, 16] {
            attend(
                suite,
                Case {
                    format: FORMATS[n % 3],
                    tokens,
                    heads: HEADS[n],
                    head_dim: 64,
                    len: 570,
                    window,
                    contents: CONTENTS[n % CONTENTS.len()],
                    part: Some(part.clone()),
                },
            );
        }
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
        ..
    } = case;
    let positions = len + tokens - 1;
    let oldest = match window {
        0 => 0,
        _ => len.saturating_sub(window),
    };
    let needed = positions.div_ceil(PAGE_TOKENS);
    let given = match &case.part {
        Some(part) => part.clone(),
        None => rng.below(2) * (oldest / PAGE_TOKENS)..needed + usize::from(rng.below(3) == 0),
    };
    let count = needed.max(given.end);
    let mut cache = Cache::new(case.format, head_dim, oldest..positions, count, rng);
    if contents == Contents::BadEnds {
        cache.spoil(positions - 1);
        // Without a window every token sees the oldest position: nothing to tell apart then.
        if oldest > 0 {
            cache.spoil(oldest);
        }
    }
    let pages = cache.view()?;
    let q_stride = heads * head_dim + rng.below(40);
    let (size, scale) = match contents {
        Contents::BigScores => (1e4, 50.0),
        Contents::Flat => (0.0, 1.0),
        _ => (3.0, 1.0 / (head_dim as f32).sqrt()),
    };
    let q = rng.floats((tokens - 1) * q_stride + heads * head_dim, size);
    let q = Guarded::of(&q, rng.below(16), POISON);
    let args = AttendArgs {
        q: q.get(),
        q_stride,
        tokens,
        heads,
        head_dim,
        pages: &pages[given.clone()],
        first: given.start * PAGE_TOKENS,
        len,
        window,
        scale,
        partial: case.part.is_some(),
    };
    let width = args.width();
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
