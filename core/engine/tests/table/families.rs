//! Families, and the types their files are published in or have been converted to.

use tritone_formats::TensorType::{
    self, I2S, Iq1Bn, Iq2Bn, Iq2BnR4, Pq2_0, Ptq1_0, Q1_0, Q2_0, Q2_0G128, Tq1_0, Tq2_0,
};

use crate::reference::{Folded, Gate, Hybrid, Shape, Windows};

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

fn bitnet() -> Shape {
    Shape {
        gate: Gate::Relu2,
        sub_norms: true,
        tied: true,
        ..Shape::new("bitnet-b1.58")
    }
}

/// A model whose scales may be as fine as its type has them.
pub(crate) fn qwen3() -> Shape {
    Shape {
        head_norms: true,
        head_dim: 128,
        theta: 1e6,
        tied: true,
        ..Shape::new("qwen3")
    }
}

fn llama() -> Shape {
    Shape {
        interleaved: true,
        ..Shape::new("llama")
    }
}

fn gemma3() -> Shape {
    Shape {
        layers: 3,
        head_dim: 256,
        kv_heads: 1,
        theta: 1e6,
        windows: Some(Windows {
            size: 9,
            period: 3,
            theta: 1e4,
            others: true,
        }),
        gate: Gate::Gelu,
        scales: (16.0, 1.0, 1.0),
        head_norms: true,
        post_norms: true,
        input_norms: true,
        half_norms: true,
        tied: true,
        ..Shape::new("gemma3")
    }
}

fn qwen35() -> Shape {
    Shape {
        layers: 4,
        theta: 1e7,
        head_norms: true,
        hybrid: Some(Hybrid {
            interval: 2,
            listed: false,
            key_heads: 2,
            value_heads: 6,
            dim: 64,
            taps: 4,
            rotated: 16,
        }),
        ..Shape::new("qwen35")
    }
}

fn maple() -> Shape {
    Shape {
        ffn: 256,
        layers: 3,
        head_norms: true,
        windows: Some(Windows {
            size: 7,
            period: 2,
            theta: 1e4,
            others: false,
        }),
        experts: Some((40, 4, 0.75)),
        ..Shape::new("maple")
    }
}

fn minicpm() -> Shape {
    let scales = (12.0, 1.4 / 2f64.sqrt(), 0.5);
    Shape {
        scales,
        keys: vec![
            ("embedding_scale", scales.0),
            ("residual_scale", scales.1),
            ("logit_scale", 1.0 / scales.2),
        ],
        tied: true,
        arch: "minicpm",
        ..llama()
    }
}
