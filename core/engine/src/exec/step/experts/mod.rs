//! Feed-forward parts that choose a few of many experts for every token (Shazeer et al. 2017).
//!
//! # Phases
//!
//! ```text
//! per row                 x += result (normed); norm; quantise
//! per 16 experts          the router's product, in binary32
//! per row                 choose experts and their shares
//! per slot                int8 activations of the row, slots of one expert side by side
//! per expert and tile     gate and up products
//! per slot                gate * up, quantise
//! per expert and tile     down product
//! per row                 sum of the slots' results
//! ```
//!
//! A *slot* is one choice of one row. Which rows share an expert's product changes no bit of it, and a
//! row's results are added in the order of its choices, so that a row depends on no other.

mod grouping;

use tritone_abi::{HeadInput, KernelError, numerics};

pub(super) use self::grouping::Grouping;
use super::buffers::{Quantized, Rows};
use super::{Before, Step, tile_rows};
use crate::exec::clock::Part;
use crate::exec::shared::{PerMember, Shared};
use crate::exec::team::{Member, Poisoned};
use crate::plan::Capacity;
use crate::recipe::{Experts as Shape, Recipe};
use crate::weights::{Experts, Groups, Matrix};

/// Experts of the router that one unit computes.
const ROUTER_ROWS: usize = 16;

/// Buffers of experts.
pub(super) struct Routing {
    shape: Shape,
    /// Normed rows: the router's input.
    normed: Rows,
    /// The router's products with the two parts of its weights.
    scores: [Rows; 2],
    /// `[row][choice]`: expert, and share of its result.
    chosen: Shared<u32>,
    shares: Shared<f32>,
    /// Activations and results of slots.
    inputs: Quantized,
    results: Rows,
    groupings: PerMember<Grouping>,
}

impl Routing {
    /// Buffers for steps of `rows` rows on `members` threads; `None` when memory does not suffice.
    pub(super) fn new(
        recipe: &Recipe,
        shape: Shape,
        rows: usize,
        members: usize,
        groups: Groups,
    ) -> Option<Self> {
        let slots = rows.checked_mul(shape.used)?;
        let groupings = (0..members).map(|_| Grouping::new(shape.count, slots));
        Some(Self {
            shape,
            normed: Rows::new(rows, recipe.hidden)?,
            scores: [Rows::new(rows, shape.count)?, Rows::new(rows, shape.count)?],
            chosen: Shared::zeroed(slots)?,
            shares: Shared::zeroed(slots)?,
            inputs: Quantized::new(slots, recipe.hidden, groups.hidden)?,
            results: Rows::new(slots, recipe.hidden)?,
            groupings: PerMember::new(groupings.collect()),
        })
    }

    /// Bytes of all that.
    pub(super) fn bytes(recipe: &Recipe, capacity: &Capacity, threads: usize) -> Option<u64> {
        let Some(shape) = recipe.experts else {
            return Some(0);
        };
        let rows = capacity.rows as u64;
        let slots = rows.checked_mul(shape.used as u64)?;
        let scales = recipe
            .weight_group
            .map_or(1, |group| recipe.hidden / group.max(1));
        let in_row = 4 * (recipe.hidden + 2 * shape.count);
        let in_slot =
            tritone_abi::padded_stride(recipe.hidden) + 8 * scales + 4 * recipe.hidden + 8;
        let grouping = Grouping::bytes(shape.count, slots)?.checked_mul(threads as u64)?;
        rows.checked_mul(in_row as u64)?
            .checked_add(slots.checked_mul(in_slot as u64)?)?
            .checked_add(grouping)
    }
}

impl Step<'_> {
    /// The phases of a feed-forward part with experts.
    pub(super) fn experts(
        &self,
        m: &Member<'_>,
        part: &Experts,
        before: Before<'_>,
    ) -> Result<(), Poisoned> {
        let b = self.buffers;
        let Some(routing) = &b.routing else {
            return Ok(());
        };
        let (rows, shape) = (b.rows.len(), routing.shape);
        let slots = rows * shape.used;
        self.units(m, rows, |row| {
            self.norm_and_quantize(m, routing, row, &part.input.norm, before)
        })?;
        let tiles = shape.count.div_ceil(ROUTER_ROWS);
        self.units(m, tiles, |tile| self.route(m, routing, part, tile))?;
        self.units(m, rows, |row| self.choose_experts(routing, part, row))?;
        // Every member groups for itself: that takes less time than to wait for another.
        // SAFETY: the only reference to this member's grouping; it is used in this part alone.
        let grouping = unsafe { routing.groupings.get(m) };
        // SAFETY: written in the phase before, and not again in this part.
        grouping.fill(unsafe { routing.chosen.read(0, slots) });
        self.units(m, slots, |slot| {
            // SAFETY: the slot belongs to this unit.
            let to = unsafe { routing.inputs.row(slot) };
            let row = grouping.choice(slot) / shape.used;
            // SAFETY: written three phases before, only read since.
            let from = unsafe { b.hidden_q[0].rows_from(row, 1) };
            to.q.copy_from_slice(from.q);
            to.scales.copy_from_slice(from.scales);
            to.sums.copy_from_slice(from.sums);
            Ok(())
        })?;
        self.clock.border(m, Part::Other);
        let both = [(&part.gate[..], &b.gate), (&part.up[..], &b.up)];
        self.expert_products(m, grouping, both, &routing.inputs)?;
        self.units(m, slots, |slot| self.gate_slot(m, routing, slot))?;
        self.clock.border(m, Part::Other);
        self.expert_products(m, grouping, [(&part.down[..], &routing.results)], &b.ffn_q)?;
        self.units(m, rows, |row| {
            self.add_up(routing, grouping, row);
            Ok(())
        })
    }

    /// `x += result` as `before` says; norm of it, as it is and quantised.
    fn norm_and_quantize(
        &self,
        m: &Member<'_>,
        routing: &Routing,
        row: usize,
        norm: &[f32],
        before: Before<'_>,
    ) -> Result<(), KernelError> {
        let (b, input) = (self.buffers, &self.buffers.hidden_q[0]);
        // SAFETY: the row belongs to this unit, here and below.
        let x = unsafe { b.x.write(row) };
        if let Some(post) = before {
            self.add_result(m, row, post, x)?;
        }
        // SAFETY: as above.
        let (normed, mut place) = unsafe { (routing.normed.write(row), input.row(row)) };
        self.kernel
            .rms_norm(x, norm, self.model.recipe.eps, normed)?;
        self.kernel.quantize(normed, input.group, &mut place)
    }

    /// Some rows of the router's product, for all tokens.
    fn route(
        &self,
        m: &Member<'_>,
        routing: &Routing,
        part: &Experts,
        tile: usize,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        let (tokens, hidden) = (b.rows.len(), self.model.recipe.hidden);
        // SAFETY: written in the phase before, only read in this one.
        let x = unsafe { routing.normed.data.read(0, tokens * hidden) };
        let input = HeadInput::F32 { x, tokens };
        let end = routing.shape.count.min((tile + 1) * ROUTER_ROWS);
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        for (matrix, scores) in part.router.parts().zip(&routing.scores) {
            // SAFETY: the tile belongs to this unit alone.
            let mut out = unsafe { scores.tile(0, tokens, tile * ROUTER_ROWS..end) };
            self.kernel
                .head(&matrix, &input, &mut out, local.scratch.as_mut_slice())?;
        }
        Ok(())
    }

    /// Chooses the experts of a row: the best scores, of equal ones the first. Their shares are the
    /// softmax over the chosen.
    fn choose_experts(
        &self,
        routing: &Routing,
        part: &Experts,
        row: usize,
    ) -> Result<(), KernelError> {
        let used = routing.shape.used;
        let [scores, rest] = &routing.scores;
        // SAFETY: written in the phase before; the row belongs to this unit.
        let (scores, rest) = unsafe { (scores.write(row), rest.read(row)) };
        if let Some(scale) = part.router.rest_scale() {
            for (score, rest) in scores.iter_mut().zip(rest) {
                *score += rest * scale;
            }
        }
        // SAFETY: the row's choices belong to this unit.
        let (chosen, shares) = unsafe {
            (
                routing.chosen.write(row * used, used),
                routing.shares.write(row * used, used),
            )
        };
        choose(scores, chosen, shares);
        Ok(())
    }

    /// Products of experts with the slots that chose them, as one phase. All matrices of one list have
    /// one shape.
    fn expert_products<const N: usize>(
        &self,
        m: &Member<'_>,
        grouping: &mut Grouping,
        parts: [(&[Matrix], &Rows); N],
        input: &Quantized,
    ) -> Result<(), Poisoned> {
        let Some(first) = parts[0].0.first() else {
            return Ok(());
        };
        let (rows, cols) = (first.rows, first.cols);
        let tile = |slots| tile_rows(self.kernel, cols, slots);
        let total = grouping.lay_out(|slots| N * rows.div_ceil(tile(slots)));
        let grouping = &*grouping;
        self.units(m, total, |unit| {
            let (expert, unit) = grouping.find(unit);
            let slots = grouping.slots(expert);
            let tile = tile(slots.len());
            let tiles = rows.div_ceil(tile);
            let (matrices, out) = parts[unit / tiles];
            let range = unit % tiles * tile..rows.min((unit % tiles + 1) * tile);
            // SAFETY: the input was written in the phase before and is only read in this one.
            let x = unsafe { input.rows_from(slots.start, slots.len()) };
            // SAFETY: the tile belongs to this unit alone.
            let mut out = unsafe { out.tile(slots.start, slots.len(), range) };
            // SAFETY: the only reference to this member's values in this unit.
            let local = unsafe { self.buffers.locals.get(m) };
            self.kernel.matmul(
                &matrices[expert].view(),
                &x,
                &mut out,
                local.scratch.as_mut_slice(),
            )
        })?;
        self.clock.border(m, Part::Matmul);
        Ok(())
    }

    /// `gate * up` of a slot, both within bounds if the model has some, quantised.
    fn gate_slot(&self, m: &Member<'_>, routing: &Routing, slot: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: the slot's rows belong to this unit.
        let (gate, up) = unsafe { (b.gate.write(slot), b.up.write(slot)) };
        if let Some(most) = routing.shape.clamp {
            gate.iter_mut().for_each(|x| *x = x.min(most));
            up.iter_mut().for_each(|x| *x = x.clamp(-most, most));
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let work = &mut local.row[..gate.len()];
        // SAFETY: the slot's row belongs to this unit.
        let mut out = unsafe { b.ffn_q.row(slot) };
        let gated = (self.model.recipe.gate, gate, &*up);
        self.kernel
            .gate_quantize(gated, None, work, b.ffn_q.group, &mut out)
    }

    /// The result of a row: those of its slots times their shares, added in the order of choice.
    fn add_up(&self, routing: &Routing, grouping: &Grouping, row: usize) {
        let used = routing.shape.used;
        // SAFETY: the row belongs to this unit.
        let out = unsafe { self.buffers.result.write(row) };
        out.fill(0.0);
        // SAFETY: written some phases before, only read since.
        let shares = unsafe { routing.shares.read(row * used, used) };
        for (choice, share) in (row * used..).zip(shares) {
            // SAFETY: written in the phase before, only read in this one.
            let result = unsafe { routing.results.read(grouping.slot(choice)) };
            for (out, x) in out.iter_mut().zip(result) {
                *out += share * x;
            }
        }
    }
}

/// The best of `scores`, of equal ones the first, in falling order, and their softmax; what is no
/// number counts as the smallest. `chosen` is at most as long as `scores`.
fn choose(scores: &[f32], chosen: &mut [u32], shares: &mut [f32]) {
    let used = chosen.len();
    let mut found = 0;
    for (expert, score) in (0u32..).zip(scores) {
        let score = if score.is_nan() {
            f32::NEG_INFINITY
        } else {
            *score
        };
        if found == used && score <= shares[used - 1] {
            continue;
        }
        let mut place = found.min(used - 1);
        while place > 0 && score > shares[place - 1] {
            shares[place] = shares[place - 1];
            chosen[place] = chosen[place - 1];
            place -= 1;
        }
        (shares[place], chosen[place]) = (score, expert);
        found = (found + 1).min(used);
    }
    let best = shares[0];
    let mut sum = 0.0;
    for share in shares.iter_mut() {
        *share = numerics::exp(*share - best);
        sum += *share;
    }
    shares.iter_mut().for_each(|share| *share /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(scores: &[f32], used: usize) -> (Vec<u32>, Vec<f32>) {
        let (mut chosen, mut shares) = (vec![9; used], vec![9.0; used]);
        choose(scores, &mut chosen, &mut shares);
        (chosen, shares)
    }

    #[test]
    fn the_best_are_chosen_and_of_equal_ones_the_first() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 40) as u32
        };
        for kinds in [2, 5, 1 << 20] {
            for used in [1, 3, 8] {
                let scores: Vec<f32> = (0..40).map(|_| (next() % kinds) as f32 / 9.0).collect();
                let mut order: Vec<u32> = (0..40).collect();
                order.sort_by(|a, b| {
                    let (x, y) = (scores[*a as usize], scores[*b as usize]);
                    y.total_cmp(&x).then(a.cmp(b))
                });
                let (chosen, shares) = chosen(&scores, used);
                assert_eq!(chosen, order[..used]);
                assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                assert!(shares.is_sorted_by(|a, b| a >= b));
            }
        }
        assert_eq!(chosen(&[0.0, 2f32.ln()], 2).0, [1, 0]);
        let shares = chosen(&[0.0, 2f32.ln()], 2).1;
        assert!((shares[0] - 2.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn numbers_that_are_none_are_chosen_last_and_do_no_harm() {
        assert_eq!(chosen(&[f32::NAN, -5.0, f32::NAN, -4.0], 2).0, [3, 1]);
        let (all, shares) = chosen(&[f32::NAN; 4], 2);
        assert_eq!((all, shares), (vec![0, 1], vec![0.5, 0.5]));
        let (all, shares) = chosen(&[f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY], 2);
        assert_eq!(all, [0, 2]);
        assert!(shares.iter().all(|share| share.is_finite()));
    }
}
