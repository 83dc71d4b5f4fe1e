//! The ternary product.

use core::ops::Range;

use tritone_abi::{Activations, Kernel, LayoutId, ScratchNeed, TernaryMatrix, WeightScales};
use tritone_scalar::Scalar;

use crate::data::{Guarded, Inputs, Output, POISON, Quantized, Rng, Row, scratch};
use crate::misuse;
use crate::pack::{Weights, pack, pack_codes};
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

pub(crate) const COLS: [usize; 17] = [
    1, 3, 4, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 640, 2560, 6912,
];
pub(crate) const ROWS: [usize; 12] = [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 100];
pub(crate) const TOKENS: [usize; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 64];

/// Rows of the matrices whose size a kernel's groups of rows decide.
const MOST_ROWS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scales {
    Tensor,
    Row,
    Group(usize),
}

impl Scales {
    const ALL: [Self; 5] = [
        Self::Tensor,
        Self::Row,
        Self::Group(64),
        Self::Group(128),
        Self::Group(256),
    ];

    /// The kinds a row of `cols` can have.
    fn of(cols: usize) -> impl Iterator<Item = Self> + Clone {
        Self::ALL.into_iter().filter(move |kind| match kind {
            Self::Group(group) => cols.is_multiple_of(*group),
            _ => true,
        })
    }
}

#[derive(Clone, Debug)]
struct Product {
    rows: usize,
    cols: usize,
    tokens: usize,
    scales: Scales,
    range: Range<usize>,
    weights: Weights,
    inputs: Inputs,
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let mut n = 0;
    for cols in suite.sizes(COLS) {
        for rows in suite.sizes(ROWS) {
            let kinds = Scales::of(cols);
            if suite.full() {
                for tokens in TOKENS {
                    for scales in kinds.clone() {
                        n += 1;
                        random(suite, (rows, cols, tokens), scales, n);
                    }
                }
            } else {
                n += 1;
                let turn = n / 5 % kinds.clone().count();
                let tokens = suite.sizes(TOKENS)[n % TOKENS.len()];
                for scales in kinds.clone().skip(turn).take(1) {
                    random(suite, (rows, cols, tokens), scales, n);
                }
            }
        }
    }
    for tokens in suite.sizes(TOKENS) {
        for scales in Scales::ALL {
            n += 1;
            random(suite, (96, 512, tokens), scales, n);
        }
    }
    // Ranges that begin inside of a matrix, whatever the kernel's groups of rows.
    let align = suite.row_align();
    if let Some(rows) = align.checked_mul(2).filter(|rows| *rows <= MOST_ROWS) {
        for range in 0..4 {
            for (tokens, scales) in [(1, Scales::Row), (2, Scales::Group(64)), (7, Scales::Row)] {
                random(suite, (rows + align / 4 + 1, 320, tokens), scales, range);
            }
        }
    }
    let large: &[_] = if suite.full() {
        &[
            (2560, 6912, 1),
            (6912, 2560, 3),
            (2560, 2560, 65),
            (640, 131_072, 2),
        ]
    } else {
        &[(640, 2560, 1), (2560, 640, 2)]
    };
    for shape in large {
        random(suite, *shape, Scales::Row, 0);
        random(suite, *shape, Scales::Group(128), 0);
    }
    extremes(suite);
    concurrent(suite);
    misuse::matmul_cases(suite);
}

/// One case with random contents; `n` picks the tile that is computed.
fn random(
    suite: &mut Suite<'_>,
    (rows, cols, tokens): (usize, usize, usize),
    scales: Scales,
    n: usize,
) {
    let align = suite.row_align();
    let last = (rows - 1) / align * align;
    let range = match n % 4 {
        1 => 0..align.min(rows),
        2 => last..rows,
        3 => last / align / 2 * align..rows,
        _ => 0..rows,
    };
    product(
        suite,
        Product {
            rows,
            cols,
            tokens,
            scales,
            range,
            weights: Weights::Random,
            inputs: Inputs::Random,
        },
    );
}

fn product(suite: &mut Suite<'_>, case: Product) {
    suite.case(format_args!("{case:?}"), |kernel, rng| {
        run(kernel, &case, rng)
    });
}

/// The largest sums, and activations from odd rows of floats.
fn extremes(suite: &mut Suite<'_>) {
    let mut add = |rows, cols, tokens, scales, weights, inputs| {
        let range = 0..rows;
        let case = Product {
            rows,
            cols,
            tokens,
            scales,
            range,
            weights,
            inputs,
        };
        product(suite, case);
    };
    for code in [0, 2] {
        for value in [127, -128] {
            let (weights, inputs) = (Weights::All(code), Inputs::All(value));
            add(33, 6912, 1, Scales::Tensor, weights, inputs);
            add(33, 6912, 5, Scales::Row, weights, inputs);
            add(32, 6912, 8, Scales::Group(256), weights, inputs);
            add(32, 512, 17, Scales::Group(64), weights, inputs);
            // The longest rows, in every path: sums of all widths are at their ends.
            for tokens in [1, 2, 3, 4, 5, 9] {
                add(1, 131_072, tokens, Scales::Tensor, weights, inputs);
            }
            add(33, 8192, 2, Scales::Group(256), weights, inputs);
        }
    }
    add(
        2,
        131_072,
        6,
        Scales::Row,
        Weights::Random,
        Inputs::All(-128),
    );
    add(
        2,
        131_072,
        3,
        Scales::Group(256),
        Weights::Random,
        Inputs::Random,
    );
    for row in Row::ALL {
        for scales in [Scales::Tensor, Scales::Row, Scales::Group(64)] {
            add(48, 192, 3, scales, Weights::Random, Inputs::Floats(row));
        }
    }
}

/// Two threads at once: a kernel keeps no state between calls.
fn concurrent(suite: &mut Suite<'_>) {
    suite.case(format_args!("two threads at once"), |kernel, rng| {
        let case = |rows, cols, tokens, scales| Product {
            rows,
            cols,
            tokens,
            scales,
            range: 0..rows,
            weights: Weights::Random,
            inputs: Inputs::Random,
        };
        let (a, b) = (
            case(100, 640, 5, Scales::Row),
            case(64, 2560, 1, Scales::Group(128)),
        );
        let mut other = Rng::new(rng.next(), "thread", 0);
        std::thread::scope(|scope| {
            let thread =
                scope.spawn(|| (0..8).try_for_each(|_| run(kernel, &a, &mut other).map(drop)));
            let here = (0..8).try_for_each(|_| run(kernel, &b, rng).map(drop));
            let there = thread.join().unwrap_or_else(|_| Err("panicked".to_owned()));
            here.and(there).map(|()| Outcome::Passed)
        })
    });
}

fn run(kernel: &dyn Kernel, case: &Product, rng: &mut Rng) -> Verdict {
    let &Product {
        rows, cols, tokens, ..
    } = case;
    let Some(packed) = pack(kernel, (rows, cols), case.weights, rng)? else {
        return Ok(Outcome::Unsupported);
    };
    let oracle_packed = pack_codes(&Scalar, (rows, cols), packed.codes.get(), rng)?;
    let oracle_packed = oracle_packed.ok_or("the oracle does not support the shape")?;

    let padded = rows.next_multiple_of(32);
    let (groups, width) = match case.scales {
        Scales::Group(group) => (cols / group, group),
        _ => (1, cols),
    };
    let mut scales = Guarded::new(padded * groups, rng.below(16), 0.0, POISON);
    for (i, scale) in scales.get_mut().iter_mut().enumerate() {
        if i / 32 / groups * 32 + i % 32 < rows {
            *scale = rng.scale();
        }
    }
    let scales = match case.scales {
        Scales::Tensor => WeightScales::Tensor(scales.get()[0]),
        Scales::Row => WeightScales::Row(scales.get()),
        Scales::Group(group) => WeightScales::Group {
            group,
            scales: scales.get(),
        },
    };
    let x = Quantized::new((tokens, cols, width), case.inputs, rng)?;

    let mut want = Output::new(tokens, rows, 0..rows, 0);
    let w = TernaryMatrix {
        layout: LayoutId::T2R32,
        rows,
        cols,
        scales,
        data: oracle_packed.data.get(),
    };
    oracle(
        want.view()
            .and_then(|mut out| Scalar.matmul(&w, &x.view(), &mut out, &mut [])),
    )?;
    let w = TernaryMatrix {
        layout: kernel.facts().layout,
        data: packed.data.get(),
        ..w
    };
    let before = rng.below(4);
    let mut got = Output::new(tokens, rows + before, case.range.clone(), rng.below(16));
    call(kernel, &w, &x.view(), &mut got, rng)?;
    got.compare(want.cells(), rows, case.range.start)?;
    Ok(Outcome::Passed)
}

/// Calls `matmul` with exactly the scratch memory it asks for.
fn call(
    kernel: &dyn Kernel,
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut Output,
    rng: &mut Rng,
) -> Result<(), String> {
    let need = ScratchNeed {
        max_cols: w.cols,
        max_tokens: x.tokens,
        ..ScratchNeed::default()
    };
    let mut scratch = scratch(kernel, &need, rng);
    let result = out
        .view()
        .and_then(|mut out| kernel.matmul(w, x, &mut out, scratch.get_mut()));
    worked(result)?;
    scratch.intact("scratch memory")
}
