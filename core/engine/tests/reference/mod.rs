//! A decoder in plain binary64, written from the papers, and random small models for it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "test code outside test functions"
)]

use std::collections::BTreeMap;

use tritone_formats::TensorType;
use tritone_formats::codec::{Rounding, Scales, encode_row, encode_ternary};
use tritone_formats::write::{GgufWriter, Strings};

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
    pub relu2: bool,
    /// Neighbours are rotated together, not halves.
    pub interleaved: bool,
    pub sub_norms: bool,
    pub head_norms: bool,
    pub input_norms: bool,
    pub tied: bool,
    /// Stored form of the ternary matrices.
    pub ty: TensorType,
    /// Columns under one scale; 0 for one a tensor, 1 for one a row.
    pub group: usize,
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
            relu2: false,
            interleaved: false,
            sub_norms: false,
            head_norms: false,
            input_norms: false,
            tied: false,
            ty: TensorType::I2S,
            group: 0,
        }
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

/// A random model.
pub struct Random {
    shape: Shape,
    matrices: BTreeMap<String, Matrix>,
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
            for (name, rows, cols) in [
                ("attn_q", q, h),
                ("attn_k", kv, h),
                ("attn_v", kv, h),
                ("attn_output", h, q),
                ("ffn_gate", shape.ffn, h),
                ("ffn_up", shape.ffn, h),
                ("ffn_down", h, shape.ffn),
            ] {
                let name = format!("blk.{layer}.{name}.weight");
                let ternary = (0..rows * cols).map(|_| (dice.next() % 3) as i8 - 1);
                let ternary = ternary.collect();
                let mut scale = || f16((1.0 + dice.unit() * 0.5) / (cols as f32 * 0.6).sqrt());
                let scales = match shape.group {
                    0 => Scales::Tensor(scale()),
                    1 => Scales::Row((0..rows).map(|_| scale()).collect()),
                    columns => Scales::Group {
                        columns,
                        values: (0..rows * cols / columns).map(|_| scale()).collect(),
                    },
                };
                let group = if shape.group > 1 { shape.group } else { cols };
                matrices.insert(
                    name,
                    Matrix {
                        rows,
                        cols,
                        ternary,
                        scales,
                        group,
                    },
                );
            }
            let mut norms = vec![("attn_norm", h), ("ffn_norm", h)];
            if shape.sub_norms {
                norms.extend([("attn_sub_norm", q), ("ffn_sub_norm", shape.ffn)]);
            }
            if shape.head_norms {
                norms.extend(["attn_q_norm", "attn_k_norm"].map(|name| (name, shape.head_dim)));
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
                let norm = (0..width).map(|_| 1.0 + dice.unit() * 0.3).collect();
                floats.insert(format!("blk.{layer}.{name}.weight"), (1, norm));
            }
        }
        let mut table = |rows: usize| (0..rows * h).map(|_| f16(dice.unit())).collect();
        floats.insert("token_embd.weight".into(), (VOCAB, table(VOCAB)));
        if !shape.tied {
            floats.insert("output.weight".into(), (VOCAB, table(VOCAB)));
        }
        let norm = (0..h).map(|_| 1.0 + dice.unit() * 0.3).collect();
        floats.insert("output_norm.weight".into(), (1, norm));
        Self {
            shape,
            matrices,
            floats,
        }
    }

    /// The model as a GGUF file.
    pub fn file(&self) -> Vec<u8> {
        let shape = &self.shape;
        let mut plan = GgufWriter::new();
        plan.metadata("general.architecture", shape.arch).unwrap();
        let mut number = |key: &str, value: usize| {
            let key = format!("{}.{key}", shape.arch);
            plan.metadata(&key, value as u32).unwrap();
        };
        number("block_count", shape.layers);
        number("context_length", 512);
        number("embedding_length", shape.hidden);
        number("feed_forward_length", shape.ffn);
        number("attention.head_count", shape.heads);
        number("attention.head_count_kv", shape.kv_heads);
        number("attention.key_length", shape.head_dim);
        let key = |key: &str| format!("{}.{key}", shape.arch);
        plan.metadata(&key("rope.freq_base"), shape.theta as f32)
            .unwrap();
        plan.metadata(&key("attention.layer_norm_rms_epsilon"), EPS as f32)
            .unwrap();
        if let Some((factor, original)) = shape.yarn {
            plan.metadata(&key("rope.scaling.type"), "yarn").unwrap();
            plan.metadata(&key("rope.scaling.factor"), factor as f32)
                .unwrap();
            let original = original as u32;
            plan.metadata(&key("rope.scaling.original_context_length"), original)
                .unwrap();
        }
        let tokens = byte_tokens();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        plan.metadata("tokenizer.ggml.model", "gpt2").unwrap();
        plan.metadata("tokenizer.ggml.pre", "llama-bpe").unwrap();
        plan.metadata("tokenizer.ggml.tokens", Strings(&tokens[..]))
            .unwrap();
        plan.metadata("tokenizer.chat_template", "{{ messages }}")
            .unwrap();
        for (name, matrix) in &self.matrices {
            plan.tensor(name, shape.ty, &[matrix.cols, matrix.rows])
                .unwrap();
        }
        for (name, (rows, values)) in &self.floats {
            let (ty, cols) = (float_type(*rows), values.len() / rows);
            let dims: &[usize] = if *rows == 1 { &[cols] } else { &[cols, *rows] };
            plan.tensor(name, ty, dims).unwrap();
        }
        let mut body = plan.begin(Vec::new()).unwrap();
        for (name, m) in &self.matrices {
            let (dims, exact) = ((m.rows, m.cols), Rounding::Exact);
            let bytes = encode_ternary(shape.ty, &m.ternary, dims, &m.scales, exact).unwrap();
            body.write(name, &bytes).unwrap();
        }
        for (name, (rows, values)) in &self.floats {
            let mut bytes = Vec::new();
            encode_row(float_type(*rows), values, &mut bytes).unwrap();
            body.write(name, &bytes).unwrap();
        }
        body.finish().unwrap()
    }

    /// Logits of all positions.
    pub fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let shape = &self.shape;
        let mut xs: Vec<Vec<f64>> = tokens
            .iter()
            .map(|token| self.row("token_embd.weight", *token as usize))
            .collect();
        for layer in 0..shape.layers {
            let name = |name: &str| format!("blk.{layer}.{name}");
            let (mut queries, mut keys, mut values) = (vec![], Vec::<Vec<f64>>::new(), vec![]);
            for (position, x) in xs.iter().enumerate() {
                let h = self.norm(&name("attn_norm"), x);
                let mut q = self.linear(&name("attn_q"), &h);
                let mut k = self.linear(&name("attn_k"), &h);
                for (heads, norm) in [(&mut q, "attn_q_norm"), (&mut k, "attn_k_norm")] {
                    for head in heads.chunks_mut(shape.head_dim) {
                        if shape.head_norms {
                            head.copy_from_slice(&self.norm(&name(norm), head));
                        }
                        self.rotate(head, position);
                    }
                }
                queries.push(q);
                // The cache stores halves.
                let store = |x: Vec<f64>| x.iter().map(|x| f64::from(f16(*x as f32))).collect();
                keys.push(store(k));
                values.push(store(self.linear(&name("attn_v"), &h)));
            }
            for (position, x) in xs.iter_mut().enumerate() {
                let mut a = attention(shape, &queries[position], &keys, &values, position);
                if shape.sub_norms {
                    a = self.norm(&name("attn_sub_norm"), &a);
                }
                add(x, &self.linear(&name("attn_output"), &a));
                let h = self.norm(&name("ffn_norm"), x);
                let gate = self.linear(&name("ffn_gate"), &h);
                let up = self.linear(&name("ffn_up"), &h);
                let act = |g: f64| match shape.relu2 {
                    true => g.max(0.0).powi(2),
                    false => g / (1.0 + (-g).exp()),
                };
                let mut f: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| act(*g) * u).collect();
                if shape.sub_norms {
                    f = self.norm(&name("ffn_sub_norm"), &f);
                }
                add(x, &self.linear(&name("ffn_down"), &f));
            }
        }
        let head = match shape.tied {
            true => "token_embd.weight",
            false => "output.weight",
        };
        let logits = |x: &Vec<f64>| {
            let h = self.norm("output_norm", x);
            (0..VOCAB).map(|i| dot(&self.row(head, i), &h)).collect()
        };
        xs.iter().map(logits).collect()
    }

    fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let (rows, values) = &self.floats[name];
        let cols = values.len() / rows;
        let row = &values[row * cols..][..cols];
        row.iter().map(|x| f64::from(*x)).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.row(&format!("{name}.weight"), 0);
        let mean = dot(x, x) / x.len() as f64;
        let r = 1.0 / (mean + EPS).sqrt();
        x.iter().zip(&weight).map(|(x, w)| x * r * w).collect()
    }

    /// A ternary product of activations in int8.
    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let m = &self.matrices[&format!("{name}.weight")];
        let x = match self.shape.input_norms {
            true => self.norm(&format!("{name}_norm_in"), x),
            false => x.to_vec(),
        };
        let mut steps = vec![];
        let mut q = vec![];
        for part in x.chunks(m.group) {
            let most = part.iter().fold(1e-5_f64, |most, x| most.max(x.abs()));
            q.extend(part.iter().map(|x| (x * 127.0 / most).round_ties_even()));
            steps.push(most / 127.0);
        }
        let row = |r: usize| {
            let group = |g: usize| {
                let first = g * m.group;
                let scale = f64::from(m.scales.at(m.cols, r, first).unwrap());
                let weights = &m.ternary[r * m.cols + first..][..m.group];
                let terms = weights.iter().zip(&q[first..]);
                scale * steps[g] * terms.map(|(t, q)| f64::from(*t) * q).sum::<f64>()
            };
            (0..m.cols / m.group).map(group).sum()
        };
        (0..m.rows).map(row).collect()
    }

    fn rotate(&self, head: &mut [f64], position: usize) {
        let n = head.len();
        for i in 0..n / 2 {
            let rate = self.shape.theta.powf(-2.0 * i as f64 / n as f64);
            let (rate, gain) = match self.shape.yarn {
                None => (rate, 1.0),
                Some((factor, original)) => {
                    // Turns within the first context, per the paper: 32 and more are kept, 1 and
                    // less divided; the ramp between them is linear in the pair's number.
                    let pair = |turns: f64| {
                        let span = original as f64 / (turns * std::f64::consts::TAU);
                        n as f64 * span.ln() / (2.0 * self.shape.theta.ln())
                    };
                    let (low, high) = (pair(32.0).floor().max(0.0), pair(1.0).ceil());
                    let slow = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    let rate = rate / factor * slow + rate * (1.0 - slow);
                    (rate, 0.1 * factor.ln() + 1.0)
                }
            };
            let angle = position as f64 * rate;
            let (a, b) = match self.shape.interleaved {
                true => (2 * i, 2 * i + 1),
                false => (i, i + n / 2),
            };
            let (x, y) = (head[a], head[b]);
            head[a] = gain * (x * angle.cos() - y * angle.sin());
            head[b] = gain * (y * angle.cos() + x * angle.sin());
        }
    }
}

fn attention(
    shape: &Shape,
    q: &[f64],
    keys: &[Vec<f64>],
    values: &[Vec<f64>],
    position: usize,
) -> Vec<f64> {
    let (n, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let mut out = vec![0.0; q.len()];
    for head in 0..shape.heads {
        let q = &q[head * n..][..n];
        let kv = head / group * n;
        let score = |at: usize| dot(q, &keys[at][kv..kv + n]) / (n as f64).sqrt();
        let scores: Vec<f64> = (0..=position).map(score).collect();
        let most = scores.iter().fold(f64::MIN, |most, s| most.max(*s));
        let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for (at, weight) in weights.iter().enumerate() {
            for (out, v) in out[head * n..][..n].iter_mut().zip(&values[at][kv..]) {
                *out += weight / sum * v;
            }
        }
    }
    out
}

/// One token for every byte, in the alphabet of GPT-2, and some more.
fn byte_tokens() -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 0x100_u32..;
    let bytes = (0..256).map(|byte| match plain(byte) {
        true => byte,
        false => others.next().unwrap(),
    });
    let mut tokens: Vec<String> = bytes
        .map(|code| char::from_u32(code).unwrap().to_string())
        .collect();
    tokens.extend((tokens.len()..VOCAB).map(|i| format!("more{i}")));
    tokens
}

fn float_type(rows: usize) -> TensorType {
    match rows {
        1 => TensorType::F32,
        _ => TensorType::F16,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], y: &[f64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
