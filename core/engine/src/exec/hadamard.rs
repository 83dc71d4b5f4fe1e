//! The blockwise Walsh-Hadamard transform of folded weights.

use tritone_abi::numerics::LANES;

/// How an input is transformed before a folded matrix, or a row of a folded table after it was read.
///
/// One order of operations: signs first, then the stages of the butterfly with distances 1, 2, 4, ...
/// (sum to the lower place, difference to the upper one), then the factor `1 / sqrt(block)`.
#[derive(Debug)]
pub(crate) struct Transform {
    block: usize,
    factor: f32,
    /// One a value; none where all are +1.
    signs: Option<Vec<f32>>,
    /// Key heads and values of a head, where value heads are put in groups by their key head.
    grouped: Option<(usize, usize)>,
}

impl Transform {
    /// A transform in blocks of `block` values, a power of two that divides the width.
    pub(crate) fn new(
        block: usize,
        signs: Option<&[f32]>,
        grouped: Option<(usize, usize)>,
    ) -> Self {
        Self {
            block,
            factor: (1.0 / (block as f64).sqrt()) as f32,
            signs: signs.map(<[f32]>::to_vec),
            grouped,
        }
    }

    /// `H(s x)` into `out`; the slices have one length, whole blocks.
    pub(crate) fn apply(&self, x: &[f32], out: &mut [f32]) {
        match self.grouped {
            None => out.copy_from_slice(x),
            Some((keys, dim)) => group(x, keys, dim, out),
        }
        self.sign(out);
        self.turn(out);
    }

    /// `s H(x)` in place: what [`apply`](Self::apply) made of `s x` is `x` again.
    pub(crate) fn undo(&self, x: &mut [f32]) {
        self.turn(x);
        self.sign(x);
    }

    fn sign(&self, x: &mut [f32]) {
        for (x, sign) in x.iter_mut().zip(self.signs.iter().flatten()) {
            *x *= sign;
        }
    }

    fn turn(&self, x: &mut [f32]) {
        for block in x.chunks_exact_mut(self.block) {
            butterfly(block);
            for x in block {
                *x *= self.factor;
            }
        }
    }
}

/// Value head `h` belongs to key head `h % keys`; puts those of one key head side by side.
fn group(x: &[f32], keys: usize, dim: usize, out: &mut [f32]) {
    let each = x.len() / (keys * dim).max(1);
    for (head, x) in x.chunks_exact(dim).enumerate() {
        let (turn, key) = (head / keys, head % keys);
        out[(key * each + turn) * dim..][..dim].copy_from_slice(x);
    }
}

/// All stages over one block. Stages within sixteen values work on vectors, later ones on rows of
/// such vectors; the operations are those of the definition.
fn butterfly(x: &mut [f32]) {
    let len = x.len();
    let (rows, rest) = x.as_chunks_mut::<LANES>();
    for row in rows.iter_mut() {
        within::<1>(row);
        within::<2>(row);
        within::<4>(row);
        within::<8>(row);
    }
    let mut distance = 1;
    while distance < rows.len() {
        for pair in rows.chunks_exact_mut(2 * distance) {
            let (lower, upper) = pair.split_at_mut(distance);
            for (lower, upper) in lower.iter_mut().zip(upper) {
                for (a, b) in lower.iter_mut().zip(upper) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
        }
        distance *= 2;
    }
    // Blocks of less than sixteen values.
    let mut distance = 1;
    while len < LANES && distance < len {
        for pair in rest.chunks_exact_mut(2 * distance) {
            let (lower, upper) = pair.split_at_mut(distance);
            for (a, b) in lower.iter_mut().zip(upper) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        distance *= 2;
    }
}

/// One stage within a vector: a sum is the same in either order, and a difference that with the
/// negative value.
#[inline(always)]
fn within<const DISTANCE: usize>(x: &mut [f32; LANES]) {
    let before = *x;
    for (i, x) in x.iter_mut().enumerate() {
        let sign = if i & DISTANCE == 0 { 1.0 } else { -1.0 };
        *x = before[i ^ DISTANCE] + sign * before[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    /// By the definition: entry (r, c) of the matrix is -1 to the number of common bits.
    fn by_definition(x: &[f32], block: usize) -> Vec<f64> {
        let row = |start: usize, r: usize| {
            let sign = |c: usize| 1.0 - 2.0 * f64::from((r & c).count_ones() % 2);
            let terms = (0..block).map(|c| sign(c) * f64::from(x[start + c]));
            terms.sum::<f64>() / (block as f64).sqrt()
        };
        (0..x.len())
            .map(|i| row(i / block * block, i % block))
            .collect()
    }

    #[test]
    fn it_is_the_matrix_of_the_definition() {
        for block in [1, 2, 4, 8, 64, 512] {
            let x = values(1024);
            let mut out = vec![0.0; 1024];
            Transform::new(block, None, None).apply(&x, &mut out);
            for (got, want) in out.iter().zip(by_definition(&x, block)) {
                assert!(
                    (f64::from(*got) - want).abs() < 1e-4,
                    "{block}: {got} {want}"
                );
            }
        }
    }

    #[test]
    fn stages_have_one_order() {
        let x = values(256);
        let mut want = x.clone();
        for stage in 0..8 {
            let before = want.clone();
            for (i, want) in want.iter_mut().enumerate() {
                let other = before[i ^ (1 << stage)];
                *want = match i >> stage & 1 {
                    0 => before[i] + other,
                    _ => other - before[i],
                };
            }
        }
        let mut out = vec![0.0; 256];
        Transform::new(256, None, None).apply(&x, &mut out);
        for (got, want) in out.iter().zip(want) {
            assert_eq!(got.to_bits(), (want * (1.0 / 16.0)).to_bits());
        }
    }

    #[test]
    fn undone_it_is_what_it_was() {
        let signs: Vec<f32> = (0..256)
            .map(|i| if i % 3 == 0 { -1.0 } else { 1.0 })
            .collect();
        let transform = Transform::new(64, Some(&signs), None);
        let x = values(256);
        let mut out = vec![0.0; 256];
        transform.apply(&x, &mut out);
        assert!(out.iter().zip(&x).any(|(a, b)| (a - b).abs() > 0.1));
        transform.undo(&mut out);
        assert!(out.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn heads_of_one_key_head_come_together() {
        // 3 value heads for each of 2 key heads, of 2 values.
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let mut out = vec![0.0; 12];
        group(&x, 2, 2, &mut out);
        let want = [0., 1., 4., 5., 8., 9., 2., 3., 6., 7., 10., 11.];
        assert_eq!(out, want);
    }
}
