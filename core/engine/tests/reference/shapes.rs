//! Small models of the families; a test sets the type they are stored in where it matters.

use tritone_formats::TensorType;

use super::{Gate, Hybrid, Shape, Windows};

pub fn bitnet() -> Shape {
    Shape {
        gate: Gate::Relu2,
        sub_norms: true,
        tied: true,
        ..Shape::new("bitnet-b1.58")
    }
}

/// A model whose scales may be as fine as its type has them.
pub fn qwen3() -> Shape {
    Shape {
        head_norms: true,
        head_dim: 128,
        theta: 1e6,
        tied: true,
        ..Shape::new("qwen3")
    }
}

pub fn llama() -> Shape {
    Shape {
        interleaved: true,
        ..Shape::new("llama")
    }
}

/// BitNet embedding 270M.
pub fn gemma3() -> Shape {
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

/// Ternary Bonsai 27B and Bonsai 2, without their folded weights.
pub fn qwen35() -> Shape {
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
        ty: TensorType::Pq2_0,
        group: 128,
        ..Shape::new("qwen35")
    }
}

/// BitCPM4.
pub fn minicpm() -> Shape {
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

/// DeepGrove Maple.
pub fn maple() -> Shape {
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
        ty: TensorType::Tq2_0,
        group: 1,
        ..Shape::new("maple")
    }
}
