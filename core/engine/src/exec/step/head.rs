//! The end of a step: the final norm, the head, and the exact form of its best rows.

use std::cmp::Ordering;

use tritone_abi::{HeadInput, HeadMatrix, KernelError, MatOut};

use super::{Step, TILE_ROWS, tile_rows};
use crate::exec::team::Member;
use crate::weights::HeadView;

/// Rows of the vocabulary that one unit computes again.
pub(super) const EXACT_UNIT: usize = 16;

/// Cannot be: buffers are made for the form of the head.
const NO_CODES: KernelError = KernelError::BadArgument("a ternary head takes int8");

impl Step<'_> {
    /// The final norm, and transform, of the `i`-th row that wants logits.
    pub(super) fn finish_row(&self, m: &Member<'_>, i: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        let row = b.wanted[i];
        // SAFETY: every wanted row is one unit of this phase.
        let x = unsafe { b.x.write(row) };
        let last = self.weights.layers.last();
        self.add_result(
            m,
            row,
            last.and_then(|last| last.ffn_post_norm.as_deref()),
            x,
        )?;
        // SAFETY: row `i` belongs to this unit.
        let out = unsafe { b.last.write(i) };
        let (norm, eps) = (&self.weights.output_norm, self.model.recipe.eps);
        match &self.weights.head_input {
            None => self.kernel.rms_norm(x, norm, eps, out)?,
            Some(transform) => {
                // SAFETY: the only reference to this member's values in this unit.
                let local = unsafe { b.locals.get(m) };
                let work = &mut local.row[..x.len()];
                self.kernel.rms_norm(x, norm, eps, work)?;
                transform.apply(work, out);
            }
        }
        match &b.last_q {
            None => Ok(()),
            // SAFETY: row `i` belongs to this unit.
            Some(q) => self.kernel.quantize(out, q.group, &mut unsafe { q.row(i) }),
        }
    }

    /// The final norm of a row whose state is wanted; it takes the place of the row's result.
    pub(super) fn finish_state(&self, m: &Member<'_>, row: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: every row is wanted once, so that it is one unit of this phase.
        let x = unsafe { b.x.write(row) };
        let last = self.weights.layers.last();
        self.add_result(
            m,
            row,
            last.and_then(|last| last.ffn_post_norm.as_deref()),
            x,
        )?;
        // SAFETY: as above; the result was read before and is not any more.
        let out = unsafe { b.result.write(row) };
        self.kernel
            .rms_norm(x, &self.weights.output_norm, self.model.recipe.eps, out)
    }

    /// Rows of the vocabulary that one unit takes.
    pub(super) fn head_tile(&self) -> usize {
        match self.weights.head(self.model) {
            HeadView::Rows(_) => TILE_ROWS,
            HeadView::Ternary(w) => tile_rows(self.kernel, w.cols, self.buffers.wanted.len()),
        }
    }

    pub(super) fn head(&self, m: &Member<'_>, tile: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        let (vocab, hidden) = (self.model.recipe.vocab, self.model.recipe.hidden);
        let tokens = b.wanted.len();
        // SAFETY: written in the phase before, only read in this one.
        let codes = b.last_q.as_ref().map(|q| unsafe { q.rows(tokens) });
        let rows = self.head_tile();
        let range = tile * rows..vocab.min((tile + 1) * rows);
        // SAFETY: the tile belongs to this unit alone.
        let mut out = unsafe { b.logits.tile(0, tokens, range) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let scratch = local.scratch.as_mut_slice();
        match (self.weights.head(self.model), codes) {
            (HeadView::Ternary(w), Some(x)) => self.kernel.matmul(&w, &x, &mut out, scratch)?,
            (HeadView::Ternary(_), None) => return Err(NO_CODES),
            (HeadView::Rows(w), Some(x)) => {
                let x = HeadInput::Int8(x);
                self.kernel.head(&w, &x, &mut out, scratch)?;
            }
            (HeadView::Rows(w), None) => {
                // SAFETY: as above.
                let x = unsafe { b.last.data.read(0, tokens * hidden) };
                let x = HeadInput::F32 { x, tokens };
                self.kernel.head(&w, &x, &mut out, scratch)?;
            }
        }
        if let Some(exact) = &b.exact {
            for token in 0..tokens {
                // SAFETY: the tile's cell of this row belongs to this unit.
                let cell = unsafe {
                    exact
                        .maxima
                        .data
                        .write(token * exact.maxima.width + tile, 1)
                };
                cell[0] = out
                    .row(token)
                    .iter()
                    .copied()
                    .fold(f32::NEG_INFINITY, larger);
            }
        }
        Ok(())
    }

    /// Chooses the rows of the vocabulary that the `i`-th row of logits computes again: the
    /// largest logits, of equal ones the first.
    pub(super) fn choose(&self, i: usize) -> Result<(), KernelError> {
        let (b, vocab) = (self.buffers, self.model.recipe.vocab);
        let Some(exact) = &b.exact else {
            return Ok(());
        };
        // SAFETY: written in the phase before, only read in this one.
        let (logits, maxima) = unsafe { (b.logits.read(i), exact.maxima.read(i)) };
        // SAFETY: row `i`'s room and choice belong to this unit.
        let (room, chosen) = unsafe {
            (
                exact.candidates.write(i * vocab, vocab),
                exact.chosen.write(i * exact.count, exact.count),
            )
        };
        choose(logits, maxima, room, chosen);
        Ok(())
    }

    /// Computes some of the chosen rows again from binary16.
    pub(super) fn compute_again(
        &self,
        m: &Member<'_>,
        head: &HeadMatrix<'_>,
        unit: usize,
    ) -> Result<(), KernelError> {
        let (b, hidden) = (self.buffers, self.model.recipe.hidden);
        let Some(exact) = &b.exact else {
            return Ok(());
        };
        let units = b.exact_units();
        let (i, unit) = (unit / units, unit % units);
        let range = unit * EXACT_UNIT..exact.count.min((unit + 1) * EXACT_UNIT);
        // SAFETY: written in the phase before, only read in this one.
        let chosen = unsafe {
            exact
                .chosen
                .read(i * exact.count + range.start, range.len())
        };
        // SAFETY: as above, some phases earlier.
        let x = unsafe { b.last.read(i) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let row_bytes = hidden * size_of::<u16>();
        for row in chosen.iter().map(|row| *row as usize) {
            let one = HeadMatrix {
                rows: 1,
                data: &head.data[row * row_bytes..(row + 1) * row_bytes],
                ..*head
            };
            // SAFETY: every chosen row of the vocabulary is in one unit's list, once.
            let cell = unsafe { b.logits.data.write(i * b.logits.width + row, 1) };
            let mut out = MatOut::new(cell, 1, 0..1)?;
            let x = HeadInput::F32 { x, tokens: 1 };
            self.kernel
                .head(&one, &x, &mut out, local.scratch.as_mut_slice())?;
        }
        Ok(())
    }
}

/// The larger of two, passing over NaN.
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Fills `chosen` with the indices of the largest `logits`, of equal ones the smallest indices.
///
/// `maxima` holds the largest logit of every [`TILE_ROWS`]. Only tiles that are among the best
/// `chosen.len()` can hold a chosen row, because each of those tiles alone offers a logit that is
/// at least as large as the worst of their maxima. `room` is as long as `logits`.
fn choose(logits: &[f32], maxima: &[f32], room: &mut [u32], chosen: &mut [u32]) {
    let count = chosen.len();
    // A total order: what is no number comes last.
    let key = |value: f32| {
        if value.is_nan() {
            f32::NEG_INFINITY
        } else {
            value
        }
    };
    let best_first = |values: &[f32], a: &u32, b: &u32| -> Ordering {
        let (x, y) = (key(values[*a as usize]), key(values[*b as usize]));
        y.total_cmp(&x).then(a.cmp(b))
    };
    let mut bound = f32::NEG_INFINITY;
    if maxima.len() > count {
        let tiles = &mut room[..maxima.len()];
        for (tile, place) in (0u32..).zip(tiles.iter_mut()) {
            *place = tile;
        }
        let (_, worst, _) =
            tiles.select_nth_unstable_by(count - 1, |a, b| best_first(maxima, a, b));
        bound = maxima[*worst as usize];
    }
    let mut found = 0;
    for (tile, max) in maxima.iter().enumerate() {
        if *max < bound {
            continue;
        }
        let rows = tile * TILE_ROWS..logits.len().min((tile + 1) * TILE_ROWS);
        for row in rows {
            if logits[row] >= bound || bound == f32::NEG_INFINITY {
                room[found] = row as u32;
                found += 1;
            }
        }
    }
    let found = &mut room[..found];
    if found.len() > count {
        found.select_nth_unstable_by(count - 1, |a, b| best_first(logits, a, b));
    }
    match found.get(..count) {
        Some(best) => chosen.copy_from_slice(best),
        // Cannot be, see above; but every row must be chosen once, whatever the maxima are.
        None => {
            for (row, place) in (0u32..).zip(chosen) {
                *place = row;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(logits: &[f32], count: usize) -> Vec<u32> {
        let maxima: Vec<f32> = logits
            .chunks(TILE_ROWS)
            .map(|tile| tile.iter().copied().fold(f32::NEG_INFINITY, larger))
            .collect();
        let (mut room, mut out) = (vec![0; logits.len()], vec![0; count]);
        choose(logits, &maxima, &mut room, &mut out);
        out.sort_unstable();
        out
    }

    fn by_sorting(logits: &[f32], count: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|a, b| {
            let (x, y) = (logits[*a as usize], logits[*b as usize]);
            y.total_cmp(&x).then(a.cmp(b))
        });
        order.truncate(count);
        order.sort_unstable();
        order
    }

    #[test]
    fn the_best_are_chosen() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 40) as u32
        };
        for size in [16, 100, 2000, 64 * 300 + 7] {
            for kinds in [3, 50, 1 << 20] {
                let logits: Vec<f32> = (0..size).map(|_| (next() % kinds) as f32 - 9.0).collect();
                for count in [1, 16, 256] {
                    let count = count.min(size);
                    assert_eq!(
                        chosen(&logits, count),
                        by_sorting(&logits, count),
                        "{count} of {size} logits of {kinds} kinds"
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_none_do_no_harm() {
        let logits = vec![f32::NAN; 64 * 300];
        assert!(chosen(&logits, 256).iter().all(|row| *row < 64 * 300));
        let mut logits = vec![f32::NEG_INFINITY; 64 * 300];
        logits[7000] = 1.0;
        assert!(chosen(&logits, 256).contains(&7000));
    }
}
