//! The output head.

use core::ops::Range;

use tritone_abi::{Activations, HeadFormat, HeadInput, HeadMatrix, ScratchNeed};

use super::{ZEROS, refused, starve};
use crate::data::{Inputs, Output, Quantized, Rng, scratch};
use crate::suite::{Outcome, Suite};

pub(super) struct Logits<'a> {
    pub(super) w: HeadMatrix<'a>,
    pub(super) x: HeadInput<'a>,
    pub(super) tokens: usize,
    pub(super) range: Range<usize>,
}

/// Spoils good arguments in the way it is named.
type Change = (&'static str, fn(&mut Logits<'_>));

impl Logits<'_> {
    const COLS: usize = 96;

    const CHANGES: &'static [Change] = &[
        ("data too short", |l| l.w.data = &l.w.data[1..]),
        ("no data", |l| l.w.data = &[]),
        ("more rows than data", |l| l.w.rows += 16),
        ("no rows", |l| l.w.rows = 0),
        ("another width", |l| l.w.cols = 64),
        ("range starts inside a group", |l| l.range.start = 8),
        ("range ends inside a group", |l| l.range.end = 17),
        ("range ends beyond the rows", |l| l.range.end = l.w.rows + 1),
        ("range ends in the padding", |l| l.range.end = 48),
        ("more output rows than inputs", |l| l.tokens += 1),
        ("input too short", |l| match &mut l.x {
            HeadInput::F32 { x, .. } => *x = &x[1..],
            HeadInput::Int8(x) => x.q = &x.q[1..],
        }),
        ("input of the other kind", |l| {
            l.x = match l.x {
                HeadInput::F32 { .. } => HeadInput::Int8(Activations {
                    tokens: 2,
                    cols: Self::COLS,
                    group: 32,
                    q: &[0; 256],
                    scales: &ZEROS[..6],
                    sums: &[0; 6],
                }),
                HeadInput::Int8(_) => HeadInput::F32 {
                    x: &ZEROS[..2 * Self::COLS],
                    tokens: 2,
                },
            };
        }),
    ];

    pub(super) fn with<T>(
        format: HeadFormat,
        rng: &mut Rng,
        run: impl FnOnce(Logits<'_>, &mut Rng) -> Result<T, String>,
    ) -> Result<T, String> {
        let (rows, cols, tokens) = (37, Self::COLS, 2);
        // A head of zero bytes is a good head: all values at the bottom of the range, scale 0.
        let data = vec![0; format.bytes(rows, cols).ok_or("the head is too large")?];
        let floats = rng.floats(tokens * cols, 1.0);
        let quantized = Quantized::new((tokens, cols, 32), Inputs::Random, rng)?;
        let x = match format {
            HeadFormat::F16 => HeadInput::F32 { x: &floats, tokens },
            _ => HeadInput::Int8(quantized.view()),
        };
        let w = HeadMatrix {
            format,
            rows,
            cols,
            data: &data,
        };
        run(
            Logits {
                w,
                x,
                tokens,
                range: 0..rows,
            },
            rng,
        )
    }

    fn need() -> ScratchNeed {
        ScratchNeed {
            max_cols: Self::COLS,
            max_tokens: 2,
            ..ScratchNeed::default()
        }
    }
}

pub(crate) fn head_cases(suite: &mut Suite<'_>) {
    for format in [
        HeadFormat::F16,
        HeadFormat::Q8,
        HeadFormat::Q6,
        HeadFormat::Q4,
    ] {
        for (name, change) in Logits::CHANGES {
            suite.case(
                format_args!("{format:?}, bad arguments: {name}"),
                |kernel, rng| {
                    Logits::with(format, rng, |mut l, rng| {
                        change(&mut l);
                        let mut out = Output::new(l.tokens, 64, l.range.clone(), 1);
                        let mut scratch = scratch(kernel, &Logits::need(), rng);
                        let result = out.view().and_then(|mut out| {
                            kernel.head(&l.w, &l.x, &mut out, scratch.get_mut())
                        });
                        refused(result)?;
                        out.untouched()?;
                        scratch.intact("scratch memory")?;
                        Ok(Outcome::Passed)
                    })
                },
            );
        }
        suite.case(
            format_args!("{format:?}, too little scratch memory"),
            |kernel, rng| {
                Logits::with(format, rng, |l, rng| {
                    let call = |out: &mut Output, scratch: &mut [u8]| {
                        kernel.head(&l.w, &l.x, &mut out.view()?, scratch)
                    };
                    let output = || Output::new(l.tokens, 40, l.range.clone(), 1);
                    starve(kernel.scratch_bytes(&Logits::need()), rng, call, output)
                })
            },
        );
    }
    suite.case(
        format_args!("bad arguments: groups of 96"),
        |kernel, rng| {
            let x = Quantized::new((2, Logits::COLS, Logits::COLS), Inputs::Random, rng)?;
            Logits::with(HeadFormat::Q8, rng, |l, rng| {
                let x = HeadInput::Int8(x.view());
                let mut out = Output::new(2, 64, l.range.clone(), 1);
                let mut scratch = scratch(kernel, &Logits::need(), rng);
                let result = out
                    .view()
                    .and_then(|mut out| kernel.head(&l.w, &x, &mut out, scratch.get_mut()));
                refused(result)?;
                out.untouched()?;
                Ok(Outcome::Passed)
            })
        },
    );
}
