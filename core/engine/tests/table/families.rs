//! Families, and the types their files are published in or have been converted to.

use tritone_formats::TensorType::{
    self, I2S, Iq1Bn, Iq2Bn, Iq2BnR4, Pq2_0, Ptq1_0, Q1_0, Q2_0, Q2_0G128, Tq1_0, Tq2_0,
};

use crate::reference::shapes::{bitnet, gemma3, llama, maple, minicpm, qwen3, qwen35};
use crate::reference::{Folded, Gate, Shape};

/// A type, and columns under one scale: 0 for one a tensor, 1 for one a row.
pub(crate) struct Stored {
    pub(crate) ty: TensorType,
    pub(crate) group: usize,
}

/// Models of one graph.
pub(crate) struct Family {
    pub(crate) models: &'static str,
    pub(crate) shape: fn() -> Shape,
    pub(crate) stored: &'static [Stored],
}

const fn one(ty: TensorType) -> Stored {
    Stored { ty, group: 0 }
}

const fn groups(ty: TensorType, group: usize) -> Stored {
    Stored { ty, group }
}

/// What files of one scale a matrix have been converted to.
const BITNET: &[Stored] = &[
    one(I2S),
    one(Tq1_0),
    one(Tq2_0),
    one(Iq1Bn),
    one(Iq2Bn),
    one(Iq2BnR4),
];

const BONSAI: &[Stored] = &[
    groups(Q2_0, 64),
    groups(Q2_0G128, 128),
    groups(Pq2_0, 128),
    groups(Ptq1_0, 128),
    groups(Tq1_0, 256),
    groups(Tq2_0, 256),
];

const BONSAI_27B: &[Stored] = &[
    groups(Q2_0, 64),
    groups(Q2_0G128, 128),
    groups(Pq2_0, 128),
    groups(Ptq1_0, 128),
];

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        models: "BitNet b1.58 2B4T",
        shape: bitnet,
        stored: BITNET,
    },
    Family {
        models: "BitNet b1.58 2B4T, first upload (untied)",
        shape: || Shape {
            arch: "bitnet-25",
            tied: false,
            ..bitnet()
        },
        stored: BITNET,
    },
    Family {
        models: "1bitLLM bitnet_b1_58 large, 3B",
        shape: || Shape {
            arch: "bitnet",
            gate: Gate::Silu,
            ..bitnet()
        },
        stored: BITNET,
    },
    Family {
        models: "Falcon3-1.58bit, Falcon-E, Llama3-8B-1.58",
        shape: llama,
        stored: BITNET,
    },
    Family {
        models: "TriLM (scales of model-parallel parts)",
        shape: llama,
        stored: &[groups(Tq1_0, 256), groups(Tq2_0, 256)],
    },
    Family {
        models: "Ternary Bonsai 1.7B, 4B (tied)",
        shape: qwen3,
        stored: BONSAI,
    },
    Family {
        models: "Ternary Bonsai 8B (untied, YaRN)",
        shape: || Shape {
            tied: false,
            yarn: Some((4.0, 128)),
            ..qwen3()
        },
        stored: BONSAI,
    },
    Family {
        models: "Ternary Bonsai 27B (recurrent layers)",
        shape: qwen35,
        stored: BONSAI_27B,
    },
    Family {
        models: "Ternary Bonsai 2 27B, 9B (recurrent layers, folded weights)",
        shape: || Shape {
            folded: Some(FOLDED),
            ..qwen35()
        },
        stored: BONSAI_27B,
    },
    Family {
        models: "Ternary Bonsai 2 4B, 2B (recurrent layers, folded weights, tied)",
        shape: || Shape {
            folded: Some(FOLDED),
            tied: true,
            ..qwen35()
        },
        stored: BONSAI_27B,
    },
    Family {
        models: "Bonsai 27B, 1 bit (recurrent layers)",
        shape: qwen35,
        stored: &[groups(Q1_0, 128)],
    },
    Family {
        models: "Bonsai, 1 bit",
        shape: qwen3,
        stored: &[groups(Q1_0, 128)],
    },
    Family {
        models: "BitNet embedding 0.6B",
        shape: || Shape {
            input_norms: true,
            half_norms: true,
            ..qwen3()
        },
        stored: &[one(I2S)],
    },
    Family {
        models: "BitNet embedding 270M",
        shape: gemma3,
        stored: &[one(I2S)],
    },
    Family {
        models: "BitCPM4",
        shape: minicpm,
        stored: &[one(Tq1_0), one(Tq2_0), one(I2S)],
    },
    Family {
        models: "Maple 20B-A1B (experts)",
        shape: maple,
        stored: &[groups(Tq1_0, 256), groups(Tq2_0, 256)],
    },
];

const FOLDED: Folded = Folded {
    block: 128,
    explicit: true,
    grouped: true,
    tables: true,
};
