use super::peaks::BLOCK;

/// A token that may be drawn, with its place in the order of all: the greatest logit first, the
/// lower id of equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// The logit, as an integer of the same order, above the complement of the id: greater is
    /// better.
    key: u64,
    weight: u64,
}

impl Candidate {
    /// Comes after every token.
    pub(super) const LAST: Self = Self {
        key: (!f32::NEG_INFINITY.to_bits() as u64) << 32,
        weight: 0,
    };

    /// A token, as yet without a weight.
    pub(super) fn new(token: u32, logit: f32) -> Self {
        // -0 becomes +0, which it equals.
        let bits = (logit + 0.0).to_bits();
        let ordered = if bits >> 31 == 0 {
            bits | 1 << 31
        } else {
            !bits
        };
        Self {
            key: u64::from(ordered) << 32 | u64::from(!token),
            weight: 0,
        }
    }

    pub(super) fn with_weight(self, weight: u64) -> Self {
        Self { weight, ..self }
    }

    pub(super) fn weight(self) -> u64 {
        self.weight
    }

    pub(super) fn token(self) -> u32 {
        !(self.key as u32)
    }

    pub(super) fn logit(self) -> f32 {
        let ordered = (self.key >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 {
            ordered & !(1 << 31)
        } else {
            !ordered
        })
    }

    /// The `chances` of a block of tokens with 0 for those that come after this one.
    #[inline(always)]
    pub(super) fn keep(
        self,
        logits: &[f32; BLOCK],
        mut chances: [f32; BLOCK],
        block: u32,
    ) -> [f32; BLOCK] {
        let (equal, greater) = (self.logit(), self.logit().next_up());
        // Of those with the same logit the ones up to this are kept: all of the block, none or,
        // in one block only, some.
        let first = block * BLOCK as u32;
        let up_to = (u64::from(self.token()) + 1).saturating_sub(u64::from(first));
        let up_to = up_to.min(BLOCK as u64) as usize;
        if up_to == BLOCK || up_to == 0 {
            let least = if up_to == 0 { greater } else { equal };
            for (chance, &logit) in chances.iter_mut().zip(logits) {
                *chance = if logit >= least { *chance } else { 0.0 };
            }
        } else {
            for (at, (chance, &logit)) in chances.iter_mut().zip(logits).enumerate() {
                let least = if at < up_to { equal } else { greater };
                *chance = if logit >= least { *chance } else { 0.0 };
            }
        }
        chances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_and_ids_come_back_in_order() {
        let sorted = [
            Candidate::LAST,
            Candidate::new(7, -3.5),
            Candidate::new(3, -0.0),
            Candidate::new(2, 0.0),
            Candidate::new(9, 1e-40),
            Candidate::new(0, 2.0),
        ];
        assert!(sorted.is_sorted());
        let parts = sorted.map(|candidate| (candidate.token(), candidate.logit()));
        assert_eq!(
            parts,
            [
                (u32::MAX, f32::NEG_INFINITY),
                (7, -3.5),
                (3, 0.0),
                (2, 0.0),
                (9, 1e-40),
                (0, 2.0)
            ]
        );
    }

    #[test]
    fn what_comes_after_a_candidate_is_dropped() {
        let mut logits = [0.0; BLOCK];
        for (at, logit) in logits.iter_mut().enumerate() {
            *logit = [-1.0, -0.0, 0.0, 1e-45, 2.0, -1e-45, f32::NEG_INFINITY][at % 7];
        }
        let lasts = (0..4 * BLOCK as u32).flat_map(|token| {
            [-1.0, -0.0, 0.0, 1e-45, 2.0].map(|logit| Candidate::new(token, logit))
        });
        for last in lasts.chain([Candidate::LAST]) {
            for block in 0..4 {
                let kept = last.keep(&logits, [0.5; BLOCK], block);
                for (at, (&chance, &logit)) in kept.iter().zip(&logits).enumerate() {
                    let token = block * BLOCK as u32 + at as u32;
                    let is_before = Candidate::new(token, logit) >= last;
                    assert_eq!(chance == 0.5, is_before, "{token} {logit:e}, {last:?}");
                }
            }
        }
    }
}
