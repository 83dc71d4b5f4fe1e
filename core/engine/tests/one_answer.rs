//! One answer: the same bits on every kernel, with every number of threads, for every way a
//! prompt is cut and every batch it runs in.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]

mod common;

use common::{bits, deep, kernels, logits, mixed, runner, runner_for, tokens};
use tritone_abi::KvFormat;
use tritone_engine::{Forms, Head, Slice, Want};

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

/// The past is cut into spans of 512 positions, which threads share when a token comes alone.
#[test]
fn nor_does_the_way_a_long_past_is_shared() {
    let long = tokens(1100, 3);
    for kv in [KvFormat::F16, KvFormat::Q8, KvFormat::F32] {
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
