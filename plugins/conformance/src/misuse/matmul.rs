//! The ternary product and its packing.

use core::ops::Range;

use tritone_abi::{
    Activations, Kernel, LayoutId, PackArgs, ScratchNeed, TernaryMatrix, WeightScales,
};

use super::{ZEROS, refused, starve, verdict};
use crate::data::{Guarded, Inputs, Output, Quantized, Rng, canonical, scratch};
use crate::pack::pack_codes;
use crate::suite::{Outcome, Suite};

struct Product<'a> {
    w: TernaryMatrix<'a>,
    x: Activations<'a>,
    tokens: usize,
    range: Range<usize>,
    align: usize,
    /// The packed bytes and one more.
    longer: &'a [u8],
}

const PRODUCT_COLS: usize = 128;

/// Spoils good arguments in the way it is named.
type Change = (&'static str, fn(&mut Product<'_>));

impl Product<'_> {
    const CHANGES: &'static [Change] = &[
        ("packed bytes too short", |p| p.w.data = &p.w.data[1..]),
        ("packed bytes too long", |p| p.w.data = p.longer),
        ("no packed bytes", |p| p.w.data = &[]),
        ("another layout", |p| p.w.layout = LayoutId(0x7777)),
        ("no layout", |p| p.w.layout = LayoutId::NONE),
        ("range starts inside a tile", |p| p.range.start = 1),
        ("range starts half a tile in", |p| {
            p.range.start = p.align / 2
        }),
        ("range ends inside a tile", |p| p.range.end = p.align + 1),
        ("range ends beyond the rows", |p| p.range.end = p.w.rows + 1),
        ("range ends in the padding", |p| {
            p.range.end = p.w.rows.next_multiple_of(p.align);
        }),
        ("no rows", |p| p.w.rows = 0),
        ("more rows than data", |p| p.w.rows += p.align),
        ("too many columns", |p| p.w.cols = 131_073),
        ("activations of another width", |p| p.x.cols = 64),
        ("int8 values too short", |p| p.x.q = &p.x.q[1..]),
        ("activation scales too short", |p| {
            p.x.scales = &p.x.scales[1..]
        }),
        ("activation sums too short", |p| p.x.sums = &p.x.sums[1..]),
        ("fewer activations than output rows", |p| p.tokens += 1),
        ("more activations than output rows", |p| p.tokens -= 1),
        ("activation groups of zero", |p| p.x.group = 0),
        ("row scales too short", |p| {
            p.w.scales = WeightScales::Row(&ZEROS[..p.w.rows.next_multiple_of(32) - 1]);
        }),
        ("grouped weights, activations in one group", |p| {
            let scales = &ZEROS[..p.w.rows.next_multiple_of(32) * 2];
            p.w.scales = WeightScales::Group { group: 64, scales };
        }),
        ("one weight scale, activations in groups", |p| {
            p.x.group = 64;
            (p.x.scales, p.x.sums) = (&ZEROS[..4], &[0; 4]);
        }),
        ("groups of 32", |p| {
            let scales = &ZEROS[..p.w.rows.next_multiple_of(32) * 4];
            p.w.scales = WeightScales::Group { group: 32, scales };
            (p.x.group, p.x.scales, p.x.sums) = (32, &ZEROS[..8], &[0; 8]);
        }),
        ("group scales too short", |p| {
            let scales = &ZEROS[..p.w.rows.next_multiple_of(32) * 2 - 1];
            p.w.scales = WeightScales::Group { group: 64, scales };
            (p.x.group, p.x.scales, p.x.sums) = (64, &ZEROS[..4], &[0; 4]);
        }),
    ];

    /// Good arguments: two and a bit tiles, two tokens.
    fn with<T>(
        kernel: &dyn Kernel,
        rng: &mut Rng,
        run: impl FnOnce(Product<'_>, &mut Rng) -> Result<T, String>,
    ) -> Result<T, String> {
        let (align, tokens) = (kernel.facts().row_align, 2);
        let rows = 2 * align + 5;
        let codes = canonical(rows, PRODUCT_COLS, || rng.below(3) as u8);
        let packed = pack_codes(kernel, (rows, PRODUCT_COLS), &codes, rng)?;
        let packed = packed.ok_or("no packed form for 128 columns")?;
        let longer = [packed.data.get(), &[0]].concat();
        let x = Quantized::new((tokens, PRODUCT_COLS, PRODUCT_COLS), Inputs::Random, rng)?;
        let w = TernaryMatrix {
            layout: kernel.facts().layout,
            rows,
            cols: PRODUCT_COLS,
            scales: WeightScales::Tensor(0.5),
            data: &longer[..longer.len() - 1],
        };
        let product = Product {
            w,
            x: x.view(),
            tokens,
            range: 0..rows,
            align,
            longer: &longer,
        };
        run(product, rng)
    }

    fn need(&self) -> ScratchNeed {
        ScratchNeed {
            max_cols: PRODUCT_COLS,
            max_tokens: 2,
            ..ScratchNeed::default()
        }
    }
}

pub(crate) fn matmul_cases(suite: &mut Suite<'_>) {
    for (name, change) in Product::CHANGES {
        suite.case(format_args!("bad arguments: {name}"), |kernel, rng| {
            Product::with(kernel, rng, |mut p, rng| {
                let stride = p.w.rows + p.align;
                change(&mut p);
                let mut out = Output::new(p.tokens, stride, p.range.clone(), 1);
                let mut scratch = scratch(kernel, &p.need(), rng);
                let result = out
                    .view()
                    .and_then(|mut out| kernel.matmul(&p.w, &p.x, &mut out, scratch.get_mut()));
                refused(result)?;
                out.untouched()?;
                scratch.intact("scratch memory")?;
                Ok(Outcome::Passed)
            })
        });
    }
    suite.case(format_args!("too little scratch memory"), |kernel, rng| {
        Product::with(kernel, rng, |p, rng| {
            let call = |out: &mut Output, scratch: &mut [u8]| {
                kernel.matmul(&p.w, &p.x, &mut out.view()?, scratch)
            };
            let output = || Output::new(p.tokens, p.w.rows, p.range.clone(), 1);
            starve(kernel.scratch_bytes(&p.need()), rng, call, output)
        })
    });
}

pub(crate) fn pack_cases(suite: &mut Suite<'_>) {
    // (name, bytes missing from the codes, bytes missing from the output, columns)
    let bad = [
        ("codes too short", 1, 0, 64),
        ("packed buffer too short", 0, 1, 64),
        ("packed buffer too long", 0, -1, 64),
        ("no columns", 0, 0, 0),
        ("other columns", 0, 0, 128),
    ];
    for (name, codes_less, out_less, cols) in bad {
        suite.case(format_args!("bad arguments: {name}"), |kernel, _| {
            let rows = kernel.facts().row_align;
            let bytes = kernel.packed_bytes(rows, 64);
            let bytes = bytes.ok_or("no packed form for 64 columns")?;
            let codes = vec![0x55; rows * 16 - codes_less];
            let mut out = Guarded::new(bytes.saturating_add_signed(-out_less), 1, 0xee, 0xee);
            let args = PackArgs {
                codes: &codes,
                rows,
                cols,
            };
            refused(kernel.pack(&args, out.get_mut()))?;
            out.intact("packed buffer")?;
            verdict(out.all_guard())
        });
    }
}
