//! A made-up report for tests.

use super::report::{
    Batch, Decode, Facts, Gaps, KernelFacts, MachineFacts, Mixed, ModelFacts, Prefill, Report,
    Results, Settings,
};
use super::rows::Document;
use super::stats::Measured;

/// Three samples around `median`.
fn around(median: f64) -> Measured {
    Measured::new(vec![median, median * 0.95, median * 1.1])
}

fn results(kernel: &str, threads: usize, speed: f64) -> Results {
    let decode = |context: usize, rate: f64| Decode {
        context,
        tokens: 64,
        bytes_per_token: 1.2e9,
        tokens_per_s: around(rate),
        gb_per_s: around(rate * 1.2),
        share_of_read: around(0.5),
    };
    let batch = |sequences: usize, rate: f64| Batch {
        sequences,
        context: 0,
        tokens_per_s: around(rate),
        tokens_per_s_each: around(rate / sequences as f64),
        times_one: around(rate / speed),
        share_of_int8: around(0.8),
        share_of_read: around(0.4),
    };
    let gaps = |ms: f64| Gaps {
        p50_ms: around(ms),
        p95_ms: around(ms * 1.5),
        ms: vec![vec![ms, ms * 1.5]; 3],
    };
    Results {
        kernel: kernel.to_owned(),
        head: "f16".to_owned(),
        threads,
        load_seconds: 1.5,
        weights_bytes: 521 << 20,
        head_bytes: 626 << 20,
        read_gb_per_s: around(11.0 * threads as f64),
        best_prefetch_bytes: vec![4096; 3],
        int8_gmac_per_s: around(36.0 * threads as f64),
        prefill: Some(Prefill {
            tokens: 512,
            tokens_per_s: around(speed * 3.0),
            gmac_per_s: around(speed * 6.0),
            share_of_int8: around(0.9),
        }),
        decode: vec![decode(0, speed), decode(4096, speed * 0.8)],
        batch: vec![batch(1, speed), batch(4, speed * 2.5)],
        mixed: Some(Mixed {
            decoders: 2,
            context: 0,
            prompt: 512,
            chunk: 256,
            alone: gaps(100.0),
            reading: gaps(900.0),
        }),
    }
}

/// Two kernels with one and two threads; `slow` reads no memory bandwidth.
pub(super) fn report() -> Report {
    let kernel = |name: &str| KernelFacts {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        build_id: "b1".to_owned(),
        isa: "none".to_owned(),
        layout: "T2R32".to_owned(),
    };
    let mut all = vec![
        results("fast", 1, 6.0),
        results("fast", 2, 10.0),
        results("slow", 1, 1.0),
    ];
    all[2].read_gb_per_s = Measured::missing("no such loop");
    // Interrupted before the batch.
    all[2].batch.clear();
    all[2].mixed = None;
    Report {
        schema: Report::SCHEMA.to_owned(),
        facts: Facts {
            tritone: "0.1.0".to_owned(),
            unix_time: 1_795_392_000,
            date: "2026-11-23".to_owned(),
            machine: MachineFacts {
                cpu: "A Processor".to_owned(),
                arch: "x86_64".to_owned(),
                isa: vec!["some".to_owned()],
                physical_cores: 2,
                logical_cpus: 4,
                usable_threads: 4,
                cpu_quota: None,
                memory_bytes: Some(24 << 30),
                caches: vec!["L2 512 KiB x 2".to_owned()],
                os: "Linux".to_owned(),
            },
            kernel: kernel("fast"),
            kernels: vec![kernel("fast"), kernel("slow")],
            model: ModelFacts {
                source: "m.gguf".to_owned(),
                content_id: "0123456789abcdef".to_owned(),
                name: "A Model".to_owned(),
                architecture: "bitnet-b1.58".to_owned(),
                file_bytes: 1_183_597_536,
                parameters: 2_412_820_480,
                layers: 30,
                hidden: 2560,
                ffn: 6912,
                heads: 20,
                kv_heads: 5,
                head_dim: 128,
                vocab: 128_256,
                ternary_macs_per_token: 2_084_044_800,
                weights_bytes: 521 << 20,
                head_format: "f16".to_owned(),
                head_bytes: 626 << 20,
            },
            pinned: Vec::new(),
            interrupted: false,
            notes: vec!["the machine was made up".to_owned()],
        },
        settings: Settings {
            kernels: vec!["fast".to_owned(), "slow".to_owned()],
            heads: vec!["f16".to_owned()],
            threads: vec![1, 2],
            prompt: 512,
            generate: 64,
            contexts: vec![0, 4096],
            batches: vec![1, 4],
            mixed: Some(2),
            repeat: 3,
            prefill_chunk: 256,
            read_buffer_bytes: 512 << 20,
            prefetch_bytes: vec![0, 4096],
        },
        results: all,
        comparison: None,
    }
}
