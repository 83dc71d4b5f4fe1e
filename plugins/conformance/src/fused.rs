//! Operations that do several at once, with the bits of one after another.

use tritone_abi::{GateKind, Kernel, Norm};
use tritone_scalar::Scalar;

use crate::data::{Rng, Row};
use crate::matmul::COLS;
use crate::misuse;
use crate::rows::{Coded, GATES, floats, output, rounds};
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

/// Groups that divide a row: all of it, those of grouped weights, and awkward ones.
fn groups(cols: usize) -> impl Iterator<Item = usize> {
    [cols, 64, 128, 256, 1, 3, 5, 17]
        .into_iter()
        .filter(move |group| cols.is_multiple_of(*group))
}

pub(crate) fn norm_cases(suite: &mut Suite<'_>) {
    for _ in 0..rounds(suite) {
        for cols in suite.sizes(COLS) {
            for group in groups(cols) {
                for row in Row::ALL {
                    let shape = format_args!("cols {cols}, group {group}, {row:?}");
                    suite.case(shape, |kernel, rng| norm(kernel, cols, group, row, rng));
                }
            }
        }
    }
    misuse::norm_quantize_cases(suite);
}

fn norm(kernel: &dyn Kernel, cols: usize, group: usize, row: Row, rng: &mut Rng) -> Verdict {
    let x = floats(&row.floats(cols, rng), rng);
    let weight = floats(&rng.floats(cols, 2.0), rng);
    let norm = Norm {
        weight: weight.get(),
        eps: [1e-5, 1e-6, 0.0][rng.below(3)],
    };
    let mut plain = vec![0.0; cols];
    let (mut got, mut want) = (Coded::fit(cols, group, rng), Coded::fit(cols, group, rng));
    oracle(Scalar.norm_quantize(x.get(), norm, &mut plain, group, &mut want.row()))?;
    let mut work = output(cols, rng);
    worked(kernel.norm_quantize(x.get(), norm, work.get_mut(), group, &mut got.row()))?;
    work.intact("working memory")?;
    got.compare(&want)?;
    Ok(Outcome::Passed)
}

pub(crate) fn gate_cases(suite: &mut Suite<'_>) {
    for kind in GATES {
        for normed in [false, true] {
            for _ in 0..rounds(suite) {
                for cols in suite.sizes(COLS) {
                    for group in groups(cols) {
                        let shape =
                            format_args!("{kind:?}, cols {cols}, group {group}, norm: {normed}");
                        suite.case(shape, |kernel, rng| {
                            gate(kernel, kind, cols, group, normed, rng)
                        });
                    }
                }
            }
        }
    }
    misuse::gate_quantize_cases(suite);
}

fn gate(
    kernel: &dyn Kernel,
    kind: GateKind,
    cols: usize,
    group: usize,
    normed: bool,
    rng: &mut Rng,
) -> Verdict {
    let rows = [Row::Plain, Row::Plain, Row::Zero, Row::Tiny, Row::NonFinite];
    let gate = rows[rng.below(rows.len())].floats(cols, rng);
    let mut got_gate = floats(&gate, rng);
    let mut want_gate = gate;
    let up = floats(&rng.floats(cols, 3.0), rng);
    let weight = floats(&rng.floats(cols, 2.0), rng);
    let eps = [1e-5, 1e-6, 0.0][rng.below(3)];
    let norm = normed.then_some(Norm {
        weight: weight.get(),
        eps,
    });
    let mut plain = vec![0.0; cols];
    let (mut got, mut want) = (Coded::fit(cols, group, rng), Coded::fit(cols, group, rng));
    oracle(Scalar.gate_quantize(
        (kind, &mut want_gate, up.get()),
        norm,
        &mut plain,
        group,
        &mut want.row(),
    ))?;
    let mut work = output(cols, rng);
    worked(kernel.gate_quantize(
        (kind, got_gate.get_mut(), up.get()),
        norm,
        work.get_mut(),
        group,
        &mut got.row(),
    ))?;
    work.intact("working memory")?;
    got_gate.intact("gate")?;
    got.compare(&want)?;
    Ok(Outcome::Passed)
}
