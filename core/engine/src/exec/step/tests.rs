//! Layers whose queries see a window of the past: what they depend on, and one answer for them.

use std::sync::Arc;

use tritone_abi::host::TableKernel;
use tritone_abi::table::KernelTable;
use tritone_abi::{Kernel, KvFormat};

use super::{Slice, Want};
use crate::api::ModelSource;
use crate::forms::Forms;
use crate::model::Model;
use crate::plan::Capacity;
use crate::runner::{Runner, RunnerOptions};

/// The embedded model with these windows, layer by layer and over again; 0 for none.
fn model(windows: &[usize]) -> Arc<Model> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
    );
    let mut model = Model::open(&ModelSource::File(path.into())).unwrap();
    let layers = model.recipe.layers.len();
    model.recipe.windows = windows.iter().copied().cycle().take(layers).collect();
    model.recipe.window_rope = model.recipe.rope.clone();
    Arc::new(model)
}

fn kernels() -> Vec<Arc<dyn Kernel>> {
    let tables: &[&'static KernelTable] = &[
        tritone_scalar::TABLE,
        #[cfg(target_arch = "x86_64")]
        tritone_avx2::TABLE,
        #[cfg(target_arch = "x86_64")]
        tritone_avx512::TABLE,
        #[cfg(target_arch = "aarch64")]
        tritone_neon::TABLE,
    ];
    let mut kernels: Vec<Arc<dyn Kernel>> = Vec::new();
    for table in tables {
        // SAFETY: a table made by `export_kernel!`, linked into this program.
        let kernel = unsafe { TableKernel::new(table) }.unwrap();
        if kernel.score().rank > 0 {
            kernels.push(Arc::new(kernel));
        }
    }
    kernels
}

fn runner(model: &Arc<Model>, kernel: &Arc<dyn Kernel>, threads: usize, kv: KvFormat) -> Runner {
    let capacity = Capacity {
        rows: 200,
        ..Capacity::new(700, 2, 64)
    };
    let options = RunnerOptions {
        threads,
        forms: Forms {
            kv,
            ..Forms::default()
        },
        ..RunnerOptions::new(Arc::clone(kernel), capacity)
    };
    Runner::load(Arc::clone(model), options, &mut |_| true).unwrap()
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32)
        .map(|i| (i * i * 37 + i * 11) % 2000)
        .collect()
}

/// Logits of the last `alone` positions, which come one by one after the others in chunks.
fn logits(runner: &mut Runner, tokens: &[u32], chunk: usize, alone: usize) -> Vec<Vec<u32>> {
    let pages = runner.reserve(tokens.len()).unwrap();
    let mut out = Vec::new();
    let mut start = 0;
    while start < tokens.len() {
        let left = (tokens.len() - alone).saturating_sub(start);
        let count = if left == 0 { 1 } else { left.min(chunk) };
        let want = if left == 0 { Want::Last } else { Want::Nothing };
        let tokens = &tokens[start..start + count];
        let pages = &pages;
        runner
            .step(&[Slice {
                tokens,
                start,
                pages,
                want,
            }])
            .unwrap();
        if want == Want::Last {
            out.push(runner.logits(0).iter().map(|x| x.to_bits()).collect());
        }
        start += count;
    }
    runner.release(pages);
    out
}

#[test]
fn kernels_threads_and_chunks_do_not_matter_to_windows() {
    let text = tokens(640);
    for (windows, kv) in [
        (&[0, 1, 63, 64, 600, 5000][..], KvFormat::F16),
        (&[65, 512, 0, 100], KvFormat::Q8),
        (&[100, 0], KvFormat::F32),
    ] {
        let model = model(windows);
        let mut first = None;
        for kernel in kernels() {
            for (threads, chunk, alone) in [(1, 200, 4), (2, 97, 30), (3, 16, 1)] {
                let mut runner = runner(&model, &kernel, threads, kv);
                let got = logits(&mut runner, &text, chunk, alone);
                let last = got.last().unwrap().clone();
                let name = &kernel.facts().name;
                assert!(
                    *first.get_or_insert_with(|| last.clone()) == last,
                    "{name}, {threads} threads, chunks of {chunk}, windows {windows:?}"
                );
            }
        }
    }
}

/// One layer looks back, the others see the position alone: what lies before the window changes
/// nothing, and its oldest position does.
#[test]
fn a_position_depends_on_what_its_window_reaches() {
    let kernel = kernels().pop().unwrap();
    let text = tokens(600);
    for window in [1, 20, 64, 65, 100, 540] {
        let model = model(&[1, 1, window, 1, 1, 1]);
        let mut runner = runner(&model, &kernel, 2, KvFormat::F16);
        let want = logits(&mut runner, &text, 90, 1);
        for (back, same) in [(window, true), (window - 1, false)] {
            let mut other = text.clone();
            let at = text.len() - 1 - back;
            other[at] = (other[at] + 1000) % 2000;
            let got = logits(&mut runner, &other, 90, 1);
            assert_eq!(got == want, same, "window {window}, {back} positions back");
        }
    }
}

#[test]
fn a_window_of_the_whole_past_is_none() {
    let kernel = &kernels().pop().unwrap();
    let text = tokens(600);
    let [want, got, fewer] = [0, 600, 599].map(|window| {
        let mut runner = runner(&model(&[window]), kernel, 1, KvFormat::F16);
        logits(&mut runner, &text, 128, 1)
    });
    assert!(got == want);
    assert!(fewer != want, "the oldest position is seen by nobody");
}
