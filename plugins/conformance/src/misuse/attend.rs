//! Attention.

use core::ops::Range;

use tritone_abi::AttendArgs;

use super::{refused, starve};
use crate::attend::{Cache, need};
use crate::data::{Output, Rng, scratch};
use crate::suite::{Outcome, Suite};

pub(super) struct Attention<'a> {
    pub(super) args: AttendArgs<'a>,
    pub(super) tokens: usize,
    pub(super) range: Range<usize>,
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
        let cache = Cache::new(head_dim, 0, len + tokens - 1, false, rng);
        let (pages, width) = (cache.view()?, heads * head_dim);
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
