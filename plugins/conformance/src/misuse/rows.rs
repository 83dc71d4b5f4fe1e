//! Operations on one row.

use tritone_abi::{GateKind, QuantizedRow, RopeArgs, RopeStyle};

use super::{ZEROS, refused, verdict};
use crate::data::{Guarded, POISON};
use crate::suite::Suite;

pub(crate) fn quantize_cases(suite: &mut Suite<'_>) {
    // Lengths of the values, the group, the int8 row, the scales and the sums.
    let bad = [
        ("nothing", [0, 1, 0, 0, 0]),
        ("groups of zero", [64, 0, 64, 1, 1]),
        ("groups that do not divide", [65, 2, 128, 32, 32]),
        ("int8 row without padding", [65, 65, 65, 1, 1]),
        ("int8 row too long", [64, 64, 128, 1, 1]),
        ("too few scales", [128, 64, 128, 1, 2]),
        ("too many scales", [128, 64, 128, 3, 2]),
        ("too few sums", [128, 64, 128, 2, 1]),
    ];
    for (name, [n, group, q, scales, sums]) in bad {
        suite.case(format_args!("bad arguments: {name}"), |kernel, _| {
            let mut q = Guarded::new(q, 1, 5, 5);
            let mut scales = Guarded::new(scales, 1, POISON, POISON);
            let mut sums = Guarded::new(sums, 1, -7, -7);
            let mut out = QuantizedRow {
                q: q.get_mut(),
                scales: scales.get_mut(),
                sums: sums.get_mut(),
            };
            refused(kernel.quantize(&ZEROS[..n], group, &mut out))?;
            let same = q.all_guard() && scales.all_guard() && sums.all_guard();
            verdict(same)
        });
    }
}

/// Lengths of two inputs and an output that do not fit each other.
const LENGTHS: [[usize; 3]; 7] = [
    [0, 0, 0],
    [64, 63, 64],
    [63, 64, 64],
    [64, 64, 63],
    [64, 64, 65],
    [64, 65, 64],
    [0, 64, 64],
];

pub(crate) fn norm_cases(suite: &mut Suite<'_>) {
    for [x, weight, n] in LENGTHS {
        suite.case(
            format_args!("bad lengths: x {x}, weight {weight}, output {n}"),
            |kernel, _| {
                let mut out = Guarded::new(n, 1, POISON, POISON);
                let (x, weight) = (&ZEROS[..x], &ZEROS[..weight]);
                refused(kernel.rms_norm(x, weight, 1e-5, out.get_mut()))?;
                verdict(out.all_guard())
            },
        );
    }
}

pub(crate) fn gate_cases(suite: &mut Suite<'_>) {
    for kind in [GateKind::Relu2, GateKind::Silu, GateKind::GeluTanh] {
        for [gate, up, n] in LENGTHS {
            suite.case(
                format_args!("{kind:?}, bad lengths: gate {gate}, up {up}, output {n}"),
                |kernel, _| {
                    let mut out = Guarded::new(n, 1, POISON, POISON);
                    let (gate, up) = (&ZEROS[..gate], &ZEROS[..up]);
                    refused(kernel.gate(kind, gate, up, out.get_mut()))?;
                    verdict(out.all_guard())
                },
            );
        }
    }
}

pub(crate) fn rope_cases(suite: &mut Suite<'_>) {
    // Lengths of the heads, one head, the cosines and the sines.
    let bad = [
        ("no head size", [64, 0, 0, 0]),
        ("half a head", [96, 64, 32, 32]),
        ("fewer sines than cosines", [64, 64, 32, 31]),
        ("fewer cosines than sines", [64, 64, 31, 32]),
        ("more pairs than the head has", [64, 64, 33, 33]),
        ("heads shorter than the table", [64, 16, 32, 32]),
    ];
    for style in [RopeStyle::Half, RopeStyle::Interleaved] {
        for (name, [n, head_dim, cos, sin]) in bad {
            suite.case(
                format_args!("{style:?}, bad arguments: {name}"),
                |kernel, _| {
                    let mut x = Guarded::new(n, 1, POISON, POISON);
                    let args = RopeArgs {
                        head_dim,
                        cos: &ZEROS[..cos],
                        sin: &ZEROS[..sin],
                        style,
                    };
                    refused(kernel.rope(x.get_mut(), &args))?;
                    verdict(x.all_guard())
                },
            );
        }
    }
}
