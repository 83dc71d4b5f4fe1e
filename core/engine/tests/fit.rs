//! What is proposed when a plan exceeds its limit fits it, for shapes of many models.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use common::{best_kernel, tiny};
use proptest::prelude::*;
use tritone_abi::{Kernel, KvFormat};
use tritone_engine::{Capacity, Fit, Forms, Head, MemoryPlan, Recipe};

/// The built-in model with other sizes.
fn shaped(layers: usize, hidden: usize, ffn: usize, vocab: usize, ternary_head: bool) -> Recipe {
    let mut recipe = tiny().recipe().clone();
    recipe.layers = vec![recipe.layers[0]; layers];
    (recipe.hidden, recipe.ffn, recipe.vocab) = (hidden, ffn, vocab);
    (recipe.head_dim, recipe.heads, recipe.kv_heads) = (128, hidden / 128, (hidden / 512).max(1));
    recipe.ternary_head = ternary_head.then_some(128);
    recipe.embedding_row = 2 * hidden as u64;
    recipe
}

fn shapes() -> Vec<Recipe> {
    vec![
        tiny().recipe().clone(),
        shaped(30, 2560, 6912, 128_256, false),
        shaped(24, 1536, 4096, 32_002, false),
        shaped(28, 2048, 6144, 151_669, true),
        shaped(32, 4096, 14_336, 128_256, false),
    ]
}

/// What was asked for, changed as the proposal says it.
fn apply(fit: &Fit, capacity: Capacity, forms: Forms) -> (Capacity, Forms) {
    let (mut capacity, mut forms) = (capacity, forms);
    for (key, value) in fit.settings() {
        match key {
            "context" => capacity = capacity.with_context(value.parse().unwrap()),
            "batch" => capacity = capacity.with_batch(value.parse().unwrap()),
            "head" => forms.head = value.parse().unwrap(),
            "kv_type" => {
                assert_eq!(value, "q8");
                forms.kv = KvFormat::Q8;
            }
            other => panic!("no setting {other}"),
        }
    }
    (capacity, forms)
}

fn plan(
    recipe: &Recipe,
    kernel: &dyn Kernel,
    asked: (Capacity, Forms),
    limit: Option<u64>,
) -> MemoryPlan {
    MemoryPlan::new(recipe, kernel, 2, asked.0, asked.1, limit).unwrap()
}

#[test]
fn what_loses_least_is_proposed() {
    let kernel = best_kernel();
    let recipe = shaped(30, 2560, 6912, 128_256, false);
    let asked = (Capacity::new(4096, 1, 256), Forms::default());
    let whole = plan(&recipe, &*kernel, asked, None).total();
    let flags = |less: u64| {
        let refused = plan(&recipe, &*kernel, asked, Some(whole - less));
        refused.nearest.map(|fit| fit.flags())
    };
    assert_eq!(flags(0), None);
    let mib = |n: u64| n << 20;
    // A little of the context, which changes no answer that fits it.
    let first = flags(mib(20)).unwrap();
    assert!(first.starts_with("--ctx 3"), "{first}");
    // The KV cache takes 300 MiB: half of that is an int8 cache and no shorter context.
    assert_eq!(flags(mib(130)).unwrap(), "--kv q8");
    // Then the head of 626 MiB.
    assert_eq!(flags(mib(250)).unwrap(), "--head q8");
    assert_eq!(flags(mib(420)).unwrap(), "--kv q8 --head q8");
    let last = flags(mib(700)).unwrap();
    assert!(last.starts_with("--kv q8 --head q4 --ctx "), "{last}");
    assert_eq!(flags(whole - mib(64)), None);

    // Sequences that run together change no answer.
    let many = (Capacity::new(4096, 32, 256), Forms::default());
    let all = plan(&recipe, &*kernel, many, None).total();
    let fit = plan(&recipe, &*kernel, many, Some(all - mib(100))).nearest;
    assert_eq!(fit.unwrap().settings(), [("batch", "16".to_owned())]);
}

#[test]
fn a_refusal_says_the_parts_and_the_flags() {
    let kernel = best_kernel();
    let recipe = shaped(30, 2560, 6912, 128_256, false);
    let asked = (Capacity::new(4096, 1, 256), Forms::default());
    let text = plan(&recipe, &*kernel, asked, Some(1000 << 20)).to_string();
    for part in ["weights ", "head ", "KV cache ", "scratch ", "program "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("of a limit of 1000 MiB"), "{text}");
    assert!(
        text.contains("; `--") && text.contains("` would fit ("),
        "{text}"
    );
    let text = plan(&recipe, &*kernel, asked, Some(100 << 20)).to_string();
    assert!(text.contains("nothing smaller fits"), "{text}");
    assert!(text.contains("--memory "), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_proposal_fits_and_is_no_more_than_was_asked(
        shape in 0..5usize,
        context in 64..20_000usize,
        batch in 1..20usize,
        head in prop::sample::select(&[Head::F16, Head::Q8, Head::Q6, Head::Q4Exact][..]),
        kv in prop::sample::select(&[KvFormat::F16, KvFormat::Q8, KvFormat::F32][..]),
        share in 5..99u64,
    ) {
        let (recipe, kernel) = (&shapes()[shape], best_kernel());
        let asked = (Capacity::new(context, batch, 128), Forms { head, kv });
        let whole = plan(recipe, &*kernel, asked, None).total();
        let limit = whole / 100 * share;
        let refused = plan(recipe, &*kernel, asked, Some(limit));
        prop_assert!(!refused.fits());
        match &refused.nearest {
            Some(fit) => {
                let changed = apply(fit, asked.0, asked.1);
                let now = plan(recipe, &*kernel, changed, Some(limit));
                prop_assert!(now.fits(), "{} takes {}", fit.flags(), now);
                prop_assert_eq!(now.total(), fit.total);
                prop_assert!(!fit.settings().is_empty());
                prop_assert!(fit.context <= context && fit.batch <= batch);
            }
            None => {
                // Not even the smallest of everything does.
                let capacity = Capacity::new(256.min(context), 1, 128);
                let least = Forms { head: Head::Q4, kv: KvFormat::Q8 };
                let smallest = plan(recipe, &*kernel, (capacity, least), None).total();
                prop_assert!(smallest > limit, "{smallest} of {limit}: {refused}");
            }
        }
        if let Some(context) = refused.fitting_context {
            let shorter = (asked.0.with_context(context), asked.1);
            prop_assert!(plan(recipe, &*kernel, shorter, Some(limit)).fits());
        }
    }
}
