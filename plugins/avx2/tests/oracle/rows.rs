//! Norm, gating, quantisation and rotation.

use tritone_abi::host::TableKernel;
use tritone_abi::numerics;
use tritone_abi::{GateKind, Kernel, QuantizedRow, RopeArgs, RopeStyle, padded_stride};

use crate::data::{Random, assert_same, same};
use crate::kernel;

#[test]
fn rows_follow_the_definitions() {
    let Some(kernel) = kernel() else { return };
    let random = &mut Random(5);
    for n in [1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 128, 255, 640] {
        let (mut x, weight) = (random.floats(n), random.floats(n));
        let (mut got, mut want) = (vec![0.0; n], vec![0.0; n]);
        kernel.rms_norm(&x, &weight, 1e-5, &mut got).unwrap();
        numerics::rms_norm(&x, &weight, 1e-5, &mut want);
        assert_same(&got, &want, &format!("norm of {n}"));

        x[n / 2] *= 60.0;
        x[n / 3] = [f32::NAN, f32::INFINITY, -0.0, 0.5][n % 4];
        for (kind, f) in [
            (GateKind::Relu2, numerics::relu2 as fn(f32) -> f32),
            (GateKind::Silu, numerics::silu),
            (GateKind::GeluTanh, numerics::gelu_tanh),
        ] {
            kernel.gate(kind, &x, &weight, &mut got).unwrap();
            let want: Vec<f32> = x.iter().zip(&weight).map(|(x, up)| f(*x) * up).collect();
            assert_same(&got, &want, &format!("{kind:?} of {n}"));
        }
        for group in (1..=n).filter(|group| n % group == 0) {
            check_quantize(&kernel, &x, group);
        }
        check_quantize(&kernel, &vec![0.0; n], n);
        check_quantize(&kernel, &vec![f32::NAN; n], n);
    }
    // Exactly halfway between integers.
    check_quantize(&kernel, &[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5], 8);
}

fn check_quantize(kernel: &TableKernel, x: &[f32], group: usize) {
    let what = format!("{} values in groups of {group}", x.len());
    let groups = x.len() / group;
    let mut q = vec![99; padded_stride(x.len())];
    let (mut scales, mut sums) = (vec![0.0; groups], vec![0; groups]);
    let mut row = QuantizedRow {
        q: &mut q,
        scales: &mut scales,
        sums: &mut sums,
    };
    kernel.quantize(x, group, &mut row).unwrap();
    for (g, x) in x.chunks(group).enumerate() {
        let m = numerics::abs_max(x);
        let want: Vec<i8> = x
            .iter()
            .map(|v| numerics::quantize_one(*v, numerics::quantize_factor(m)))
            .collect();
        assert_eq!(q[g * group..][..group], want, "{what}: group {g}");
        assert!(
            same(scales[g], numerics::activation_scale(m)),
            "{what}: scale {g}"
        );
        assert_eq!(
            sums[g],
            want.iter().map(|v| i32::from(*v)).sum::<i32>(),
            "{what}: sum {g}"
        );
    }
    assert!(q[x.len()..].iter().all(|v| *v == 0), "{what}: padding");
}

#[test]
fn rope_rotates_the_pairs_of_its_style() {
    let Some(kernel) = kernel() else { return };
    let random = &mut Random(6);
    for (head_dim, half) in [
        (2, 1),
        (7, 3),
        (16, 8),
        (40, 20),
        (64, 32),
        (80, 16),
        (128, 64),
    ] {
        let (cos, sin) = (random.floats(half), random.floats(half));
        for style in [RopeStyle::Half, RopeStyle::Interleaved] {
            let x = random.floats(3 * head_dim);
            let (mut got, mut want) = (x.clone(), x);
            let args = RopeArgs {
                head_dim,
                cos: &cos,
                sin: &sin,
                style,
            };
            kernel.rope(&mut got, &args).unwrap();
            for head in want.chunks_exact_mut(head_dim) {
                for i in 0..half {
                    let (i, j) = match style {
                        RopeStyle::Half => (i, i + half),
                        RopeStyle::Interleaved => (2 * i, 2 * i + 1),
                    };
                    let angle = if style == RopeStyle::Half { i } else { i / 2 };
                    let (a, b, cos, sin) = (head[i], head[j], cos[angle], sin[angle]);
                    head[i] = a.mul_add(cos, -(b * sin));
                    head[j] = b.mul_add(cos, a * sin);
                }
            }
            assert_same(
                &got,
                &want,
                &format!("{style:?} of {head_dim}, {half} pairs"),
            );
        }
    }
}
