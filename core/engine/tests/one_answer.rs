//! One answer: the same bits on every kernel, with every number of threads, for every way a
//! prompt is cut and every batch it runs in.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]

mod common;

use common::{bits, kernels, logits, runner};
use tritone_abi::HeadFormat;
use tritone_engine::{Runner, Slice, Want};

/// Reproducible tokens of the tiny vocabulary.
fn tokens(count: usize, mut state: u64) -> Vec<u32> {
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u32 % 2000
    };
    (0..count).map(|_| next()).collect()
}

/// Compares every combination with the first kernel's answer for one thread and one chunk.
fn compare(head: HeadFormat, threads: &[usize], chunks: &[usize]) {
    // Crosses a page of the KV cache.
    let prompt = tokens(80, 1);
    let mut reference = None;
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        for threads in threads {
            let mut runner = runner(kernel.clone(), *threads, head);
            for chunk in chunks {
                let got = bits(&logits(&mut runner, &prompt, *chunk));
                let want = reference.get_or_insert_with(|| got.clone());
                for (position, (got, want)) in got.iter().zip(want.iter()).enumerate() {
                    assert!(
                        got == want,
                        "{name}, {threads} threads, chunks of {chunk}, {head:?}: position \
                         {position} differs from the first kernel's"
                    );
                }
            }
        }
    }
}

#[test]
fn kernels_threads_and_chunks_do_not_matter() {
    compare(HeadFormat::F16, &[1, 2, 3], &[80, 1, 7, 64]);
}

#[test]
fn nor_do_they_with_quantised_heads() {
    for head in [HeadFormat::Q8, HeadFormat::Q6, HeadFormat::Q4] {
        compare(head, &[1, 2], &[80, 7]);
    }
}

/// Runs several sequences in mixed steps: while one is read, others decode.
fn mixed(runner: &mut Runner, sequences: &[Vec<u32>]) -> Vec<Vec<Vec<f32>>> {
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

#[test]
fn other_sequences_of_the_batch_do_not_matter() {
    let sequences: Vec<Vec<u32>> = [40, 90, 70, 64]
        .iter()
        .enumerate()
        .map(|(i, n)| tokens(*n, i as u64 + 7))
        .collect();
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        let mut runner = runner(kernel, 2, HeadFormat::F16);
        let together = mixed(&mut runner, &sequences);
        for (i, sequence) in sequences.iter().enumerate() {
            let alone = logits(&mut runner, sequence, sequence.len());
            assert!(
                bits(&alone) == bits(&together[i]),
                "{name}: sequence {i} differs"
            );
        }
    }
}
