//! One answer: the same bits on every kernel, with every number of threads, for every way a
//! prompt is cut and every batch it runs in.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]

mod common;

use common::{bits, kernels, logits, runner, runner_for};
use tritone_abi::KvFormat;
use tritone_engine::{Forms, Head, Runner, Slice, Want};

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
fn compare(head: Head, threads: &[usize], chunks: &[usize]) {
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
    compare(Head::F16, &[1, 2, 3], &[80, 1, 7, 64]);
}

#[test]
fn nor_do_they_with_quantised_heads() {
    for head in [Head::Q8, Head::Q6, Head::Q4, Head::Q4Exact] {
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
        let mut runner = runner(kernel, 2, Head::F16);
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

/// Reads `long` in chunks, then goes on with its last tokens one by one; logits of those.
fn deep(runner: &mut Runner, long: &[u32], chunk: usize, last: usize) -> Vec<Vec<f32>> {
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

/// The past is cut into spans of 512 positions, which threads share when a token comes alone.
#[test]
fn nor_does_the_way_a_long_past_is_shared() {
    let long = tokens(1100, 3);
    for kv in [KvFormat::F16, KvFormat::Q8] {
        let head = Head::F16;
        let mut reference = None;
        for kernel in kernels() {
            let name = kernel.facts().name.clone();
            for (threads, chunk, last) in [(1, 160, 10), (2, 97, 3), (3, 160, 90)] {
                let forms = Forms { head, kv };
                let mut runner = runner_for(kernel.clone(), threads, forms, 1200);
                let got = bits(&deep(&mut runner, &long, chunk, last));
                let want = reference.get_or_insert_with(|| got.clone());
                let common = got.len().min(want.len());
                assert!(
                    got[got.len() - common..] == want[want.len() - common..],
                    "{name}, {threads} threads, chunks of {chunk}, {kv:?} differs"
                );
            }
        }
    }
}

/// Two sequences with long pasts decode together, beside a third one that is being read.
#[test]
fn nor_do_others_with_a_long_past() {
    let sequences: Vec<Vec<u32>> = [700, 1090, 600]
        .iter()
        .map(|n| tokens(*n, *n as u64))
        .collect();
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        let mut runner = runner_for(kernel, 2, Forms::default(), 1200);
        let alone: Vec<_> = sequences
            .iter()
            .map(|s| bits(&deep(&mut runner, s, 160, 1)))
            .collect();
        let pages: Vec<_> = sequences
            .iter()
            .map(|s| runner.reserve(s.len()).unwrap())
            .collect();
        for (s, pages) in sequences.iter().zip(&pages) {
            for (i, part) in s[..s.len() - 1].chunks(100).enumerate() {
                let slice = Slice {
                    tokens: part,
                    start: i * 100,
                    pages,
                    want: Want::Nothing,
                };
                runner.step(&[slice]).unwrap();
            }
        }
        let batch: Vec<_> = sequences
            .iter()
            .zip(&pages)
            .map(|(s, pages)| Slice {
                tokens: &s[s.len() - 1..],
                start: s.len() - 1,
                pages,
                want: Want::Last,
            })
            .collect();
        runner.step(&batch).unwrap();
        for (i, alone) in alone.iter().enumerate() {
            let together = bits(&[runner.logits(i).to_vec()]);
            assert!(*alone == together, "{name}: sequence {i} differs");
        }
    }
}

/// The exact head's best rows are those of the f16 head, bit for bit.
#[test]
fn an_exact_head_ends_like_the_reference() {
    let prompt = tokens(40, 5);
    for kernel in kernels() {
        let mut reference = runner(kernel.clone(), 2, Head::F16);
        let mut exact = runner(kernel.clone(), 2, Head::Q4Exact);
        let mut coarse = runner(kernel, 2, Head::Q4);
        let want = logits(&mut reference, &prompt, 40);
        let got = logits(&mut exact, &prompt, 40);
        let codes = logits(&mut coarse, &prompt, 40);
        for ((want, got), codes) in want.iter().zip(&got).zip(&codes) {
            let mut order: Vec<usize> = (0..codes.len()).collect();
            order.sort_by(|a, b| codes[*b].total_cmp(&codes[*a]).then(a.cmp(b)));
            for (rank, row) in order.into_iter().enumerate() {
                let from = if rank < 256 { want } else { codes };
                assert_eq!(got[row].to_bits(), from[row].to_bits(), "rank {rank}");
            }
        }
    }
}
