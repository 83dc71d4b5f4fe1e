//! Attention.

use core::ops::Range;

use tritone_abi::{AttendArgs, KvFormat, KvPage};

use super::{ZEROS, refused, starve, verdict};
use crate::attend::need;
use crate::cache::Cache;
use crate::data::{Guarded, Output, POISON, Rng, scratch};
use crate::suite::{Outcome, Suite};

pub(super) struct Attention<'a> {
    pub(super) args: AttendArgs<'a>,
    pub(super) tokens: usize,
    pub(super) range: Range<usize>,
    /// As many pages, the last of them of another format.
    mixed: &'a [KvPage<'a>],
}

/// Spoils good arguments in the way it is named.
type Change = (&'static str, fn(&mut Attention<'_>));

impl Attention<'_> {
    const CHANGES: &'static [Change] = &[
        ("queries too short", |a| a.args.q = &a.args.q[1..]),
        ("queries overlap", |a| a.args.q_stride -= 17),
        ("query stride overflows", |a| a.args.q_stride = usize::MAX),
        ("no token", |a| a.args.tokens = 0),
        ("no head", |a| a.args.heads = 0),
        ("no position", |a| a.args.len = 0),
        ("positions beyond the pages", |a| a.args.len = 128),
        ("positions overflow", |a| a.args.len = usize::MAX),
        ("heads overflow", |a| a.args.heads = usize::MAX / 2),
        ("pages of another head size", |a| {
            (a.args.heads, a.args.head_dim) = (a.args.heads * 2, a.args.head_dim / 2);
        }),
        ("pages of two formats", |a| a.args.pages = a.mixed),
        ("first page starts inside a page", |a| a.args.first = 32),
        ("first page behind the first visible position", |a| {
            (a.args.first, a.args.len) = (64, 150);
        }),
        ("no room for a partial result", |a| a.args.partial = true),
        ("room for a partial result too wide", |a| {
            (a.args.partial, a.range.end) = (true, a.range.end + 5);
        }),
        ("first page overflows", |a| {
            (a.args.partial, a.range.end) = (true, a.range.end + 4);
            a.args.first = usize::MAX - 63;
        }),
        ("partial, no pages", |a| {
            (a.args.partial, a.range.end) = (true, a.range.end + 4);
            a.args.pages = &[];
        }),
        ("a page is missing", |a| a.args.pages = &a.args.pages[1..]),
        ("output too narrow", |a| a.range.end -= 1),
        ("output too wide", |a| a.range.end += 1),
        ("output has fewer rows", |a| a.tokens -= 1),
        ("output has more rows", |a| a.tokens += 1),
    ];

    pub(super) fn with<T>(
        rng: &mut Rng,
        run: impl FnOnce(Attention<'_>, &mut Rng) -> Result<T, String>,
    ) -> Result<T, String> {
        let (tokens, heads, head_dim, len) = (2, 2, 64, 100);
        let cache =
            |format, rng: &mut Rng| Cache::new(format, head_dim, 0..len + tokens - 1, 2, rng);
        let (cache, other) = (cache(KvFormat::F16, rng), cache(KvFormat::Q8, rng));
        let (pages, width) = (cache.view()?, heads * head_dim);
        let mixed = [pages[0], other.view()?[1]];
        let q_stride = width + 16;
        let q = rng.floats((tokens - 1) * q_stride + width, 1.0);
        let args = AttendArgs {
            q: &q,
            q_stride,
            tokens,
            heads,
            head_dim,
            pages: &pages,
            first: 0,
            len,
            window: 0,
            scale: 0.1,
            partial: false,
        };
        run(
            Attention {
                args,
                tokens,
                range: 0..width,
                mixed: &mixed,
            },
            rng,
        )
    }
}

pub(crate) fn attend_cases(suite: &mut Suite<'_>) {
    for (name, change) in Attention::CHANGES {
        suite.case(format_args!("bad arguments: {name}"), |kernel, rng| {
            Attention::with(rng, |mut a, rng| {
                let good = need(&a.args);
                change(&mut a);
                let mut out = Output::new(a.tokens, 160, a.range.clone(), 1);
                let mut scratch = scratch(kernel, &good, rng);
                let result = out
                    .view()
                    .and_then(|mut out| kernel.attend(&a.args, &mut out, scratch.get_mut()));
                refused(result)?;
                out.untouched()?;
                scratch.intact("scratch memory")?;
                Ok(Outcome::Passed)
            })
        });
    }
    suite.case(format_args!("too little scratch memory"), |kernel, rng| {
        Attention::with(rng, |a, rng| {
            let call = |out: &mut Output, scratch: &mut [u8]| {
                kernel.attend(&a.args, &mut out.view()?, scratch)
            };
            let output = || Output::new(a.tokens, 128, a.range.clone(), 1);
            starve(kernel.scratch_bytes(&need(&a.args)), rng, call, output)
        })
    });
}

pub(crate) fn merge_cases(suite: &mut Suite<'_>) {
    // Heads, their size, and the lengths of the rows.
    let bad = [
        ("acc too short", [2, 64, 131, 132]),
        ("acc too long", [2, 64, 133, 132]),
        ("next too short", [2, 64, 132, 131]),
        ("next too long", [2, 64, 132, 133]),
        ("no room for the states", [2, 64, 128, 128]),
        ("no heads", [0, 64, 0, 0]),
        ("no head size", [2, 0, 4, 4]),
        ("shape overflows", [4, usize::MAX / 2, 132, 132]),
    ];
    for (name, [heads, head_dim, acc, next]) in bad {
        suite.case(format_args!("bad arguments: {name}"), |kernel, _| {
            let mut acc = Guarded::new(acc, 1, POISON, POISON);
            refused(kernel.attend_merge(heads, head_dim, acc.get_mut(), &ZEROS[..next]))?;
            verdict(acc.all_guard())
        });
    }
}
