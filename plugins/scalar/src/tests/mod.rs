//! The kernel against plain loops written from the definitions, and its two compilations against
//! each other. All comparisons are of bits.

mod attend;
mod head;
mod matmul;
mod rows;

use core::ops::Range;

use proptest::prelude::*;
use tritone_abi::numerics::{exp, f16_to_f32, gelu_tanh, relu2, silu, sum_lanes};
use tritone_abi::{
    Cells, GateKind, HeadFormat, KvFormat, KvPage, PAGE_TOKENS, RopeStyle, WeightScales,
    head as head_abi, padded_stride,
};

use super::*;

/// Cases of a property: Miri takes a minute for what the processor does in a millisecond.
const fn cases(n: u32) -> u32 {
    if cfg!(miri) { 1 } else { n }
}

/// The end of a range of sizes that only multiply the work: small for Miri.
const fn end(n: usize) -> usize {
    if cfg!(miri) { 3 } else { n }
}

/// A small deterministic generator, so that a case is described by its seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn float(&mut self) -> f32 {
        (self.next() as f32 / (1u32 << 30) as f32 - 1.0) * 3.0
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

struct Quantized {
    tokens: usize,
    cols: usize,
    group: usize,
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Quantized {
    fn random(rng: &mut Rng, tokens: usize, cols: usize, group: usize) -> Self {
        let (stride, groups) = (padded_stride(cols), cols / group);
        let mut x = Self {
            tokens,
            cols,
            group,
            q: vec![0; tokens * stride],
            scales: rng.floats(tokens * groups),
            sums: vec![0; tokens * groups],
        };
        for t in 0..tokens {
            for c in 0..cols {
                let v = rng.next() as i8;
                x.q[t * stride + c] = v;
                x.sums[t * groups + c / group] += i32::from(v);
            }
        }
        x
    }

    fn view(&self) -> Activations<'_> {
        Activations {
            tokens: self.tokens,
            cols: self.cols,
            group: self.group,
            q: &self.q,
            scales: &self.scales,
            sums: &self.sums,
        }
    }
}

/// Runs the dispatched and the baseline copy into equal buffers and hands both back.
fn both(
    tokens: usize,
    stride: usize,
    range: Range<usize>,
    mut dispatched: impl FnMut(&mut MatOut<'_>),
    mut baseline: impl FnMut(&mut MatOut<'_>),
) -> (Vec<f32>, Vec<f32>) {
    let mut a = vec![7.5f32; tokens * stride];
    let mut b = a.clone();
    dispatched(&mut MatOut::new(&mut a, stride, range.clone()).unwrap());
    baseline(&mut MatOut::new(&mut b, stride, range).unwrap());
    (a, b)
}
