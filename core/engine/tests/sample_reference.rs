//! The sampler against a plain full sort, and its golden values.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

use proptest::prelude::*;
use tritone_engine::sample::{Choice, SampleError, Sampler, Sampling};

/// What the documentation says, done the slow way: sort everything.
fn survivors(logits: &[f32], s: &Sampling, history: &[u32]) -> Vec<(u32, u64)> {
    let mut logits = logits.to_vec();
    let recent: Vec<u32> = history
        .iter()
        .rev()
        .take(s.repetition_window as usize)
        .copied()
        .collect();
    for (id, logit) in logits.iter_mut().enumerate() {
        let count = recent.iter().filter(|&&token| token as usize == id).count();
        if count > 0 {
            *logit = if *logit > 0.0 {
                *logit / s.repetition_penalty
            } else {
                *logit * s.repetition_penalty
            };
            *logit -= count as f32 * s.frequency_penalty + s.presence_penalty;
        }
    }
    for &(id, bias) in &s.logit_bias {
        logits[id as usize] += bias;
    }
    let mut sorted: Vec<(u32, f32)> = (0..).zip(logits).collect();
    sorted.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
    if s.temperature == 0.0 {
        return vec![(sorted[0].0, 1)];
    }
    let best = sorted[0].1;
    let weight = |logit: f32| {
        (libm::expf((logit - best) * (1.0 / s.temperature)) * (1u64 << 40) as f32) as u64
    };
    let mut kept: Vec<(u32, u64)> = sorted
        .iter()
        .map(|&(id, logit)| (id, weight(logit)))
        .collect();
    if s.top_k > 0 {
        kept.truncate(s.top_k as usize);
    }
    let total: u64 = kept.iter().map(|&(_, weight)| weight).sum();
    if s.top_p < 1.0 {
        let mut sum = 0;
        let enough = kept.iter().position(|&(_, weight)| {
            sum += weight;
            sum as f64 >= f64::from(s.top_p) * total as f64
        });
        kept.truncate(enough.unwrap() + 1);
    }
    kept.retain(|&(_, weight)| weight as f64 >= f64::from(s.min_p) * (1u64 << 40) as f64);
    kept.retain(|&(_, weight)| weight > 0);
    kept.sort();
    kept
}

/// The 64 random bits for a position: Philox4x32-10, whose known answers the module tests.
fn bits_at(seed: u64, position: u64) -> u64 {
    let mut counter = [position as u32, (position >> 32) as u32, 0, 0];
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        let even = u64::from(counter[0]) * 0xd251_1f53;
        let odd = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (odd >> 32) as u32 ^ counter[1] ^ key[0],
            odd as u32,
            (even >> 32) as u32 ^ counter[3] ^ key[1],
            even as u32,
        ];
        key[0] = key[0].wrapping_add(0x9e37_79b9);
        key[1] = key[1].wrapping_add(0xbb67_ae85);
    }
    u64::from(counter[1]) << 32 | u64::from(counter[0])
}

/// The token at a random point of all weights, laid end to end in the order of the ids.
fn drawn(kept: &[(u32, u64)], bits: u64) -> u32 {
    let total: u64 = kept.iter().map(|&(_, weight)| weight).sum();
    let point = (u128::from(bits) * u128::from(total)) >> 64;
    let mut end = 0;
    let found = kept.iter().find(|&&(_, weight)| {
        end += u128::from(weight);
        point < end
    });
    found.unwrap().0
}

/// Flat, peaked, tied, all equal, masked, few and many.
fn logits() -> impl Strategy<Value = Vec<f32>> {
    let mixed = prop_oneof![
        6 => -20.0..20.0f32,
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, 5.0, 5.0, 1e-30]),
        1 => Just(f32::NEG_INFINITY),
    ];
    let flat = -0.01..0.01f32;
    let steps = (0..4u8).prop_map(|step| f32::from(step) * 0.1);
    let peaked = prop_oneof![30 => -30.0..-5.0f32, 1 => 0.0..20.0f32];
    let wild = prop_oneof![
        1 => (prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL).prop_map(|logit| logit * 0.1),
        1 => -1e3..1e3f32,
    ];
    prop_oneof![
        3 => prop::collection::vec(mixed, 4..300),
        1 => prop::collection::vec(flat, 4..2_000usize),
        1 => prop::collection::vec(steps, 4..2_000usize),
        1 => prop::collection::vec(peaked, 4..2_000usize),
        1 => prop::collection::vec(wild, 4..300),
        1 => (4..2_000usize, -20.0..20.0f32).prop_map(|(size, logit)| vec![logit; size]),
    ]
    .prop_filter("one must be left", |l| {
        l[3..].iter().any(|&x| x > f32::NEG_INFINITY)
    })
}

prop_compose! {
    fn settings()(
        temperature in prop_oneof![Just(0.0), Just(1.0), 0.05..5.0f32],
        top_k in prop_oneof![4 => Just(0), 2 => 1..5u32, 4 => 1..400u32, 1 => 1..3_000u32, 1 => Just(u32::MAX)],
        top_p in prop_oneof![
            4 => Just(1.0), 4 => 0.01..1.0f32, 1 => Just(f32::MIN_POSITIVE), 1 => Just(1.0f32.next_down()),
        ],
        min_p in prop_oneof![Just(0.0), Just(1.0), 0.0..0.5f32],
        repetition_penalty in prop_oneof![Just(1.0), 0.5..2.0f32],
        repetition_window in 0..20u32,
        frequency_penalty in prop_oneof![Just(0.0), -2.0..2.0f32],
        presence_penalty in prop_oneof![Just(0.0), -2.0..2.0f32],
        seed in any::<u64>(),
        bias in prop::collection::vec((0..3u32, prop_oneof![Just(f32::NEG_INFINITY), -9.0..9.0f32]), 0..3),
        logprobs in any::<bool>(),
    ) -> Sampling {
        Sampling {
            temperature, top_k, top_p, min_p, repetition_penalty, repetition_window,
            frequency_penalty, presence_penalty, seed, logit_bias: bias, logprobs,
            top_logprobs: 0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_full_sort_chooses_the_same(
        logits in logits(),
        settings in settings(),
        history in prop::collection::vec(0..320u32, 0..30),
        position in any::<u64>(),
    ) {
        let kept = survivors(&logits, &settings, &history);
        let mut sampler = Sampler::new(settings.clone(), logits.len()).unwrap();
        let choice = sampler.next(&mut logits.clone(), position, &history).unwrap();
        prop_assert_eq!(choice.token, drawn(&kept, bits_at(settings.seed, position)));

        // A buffer used before, and a history beyond the vocabulary, change nothing.
        let again = sampler.next(&mut logits.clone(), position, &history).unwrap();
        prop_assert_eq!(choice, again);
        prop_assert_eq!(choice.logprob.is_some(), settings.logprobs);
        if let Some(logprob) = choice.logprob {
            let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum: f64 = logits.iter().map(|&l| (f64::from(l) - max).exp()).sum();
            let exact = f64::from(logits[choice.token as usize]) - max - sum.ln();
            let near = 1e-4 + 1e-6 * max.abs() + 1e-6 * exact.abs();
            prop_assert!((f64::from(logprob) - exact).abs() <= near, "{} {}", logprob, exact);
        }
    }
}

/// The size of a real vocabulary, where most tokens can be drawn, few, or all alike.
#[test]
fn a_large_vocabulary_is_drawn_from_alike() {
    const VOCAB: u32 = 128_256;
    let noise = |token: u32| (token.wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1 << 24) as f32;
    let flat = (0..VOCAB).map(|token| noise(token) * 12.0).collect();
    let peaked = (0..VOCAB).map(|token| match token % 997 {
        0 => 25.0 + noise(token),
        _ => noise(token) * 5.0,
    });
    let rounded = (0..VOCAB).map(|token| (noise(token) * 40.0).round());
    let shapes: [Vec<f32>; 4] = [
        flat,
        peaked.collect(),
        rounded.collect(),
        vec![-3.0; VOCAB as usize],
    ];
    let plain = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        ..Sampling::default()
    };
    let with = |change: fn(&mut Sampling)| {
        let mut settings = plain.clone();
        change(&mut settings);
        settings
    };
    for settings in [
        plain.clone(),
        Sampling::default(),
        with(|s| s.top_p = 0.999),
        with(|s| s.top_p = 0.01),
        with(|s| s.min_p = 0.1),
        with(|s| s.top_k = 40),
        with(|s| (s.top_k, s.top_p) = (5_000, 0.7)),
        with(|s| (s.top_k, s.min_p) = (200_000, 0.01)),
    ] {
        for logits in &shapes {
            let kept = survivors(logits, &settings, &[]);
            let mut sampler = Sampler::new(settings.clone(), logits.len()).unwrap();
            for position in 0..20 {
                let choice = sampler.next(&mut logits.clone(), position, &[]).unwrap();
                let expected = drawn(&kept, bits_at(settings.seed, position));
                assert_eq!(choice.token, expected, "{settings:?} {:?}", &logits[..2]);
            }
        }
    }
}

/// With one candidate per survivor count, every survivor is drawn about as often as it should be.
#[test]
fn draws_follow_the_weights() {
    let logits: Vec<f32> = [0.5f32, 0.25, 0.125, 0.125]
        .iter()
        .map(|p| p.ln())
        .collect();
    let settings = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        seed: 7,
        ..Sampling::default()
    };
    let mut sampler = Sampler::new(settings, 4).unwrap();
    let mut counts = [0; 4];
    for position in 0..8_000 {
        counts[sampler
            .next(&mut logits.clone(), position, &[])
            .unwrap()
            .token as usize] += 1;
    }
    for (count, expected) in counts.into_iter().zip([4_000i32, 2_000, 1_000, 1_000]) {
        assert!((count - expected).abs() < 200, "{counts:?}");
    }
}

/// These values hold on every machine; a change here changes every seeded answer. They come from a
/// separate program in another language.
#[test]
fn golden_draws() {
    let logits: Vec<f32> = (0..1_000u32)
        .map(|i| (i * 7_919 % 1_000) as f32 * 0.01)
        .collect();
    let draw = |settings: Sampling| -> Vec<u32> {
        let mut sampler = Sampler::new(settings, 1_000).unwrap();
        let next = |position| {
            sampler
                .next(&mut logits.clone(), position, &[1, 2, 2])
                .unwrap()
                .token
        };
        (0..8).map(next).collect()
    };
    let seed = 42;
    assert_eq!(
        draw(Sampling {
            seed,
            ..Sampling::default()
        }),
        GOLDEN[0]
    );
    assert_eq!(
        draw(Sampling {
            seed,
            temperature: 1.3,
            top_p: 1.0,
            ..Sampling::default()
        }),
        GOLDEN[1]
    );
    assert_eq!(
        draw(Sampling {
            seed,
            top_k: 40,
            min_p: 0.7,
            ..Sampling::default()
        }),
        GOLDEN[2]
    );
    assert_eq!(
        draw(Sampling {
            seed: u64::MAX,
            ..Sampling::default()
        }),
        GOLDEN[3]
    );
    assert_eq!(
        draw(Sampling {
            seed,
            ..Sampling::greedy()
        }),
        [321; 8]
    );
}

const GOLDEN: [[u32; 8]; 4] = [
    [482, 321, 643, 667, 852, 297, 742, 420],
    [471, 322, 655, 667, 841, 297, 742, 409],
    [494, 321, 642, 642, 852, 284, 778, 457],
    [99, 297, 445, 668, 791, 852, 284, 766],
];

#[test]
fn the_best_token_and_the_lower_of_equals() {
    let mut greedy = Sampler::new(
        Sampling {
            logprobs: true,
            ..Sampling::greedy()
        },
        4,
    )
    .unwrap();
    let choice = greedy
        .next(&mut [0.0, 3.0, 3.0, f32::NEG_INFINITY], 0, &[])
        .unwrap();
    assert_eq!(choice.token, 1);
    assert!(
        (choice.logprob.unwrap() - -0.717_735_6).abs() < 1e-6,
        "{choice:?}"
    );
    let zero = greedy.next(&mut [-0.0, 0.0, -1.0, -1.0], 0, &[]).unwrap();
    assert_eq!(zero.token, 0);
    // Positive logits are divided, negative ones multiplied; only the window counts.
    let settings = Sampling {
        repetition_penalty: 2.0,
        repetition_window: 2,
        ..Sampling::greedy()
    };
    let mut penal = Sampler::new(settings, 3).unwrap();
    let mut logits = [4.0, 3.0, -1.0];
    assert_eq!(
        penal.next(&mut logits, 0, &[1, 0, 2, 2]),
        Ok(Choice {
            token: 0,
            logprob: None
        })
    );
    assert_eq!(logits, [4.0, 3.0, -2.0]);
    assert_eq!(
        penal.next(&mut [4.0, 3.0, -1.0], 0, &[0, 9]).unwrap().token,
        1
    );
    let banned = Sampling {
        logit_bias: vec![(0, f32::NEG_INFINITY), (2, 9.0)],
        ..Sampling::greedy()
    };
    assert_eq!(
        Sampler::new(banned, 3)
            .unwrap()
            .next(&mut [4.0, 3.0, -1.0], 0, &[])
            .unwrap()
            .token,
        2
    );
}

#[test]
fn broken_logits_are_refused() {
    for settings in [
        Sampling::greedy(),
        Sampling::default(),
        Sampling {
            logprobs: true,
            ..Sampling::default()
        },
    ] {
        let mut sampler = Sampler::new(settings, 3).unwrap();
        let mut error = |logits: &mut [f32]| sampler.next(logits, 0, &[]).unwrap_err();
        let broken = error(&mut [0.0, f32::NAN, 1.0]);
        assert!(
            matches!(broken, SampleError::BrokenLogit { token: 1, .. }),
            "{broken}"
        );
        let broken = error(&mut [0.0, 1.0, f32::INFINITY]);
        assert!(
            matches!(broken, SampleError::BrokenLogit { token: 2, .. }),
            "{broken}"
        );
        assert_eq!(error(&mut [f32::NEG_INFINITY; 3]), SampleError::AllMasked);
        assert_eq!(
            error(&mut [0.0; 2]),
            SampleError::Length {
                logits: 2,
                vocab: 3
            }
        );
    }
}

#[test]
fn settings_outside_their_range_are_named() {
    type Change = fn(&mut Sampling);
    let changes: [(&str, Change); 14] = [
        ("temperature", |s| s.temperature = f32::NAN),
        ("temperature", |s| s.temperature = -1.0),
        ("temperature", |s| s.temperature = 1e-6),
        ("temperature", |s| s.temperature = f32::INFINITY),
        ("top_p", |s| s.top_p = 0.0),
        ("top_p", |s| s.top_p = 1.5),
        ("top_p", |s| s.top_p = f32::NAN),
        ("min_p", |s| s.min_p = -0.1),
        ("repetition_penalty", |s| s.repetition_penalty = 0.0),
        ("frequency_penalty", |s| s.frequency_penalty = f32::NAN),
        ("presence_penalty", |s| s.presence_penalty = 101.0),
        ("logit_bias", |s| {
            s.logit_bias = vec![(0, 1.0), (0, f32::NAN)]
        }),
        ("logit_bias", |s| s.logit_bias = vec![(0, f32::INFINITY)]),
        ("min_p", |s| s.min_p = f32::NAN),
    ];
    for (wanted, change) in changes {
        let mut settings = Sampling::default();
        change(&mut settings);
        let err = settings.validate().unwrap_err();
        assert!(
            matches!(err, SampleError::Setting { name, .. } if name == wanted),
            "{err}"
        );
        assert_eq!(
            Sampler::new(settings, 8).unwrap_err().to_string(),
            err.to_string()
        );
    }
    let biased = Sampling {
        logit_bias: vec![(8, 1.0)],
        ..Sampling::default()
    };
    let err = Sampler::new(biased, 8).unwrap_err();
    assert_eq!(err, SampleError::BiasToken { token: 8, vocab: 8 });
    assert!(Sampling::default().validate().is_ok() && Sampling::greedy().validate().is_ok());
}
