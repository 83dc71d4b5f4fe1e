//! What the engine's integration tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]
#![allow(
    unsafe_code,
    reason = "wrapping the tables of statically linked kernels"
)]

use std::sync::Arc;

use tritone_abi::host::TableKernel;
use tritone_abi::table::KernelTable;
use tritone_abi::{Kernel, KvFormat, Ops};
use tritone_engine::{
    Capacity, Forms, Head, Model, ModelSource, Runner, RunnerOptions, Slice, Want,
};
use tritone_loader::Layered;

/// The embedded model's file.
pub const TINY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
);

pub fn tiny() -> Arc<Model> {
    Arc::new(Model::open(&ModelSource::File(TINY.into())).unwrap())
}

/// Every kernel that can run on this machine, through its C table; says which it left out.
/// Complete ones come first; a partial one is laid over the best of them.
pub fn kernels() -> Vec<Arc<dyn Kernel>> {
    let tables: &[&'static KernelTable] = &[
        tritone_scalar::TABLE,
        #[cfg(target_arch = "x86_64")]
        tritone_avx2::TABLE,
        #[cfg(target_arch = "x86_64")]
        tritone_avx512::TABLE,
        #[cfg(target_arch = "aarch64")]
        tritone_neon::TABLE,
        tritone_lut::TABLE,
    ];
    let disabled = std::env::var("TRITONE_DISABLE_KERNELS").unwrap_or_default();
    let mut kernels: Vec<Arc<dyn Kernel>> = Vec::new();
    let mut partial: Vec<Arc<dyn Kernel>> = Vec::new();
    for table in tables {
        // SAFETY: a table made by `export_kernel!`, linked into this program.
        let kernel = unsafe { TableKernel::new(table) }.unwrap();
        let (name, score) = (kernel.facts().name.clone(), kernel.score());
        if score.rank == 0 || disabled.split(',').any(|d| d == name) {
            println!("{name} left out: {}", score.reason);
        } else if kernel.facts().ops.contains(Ops::ALL) {
            kernels.push(Arc::new(kernel));
        } else {
            partial.push(Arc::new(kernel));
        }
    }
    let base = kernels.iter().max_by_key(|kernel| kernel.score().rank);
    let base = base.unwrap().clone();
    let laid = |top| Arc::new(Layered::new(top, base.clone())) as Arc<dyn Kernel>;
    kernels.extend(partial.into_iter().map(laid));
    kernels
}

pub fn best_kernel() -> Arc<dyn Kernel> {
    kernels()
        .into_iter()
        .max_by_key(|k| k.score().rank)
        .unwrap()
}

/// Reproducible tokens of the tiny vocabulary.
pub fn tokens(count: usize, mut state: u64) -> Vec<u32> {
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u32 % 2000
    };
    (0..count).map(|_| next()).collect()
}

pub fn runner(kernel: Arc<dyn Kernel>, threads: usize, head: Head) -> Runner {
    let kv = KvFormat::F16;
    runner_for(kernel, threads, Forms { head, kv }, 512)
}

/// A runner with a context of its own.
pub fn runner_for(kernel: Arc<dyn Kernel>, threads: usize, forms: Forms, context: usize) -> Runner {
    let capacity = Capacity {
        rows: 160,
        logit_rows: 160,
        ..Capacity::new(context, 4, 64)
    };
    let options = RunnerOptions {
        threads,
        forms,
        ..RunnerOptions::new(kernel, capacity)
    };
    Runner::load(tiny(), options, &mut |_| true).unwrap()
}

/// Logits of all positions of `tokens`, computed `chunk` tokens at a time.
pub fn logits(runner: &mut Runner, tokens: &[u32], chunk: usize) -> Vec<Vec<f32>> {
    let pages = runner.reserve(tokens.len()).unwrap();
    let mut out = Vec::new();
    for (i, part) in tokens.chunks(chunk).enumerate() {
        let slice = Slice {
            tokens: part,
            start: i * chunk,
            pages: &pages,
            want: Want::All,
        };
        runner.step(&[slice]).unwrap();
        out.extend((0..part.len()).map(|row| runner.logits(row).to_vec()));
    }
    runner.release(pages);
    out
}

/// Runs several sequences in mixed steps: while one is read, others decode.
pub fn mixed(runner: &mut Runner, sequences: &[Vec<u32>]) -> Vec<Vec<Vec<f32>>> {
    let pages: Vec<_> = sequences
        .iter()
        .map(|s| runner.reserve(s.len()).unwrap())
        .collect();
    let mut done = vec![0; sequences.len()];
    let mut out = vec![Vec::new(); sequences.len()];
    let mut round = 0;
    while (0..sequences.len()).any(|i| done[i] < sequences[i].len()) {
        let mut batch = Vec::new();
        let mut order = Vec::new();
        for (i, sequence) in sequences.iter().enumerate() {
            // Sequence i starts late and goes on in steps of its own size, sometimes resting.
            let left = sequence.len() - done[i];
            if left == 0 || round < i || (round + i) % 4 == 3 {
                continue;
            }
            let count = left.min([1, 13, 5, 32][i % 4]);
            let tokens = &sequence[done[i]..done[i] + count];
            batch.push(Slice {
                tokens,
                start: done[i],
                pages: &pages[i],
                want: Want::All,
            });
            order.push((i, count));
        }
        round += 1;
        if batch.is_empty() {
            continue;
        }
        runner.step(&batch).unwrap();
        let mut row = 0;
        for (i, count) in order {
            done[i] += count;
            for _ in 0..count {
                out[i].push(runner.logits(row).to_vec());
                row += 1;
            }
        }
    }
    for pages in pages {
        runner.release(pages);
    }
    out
}

/// Reads `long` in chunks, then goes on with its last tokens one by one; logits of those.
pub fn deep(runner: &mut Runner, long: &[u32], chunk: usize, last: usize) -> Vec<Vec<f32>> {
    let pages = runner.reserve(long.len()).unwrap();
    let mut at = 0;
    let mut out = Vec::new();
    while at < long.len() {
        let left = (long.len() - last).saturating_sub(at);
        let count = if left == 0 { 1 } else { left.min(chunk) };
        let want = if left == 0 { Want::Last } else { Want::Nothing };
        let slice = Slice {
            tokens: &long[at..at + count],
            start: at,
            pages: &pages,
            want,
        };
        runner.step(&[slice]).unwrap();
        if want == Want::Last {
            out.push(runner.logits(0).to_vec());
        }
        at += count;
    }
    runner.release(pages);
    out
}

/// Greedy continuation of `tokens`, one at a time.
pub fn greedy(runner: &mut Runner, tokens: &[u32], count: usize) -> Vec<u32> {
    let pages = runner.reserve(tokens.len() + count).unwrap();
    let mut answer = Vec::new();
    let mut part = tokens.to_vec();
    let mut start = 0;
    while answer.len() < count {
        let slice = Slice {
            tokens: &part,
            start,
            pages: &pages,
            want: Want::Last,
        };
        runner.step(&[slice]).unwrap();
        start += part.len();
        part = vec![argmax(runner.logits(0))];
        answer.push(part[0]);
    }
    runner.release(pages);
    answer
}

pub fn argmax(logits: &[f32]) -> u32 {
    let best = logits
        .iter()
        .enumerate()
        .fold(0, |b, (i, x)| if *x > logits[b] { i } else { b });
    best as u32
}

pub fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter()
        .map(|row| row.iter().map(|x| x.to_bits()).collect())
        .collect()
}
