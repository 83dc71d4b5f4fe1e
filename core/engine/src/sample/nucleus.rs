use std::collections::BinaryHeap;

use super::Sampling;

/// The weight of the best token. A weight is a probability relative to the best, in fixed point.
const ONE: u64 = 1 << 40;

/// Below this distance from the best logit, in units of the temperature, a weight is 0:
/// exp(-28) < 2^-40. Such tokens cannot be drawn, so they need not be looked at.
const CUT: f32 = -28.0;

/// A token that may be drawn. The order is that of `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// The logit, as an integer of the same order, above the complement of the id: greater is
    /// better, and of equal logits the lower id.
    key: u64,
    weight: u64,
}

impl Candidate {
    fn new(token: u32, logit: f32) -> Self {
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

    fn token(self) -> u32 {
        !(self.key as u32)
    }
}

/// Draws from the truncated distribution, without sorting the vocabulary.
#[derive(Debug, Clone, Default)]
pub(super) struct Nucleus {
    candidates: Vec<Candidate>,
    kept: Vec<Candidate>,
}

impl Nucleus {
    /// Draws a token. `max` is the greatest logit and finite, no logit is NaN; `bits` are random.
    pub(super) fn draw(&mut self, logits: &[f32], max: f32, settings: &Sampling, bits: u64) -> u32 {
        let inverse = 1.0 / settings.temperature;
        let candidates = &mut self.candidates;
        candidates.clear();
        for (token, &logit) in logits.iter().enumerate() {
            if (logit - max) * inverse >= CUT {
                candidates.push(Candidate::new(token as u32, logit));
            }
        }
        let top_k = settings.top_k as usize;
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, |a, b| b.cmp(a));
            candidates.truncate(top_k);
        }
        for candidate in candidates.iter_mut() {
            let distance = (logits[candidate.token() as usize] - max) * inverse;
            candidate.weight = (libm::expf(distance) * ONE as f32) as u64;
        }
        if settings.top_p < 1.0 {
            self.keep_probable(f64::from(settings.top_p));
        }
        let candidates = &mut self.candidates;
        let least = f64::from(settings.min_p) * ONE as f64;
        candidates.retain(|candidate| candidate.weight as f64 >= least);
        candidates.sort_unstable_by_key(|candidate| candidate.token());

        let total: u64 = candidates.iter().map(|candidate| candidate.weight).sum();
        let mut point = ((u128::from(bits) * u128::from(total)) >> 64) as u64;
        for candidate in candidates.iter() {
            match point.checked_sub(candidate.weight) {
                Some(rest) => point = rest,
                None => return candidate.token(),
            }
        }
        // The point lies below the total, so the loop has returned.
        candidates.last().map_or(0, |candidate| candidate.token())
    }

    /// Keeps the fewest best candidates whose weights reach `top_p` of all.
    fn keep_probable(&mut self, top_p: f64) {
        let total: u64 = self
            .candidates
            .iter()
            .map(|candidate| candidate.weight)
            .sum();
        let wanted = top_p * total as f64;
        let mut heap = BinaryHeap::from(std::mem::take(&mut self.candidates));
        self.kept.clear();
        let mut sum = 0;
        while (sum as f64) < wanted
            && let Some(best) = heap.pop()
        {
            sum += best.weight;
            self.kept.push(best);
        }
        self.candidates = heap.into_vec();
        std::mem::swap(&mut self.candidates, &mut self.kept);
    }
}
