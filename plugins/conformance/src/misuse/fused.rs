//! Operations that do several at once.

use tritone_abi::{GateKind, Norm};

use super::{ZEROS, refused, verdict};
use crate::data::{Guarded, POISON};
use crate::rows::Coded;
use crate::suite::Suite;

/// Lengths that do not fit each other: the row, what goes with it, the working memory, the group,
/// and the int8 row, scales and sums.
const BAD: [(&str, [usize; 7]); 11] = [
    ("nothing", [0, 0, 0, 1, 0, 0, 0]),
    ("the second row too short", [64, 63, 64, 64, 64, 1, 1]),
    ("the second row too long", [64, 65, 64, 64, 64, 1, 1]),
    ("working memory too short", [64, 64, 63, 64, 64, 1, 1]),
    ("working memory too long", [64, 64, 65, 64, 64, 1, 1]),
    ("groups of zero", [64, 64, 64, 0, 64, 1, 1]),
    ("groups that do not divide", [65, 65, 65, 2, 128, 32, 32]),
    ("int8 row without padding", [65, 65, 65, 65, 65, 1, 1]),
    ("int8 row too long", [64, 64, 64, 64, 128, 1, 1]),
    ("too few scales", [128, 128, 128, 64, 128, 1, 2]),
    ("too many sums", [128, 128, 128, 64, 128, 2, 3]),
];

pub(crate) fn norm_quantize_cases(suite: &mut Suite<'_>) {
    for (name, [n, weight, work, group, q, scales, sums]) in BAD {
        suite.case(format_args!("bad arguments: {name}"), |kernel, rng| {
            let mut out = Coded::new([q, scales, sums], rng);
            let mut work = Guarded::new(work, 1, POISON, POISON);
            let norm = Norm {
                weight: &ZEROS[..weight],
                eps: 1e-5,
            };
            refused(kernel.norm_quantize(
                &ZEROS[..n],
                norm,
                work.get_mut(),
                group,
                &mut out.row(),
            ))?;
            verdict(out.all_guard() && work.all_guard())
        });
    }
}

pub(crate) fn gate_quantize_cases(suite: &mut Suite<'_>) {
    // A weight of the norm that does not fit is a fault of its own; elsewhere it fits.
    let weights = BAD
        .iter()
        .map(|(name, lengths)| (*name, lengths[0], *lengths));
    let good = [64, 64, 64, 64, 64, 1, 1];
    let weights = weights.chain([
        ("norm too short", 63, good),
        ("norm too long", 65, good),
        ("norm of nothing", 0, good),
    ]);
    for (name, weight, [n, up, work, group, q, scales, sums]) in weights {
        for normed in [false, true] {
            if !normed && weight != n {
                continue;
            }
            let shape = format_args!("bad arguments: {name}, norm: {normed}");
            suite.case(shape, |kernel, rng| {
                let mut out = Coded::new([q, scales, sums], rng);
                let mut gate = Guarded::new(n, 1, POISON, POISON);
                let mut work = Guarded::new(work, 1, POISON, POISON);
                let norm = normed.then_some(Norm {
                    weight: &ZEROS[..weight],
                    eps: 1e-5,
                });
                refused(kernel.gate_quantize(
                    (GateKind::Silu, gate.get_mut(), &ZEROS[..up]),
                    norm,
                    work.get_mut(),
                    group,
                    &mut out.row(),
                ))?;
                verdict(out.all_guard() && work.all_guard() && gate.all_guard())
            });
        }
    }
}
