//! What a model computes, in binary64.

use super::{EPS, Gate, Matrix, Random, Shape, VOCAB, f16};

impl Random {
    /// Logits of all positions, for a context of `context` positions.
    pub fn logits(&self, tokens: &[u32], context: usize) -> Vec<Vec<f64>> {
        let head = match self.shape.tied {
            true => "token_embd.weight",
            false => "output.weight",
        };
        let logits = |h: &Vec<f64>| {
            let h = &self.for_head(h);
            let logit = |i| dot(&self.row(head, i), h) * self.shape.scales.2;
            (0..VOCAB).map(logit).collect()
        };
        self.states(tokens, context).iter().map(logits).collect()
    }

    /// [`logits`](Self::logits) of a head that is multiplied as the other ternary matrices are, with
    /// activations in int8.
    pub fn ternary_logits(&self, tokens: &[u32], context: usize) -> Vec<Vec<f64>> {
        let head = match self.shape.tied {
            true => &self.tables["token_embd.weight"],
            false => &self.tables["output.weight"],
        };
        let logits = |h: &Vec<f64>| product(head, h, 0..VOCAB);
        self.states(tokens, context).iter().map(logits).collect()
    }

    /// What the head is given, of all positions.
    pub fn states(&self, tokens: &[u32], context: usize) -> Vec<Vec<f64>> {
        let shape = &self.shape;
        let embed = |token: &u32| {
            let row = self.looked_up(self.row("token_embd.weight", *token as usize));
            row.iter().map(|x| x * shape.scales.0).collect()
        };
        let mut xs: Vec<Vec<f64>> = tokens.iter().map(embed).collect();
        for layer in 0..shape.layers {
            let name = |name: &str| format!("blk.{layer}.{name}");
            let hybrid = self.shape.hybrid.as_ref();
            let mixed = match hybrid.filter(|hybrid| hybrid.is(layer)) {
                Some(hybrid) => self.delta_net(hybrid, layer, &xs),
                None => self.attend(layer, &xs, context),
            };
            let ffn_norm = match hybrid {
                Some(_) => "post_attention_norm",
                None => "ffn_norm",
            };
            for (x, result) in xs.iter_mut().zip(mixed) {
                self.add(x, result, &name("post_attention_norm"));
                let h = self.norm(&name(ffn_norm), x);
                let result = match shape.experts {
                    None => self.feed_forward(&name("ffn"), &h),
                    Some((count, used, clamp)) => {
                        let row = |i| dot(&self.row(&name("ffn_gate_inp.weight"), i), &h);
                        let scores: Vec<f64> = (0..count).map(row).collect();
                        let mut order: Vec<usize> = (0..count).collect();
                        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
                        let sum: f64 = order[..used].iter().map(|e| scores[*e].exp()).sum();
                        let mut result = vec![0.0; shape.hidden];
                        for expert in &order[..used] {
                            let share = scores[*expert].exp() / sum;
                            let part = self.expert(&name("ffn"), *expert, clamp, &h);
                            result
                                .iter_mut()
                                .zip(part)
                                .for_each(|(r, p)| *r += share * p);
                        }
                        result
                    }
                };
                self.add(x, result, &name("post_ffw_norm"));
            }
        }
        xs.iter().map(|x| self.norm("output_norm", x)).collect()
    }

    /// What attention adds, of all positions.
    fn attend(&self, layer: usize, xs: &[Vec<f64>], context: usize) -> Vec<Vec<f64>> {
        let shape = &self.shape;
        let name = |name: &str| format!("blk.{layer}.{name}");
        let (mut queries, mut keys, mut values) = (vec![], Vec::<Vec<f64>>::new(), vec![]);
        let mut gates = vec![];
        for (position, x) in xs.iter().enumerate() {
            let h = self.norm(&name("attn_norm"), x);
            let mut q = self.linear(&name("attn_q"), &h);
            if shape.hybrid.is_some() {
                let heads = q.chunks(2 * shape.head_dim);
                let (queries, gate): (Vec<_>, Vec<_>) =
                    heads.map(|head| head.split_at(shape.head_dim)).unzip();
                gates.push(gate.concat());
                q = queries.concat();
            }
            let mut k = self.linear(&name("attn_k"), &h);
            for (heads, norm) in [(&mut q, "attn_q_norm"), (&mut k, "attn_k_norm")] {
                for head in heads.chunks_mut(shape.head_dim) {
                    if shape.head_norms {
                        head.copy_from_slice(&self.norm(&name(norm), head));
                    }
                    let rotated = match &shape.hybrid {
                        Some(hybrid) => &mut head[..hybrid.rotated],
                        None => head,
                    };
                    self.rotate(rotated, position, layer, context);
                }
            }
            queries.push(q);
            // The cache stores halves.
            let store = |x: Vec<f64>| x.iter().map(|x| f64::from(f16(*x as f32))).collect();
            keys.push(store(k));
            values.push(store(self.linear(&name("attn_v"), &h)));
        }
        let result = |position: usize| {
            let first = match &shape.windows {
                Some(windows) if self.is_local(layer) => {
                    (position + 1).saturating_sub(windows.size)
                }
                _ => 0,
            };
            let seen = first..position + 1;
            let mut a = attention(shape, &queries[position], &keys, &values, seen);
            if let Some(gates) = gates.get(position) {
                for (a, gate) in a.iter_mut().zip(gates) {
                    *a /= 1.0 + (-gate).exp();
                }
            }
            if shape.sub_norms {
                a = self.norm(&name("attn_sub_norm"), &a);
            }
            self.linear(&name("attn_output"), &a)
        };
        (0..xs.len()).map(result).collect()
    }

    /// Whether a layer has a window.
    fn is_local(&self, layer: usize) -> bool {
        let windows = self.shape.windows.as_ref();
        windows.is_some_and(|windows| !(layer + 1).is_multiple_of(windows.period))
    }

    fn expert(&self, name: &str, expert: usize, clamp: f64, h: &[f64]) -> Vec<f64> {
        let (ffn, hidden) = (self.shape.ffn, self.shape.hidden);
        let gate = self.rows_of(&format!("{name}_gate_exps"), expert * ffn, ffn, h);
        let up = self.rows_of(&format!("{name}_up_exps"), expert * ffn, ffn, h);
        let both = gate.iter().zip(&up).map(|(g, u)| {
            let (g, u) = (g.min(clamp), u.clamp(-clamp, clamp));
            g / (1.0 + (-g).exp()) * u
        });
        let both: Vec<f64> = both.collect();
        self.rows_of(&format!("{name}_down_exps"), expert * hidden, hidden, &both)
    }

    fn feed_forward(&self, name: &str, h: &[f64]) -> Vec<f64> {
        let gate = self.linear(&format!("{name}_gate"), h);
        let up = self.linear(&format!("{name}_up"), h);
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let act = |g: f64| match self.shape.gate {
            Gate::Relu2 => g.max(0.0).powi(2),
            Gate::Silu => g / (1.0 + (-g).exp()),
            Gate::Gelu => 0.5 * g * (1.0 + (root * (g + 0.044715 * g.powi(3))).tanh()),
        };
        let mut f: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| act(*g) * u).collect();
        if self.shape.sub_norms {
            f = self.norm(&format!("{name}_sub_norm"), &f);
        }
        self.linear(&format!("{name}_down"), &f)
    }

    fn add(&self, x: &mut [f64], mut result: Vec<f64>, norm: &str) {
        if self.shape.post_norms {
            result = self.norm(norm, &result);
        }
        for (x, y) in x.iter_mut().zip(result) {
            *x += y * self.shape.scales.1;
        }
    }

    pub(super) fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let (rows, values) = &self.floats[name];
        let cols = values.len() / rows;
        let row = &values[row * cols..][..cols];
        row.iter().map(|x| f64::from(*x)).collect()
    }

    pub(super) fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.row(&format!("{name}.weight"), 0);
        let mean = dot(x, x) / x.len() as f64;
        let r = 1.0 / (mean + EPS).sqrt();
        x.iter().zip(&weight).map(|(x, w)| x * r * w).collect()
    }

    /// A ternary product, with the norm in front of it if there is one.
    pub(super) fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let rows = self.matrices[&format!("{name}.weight")].rows;
        self.rows_of(name, 0, rows, x)
    }

    /// The product of some rows.
    fn rows_of(&self, name: &str, first: usize, rows: usize, x: &[f64]) -> Vec<f64> {
        let m = &self.matrices[&format!("{name}.weight")];
        let x = match self.shape.input_norms {
            true => self.norm(&format!("{name}_norm_in"), x),
            false => x.to_vec(),
        };
        let x = self.folded(name, x);
        product(m, &x, first..first + rows)
    }

    fn rotate(&self, head: &mut [f64], position: usize, layer: usize, context: usize) {
        let n = head.len();
        let local = self.is_local(layer);
        let theta = match &self.shape.windows {
            Some(windows) if local => windows.theta,
            Some(windows) if !windows.others => return,
            _ => self.shape.theta,
        };
        for i in 0..n / 2 {
            let rate = theta.powf(-2.0 * i as f64 / n as f64);
            let (rate, gain) = match (self.shape.yarn, &self.shape.factors) {
                (None, None) => (rate, 1.0),
                (_, Some((short, long, gain, original))) => {
                    let factors = if context > *original { long } else { short };
                    (rate / f64::from(factors[i]), *gain)
                }
                (Some((factor, original)), None) => {
                    // Turns within the first context, per the paper: 32 and more are kept, 1 and
                    // less divided; the ramp between them is linear in the pair's number.
                    let pair = |turns: f64| {
                        let span = original as f64 / (turns * std::f64::consts::TAU);
                        n as f64 * span.ln() / (2.0 * theta.ln())
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
    seen: std::ops::Range<usize>,
) -> Vec<f64> {
    let (n, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let mut out = vec![0.0; q.len()];
    for head in 0..shape.heads {
        let q = &q[head * n..][..n];
        let kv = head / group * n;
        let score = |at: usize| dot(q, &keys[at][kv..kv + n]) / (n as f64).sqrt();
        let scores: Vec<f64> = seen.clone().map(score).collect();
        let most = scores.iter().fold(f64::MIN, |most, s| most.max(*s));
        let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for (at, weight) in seen.clone().zip(&weights) {
            for (out, v) in out[head * n..][..n].iter_mut().zip(&values[at][kv..]) {
                *out += weight / sum * v;
            }
        }
    }
    out
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Some rows of a ternary product of activations in int8.
fn product(m: &Matrix, x: &[f64], rows: std::ops::Range<usize>) -> Vec<f64> {
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
    rows.map(row).collect()
}
