//! Operations on one row.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]

    #[test]
    fn rows_follow_the_definition(seed: u64, n in 1usize..200, groups in 1usize..4) {
        let rng = &mut Rng(seed);
        let len = n * groups;
        let mut x = rng.floats(len);
        x[0] = [f32::NAN, f32::INFINITY, 1e-40, 4.0, -1e30][seed as usize % 5];
        let y = rng.floats(len);

        let run = |f: &dyn Fn(&mut QuantizedRow<'_>)| {
            let mut q = vec![55i8; padded_stride(len)];
            let (mut scales, mut sums) = (vec![0.0; groups], vec![0; groups]);
            f(&mut QuantizedRow { q: &mut q, scales: &mut scales, sums: &mut sums });
            (q, bits(&scales), sums)
        };
        let got = run(&|out| Scalar.quantize(&x, n, out).unwrap());
        prop_assert_eq!(&got, &run(&|out| crate::rows::quantize_body(&x, n, out)));
        for g in 0..groups {
            let x = &x[g * n..(g + 1) * n];
            // `f32::max` passes over NaN as the definition does.
            let m = x.iter().fold(1e-5f32, |m, v| m.max(v.abs()));
            let q: Vec<i8> = x.iter().map(|v| (v * (127.0 / m)).round_ties_even() as i8).collect();
            prop_assert_eq!(&got.0[g * n..(g + 1) * n], &q[..]);
            prop_assert_eq!(got.1[g], (m / 127.0).to_bits());
            prop_assert_eq!(got.2[g], q.iter().map(|v| i32::from(*v)).sum::<i32>());
        }
        prop_assert!(got.0[len..].iter().all(|v| *v == 0));

        let (mut a, mut b) = (vec![0.0; len], vec![0.0; len]);
        x[0] = 1e-40;
        Scalar.rms_norm(&x, &y, 1e-5, &mut a).unwrap();
        tritone_abi::numerics::rms_norm(&x, &y, 1e-5, &mut b);
        prop_assert_eq!(bits(&a), bits(&b));
        let mut lanes = [0.0f32; 16];
        for (i, v) in x.iter().enumerate() {
            lanes[i % 16] = v.mul_add(*v, lanes[i % 16]);
        }
        let r = 1.0 / (sum_lanes(lanes) / len as f32 + 1e-5).sqrt();
        let want: Vec<f32> = x.iter().zip(&y).map(|(x, w)| x * r * w).collect();
        prop_assert_eq!(bits(&a), bits(&want));

        type Gate = fn(f32) -> f32;
        let kinds: [(GateKind, Gate); 3] =
            [(GateKind::Relu2, relu2), (GateKind::Silu, silu), (GateKind::GeluTanh, gelu_tanh)];
        for (kind, f) in kinds {
            Scalar.gate(kind, &x, &y, &mut a).unwrap();
            crate::rows::gate_body(kind, &x, &y, &mut b);
            prop_assert_eq!(bits(&a), bits(&b));
            let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| f(*x) * y).collect();
            prop_assert_eq!(bits(&a), bits(&want));
        }

        let pairs = rng.next() as usize % (n / 2 + 1);
        let (cos, sin) = (rng.floats(pairs), rng.floats(pairs));
        for style in [RopeStyle::Half, RopeStyle::Interleaved] {
            let args = RopeArgs { head_dim: n, cos: &cos, sin: &sin, style };
            let (mut a, mut b) = (x.clone(), x.clone());
            Scalar.rope(&mut a, &args).unwrap();
            crate::rows::rope_body(&mut b, &args);
            prop_assert_eq!(bits(&a), bits(&b));
            let mut want = x.clone();
            for head in 0..groups {
                for i in 0..pairs {
                    let (p, q) = match style {
                        RopeStyle::Half => (head * n + i, head * n + i + pairs),
                        RopeStyle::Interleaved => (head * n + 2 * i, head * n + 2 * i + 1),
                    };
                    want[p] = x[p].mul_add(cos[i], -(x[q] * sin[i]));
                    want[q] = x[q].mul_add(cos[i], x[p] * sin[i]);
                }
            }
            prop_assert_eq!(bits(&a), bits(&want));
        }
    }
}
