//! Operations on one row: quantisation, norm, rotation, gate.

use tritone_abi::{GateKind, Kernel, QuantizedRow, RopeArgs, RopeStyle, padded_stride};
use tritone_scalar::Scalar;

use crate::data::{Guarded, POISON, Rng, Row};
use crate::matmul::COLS;
use crate::misuse;
use crate::suite::{Outcome, Suite, Verdict, compare, oracle, worked};

/// Where the floats of a case lie: one past an aligned address, say.
pub(crate) fn floats(values: &[f32], rng: &mut Rng) -> Guarded<f32> {
    Guarded::of(values, rng.below(16), POISON)
}

pub(crate) fn output(n: usize, rng: &mut Rng) -> Guarded<f32> {
    Guarded::new(n, rng.below(16), POISON, POISON)
}

/// Repetitions with other values.
pub(crate) fn rounds(suite: &Suite<'_>) -> usize {
    if suite.full() { 20 } else { 1 }
}

fn at(i: usize) -> String {
    format!("element {i}")
}

pub(crate) fn quantize_cases(suite: &mut Suite<'_>) {
    for _ in 0..rounds(suite) {
        for cols in suite.sizes(COLS) {
            for group in [cols, 32, 64, 128, 256, 1, 3, 5, 17] {
                if !cols.is_multiple_of(group) {
                    continue;
                }
                for row in Row::ALL {
                    let shape = format_args!("cols {cols}, group {group}, {row:?}");
                    suite.case(shape, |kernel, rng| quantize(kernel, cols, group, row, rng));
                }
            }
        }
    }
    misuse::quantize_cases(suite);
}

/// Where a quantised row goes, each part at an odd place.
pub(crate) struct Coded {
    q: Guarded<i8>,
    scales: Guarded<f32>,
    sums: Guarded<i32>,
}

impl Coded {
    /// Buffers of `q`, `scales` and `sums` values.
    pub(crate) fn new([q, scales, sums]: [usize; 3], rng: &mut Rng) -> Self {
        Self {
            q: Guarded::new(q, rng.below(64), 0x55, 0x55),
            scales: output(scales, rng),
            sums: Guarded::new(sums, rng.below(16), -7, -7),
        }
    }

    /// Buffers that fit a row.
    pub(crate) fn fit(cols: usize, group: usize, rng: &mut Rng) -> Self {
        let groups = cols / group;
        Self::new([padded_stride(cols), groups, groups], rng)
    }

    pub(crate) fn row(&mut self) -> QuantizedRow<'_> {
        QuantizedRow {
            q: self.q.get_mut(),
            scales: self.scales.get_mut(),
            sums: self.sums.get_mut(),
        }
    }

    /// Whether nothing was written.
    pub(crate) fn all_guard(&self) -> bool {
        self.q.all_guard() && self.scales.all_guard() && self.sums.all_guard()
    }

    pub(crate) fn compare(&self, want: &Self) -> Result<(), String> {
        self.q.intact("int8 row")?;
        self.scales.intact("scales")?;
        self.sums.intact("sums")?;
        for (i, (got, want)) in self.q.get().iter().zip(want.q.get()).enumerate() {
            if got != want {
                return Err(format!("q[{i}]: got {got}, expected {want}"));
            }
        }
        compare(self.scales.get(), want.scales.get(), |i| {
            format!("scale {i}")
        })?;
        for (i, (got, want)) in self.sums.get().iter().zip(want.sums.get()).enumerate() {
            if got != want {
                return Err(format!("sum {i}: got {got}, expected {want}"));
            }
        }
        Ok(())
    }
}

fn quantize(kernel: &dyn Kernel, cols: usize, group: usize, row: Row, rng: &mut Rng) -> Verdict {
    let x = floats(&row.floats(cols, rng), rng);
    let (mut got, mut want) = (Coded::fit(cols, group, rng), Coded::fit(cols, group, rng));
    oracle(Scalar.quantize(x.get(), group, &mut want.row()))?;
    worked(kernel.quantize(x.get(), group, &mut got.row()))?;
    got.compare(&want)?;
    Ok(Outcome::Passed)
}

pub(crate) fn norm_cases(suite: &mut Suite<'_>) {
    for _ in 0..rounds(suite) {
        for n in suite.sizes(COLS) {
            for row in Row::ALL {
                for eps in [1e-5, 1e-6, 0.0] {
                    suite.case(
                        format_args!("n {n}, eps {eps:e}, {row:?}"),
                        |kernel, rng| {
                            let x = floats(&row.floats(n, rng), rng);
                            let weight = floats(&rng.floats(n, 2.0), rng);
                            let (mut got, mut want) = (output(n, rng), output(n, rng));
                            oracle(Scalar.rms_norm(x.get(), weight.get(), eps, want.get_mut()))?;
                            worked(kernel.rms_norm(x.get(), weight.get(), eps, got.get_mut()))?;
                            compare(got.get(), want.get(), at)?;
                            got.intact("output")?;
                            Ok(Outcome::Passed)
                        },
                    );
                }
            }
        }
    }
    misuse::norm_cases(suite);
}

pub(crate) fn rope_cases(suite: &mut Suite<'_>) {
    for _ in 0..rounds(suite) {
        for head_dim in suite.sizes([1, 2, 6, 20, 33, 64, 80, 96, 128, 256]) {
            let half = head_dim / 2;
            let mut pairs = vec![half, half / 2, half * 3 / 4, 1.min(half), 0];
            pairs.dedup();
            for pairs in pairs {
                for heads in [1, 2, 5, 20] {
                    for style in [RopeStyle::Half, RopeStyle::Interleaved] {
                        let rot = 2 * pairs;
                        suite.case(
                            format_args!(
                                "heads {heads}, head_dim {head_dim}, rot {rot}, {style:?}"
                            ),
                            |kernel, rng| {
                                rope(kernel, heads * head_dim, head_dim, pairs, style, rng)
                            },
                        );
                    }
                }
            }
        }
    }
    misuse::rope_cases(suite);
}

fn rope(
    kernel: &dyn Kernel,
    n: usize,
    head_dim: usize,
    pairs: usize,
    style: RopeStyle,
    rng: &mut Rng,
) -> Verdict {
    let angles = rng.floats(pairs, 7.0);
    let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
    let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
    let (cos, sin) = (floats(&cos, rng), floats(&sin, rng));
    let args = RopeArgs {
        head_dim,
        cos: cos.get(),
        sin: sin.get(),
        style,
    };
    let row = [Row::Plain, Row::Plain, Row::Tiny, Row::Huge][rng.below(4)];
    let mut got = floats(&row.floats(n, rng), rng);
    let mut want = got.get().to_vec();
    oracle(Scalar.rope(&mut want, &args))?;
    worked(kernel.rope(got.get_mut(), &args))?;
    compare(got.get(), &want, at)?;
    got.intact("heads")?;
    Ok(Outcome::Passed)
}

pub(crate) const GATES: [GateKind; 3] = [GateKind::Relu2, GateKind::Silu, GateKind::GeluTanh];

/// Values at which the gates' pieces change.
const EDGES: [f32; 26] = [
    0.0,
    1e-45,
    1e-39,
    1.2e-38,
    1e-30,
    1e-8,
    1e-3,
    0.5,
    1.0,
    3.0,
    9.0,
    10.5,
    43.5,
    44.0,
    54.4,
    86.9,
    87.0,
    87.1,
    88.0,
    88.1,
    100.0,
    1e4,
    1e19,
    2e19,
    f32::MAX,
    f32::INFINITY,
];

pub(crate) fn gate_cases(suite: &mut Suite<'_>) {
    for kind in GATES {
        let mut values: Vec<f32> = EDGES.iter().flat_map(|v| [*v, -*v]).collect();
        values.push(f32::NAN);
        suite.case(format_args!("{kind:?}, edges with edges"), |kernel, rng| {
            let pairs = values.iter().flat_map(|g| values.iter().map(|u| (*g, *u)));
            let (gate, up): (Vec<f32>, Vec<f32>) = pairs.unzip();
            run_gate(kernel, kind, &gate, &up, rng)
        });
        suite.case(format_args!("{kind:?}, any bits"), |kernel, rng| {
            let mut any = || {
                (0..5000)
                    .map(|_| f32::from_bits(rng.next() as u32))
                    .collect()
            };
            let (gate, up): (Vec<f32>, Vec<f32>) = (any(), any());
            run_gate(kernel, kind, &gate, &up, rng)
        });
        for _ in 0..rounds(suite) {
            for n in suite.sizes(COLS) {
                for size in [1.0, 20.0, 200.0] {
                    let shape = format_args!("{kind:?}, n {n}, up to {size}");
                    suite.case(shape, |kernel, rng| {
                        let (gate, up) = (rng.floats(n, size), rng.floats(n, 3.0));
                        run_gate(kernel, kind, &gate, &up, rng)
                    });
                }
            }
        }
    }
    misuse::gate_cases(suite);
}

fn run_gate(
    kernel: &dyn Kernel,
    kind: GateKind,
    gate: &[f32],
    up: &[f32],
    rng: &mut Rng,
) -> Verdict {
    let (g, u) = (floats(gate, rng), floats(up, rng));
    let (mut got, mut want) = (output(gate.len(), rng), output(gate.len(), rng));
    oracle(Scalar.gate(kind, g.get(), u.get(), want.get_mut()))?;
    worked(kernel.gate(kind, g.get(), u.get(), got.get_mut()))?;
    compare(got.get(), want.get(), |i| {
        format!("element {i} (gate {:e}, up {:e})", gate[i], up[i])
    })?;
    got.intact("output")?;
    Ok(Outcome::Passed)
}
