//! The ternary product over layout `T2R32`.

use core::ops::Range;

use tritone_abi::layout::t2r32::{self, BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, KernelError, LayoutId, MatOut, TernaryMatrix, WeightScales};

/// Tokens that share one unpacking of a block.
const TILE: usize = 4;

/// Blocks whose products a 16-bit sum holds: a block adds 4 products of at most 128.
const RUN: usize = 32;

/// Bit planes of a block.
const PLANES: usize = 4;

type Sums = [[i32; GROUP_ROWS]; TILE];

/// Checks what the layout demands of the weights and of the rows to compute.
pub(crate) fn check_layout(w: &TernaryMatrix<'_>, rows: &Range<usize>) -> Result<(), KernelError> {
    if w.layout != LayoutId::T2R32 {
        return Err(KernelError::BadArgument(
            "weights are packed for another layout",
        ));
    }
    if t2r32::packed_bytes(w.rows, w.cols) != Some(w.data.len()) {
        return Err(KernelError::BadArgument(
            "packed weights do not fit the shape",
        ));
    }
    if !rows.start.is_multiple_of(GROUP_ROWS)
        || !(rows.end.is_multiple_of(GROUP_ROWS) || rows.end == w.rows)
    {
        return Err(KernelError::BadArgument(
            "row ranges are whole groups of 32 rows",
        ));
    }
    Ok(())
}

compiled_twice! {
    fn matmul(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) = body;
}

/// The product of checked arguments.
#[inline(always)]
pub(crate) fn body(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let range = out.range();
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let group_bytes = blocks * BLOCK_BYTES;
    for first_row in range.clone().step_by(GROUP_ROWS) {
        let rows = GROUP_ROWS.min(range.end - first_row);
        let row_group = first_row / GROUP_ROWS;
        let data = &w.data[row_group * group_bytes..][..group_bytes];
        for first in (0..x.tokens).step_by(TILE) {
            let tokens = TILE.min(x.tokens - first);
            let mut acc = [[0.0f32; GROUP_ROWS]; TILE];
            match w.scales {
                WeightScales::Tensor(scale) => {
                    let sums = dot_blocks(data, 0..blocks, x, first, tokens);
                    scale_sums(&mut acc, &sums, &[scale; GROUP_ROWS], x, first, tokens);
                }
                WeightScales::Row(scales) => {
                    let sums = dot_blocks(data, 0..blocks, x, first, tokens);
                    let mut lanes = [0.0; GROUP_ROWS];
                    lanes.copy_from_slice(&scales[first_row..][..GROUP_ROWS]);
                    scale_sums(&mut acc, &sums, &lanes, x, first, tokens);
                }
                WeightScales::Group { group, scales } => {
                    let (groups, width) = (w.cols / group, group / BLOCK_COLS);
                    for g in 0..groups {
                        let sums = dot_blocks(data, g * width..(g + 1) * width, x, first, tokens);
                        let w = &scales[(row_group * groups + g) * GROUP_ROWS..][..GROUP_ROWS];
                        for t in 0..tokens {
                            let a = x.scales[(first + t) * groups + g];
                            for r in 0..GROUP_ROWS {
                                acc[t][r] = (sums[t][r] as f32).mul_add(w[r] * a, acc[t][r]);
                            }
                        }
                    }
                }
            }
            for (t, acc) in acc[..tokens].iter().enumerate() {
                out.row(first + t)[first_row - range.start..][..rows].copy_from_slice(&acc[..rows]);
            }
        }
    }
}

/// `acc = sum * (w * a)` with one activation scale `a` a token.
#[inline(always)]
fn scale_sums(
    acc: &mut [[f32; GROUP_ROWS]; TILE],
    sums: &Sums,
    w: &[f32; GROUP_ROWS],
    x: &Activations<'_>,
    first: usize,
    tokens: usize,
) {
    for t in 0..tokens {
        let a = x.scales[first + t];
        for r in 0..GROUP_ROWS {
            acc[t][r] = sums[t][r] as f32 * (w[r] * a);
        }
    }
}

/// Integer products of the 32 rows in `data` with tokens `first..first + tokens`, over `blocks`.
#[inline(always)]
fn dot_blocks(
    data: &[u8],
    blocks: Range<usize>,
    x: &Activations<'_>,
    first: usize,
    tokens: usize,
) -> Sums {
    let mut sums = [[0i32; GROUP_ROWS]; TILE];
    for run in blocks.clone().step_by(RUN) {
        // One 16-bit sum for each byte of a block: column `b` of every plane, four to a row.
        let mut acc = [[0i16; BLOCK_BYTES]; TILE];
        for block in run..blocks.end.min(run + RUN) {
            let planes = unpack(&data[block * BLOCK_BYTES..][..BLOCK_BYTES]);
            for (t, acc) in acc[..tokens].iter_mut().enumerate() {
                let q = &x.row(first + t)[block * BLOCK_COLS..][..BLOCK_COLS];
                multiply(acc, &planes, q);
            }
        }
        for (sums, acc) in sums[..tokens].iter_mut().zip(&acc) {
            for (sum, columns) in sums.iter_mut().zip(acc.chunks_exact(4)) {
                for v in columns {
                    *sum += i32::from(*v);
                }
            }
        }
    }
    sums
}

/// The weights -1, 0, +1 of a block, one array a bit plane, in the order of its bytes.
#[inline(always)]
fn unpack(block: &[u8]) -> [[i16; BLOCK_BYTES]; PLANES] {
    let mut planes = [[0i16; BLOCK_BYTES]; PLANES];
    for (p, plane) in planes.iter_mut().enumerate() {
        for (w, byte) in plane.iter_mut().zip(block) {
            *w = i16::from((byte >> (2 * p)) & 3).wrapping_sub(1);
        }
    }
    planes
}

/// Adds the products of a block with sixteen activations. Sums stay within [`RUN`] blocks' worth,
/// so the wrapping operations never wrap; they are there because checked ones do not vectorise.
#[inline(always)]
fn multiply(acc: &mut [i16; BLOCK_BYTES], planes: &[[i16; BLOCK_BYTES]; PLANES], q: &[i8]) {
    // Plane `p`, byte `b` of a lane meets column `4 * p + b`: four values, over and over.
    let mut pattern = [[0i16; 16]; PLANES];
    for (p, pattern) in pattern.iter_mut().enumerate() {
        for (i, v) in pattern.iter_mut().enumerate() {
            *v = i16::from(q[4 * p + i % 4]);
        }
    }
    for (c, acc) in acc.chunks_exact_mut(16).enumerate() {
        for (i, acc) in acc.iter_mut().enumerate() {
            for p in 0..PLANES {
                *acc = acc.wrapping_add(planes[p][c * 16 + i].wrapping_mul(pattern[p][i]));
            }
        }
    }
}
