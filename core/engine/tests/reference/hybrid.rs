//! Recurrent layers and folded weights, in binary64 and by their definitions.

use std::collections::BTreeMap;

use tritone_formats::write::{GgufWriter, Strings};

use super::decoder::dot;
use super::{Dice, EPS, Random};

/// Layers of gated DeltaNet, and attention with gates and partial rotation between them.
#[derive(Clone, Debug)]
pub struct Hybrid {
    /// Layers of which the last has attention.
    pub interval: usize,
    /// Which layers are recurrent is in the file, layer by layer.
    pub listed: bool,
    pub key_heads: usize,
    pub value_heads: usize,
    pub dim: usize,
    pub taps: usize,
    /// Values of an attention head that are rotated.
    pub rotated: usize,
}

/// Weights folded with a Hadamard transform.
#[derive(Clone, Debug)]
pub struct Folded {
    pub block: usize,
    /// There are signs.
    pub explicit: bool,
    pub grouped: bool,
    /// The embedding and the head are folded; one table for both, where they are tied.
    pub tables: bool,
}

impl Hybrid {
    pub fn is(&self, layer: usize) -> bool {
        !(layer + 1).is_multiple_of(self.interval)
    }

    fn key_width(&self) -> usize {
        self.key_heads * self.dim
    }

    fn inner(&self) -> usize {
        self.value_heads * self.dim
    }

    fn channels(&self) -> usize {
        2 * self.key_width() + self.inner()
    }

    pub(super) fn matrices(&self, hidden: usize) -> [(&'static str, usize, usize); 3] {
        [
            ("attn_qkv", self.channels(), hidden),
            ("attn_gate", self.inner(), hidden),
            ("ssm_out", hidden, self.inner()),
        ]
    }

    /// Adds the tensors of a layer that are neither ternary nor norms of the residual stream.
    pub(super) fn floats(
        &self,
        layer: usize,
        hidden: usize,
        dice: &mut Dice,
        all: &mut BTreeMap<String, (usize, Vec<f32>)>,
    ) {
        // Exact in bfloat16.
        let short = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
        let mut add = |name: &str, rows: usize, columns: usize, value: &dyn Fn(f32) -> f32| {
            let values = (0..rows * columns).map(|_| value(dice.unit()));
            let name = format!("blk.{layer}.{name}");
            all.insert(name, (rows, values.collect()));
        };
        let (heads, root) = (self.value_heads, (hidden as f32).sqrt());
        add("ssm_alpha.weight", heads, hidden, &|x| short(x / root));
        add("ssm_beta.weight", heads, hidden, &|x| short(2.0 * x / root));
        add("ssm_conv1d.weight", self.channels(), self.taps, &|x| x);
        add("ssm_dt.bias", 1, heads, &|x| x - 1.0);
        add("ssm_a", 1, heads, &|x| -0.6 + 0.5 * x);
        add("ssm_norm.weight", 1, self.dim, &|x| 1.0 + 0.3 * x);
    }

    pub(super) fn describe(
        &self,
        layers: usize,
        key: &dyn Fn(&str) -> String,
        plan: &mut GgufWriter,
    ) {
        for (name, value) in [
            ("ssm.conv_kernel", self.taps),
            ("ssm.inner_size", self.inner()),
            ("ssm.state_size", self.dim),
            ("ssm.time_step_rank", self.value_heads),
            ("ssm.group_count", self.key_heads),
            ("rope.dimension_count", self.rotated),
        ] {
            plan.metadata(&key(name), value as u32).unwrap();
        }
        // Positions of pictures have several parts; those of text are equal.
        let part = self.rotated as u32 / 8;
        let sections = [part, part, 2 * part, 0];
        plan.metadata(&key("rope.dimension_sections"), &sections[..])
            .unwrap();
        if self.listed {
            let flags: Vec<bool> = (0..layers).map(|layer| self.is(layer)).collect();
            plan.metadata(&key("attention.recurrent_layers"), &flags[..])
                .unwrap();
        } else {
            plan.metadata(&key("full_attention_interval"), self.interval as u32)
                .unwrap();
        }
    }
}

impl Folded {
    /// Signs of inputs of a width; arbitrary, but fixed.
    fn signs(&self, width: usize) -> Vec<i32> {
        let sign = |i: usize| match self.explicit && (i * i + i / 3 + width).is_multiple_of(3) {
            true => -1,
            false => 1,
        };
        (0..width).map(sign).collect()
    }

    pub(super) fn describe(&self, model: &Random, plan: &mut GgufWriter) {
        let key = |name: &str| format!("prism.hadamard.{name}");
        let tied = self.tables && model.shape.tied;
        plan.metadata(&key("version"), if tied { 2u32 } else { 1 })
            .unwrap()
            .metadata(&key("block_size"), self.block as u32)
            .unwrap()
            .metadata(&key("transform"), "normalized-sylvester-walsh-hadamard")
            .unwrap()
            .metadata(&key("axis"), "input-last-dimension")
            .unwrap();
        let mode = if self.explicit {
            "explicit"
        } else {
            "identity"
        };
        plan.metadata(&key("sign_mode"), mode).unwrap();
        let mut names: Vec<&str> = model.matrices.keys().map(String::as_str).collect();
        if self.tables && !tied {
            names.push("output.weight");
        }
        plan.metadata(&key("weight_names"), Strings(&names[..]))
            .unwrap();
        if self.explicit {
            let mut widths: Vec<usize> = model.matrices.values().map(|m| m.cols).collect();
            widths.sort_unstable();
            widths.dedup();
            let values: Vec<i32> = widths.iter().flat_map(|w| self.signs(*w)).collect();
            let widths: Vec<u32> = widths.iter().map(|w| *w as u32).collect();
            plan.metadata(&key("sign_widths"), &widths[..]).unwrap();
            plan.metadata(&key("sign_values"), &values[..]).unwrap();
        }
        if self.tables {
            let names = ["token_embd.weight"];
            plan.metadata(&key("inverse_weight_names"), Strings(&names[..]))
                .unwrap();
        }
        if tied {
            plan.metadata(&key("tied_output"), true).unwrap();
        }
        plan.metadata(&key("gdn_v_grouped"), self.grouped).unwrap();
    }

    /// The blockwise transform, by the definition of the matrix.
    fn turn(&self, x: &[f64]) -> Vec<f64> {
        let n = self.block;
        let value = |i: usize| {
            let (start, r) = (i / n * n, i % n);
            let sign = |c: usize| 1.0 - 2.0 * f64::from((r & c).count_ones() % 2);
            (0..n).map(|c| sign(c) * x[start + c]).sum::<f64>() / (n as f64).sqrt()
        };
        (0..x.len()).map(value).collect()
    }

    fn sign(&self, x: &[f64]) -> Vec<f64> {
        let signs = self.signs(x.len());
        x.iter().zip(signs).map(|(x, s)| x * f64::from(s)).collect()
    }
}

impl Random {
    /// The input of the matrix `name`.
    pub(super) fn folded(&self, name: &str, mut x: Vec<f64>) -> Vec<f64> {
        let Some(folded) = &self.shape.folded else {
            return x;
        };
        if let Some(hybrid) = &self.shape.hybrid
            && folded.grouped
            && name.ends_with("ssm_out")
        {
            // Value heads are numbered with the key head first.
            let (keys, each) = (hybrid.key_heads, hybrid.value_heads / hybrid.key_heads);
            let heads = (0..keys).flat_map(|key| (0..each).map(move |i| i * keys + key));
            x = heads
                .flat_map(|head| x[head * hybrid.dim..][..hybrid.dim].to_vec())
                .collect();
        }
        folded.turn(&folded.sign(&x))
    }

    /// A row of the embedding after it was looked up.
    pub(super) fn looked_up(&self, row: Vec<f64>) -> Vec<f64> {
        match &self.shape.folded {
            Some(folded) if folded.tables => folded.sign(&folded.turn(&row)),
            _ => row,
        }
    }

    /// The input of the head.
    pub(super) fn for_head(&self, h: &[f64]) -> Vec<f64> {
        match &self.shape.folded {
            Some(folded) if folded.tables => folded.turn(&folded.sign(h)),
            _ => h.to_vec(),
        }
    }

    /// What a recurrent layer adds, of all positions (Yang et al. 2024, with the convolution, norms
    /// and gate of Qwen3-Next).
    pub(super) fn delta_net(
        &self,
        hybrid: &Hybrid,
        layer: usize,
        xs: &[Vec<f64>],
    ) -> Vec<Vec<f64>> {
        let name = |name: &str| format!("blk.{layer}.{name}");
        let (dim, keys) = (hybrid.dim, hybrid.key_heads);
        let table = |name: &str, row: usize| self.row(&format!("blk.{layer}.{name}"), row);
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let hs: Vec<Vec<f64>> = xs
            .iter()
            .map(|x| self.norm(&name("attn_norm"), x))
            .collect();
        let raw: Vec<Vec<f64>> = hs
            .iter()
            .map(|h| self.linear(&name("attn_qkv"), h))
            .collect();
        let mut states = vec![vec![vec![0.0; dim]; dim]; hybrid.value_heads];
        let (bias, a) = (table("ssm_dt.bias", 0), table("ssm_a", 0));
        let taps: Vec<Vec<f64>> = (0..hybrid.channels())
            .map(|channel| table("ssm_conv1d.weight", channel))
            .collect();
        let mut results = vec![];
        for (position, h) in hs.iter().enumerate() {
            let channel = |channel: usize| {
                let seen = (0..hybrid.taps).filter_map(|back| {
                    let past = raw.get(position.checked_sub(back)?)?;
                    Some(past[channel] * taps[channel][hybrid.taps - 1 - back])
                });
                silu(seen.sum())
            };
            let mixed: Vec<f64> = (0..hybrid.channels()).map(channel).collect();
            let (q, rest) = mixed.split_at(hybrid.key_width());
            let (k, v) = rest.split_at(hybrid.key_width());
            let unit = |x: &[f64]| -> Vec<f64> {
                let length = (dot(x, x) + EPS).sqrt();
                x.iter().map(|x| x / length).collect()
            };
            let z = self.linear(&name("attn_gate"), h);
            let mut out = vec![];
            for (head, state) in states.iter_mut().enumerate() {
                let key = head % keys * dim;
                let (q, k) = (unit(&q[key..key + dim]), unit(&k[key..key + dim]));
                let v = &v[head * dim..][..dim];
                let rate = dot(&table("ssm_alpha.weight", head), h) + bias[head];
                let decay = (a[head] * (1.0 + rate.exp()).ln()).exp();
                let strength = 1.0 / (1.0 + (-dot(&table("ssm_beta.weight", head), h)).exp());
                // [key][value]
                for row in state.iter_mut().flatten() {
                    *row *= decay;
                }
                let read = |state: &[Vec<f64>], by: &[f64], column: usize| -> f64 {
                    state.iter().zip(by).map(|(row, by)| row[column] * by).sum()
                };
                let wanted: Vec<f64> = (0..dim)
                    .map(|column| strength * (v[column] - read(state, &k, column)))
                    .collect();
                for (row, k) in state.iter_mut().zip(&k) {
                    for (cell, wanted) in row.iter_mut().zip(&wanted) {
                        *cell += k * wanted;
                    }
                }
                let root = (dim as f64).sqrt();
                let o: Vec<f64> = (0..dim).map(|c| read(state, &q, c) / root).collect();
                let o = self.norm(&name("ssm_norm"), &o);
                let z = &z[head * dim..][..dim];
                out.extend(o.iter().zip(z).map(|(o, z)| o * silu(*z)));
            }
            results.push(self.linear(&name("ssm_out"), &out));
        }
        results
    }
}
