//! The output head.

use tritone_abi::head::{BLOCK_COLS, GROUP_ROWS, SCALE_COLS};
use tritone_abi::numerics::{LANES, f16_to_f32, sum_lanes};
use tritone_abi::{Activations, HeadFormat, HeadMatrix, MatOut};

/// Tokens that share one unpacking of the weights.
const TILE: usize = 4;

/// Column quads that share a scale.
const QUADS: usize = SCALE_COLS / 4;

/// Bytes of a code vector: four columns of sixteen rows.
const VECTOR: usize = 64;

compiled_twice! {
    fn floats(w: &HeadMatrix<'_>, x: &[f32], out: &mut MatOut<'_>) = floats_body;
}

/// Logits of a checked binary16 head; `x` is one row of `w.cols` floats a token.
#[inline(always)]
pub(crate) fn floats_body(w: &HeadMatrix<'_>, x: &[f32], out: &mut MatOut<'_>) {
    let (range, cols) = (out.range(), w.cols);
    for row in range.clone() {
        let data = &w.data[row * cols * 2..][..cols * 2];
        for first in (0..out.tokens()).step_by(TILE) {
            let tokens = TILE.min(out.tokens() - first);
            // `numerics::dot`, with the weights converted on the way.
            let mut lanes = [[0.0f32; LANES]; TILE];
            let mut chunks = data.chunks_exact(2 * LANES);
            for (c, chunk) in chunks.by_ref().enumerate() {
                let weights = halves(chunk);
                for (t, lanes) in lanes[..tokens].iter_mut().enumerate() {
                    let x = &x[(first + t) * cols + c * LANES..][..LANES];
                    for l in 0..LANES {
                        lanes[l] = x[l].mul_add(weights[l], lanes[l]);
                    }
                }
            }
            let weights = halves(chunks.remainder());
            let tail = cols % LANES;
            for (t, mut lanes) in lanes.into_iter().enumerate().take(tokens) {
                let x = &x[(first + t + 1) * cols - tail..][..tail];
                for l in 0..tail {
                    lanes[l] = x[l].mul_add(weights[l], lanes[l]);
                }
                out.row(first + t)[row - range.start] = sum_lanes(lanes);
            }
        }
    }
}

/// Up to sixteen little-endian binary16 values.
#[inline(always)]
fn halves(bytes: &[u8]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for (out, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *out = f16_to_f32(u16::from_le_bytes([pair[0], pair[1]]));
    }
    out
}

compiled_twice! {
    fn codes(w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) = codes_body;
}

/// Logits of a checked quantised head.
#[inline(always)]
pub(crate) fn codes_body(w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let (range, groups) = (out.range(), x.groups());
    let block_bytes = w.format.block_bytes();
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * block_bytes;
    for first_row in range.clone().step_by(GROUP_ROWS) {
        let rows = GROUP_ROWS.min(range.end - first_row);
        let data = &w.data[first_row / GROUP_ROWS * group_bytes..][..group_bytes];
        for first in (0..x.tokens).step_by(TILE) {
            let tokens = TILE.min(x.tokens - first);
            let mut acc = [[0.0f32; GROUP_ROWS]; TILE];
            for g in 0..groups {
                let (block, half) = (g / 2, g % 2);
                let (scales, codes) = data[block * block_bytes..][..block_bytes].split_at(VECTOR);
                let scales = halves(&scales[half * VECTOR / 2..][..VECTOR / 2]);
                let values = unpack(w.format, codes, half);
                for (t, acc) in acc[..tokens].iter_mut().enumerate() {
                    let q = &x.row(first + t)[g * SCALE_COLS..][..SCALE_COLS];
                    let sums = multiply(&values, q);
                    let a = x.scales[(first + t) * groups + g];
                    for r in 0..GROUP_ROWS {
                        acc[r] = (sums[r] as f32).mul_add(scales[r] * a, acc[r]);
                    }
                }
            }
            for (t, acc) in acc[..tokens].iter().enumerate() {
                out.row(first + t)[first_row - range.start..][..rows].copy_from_slice(&acc[..rows]);
            }
        }
    }
}

/// The values (codes less their offset) of half a block: one vector a column quad.
#[inline(always)]
fn unpack(format: HeadFormat, codes: &[u8], half: usize) -> [[i16; VECTOR]; QUADS] {
    let mut values = [[0i16; VECTOR]; QUADS];
    for (v, values) in values.iter_mut().enumerate() {
        let vector = |index: usize| &codes[index * VECTOR..][..VECTOR];
        // Quads 0..4 of a half are the low nibbles of its four vectors, 4..8 the high ones.
        let (nibbles, shift) = (half * 4 + v % 4, v / 4 * 4);
        let value = values.iter_mut();
        match format {
            // Never asked for: a binary16 head has no codes.
            HeadFormat::F16 => {}
            HeadFormat::Q8 => {
                for (value, code) in value.zip(vector(half * QUADS + v)) {
                    *value = i16::from(*code).wrapping_sub(128);
                }
            }
            HeadFormat::Q4 => {
                for (value, byte) in value.zip(vector(nibbles)) {
                    *value = i16::from((byte >> shift) & 15).wrapping_sub(8);
                }
            }
            HeadFormat::Q6 => {
                let quad = half * QUADS + v;
                let (upper, place) = (vector(8 + quad / 4), 2 * (quad % 4));
                for ((value, low), high) in value.zip(vector(nibbles)).zip(upper) {
                    let code = (low >> shift) & 15 | ((high >> place) & 3) << 4;
                    *value = i16::from(code).wrapping_sub(32);
                }
            }
        }
    }
    values
}

/// Integer products of sixteen rows with 32 activations. Nothing comes near an overflow; the
/// wrapping operations are there because checked ones do not vectorise.
#[inline(always)]
fn multiply(values: &[[i16; VECTOR]; QUADS], q: &[i8]) -> [i32; GROUP_ROWS] {
    // One sum for each byte of a vector: column `b` of every quad, four to a row.
    let mut acc = [0i32; VECTOR];
    for (values, quad) in values.iter().zip(q.chunks_exact(4)) {
        let mut pattern = [0i16; 16];
        for (i, v) in pattern.iter_mut().enumerate() {
            *v = i16::from(quad[i % 4]);
        }
        for (acc, values) in acc.chunks_exact_mut(16).zip(values.chunks_exact(16)) {
            for i in 0..16 {
                let product = i32::from(values[i]).wrapping_mul(i32::from(pattern[i]));
                acc[i] = acc[i].wrapping_add(product);
            }
        }
    }
    let mut sums = [0i32; GROUP_ROWS];
    for (sum, columns) in sums.iter_mut().zip(acc.chunks_exact(4)) {
        for v in columns {
            *sum = sum.wrapping_add(*v);
        }
    }
    sums
}
