//! A decoder in plain binary64, written from the papers, and random small models for it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "test code outside test functions"
)]

mod decoder;
mod file;
mod hybrid;
pub mod shapes;

use std::collections::BTreeMap;

pub use hybrid::{Folded, Hybrid};
use tritone_formats::TensorType;
use tritone_formats::codec::Scales;

/// What gates the feed-forward product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Relu2,
    Silu,
    Gelu,
}

/// Sliding windows.
#[derive(Clone, Debug)]
pub struct Windows {
    pub size: usize,
    /// One layer of so many has none: the last.
    pub period: usize,
    /// Base of the angles in layers with a window.
    pub theta: f64,
    /// Whether the other layers are rotated.
    pub others: bool,
}

/// What a small model is; widths are multiples of 256, so that every type fits.
#[derive(Clone, Debug)]
pub struct Shape {
    pub arch: &'static str,
    pub layers: usize,
    pub hidden: usize,
    pub ffn: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub theta: f64,
    /// Factor and first context of YaRN.
    pub yarn: Option<(f64, usize)>,
    /// Divisors of the angles within the first context and beyond it, what cosines and sines are
    /// multiplied by, and the first context.
    pub factors: Option<(Vec<f32>, Vec<f32>, f64, usize)>,
    pub windows: Option<Windows>,
    pub hybrid: Option<Hybrid>,
    pub folded: Option<Folded>,
    pub gate: Gate,
    /// Number of experts, how many a token uses, and the bound of gates.
    pub experts: Option<(usize, usize, f64)>,
    /// What embeddings, results of layers and logits are multiplied by.
    pub scales: (f64, f64, f64),
    /// Keys of the file that say so, and others.
    pub keys: Vec<(&'static str, f64)>,
    /// Keys that are integers.
    pub numbers: Vec<(&'static str, u32)>,
    /// The token that ends a text, which is a control token then.
    pub eos: Option<u32>,
    /// Neighbours are rotated together, not halves.
    pub interleaved: bool,
    pub sub_norms: bool,
    pub head_norms: bool,
    pub post_norms: bool,
    pub input_norms: bool,
    /// Norms are stored in binary16.
    pub half_norms: bool,
    pub tied: bool,
    /// Stored form of the ternary matrices.
    pub ty: TensorType,
    /// Columns under one scale; 0 for one a tensor, 1 for one a row.
    pub group: usize,
    /// Stored form of embedding and head, and columns under one scale, where they are ternary.
    pub table: Option<(TensorType, usize)>,
}

impl Shape {
    pub fn new(arch: &'static str) -> Self {
        Self {
            arch,
            layers: 2,
            hidden: 256,
            ffn: 512,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            theta: 10_000.0,
            yarn: None,
            factors: None,
            windows: None,
            hybrid: None,
            folded: None,
            gate: Gate::Silu,
            experts: None,
            scales: (1.0, 1.0, 1.0),
            keys: vec![],
            numbers: vec![],
            eos: None,
            interleaved: false,
            sub_norms: false,
            head_norms: false,
            post_norms: false,
            input_norms: false,
            half_norms: false,
            tied: false,
            ty: TensorType::I2S,
            group: 0,
            table: None,
        }
    }

    /// The same with another architecture.
    pub fn of(self, arch: &'static str) -> Self {
        Self { arch, ..self }
    }
}

pub const VOCAB: usize = 300;
const EPS: f64 = 1e-5;

struct Matrix {
    rows: usize,
    cols: usize,
    ternary: Vec<i8>,
    scales: Scales,
    group: usize,
}

impl Matrix {
    /// `rows` times `cols` weights with scales about `size`; one for `group` columns, for 1 a row and
    /// for 0 the tensor.
    fn new(
        (rows, cols): (usize, usize),
        (ty, group): (TensorType, usize),
        size: f32,
        dice: &mut Dice,
    ) -> Self {
        let ternary = (0..rows * cols).map(|_| match ty {
            // Weights of one bit are never zero.
            TensorType::Q1_0 => (dice.next() % 2 * 2) as i8 - 1,
            _ => (dice.next() % 3) as i8 - 1,
        });
        let ternary = ternary.collect();
        let mut scale = || f16((1.0 + dice.unit() * 0.5) * size);
        let scales = match group {
            0 => Scales::Tensor(scale()),
            1 => Scales::Row((0..rows).map(|_| scale()).collect()),
            columns => Scales::Group {
                columns,
                values: (0..rows * cols / columns).map(|_| scale()).collect(),
            },
        };
        Self {
            rows,
            cols,
            ternary,
            scales,
            group: if group > 1 { group } else { cols },
        }
    }

    fn values(&self) -> Vec<f32> {
        let value = |(i, t): (usize, &i8)| {
            let scale = self.scales.at(self.cols, i / self.cols, i % self.cols);
            f32::from(*t) * scale.unwrap()
        };
        self.ternary.iter().enumerate().map(value).collect()
    }
}

/// A random model.
pub struct Random {
    shape: Shape,
    matrices: BTreeMap<String, Matrix>,
    /// Embedding and head, where they are ternary; their values are in `floats` too.
    tables: BTreeMap<String, Matrix>,
    /// Norms and tables, with the numbers of rows.
    floats: BTreeMap<String, (usize, Vec<f32>)>,
}

/// A small generator of numbers (Steele's SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn f16(x: f32) -> f32 {
    half::f16::from_f32(x).to_f32()
}

impl Random {
    pub fn new(shape: Shape, seed: u64) -> Self {
        let (h, q, kv) = (
            shape.hidden,
            shape.heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        );
        let mut dice = Dice(seed);
        let (mut matrices, mut floats) = (BTreeMap::new(), BTreeMap::new());
        for layer in 0..shape.layers {
            let recurrent = shape.hybrid.as_ref().filter(|hybrid| hybrid.is(layer));
            let mut layout = match (recurrent, &shape.hybrid) {
                (Some(hybrid), _) => hybrid.matrices(h).to_vec(),
                (None, gated) => vec![
                    ("attn_q", if gated.is_some() { 2 * q } else { q }, h),
                    ("attn_k", kv, h),
                    ("attn_v", kv, h),
                    ("attn_output", h, q),
                ],
            };
            if let Some((count, ..)) = shape.experts {
                layout.extend([
                    ("ffn_gate_exps", count * shape.ffn, h),
                    ("ffn_up_exps", count * shape.ffn, h),
                    ("ffn_down_exps", count * h, shape.ffn),
                ]);
                let router = (0..count * h).map(|_| dice.unit() * 0.2).collect();
                let name = format!("blk.{layer}.ffn_gate_inp.weight");
                floats.insert(name, (count, router));
            } else {
                layout.extend([
                    ("ffn_gate", shape.ffn, h),
                    ("ffn_up", shape.ffn, h),
                    ("ffn_down", h, shape.ffn),
                ]);
            }
            for (name, rows, cols) in layout {
                let name = format!("blk.{layer}.{name}.weight");
                let size = 1.0 / (cols as f32 * 0.6).sqrt();
                let weights = (shape.ty, shape.group);
                let matrix = Matrix::new((rows, cols), weights, size, &mut dice);
                matrices.insert(name, matrix);
            }
            if let Some(hybrid) = recurrent {
                hybrid.floats(layer, h, &mut dice, &mut floats);
            }
            let ffn_norm = match shape.hybrid {
                Some(_) => "post_attention_norm",
                None => "ffn_norm",
            };
            let mut norms = vec![("attn_norm", h), (ffn_norm, h)];
            if shape.sub_norms {
                norms.extend([("attn_sub_norm", q), ("ffn_sub_norm", shape.ffn)]);
            }
            if shape.head_norms && recurrent.is_none() {
                norms.extend(["attn_q_norm", "attn_k_norm"].map(|name| (name, shape.head_dim)));
            }
            if shape.post_norms {
                norms.extend([("post_attention_norm", h), ("post_ffw_norm", h)]);
            }
            if shape.input_norms {
                let residual = ["attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"];
                norms.extend(residual.map(|name| match name {
                    "attn_q" => ("attn_q_norm_in", h),
                    "attn_k" => ("attn_k_norm_in", h),
                    "attn_v" => ("attn_v_norm_in", h),
                    "ffn_gate" => ("ffn_gate_norm_in", h),
                    _ => ("ffn_up_norm_in", h),
                }));
                norms.extend([("attn_output_norm_in", q), ("ffn_down_norm_in", shape.ffn)]);
            }
            for (name, width) in norms {
                let norm = (0..width).map(|_| f16(1.0 + dice.unit() * 0.3)).collect();
                floats.insert(format!("blk.{layer}.{name}.weight"), (1, norm));
            }
        }
        let mut tables = BTreeMap::new();
        let names = ["token_embd.weight", "output.weight"];
        for name in &names[..if shape.tied { 1 } else { 2 }] {
            let values = match shape.table {
                None => (0..VOCAB * h).map(|_| f16(dice.unit())).collect(),
                Some(weights) => {
                    let table = Matrix::new((VOCAB, h), weights, 0.7, &mut dice);
                    let values = table.values();
                    tables.insert((*name).to_owned(), table);
                    values
                }
            };
            floats.insert((*name).to_owned(), (VOCAB, values));
        }
        let norm = (0..h).map(|_| f16(1.0 + dice.unit() * 0.3)).collect();
        floats.insert("output_norm.weight".into(), (1, norm));
        Self {
            shape,
            matrices,
            tables,
            floats,
        }
    }
}
