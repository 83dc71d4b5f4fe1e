//! The output head.

use core::ops::Range;

use tritone_abi::head::{GROUP_ROWS, SCALE_COLS, pack_group};
use tritone_abi::{HeadFormat, HeadInput, HeadMatrix, Kernel, ScratchNeed};
use tritone_scalar::Scalar;

use crate::data::{Guarded, Inputs, Output, POISON, Quantized, Rng, Row, scratch};
use crate::matmul::{COLS, ROWS, TOKENS};
use crate::misuse;
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

/// Rows of a quantised head are whole scale groups.
const CODE_COLS: [usize; 8] = [32, 64, 96, 128, 160, 256, 640, 2560];

const CODED: [HeadFormat; 3] = [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4];

#[derive(Clone, Copy, Debug)]
enum Weights {
    /// Float rows through the format's own packing.
    Packed,
    /// Any bits at all as codes (the shape has no padding then).
    AnyCodes,
    /// The same byte in every code vector: the ends of the code's range.
    Codes(u8),
}

#[derive(Clone, Debug)]
struct Logits {
    format: HeadFormat,
    rows: usize,
    cols: usize,
    tokens: usize,
    range: Range<usize>,
    weights: Weights,
    inputs: Inputs,
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let mut n = 0;
    for rows in suite.sizes(ROWS) {
        let (code_cols, cols) = (suite.sizes_by(32, CODE_COLS), suite.sizes(COLS));
        let coded = CODED
            .into_iter()
            .flat_map(|f| code_cols.map(|cols| (f, cols)));
        let floats = cols.map(|cols| (HeadFormat::F16, cols));
        for (format, cols) in coded.chain(floats) {
            let all = suite.full();
            for turn in 0..if all { TOKENS.len() } else { 1 } {
                n += 1;
                let tokens = suite.sizes(TOKENS)[if all { turn } else { n % TOKENS.len() }];
                let last = (rows - 1) / GROUP_ROWS * GROUP_ROWS;
                let range = match n % 4 {
                    1 => 0..GROUP_ROWS.min(rows),
                    2 => last..rows,
                    _ => 0..rows,
                };
                let whole = rows.is_multiple_of(16) && cols.is_multiple_of(64);
                let weights = match whole && n % 2 == 0 && format != HeadFormat::F16 {
                    true => Weights::AnyCodes,
                    false => Weights::Packed,
                };
                logits(
                    suite,
                    Logits {
                        format,
                        rows,
                        cols,
                        tokens,
                        range,
                        weights,
                        inputs: Inputs::Random,
                    },
                );
            }
        }
    }
    extremes(suite);
    misuse::head_cases(suite);
}

fn extremes(suite: &mut Suite<'_>) {
    for format in CODED {
        for tokens in [1, 5] {
            for value in [127, -128] {
                for code in [0x00, 0xff] {
                    logits(
                        suite,
                        Logits {
                            format,
                            rows: 32,
                            cols: 2560,
                            tokens,
                            range: 0..32,
                            weights: Weights::Codes(code),
                            inputs: Inputs::All(value),
                        },
                    );
                }
            }
        }
    }
    for format in [
        HeadFormat::F16,
        HeadFormat::Q8,
        HeadFormat::Q6,
        HeadFormat::Q4,
    ] {
        for row in Row::ALL {
            logits(
                suite,
                Logits {
                    format,
                    rows: 33,
                    cols: 96,
                    tokens: 3,
                    range: 16..33,
                    weights: Weights::Packed,
                    inputs: Inputs::Floats(row),
                },
            );
        }
    }
}

/// The bytes of a head.
fn weights(case: &Logits, rng: &mut Rng) -> Result<Vec<u8>, String> {
    let &Logits {
        format, rows, cols, ..
    } = case;
    let bytes = format.bytes(rows, cols).ok_or("the head is too large")?;
    let mut data = vec![0u8; bytes];
    if format == HeadFormat::F16 {
        for half in data.chunks_exact_mut(2) {
            half.copy_from_slice(&rng.half().to_le_bytes());
        }
        return Ok(data);
    }
    let group = format
        .bytes(GROUP_ROWS, cols)
        .ok_or("the head is too large")?;
    for (g, out) in data.chunks_exact_mut(group).enumerate() {
        let n = GROUP_ROWS.min(rows - g * GROUP_ROWS);
        oracle(pack_group(format, &rng.floats(n * cols, 2.0), cols, out))?;
        for block in out.chunks_exact_mut(format.block_bytes()) {
            match case.weights {
                Weights::Packed => {}
                Weights::AnyCodes => block[64..].fill_with(|| rng.next() as u8),
                Weights::Codes(byte) => block[64..].fill(byte),
            }
        }
    }
    Ok(data)
}

fn logits(suite: &mut Suite<'_>, case: Logits) {
    suite.case(format_args!("{case:?}"), |kernel, rng| {
        run(kernel, &case, rng)
    });
}

fn run(kernel: &dyn Kernel, case: &Logits, rng: &mut Rng) -> Verdict {
    let &Logits {
        format,
        rows,
        cols,
        tokens,
        ..
    } = case;
    let data = Guarded::of(&weights(case, rng)?, rng.below(64), 0x5a);
    let w = HeadMatrix {
        format,
        rows,
        cols,
        data: data.get(),
    };
    let (floats, quantized);
    let x = if format == HeadFormat::F16 {
        let row = match case.inputs {
            Inputs::Floats(row) => row,
            _ => Row::Plain,
        };
        floats = Guarded::of(&row.floats(tokens * cols, rng), rng.below(16), POISON);
        HeadInput::F32 {
            x: floats.get(),
            tokens,
        }
    } else {
        quantized = Quantized::new((tokens, cols, SCALE_COLS), case.inputs, rng)?;
        HeadInput::Int8(quantized.view())
    };
    let mut want = Output::new(tokens, rows, 0..rows, 0);
    oracle(
        want.view()
            .and_then(|mut out| Scalar.head(&w, &x, &mut out, &mut [])),
    )?;
    let before = rng.below(4);
    let mut got = Output::new(tokens, rows + before, case.range.clone(), rng.below(16));
    let need = ScratchNeed {
        max_cols: cols,
        max_tokens: tokens,
        ..ScratchNeed::default()
    };
    let mut scratch = scratch(kernel, &need, rng);
    worked(
        got.view()
            .and_then(|mut out| kernel.head(&w, &x, &mut out, scratch.get_mut())),
    )?;
    scratch.intact("scratch memory")?;
    got.compare(want.cells(), rows, case.range.start)?;
    Ok(Outcome::Passed)
}
