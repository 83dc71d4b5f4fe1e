//! The ternary product over both layouts, from the second-level cache and from memory:
//! `cargo bench -p tritone-lut [-- NAME]`, for kernels with NAME in their names. They take turns in every
//! repetition; the best one counts.
#![expect(
    unsafe_code,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement"
)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tritone_abi::{
    Activations, Kernel, MatOut, PackArgs, ScratchNeed, TernaryMatrix, WeightScales,
};
use tritone_lut::Lut;

const COLS: usize = 2560;
/// Packed rows that the engine gives a kernel at a time, if the alignment allows.
const TILE_BYTES: usize = 64 << 10;
/// Samples are short, so that the best one was not interrupted.
const REPEAT: usize = 40;

/// Rows, and how often they are multiplied in one sample.
const SIZES: [(&str, usize, usize); 2] = [("L2", 512, 8), ("memory", 32_768, 1)];

struct Packed<'k> {
    name: String,
    kernel: &'k dyn Kernel,
    data: Vec<u8>,
    rows: usize,
}

fn pack<'k>(name: &str, kernel: &'k dyn Kernel, rows: usize) -> Packed<'k> {
    let mut state = 1u64;
    let codes = (0..rows * COLS / 4).map(|_| {
        (0..4).fold(0u8, |byte, i| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            byte | (((state >> 33) % 3) as u8) << (2 * i)
        })
    });
    let codes: Vec<u8> = codes.collect();
    let mut data = vec![0; kernel.packed_bytes(rows, COLS).expect("a usual shape")];
    let args = PackArgs {
        codes: &codes,
        rows,
        cols: COLS,
    };
    kernel.pack(&args, &mut data).expect("good rows");
    Packed {
        name: name.to_owned(),
        kernel,
        data,
        rows,
    }
}

/// Multiplies everything `turns` times with `threads` threads.
fn sample(p: &Packed<'_>, tokens: usize, threads: usize, turns: usize) -> Duration {
    let w = TernaryMatrix {
        layout: p.kernel.facts().layout,
        rows: p.rows,
        cols: COLS,
        scales: WeightScales::Tensor(0.5),
        data: &p.data,
    };
    let q: Vec<i8> = (0..tokens * COLS)
        .map(|i| (i * 37 % 255) as u8 as i8)
        .collect();
    let sums: Vec<i32> = q
        .chunks(COLS)
        .map(|row| row.iter().map(|v| i32::from(*v)).sum())
        .collect();
    let scales = vec![0.01; tokens];
    let need = ScratchNeed {
        max_cols: COLS,
        max_tokens: tokens,
        ..ScratchNeed::default()
    };
    let align = p.kernel.facts().row_align;
    let tile = (TILE_BYTES * 4 / COLS / align * align).max(align);
    let (next, barrier) = (AtomicUsize::new(0), Barrier::new(threads));
    let work = || {
        let x = Activations {
            tokens,
            cols: COLS,
            group: COLS,
            q: &q,
            scales: &scales,
            sums: &sums,
        };
        let mut scratch = vec![0u64; p.kernel.scratch_bytes(&need).div_ceil(8)];
        // SAFETY: u64 is made of eight initialised bytes.
        let (_, scratch, _) = unsafe { scratch.align_to_mut::<u8>() };
        let mut out = vec![0.0; tokens * p.rows];
        barrier.wait();
        let start = Instant::now();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed) * tile;
            if at >= turns * p.rows {
                break;
            }
            let first = at % p.rows;
            let range = first..p.rows.min(first + tile);
            let mut out = MatOut::new(&mut out, p.rows, range).expect("a good range");
            let done = p.kernel.matmul(&w, &x, &mut out, scratch);
            done.expect("good arguments");
        }
        (start, Instant::now())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let (mut start, mut end) = work();
        for other in others {
            let times = other.join().expect("no panic");
            (start, end) = (start.min(times.0), end.max(times.1));
        }
        end - start
    })
}

fn main() {
    let forms: Vec<_> = Lut::forms().collect();
    let mut kernels: Vec<(String, &dyn Kernel)> = Vec::new();
    // SAFETY: tables made by `export_kernel!`, linked in.
    #[cfg(target_arch = "x86_64")]
    let others = unsafe {
        [tritone_avx2::TABLE, tritone_avx512::TABLE]
            .map(|table| tritone_abi::host::TableKernel::new(table).expect("our own table"))
    };
    #[cfg(not(target_arch = "x86_64"))]
    let others: [tritone_scalar::Scalar; 1] = [tritone_scalar::Scalar];
    for kernel in &others {
        if kernel.score().rank > 0 {
            kernels.push((kernel.facts().name.clone(), kernel));
        }
    }
    for (name, kernel) in &forms {
        kernels.push((format!("lut {name}"), kernel));
    }
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    kernels.retain(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted)));
    println!("{COLS} columns; GMAC/s, and GB/s of weights: best of {REPEAT}");
    for (size, rows, turns) in SIZES {
        let packed: Vec<_> = kernels.iter().map(|(n, k)| pack(n, *k, rows)).collect();
        for (threads, tokens) in [
            (1, 1),
            (2, 1),
            (1, 2),
            (1, 4),
            (1, 8),
            (1, 16),
            (1, 64),
            (1, 256),
        ] {
            let turns = (turns / tokens).max(1);
            let mut best = vec![Duration::MAX; packed.len()];
            for _ in 0..REPEAT {
                for (p, best) in packed.iter().zip(&mut best) {
                    *best = sample(p, tokens, threads, turns).min(*best);
                }
            }
            for (p, best) in packed.iter().zip(best) {
                let (seconds, turns) = (best.as_secs_f64(), turns as f64);
                let macs = (rows * COLS * tokens) as f64 * turns / seconds / 1e9;
                let read = p.data.len() as f64 * turns / seconds / 1e9;
                println!(
                    "{size:>6} {threads} threads {tokens:>2} tokens  {:12} {macs:7.1} GMAC/s {read:6.2} GB/s",
                    p.name
                );
            }
        }
    }
}
