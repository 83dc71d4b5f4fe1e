//! Which choices of experts are computed together.

use std::ops::Range;

/// The choices of all rows, sorted by expert. A *slot* is a place in that order.
pub(in crate::exec::step) struct Grouping {
    /// The first slot of every expert, and the end of the last.
    starts: Vec<usize>,
    /// The choice in every slot.
    choices: Vec<u32>,
    /// The slot of every choice.
    slots: Vec<u32>,
    /// Experts that were chosen, in order.
    active: Vec<u32>,
    /// The first unit of each of them, and the end of the last.
    units: Vec<usize>,
}

impl Grouping {
    /// Room for `slots` choices of `experts` experts.
    pub(super) fn new(experts: usize, slots: usize) -> Self {
        Self {
            starts: vec![0; experts + 1],
            choices: Vec::with_capacity(slots),
            slots: Vec::with_capacity(slots),
            active: Vec::with_capacity(experts),
            units: Vec::with_capacity(experts + 1),
        }
    }

    /// Bytes of that.
    pub(super) fn bytes(experts: usize, slots: u64) -> Option<u64> {
        let experts = (experts as u64).checked_mul(20)?.checked_add(16)?;
        slots.checked_mul(8)?.checked_add(experts)
    }

    /// Sorts choices, each of which is an expert below the number of [`new`](Self::new). Choices of one
    /// expert keep their order.
    pub(super) fn fill(&mut self, chosen: &[u32]) {
        self.starts.fill(0);
        for expert in chosen {
            self.starts[*expert as usize + 1] += 1;
        }
        self.active.clear();
        for expert in 0..self.starts.len() - 1 {
            if self.starts[expert + 1] > 0 {
                self.active.push(expert as u32);
            }
            self.starts[expert + 1] += self.starts[expert];
        }
        self.choices.clear();
        self.choices.resize(chosen.len(), 0);
        self.slots.clear();
        for (choice, expert) in (0u32..).zip(chosen) {
            // The start moves on with every choice, and is put back below.
            let slot = &mut self.starts[*expert as usize];
            self.choices[*slot] = choice;
            self.slots.push(*slot as u32);
            *slot += 1;
        }
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// The choice in a slot.
    pub(super) fn choice(&self, slot: usize) -> usize {
        self.choices[slot] as usize
    }

    /// The slot of a choice.
    pub(super) fn slot(&self, choice: usize) -> usize {
        self.slots[choice] as usize
    }

    /// The slots of an expert.
    pub(super) fn slots(&self, expert: usize) -> Range<usize> {
        self.starts[expert]..self.starts[expert + 1]
    }

    /// Gives every active expert as many units as `count` says for its number of slots; the value is
    /// how many there are.
    pub(super) fn lay_out(&mut self, count: impl Fn(usize) -> usize) -> usize {
        self.units.clear();
        let mut total = 0;
        for expert in &self.active {
            self.units.push(total);
            let expert = *expert as usize;
            total += count(self.starts[expert + 1] - self.starts[expert]);
        }
        self.units.push(total);
        total
    }

    /// The expert that a unit belongs to, and its number among that expert's.
    pub(super) fn find(&self, unit: usize) -> (usize, usize) {
        let at = self.units.partition_point(|first| *first <= unit) - 1;
        (self.active[at] as usize, unit - self.units[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_lie_side_by_side_by_expert_and_units_lead_back() {
        let chosen = [3, 0, 3, 5, 0, 3];
        let mut grouping = Grouping::new(6, 6);
        // A step leaves nothing behind for the next one.
        for chosen in [&[5, 1][..], &chosen] {
            grouping.fill(chosen);
        }
        let slots = |expert| grouping.slots(expert).map(|slot| grouping.choice(slot));
        let by_expert: Vec<Vec<usize>> = (0..6).map(|expert| slots(expert).collect()).collect();
        assert_eq!(
            by_expert,
            [vec![1, 4], vec![], vec![], vec![0, 2, 5], vec![], vec![3]]
        );
        for choice in 0..6 {
            assert_eq!(grouping.choice(grouping.slot(choice)), choice);
        }
        assert_eq!(grouping.lay_out(|slots| 2 * slots), 12);
        let found: Vec<_> = (0..12).map(|unit| grouping.find(unit)).collect();
        assert_eq!(found[..5], [(0, 0), (0, 1), (0, 2), (0, 3), (3, 0)]);
        assert_eq!(found[9..], [(3, 5), (5, 0), (5, 1)]);
    }
}
