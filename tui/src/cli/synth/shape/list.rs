//! The shapes.

use tritone_formats::TensorType;

use super::hybrid::{Hybrid, QWEN35};
use super::{More, Shape, Windows};

/// BitNet b1.58 2B4T (Ma et al. 2025, arXiv 2504.12285).
pub(super) const B2_4T: Shape = Shape {
    name: "2b4t",
    summary: "BitNet b1.58 2B4T: 30 layers of 2560, vocabulary 128256 (1.2 GB)",
    architecture: "bitnet-b1.58",
    more: More::SubNorms,
    layers: 30,
    hidden: 2560,
    ffn: 6912,
    heads: 20,
    kv_heads: 5,
    head_dim: 128,
    vocab: 128_256,
    context: 4096,
    theta: 500_000.0,
    eps: 1e-5,
    tied: true,
    yarn: None,
    windows: None,
    rotated: None,
    experts: None,
    hybrid: None,
    scales: None,
    ternary: TensorType::I2S,
    embedding: TensorType::F16,
};

/// Ternary Bonsai 1.7B (PrismML, April 2026).
const BONSAI_1_7B: Shape = Shape {
    name: "bonsai-1.7b",
    summary: "Ternary Bonsai 1.7B: 28 layers of 2048, scales of 128 (0.5 GB)",
    architecture: "qwen3",
    more: More::HeadNorms,
    layers: 28,
    hidden: 2048,
    ffn: 6144,
    heads: 16,
    kv_heads: 8,
    head_dim: 128,
    vocab: 151_669,
    context: 32_768,
    theta: 1e6,
    eps: 1e-6,
    tied: true,
    ternary: TensorType::Pq2_0,
    embedding: TensorType::Pq2_0,
    ..B2_4T
};

/// Falcon3-1B-1.58bit (TII, December 2024).
const FALCON3_1B: Shape = Shape {
    name: "falcon3-1b",
    summary: "Falcon3 1B 1.58bit: 18 layers of 2048, vocabulary 131072 (1.4 GB)",
    architecture: "llama",
    more: More::Nothing,
    layers: 18,
    hidden: 2048,
    ffn: 8192,
    heads: 8,
    kv_heads: 4,
    head_dim: 256,
    vocab: 131_072,
    context: 8192,
    theta: 1_000_042.0,
    eps: 1e-6,
    tied: false,
    ..B2_4T
};

/// TriLM 3.9B (Spectra suite, Kaushal et al. 2024), as llama.cpp's TQ2_0 files have it.
const TRILM_3_9B: Shape = Shape {
    name: "trilm-3.9b",
    summary: "TriLM 3.9B: 30 layers of 3072, vocabulary 50688 (1.2 GB)",
    architecture: "llama",
    more: More::Nothing,
    layers: 30,
    hidden: 3072,
    ffn: 9216,
    heads: 24,
    kv_heads: 24,
    head_dim: 128,
    vocab: 50_688,
    context: 2048,
    theta: 10_000.0,
    eps: 1e-5,
    tied: false,
    ternary: TensorType::Tq2_0,
    embedding: TensorType::Q6K,
    ..B2_4T
};

/// BitNet embedding 270M (Microsoft, July 2026).
const EMBEDDING_270M: Shape = Shape {
    name: "embedding-270m",
    summary: "BitNet embedding 270M: 18 layers of 640, windows, vocabulary 262144 (0.4 GB)",
    architecture: "gemma3",
    more: More::PostNorms,
    layers: 18,
    hidden: 640,
    ffn: 2048,
    heads: 4,
    kv_heads: 1,
    head_dim: 256,
    vocab: 262_144,
    context: 32_768,
    theta: 1e6,
    eps: 1e-6,
    windows: Some(Windows {
        size: 512,
        period: 6,
    }),
    ..B2_4T
};

/// Ternary Bonsai 2 2B (PrismML, October 2026), with the sizes of Qwen3.5 2B.
const BONSAI2_2B: Shape = Shape {
    name: "bonsai2-2b",
    summary: "Bonsai 2 2B: 24 layers of 2048, 18 of them recurrent, folded weights (0.5 GB)",
    architecture: "qwen35",
    layers: 24,
    heads: 8,
    kv_heads: 2,
    head_dim: 256,
    vocab: 248_320,
    context: 262_144,
    theta: 1e7,
    rotated: Some(64),
    hybrid: Some(QWEN35),
    ..BONSAI_1_7B
};

/// Ternary Bonsai 2 27B (PrismML, September 2026).
const BONSAI2_27B: Shape = Shape {
    name: "bonsai2-27b",
    summary: "Bonsai 2 27B: 64 layers of 5120, 48 of them recurrent, folded weights (7.2 GB)",
    layers: 64,
    hidden: 5120,
    ffn: 17_408,
    heads: 24,
    kv_heads: 4,
    tied: false,
    hybrid: Some(Hybrid {
        value_heads: 48,
        ..QWEN35
    }),
    ..BONSAI2_2B
};

/// DeepGrove Maple preview (August 2026).
const MAPLE_20B: Shape = Shape {
    name: "maple-20b",
    summary: "Maple 20B-A1B: 24 layers of 2048, 256 experts, 8 of them used (6.2 GB)",
    architecture: "maple",
    more: More::HeadNorms,
    layers: 24,
    hidden: 2048,
    ffn: 512,
    heads: 16,
    kv_heads: 4,
    vocab: 151_936,
    context: 131_072,
    theta: 10_000.0,
    eps: 1e-6,
    tied: false,
    windows: Some(Windows {
        size: 512,
        period: 4,
    }),
    rotated: Some(64),
    experts: Some((256, 8)),
    ternary: TensorType::Tq2_0,
    ..B2_4T
};

/// BitCPM4 0.5B (OpenBMB, 2025), of the shape of MiniCPM4 0.5B.
const BITCPM4: Shape = Shape {
    name: "bitcpm4-0.5b",
    summary: "BitCPM4 0.5B: 24 layers of 1024, vocabulary 73448 (0.2 GB)",
    architecture: "minicpm",
    more: More::Nothing,
    layers: 24,
    hidden: 1024,
    ffn: 4096,
    heads: 16,
    kv_heads: 2,
    head_dim: 64,
    vocab: 73_448,
    context: 32_768,
    theta: 10_000.0,
    scales: Some([12.0, 0.285_774, 4.0]),
    ternary: TensorType::Tq2_0,
    ..B2_4T
};

/// The built-in model.
const TINY: Shape = Shape {
    name: "tiny",
    summary: "the built-in model: 6 layers of 256, vocabulary 2048 (2 MB)",
    layers: 6,
    hidden: 256,
    ffn: 768,
    heads: 4,
    kv_heads: 2,
    head_dim: 64,
    vocab: 2048,
    context: 1024,
    theta: 10_000.0,
    ..B2_4T
};

/// Every shape there is.
pub(in crate::cli::synth) const SHAPES: [Shape; 30] = [
    B2_4T,
    Shape {
        name: "2b4t-2layer",
        summary: "the first two layers of 2b4t with its whole vocabulary (0.7 GB)",
        layers: 2,
        ..B2_4T
    },
    Shape {
        name: "bitnet-large",
        summary: "1bitLLM bitnet_b1_58-large: 24 layers of 1536, vocabulary 32002 (0.3 GB)",
        architecture: "bitnet",
        layers: 24,
        hidden: 1536,
        ffn: 4096,
        heads: 16,
        kv_heads: 16,
        head_dim: 96,
        vocab: 32_002,
        context: 2048,
        theta: 10_000.0,
        ..B2_4T
    },
    Shape {
        name: "bitnet-3b",
        summary: "1bitLLM bitnet_b1_58-3B: 26 layers of 3200, heads of 100, vocabulary 32002 (1.0 GB)",
        architecture: "bitnet",
        layers: 26,
        hidden: 3200,
        ffn: 8640,
        heads: 32,
        kv_heads: 32,
        head_dim: 100,
        vocab: 32_002,
        context: 2048,
        theta: 10_000.0,
        // Rows of 8640 are no multiple of 128: this is the type of the files that people run.
        ternary: TensorType::Iq2BnR4,
        ..B2_4T
    },
    BONSAI_1_7B,
    Shape {
        name: "bonsai-4b",
        summary: "Ternary Bonsai 4B: 36 layers of 2560, scales of 128 (1.1 GB)",
        layers: 36,
        hidden: 2560,
        ffn: 9728,
        heads: 32,
        ..BONSAI_1_7B
    },
    Shape {
        name: "bonsai-8b",
        summary: "Ternary Bonsai 8B: 36 layers of 4096, scales of 128, YaRN (2.2 GB)",
        layers: 36,
        hidden: 4096,
        ffn: 12_288,
        heads: 32,
        context: 65_536,
        tied: false,
        yarn: Some(16_384),
        ..BONSAI_1_7B
    },
    BONSAI2_2B,
    Shape {
        name: "bonsai2-4b",
        summary: "Bonsai 2 4B: 32 layers of 2560, 24 of them recurrent, folded weights (1.1 GB)",
        layers: 32,
        hidden: 2560,
        ffn: 9216,
        heads: 16,
        kv_heads: 4,
        hybrid: Some(Hybrid {
            value_heads: 32,
            block: Some(512),
            ..QWEN35
        }),
        ..BONSAI2_2B
    },
    Shape {
        name: "bonsai2-9b",
        summary: "Bonsai 2 9B: 32 layers of 4096, 24 of them recurrent, folded weights (2.4 GB)",
        layers: 32,
        hidden: 4096,
        ffn: 12_288,
        heads: 16,
        kv_heads: 4,
        tied: false,
        hybrid: Some(Hybrid {
            value_heads: 32,
            ..QWEN35
        }),
        ..BONSAI2_2B
    },
    BONSAI2_27B,
    Shape {
        name: "bonsai-27b",
        summary: "Ternary Bonsai 27B: 64 layers of 5120, 48 of them recurrent (7.2 GB)",
        hybrid: Some(Hybrid {
            value_heads: 48,
            block: None,
            ..QWEN35
        }),
        ..BONSAI2_27B
    },
    Shape {
        name: "embedding-0.6b",
        summary: "BitNet embedding 0.6B: 28 layers of 1024, a norm for every matrix (0.4 GB)",
        more: More::InputNorms,
        hidden: 1024,
        ffn: 3072,
        vocab: 151_936,
        ternary: TensorType::I2S,
        embedding: TensorType::F16,
        ..BONSAI_1_7B
    },
    FALCON3_1B,
    Shape {
        name: "falcon3-3b",
        summary: "Falcon3 3B 1.58bit: 22 layers of 3072, vocabulary 131072 (2.2 GB)",
        layers: 22,
        hidden: 3072,
        ffn: 9216,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    Shape {
        name: "falcon3-10b",
        summary: "Falcon3 10B 1.58bit: 40 layers of 3072, vocabulary 131072 (4.0 GB)",
        layers: 40,
        hidden: 3072,
        ffn: 23_040,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    TRILM_3_9B,
    Shape {
        name: "trilm-830m",
        summary: "TriLM 830M: 24 layers of 1536, vocabulary 50688 (0.3 GB)",
        layers: 24,
        hidden: 1536,
        ffn: 4096,
        heads: 24,
        kv_heads: 24,
        head_dim: 64,
        ..TRILM_3_9B
    },
    Shape {
        name: "trilm-99m",
        summary: "TriLM 99M: 16 layers of 512, vocabulary 50688 (0.1 GB)",
        layers: 16,
        hidden: 512,
        ffn: 1280,
        heads: 8,
        kv_heads: 8,
        head_dim: 64,
        ..TRILM_3_9B
    },
    Shape {
        name: "falcon3-7b",
        summary: "Falcon3 7B 1.58bit: 28 layers of 3072, vocabulary 131072 (3.2 GB)",
        layers: 28,
        hidden: 3072,
        ffn: 23_040,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    Shape {
        name: "llama3-8b",
        summary: "Llama3 8B 1.58: 32 layers of 4096, vocabulary 128256 (3.8 GB)",
        layers: 32,
        hidden: 4096,
        ffn: 14_336,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        vocab: 128_256,
        theta: 500_000.0,
        eps: 1e-5,
        ..FALCON3_1B
    },
    EMBEDDING_270M,
    MAPLE_20B,
    BITCPM4,
    Shape {
        name: "bitcpm4-8b",
        summary: "BitCPM4 8B: 32 layers of 4096, vocabulary 73448 (3.3 GB)",
        layers: 32,
        hidden: 4096,
        ffn: 16_384,
        heads: 32,
        head_dim: 128,
        scales: Some([12.0, 0.247_487, 16.0]),
        tied: false,
        ..BITCPM4
    },
    TINY,
    Shape {
        name: "tiny-gemma3",
        summary: "a small model in the layout of embedding-270m (3 MB)",
        architecture: "gemma3",
        more: More::PostNorms,
        windows: Some(Windows {
            size: 32,
            period: 6,
        }),
        ..TINY
    },
    Shape {
        name: "tiny-minicpm",
        summary: "a small model in the layout of bitcpm4 (2 MB)",
        architecture: "minicpm",
        more: More::Nothing,
        scales: Some([12.0, 0.571_548, 1.0]),
        ternary: TensorType::Tq2_0,
        ..TINY
    },
    Shape {
        name: "tiny-maple",
        summary: "a small model in the layout of maple-20b: 4 of 16 experts (6 MB)",
        architecture: "maple",
        more: More::HeadNorms,
        ffn: 256,
        tied: false,
        windows: Some(Windows {
            size: 32,
            period: 3,
        }),
        rotated: Some(32),
        experts: Some((16, 4)),
        ternary: TensorType::Tq2_0,
        ..TINY
    },
    Shape {
        name: "tiny-hybrid",
        summary: "a small model in the layout of bonsai2 (1 MB)",
        architecture: "qwen35",
        more: More::HeadNorms,
        rotated: Some(16),
        hybrid: Some(Hybrid {
            interval: 3,
            key_heads: 2,
            value_heads: 6,
            head_dim: 64,
            block: Some(128),
            ..QWEN35
        }),
        ternary: TensorType::Pq2_0,
        embedding: TensorType::Pq2_0,
        ..TINY
    },
];
