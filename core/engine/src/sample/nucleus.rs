use super::Sampling;
use super::candidate::Candidate;
use super::exp::{LEAST, WHOLE, exp};
use super::peaks::{BLOCK, Peaks, each, logits_of, tokens_of};

/// The weight of the best token. A weight is a probability relative to the best, in fixed point.
const ONE: u64 = 1 << 40;

/// Below this distance from the best logit, in units of the temperature, a weight is 0:
/// exp(-28) < 2^-40. Such tokens cannot be drawn, so they need not be looked at.
const CUT: f32 = -28.0;

/// Distances are sorted into buckets of this width: 1 / 32.
const PER_UNIT: f32 = 32.0;

/// Enough buckets for distances down to [`CUT`]. The last one takes all that are greater.
const BUCKETS: usize = 1024;

/// When this few candidates are left, they are sorted.
const FEW: usize = 32;

/// Draws from the truncated distribution, without sorting the vocabulary.
///
/// What is kept is always a prefix of one order, the greatest logit first and the lower id of
/// equals. So `top_k` and `top_p` each find one candidate, the last of the prefix, and compare
/// everything with it. `top_p` finds it by adding the weights up in buckets of equal distance from
/// the best logit, and looking closer into one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Nucleus {
    /// The blocks with a token that may be drawn, in order.
    live: Vec<u32>,
    /// For each of them the probabilities of its tokens relative to the best, 0 for one that is
    /// not kept.
    chances: Vec<[f32; BLOCK]>,
    /// For each of them the sum of its weights.
    sums: Vec<u64>,
    /// Sums of weights by distance.
    buckets: Vec<u64>,
    candidates: Vec<Candidate>,
}

impl Nucleus {
    /// Draws a token. `peaks` are those of `logits`; `bits` are random.
    pub(super) fn draw(
        &mut self,
        logits: &[f32],
        peaks: &Peaks,
        settings: &Sampling,
        bits: u64,
    ) -> u32 {
        let scale = Scale {
            max: peaks.max(),
            inverse: 1.0 / settings.temperature,
        };
        let tops = peaks.tops();
        self.live.clear();
        let near = (0..).zip(tops).filter(|&(_, &top)| scale.is_near(top));
        self.live.extend(near.map(|(block, _)| block));
        let mut last = Candidate::LAST;
        let top_k = settings.top_k as usize;
        if top_k > 0
            && let Some(found) = self.last_of(top_k, logits, tops, &scale)
        {
            last = found;
            self.live
                .retain(|&block| tops[block as usize] >= last.logit());
        }
        self.chances.clear();
        for &block in &self.live {
            let logits = logits_of(logits, block);
            let chances = last.keep(&logits, scale.chances(&logits), block);
            self.chances.push(chances);
        }
        if settings.top_p < 1.0 {
            last = self.last_probable(f64::from(settings.top_p), logits, tops, &scale);
        }
        self.weigh(logits, tops, last, least_chance(settings.min_p));
        self.pick(bits)
    }

    /// The `top_k`th best of the tokens near the best one, if there are as many.
    fn last_of(
        &mut self,
        top_k: usize,
        logits: &[f32],
        tops: &[f32],
        scale: &Scale,
    ) -> Option<Candidate> {
        let (live, candidates) = (&self.live, &mut self.candidates);
        let top = |block: &u32| tops[*block as usize];
        candidates.clear();
        // The best `top_k` blocks have a token each that is at least as good as the worst of their
        // tops, so nothing below that is wanted.
        let mut least = f32::NEG_INFINITY;
        if top_k <= live.len() {
            let tops = live.iter().map(|block| Candidate::new(*block, top(block)));
            candidates.extend(tops);
            candidates.select_nth_unstable_by(top_k - 1, |a, b| b.cmp(a));
            least = candidates[top_k - 1].logit();
            candidates.clear();
        }
        for &block in live.iter().filter(|block| top(block) >= least) {
            for (token, &logit) in tokens_of(block).zip(&logits_of(logits, block)) {
                if logit >= least && scale.is_near(logit) {
                    candidates.push(Candidate::new(token, logit));
                }
            }
        }
        if candidates.len() < top_k {
            return None;
        }
        candidates.select_nth_unstable_by(top_k - 1, |a, b| b.cmp(a));
        Some(candidates[top_k - 1])
    }

    /// The last of the fewest best tokens whose weights reach `top_p` of all.
    fn last_probable(
        &mut self,
        top_p: f64,
        logits: &[f32],
        tops: &[f32],
        scale: &Scale,
    ) -> Candidate {
        self.buckets.clear();
        self.buckets.resize(BUCKETS, 0);
        for (&block, chances) in self.live.iter().zip(&self.chances) {
            let buckets = scale.buckets(&logits_of(logits, block));
            for (bucket, weight) in buckets.into_iter().zip(weights(chances)) {
                self.buckets[bucket as usize % BUCKETS] += weight;
            }
        }
        let total: u64 = self.buckets.iter().sum();
        let wanted = top_p * total as f64;
        let mut sum = 0;
        let mut bucket = 0;
        for &part in &self.buckets {
            if (sum + part) as f64 >= wanted {
                break;
            }
            sum += part;
            bucket += 1;
        }
        self.candidates.clear();
        for (&block, chances) in self.live.iter().zip(&self.chances) {
            if scale.bucket(tops[block as usize]) > bucket {
                continue;
            }
            let logits = logits_of(logits, block);
            let buckets = scale.buckets(&logits);
            if !buckets.contains(&bucket) {
                continue;
            }
            for (at, token) in tokens_of(block).enumerate() {
                let weight = weight(chances[at]);
                if buckets[at] == bucket && weight > 0 {
                    let candidate = Candidate::new(token, logits[at]);
                    self.candidates.push(candidate.with_weight(weight));
                }
            }
        }
        last_wanted(&mut self.candidates, sum, wanted)
    }

    /// Drops what comes after `last` or has less than the `least` chance, and adds up the rest.
    fn weigh(&mut self, logits: &[f32], tops: &[f32], last: Candidate, least: f32) {
        self.sums.clear();
        for (&block, chances) in self.live.iter().zip(&mut self.chances) {
            let mut sum = 0;
            if tops[block as usize] >= last.logit() {
                *chances = last.keep(&logits_of(logits, block), *chances, block);
                *chances = each(chances, |chance| if chance >= least { chance } else { 0.0 });
                sum = sum_of_weights(chances);
            }
            self.sums.push(sum);
        }
    }

    /// Finds the token at a random point of all weights, laid end to end in the order of the ids.
    fn pick(&self, bits: u64) -> u32 {
        let total: u64 = self.sums.iter().sum();
        let mut point = ((u128::from(bits) * u128::from(total)) >> 64) as u64;
        for ((&block, chances), &sum) in self.live.iter().zip(&self.chances).zip(&self.sums) {
            if point >= sum {
                point -= sum;
                continue;
            }
            for (token, &chance) in tokens_of(block).zip(chances) {
                match point.checked_sub(weight(chance)) {
                    Some(rest) => point = rest,
                    None => return token,
                }
            }
        }
        // The best token is always kept, so the total is above 0 and the point below it.
        0
    }
}

/// How logits become chances.
struct Scale {
    max: f32,
    /// Of the temperature.
    inverse: f32,
}

impl Scale {
    #[inline(always)]
    fn is_near(&self, logit: f32) -> bool {
        (logit - self.max) * self.inverse >= CUT
    }

    /// The probabilities of tokens relative to the best; next to nothing for those that are not
    /// near.
    #[inline(always)]
    fn chances(&self, logits: &[f32; BLOCK]) -> [f32; BLOCK] {
        each(logits, |logit| {
            let distance = (logit - self.max) * self.inverse;
            exp(if distance > LEAST { distance } else { LEAST })
        })
    }

    /// Numbers that never decrease as logits decrease.
    #[inline(always)]
    fn buckets(&self, logits: &[f32; BLOCK]) -> [u32; BLOCK] {
        each(logits, |logit| self.bucket(logit))
    }

    #[inline(always)]
    fn bucket(&self, logit: f32) -> u32 {
        const LAST: f32 = (BUCKETS - 1) as f32;
        let bucket = (self.max - logit) * self.inverse * PER_UNIT;
        let bucket = if bucket < LAST { bucket } else { LAST };
        // Rounded to the nearest integer, which keeps the order. An `as` would also have to deal
        // with NaN and with what does not fit.
        (bucket + WHOLE).to_bits() - WHOLE.to_bits()
    }
}

/// The bits of a weight that are worked with at once, half of all: the processor converts four
/// floats to integers of 32 bits at a time, but only one to 64.
const PART: u32 = ONE.ilog2() / 2;

/// A weight in two numbers, `first << PART` and `last`; the second may be negative. All steps are
/// exact but the last, which rounds down.
#[inline(always)]
fn parts(chance: f32) -> (i32, i32) {
    /// As [`WHOLE`], for integers of both signs.
    const MIDDLE: f32 = 1.5 * WHOLE;
    const SCALE: f32 = (1 << PART) as f32;
    let integer = |sum: f32| sum.to_bits().wrapping_sub(MIDDLE.to_bits()) as i32;
    let scaled = chance * SCALE;
    let first = scaled + MIDDLE;
    let rest = (scaled - (first - MIDDLE)) * SCALE;
    let last = rest + MIDDLE;
    let is_above = last - MIDDLE > rest;
    (integer(first), integer(last) - i32::from(is_above))
}

#[inline(always)]
fn joined(first: i32, last: i32) -> u64 {
    ((i64::from(first) << PART) + i64::from(last)) as u64
}

/// The weight that belongs to a chance: the chance times [`ONE`], rounded down.
#[inline(always)]
fn weight(chance: f32) -> u64 {
    let (first, last) = parts(chance);
    joined(first, last)
}

/// The weights of a block.
#[inline(always)]
fn weights(chances: &[f32; BLOCK]) -> impl Iterator<Item = u64> + use<> {
    let first = each(chances, |chance| parts(chance).0);
    let last = each(chances, |chance| parts(chance).1);
    let pairs = first.into_iter().zip(last);
    pairs.map(|(first, last)| joined(first, last))
}

/// Their sum. The sums of the parts cannot overflow: there are 2^5 of up to 2^20.
#[inline(always)]
fn sum_of_weights(chances: &[f32; BLOCK]) -> u64 {
    let sum = chances.iter().map(|&chance| parts(chance));
    let (first, last) = sum.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    joined(first, last)
}

/// The least chance whose weight is at least `min_p` of the best, and above 0.
fn least_chance(min_p: f32) -> f32 {
    let least = (f64::from(min_p) * ONE as f64).ceil().max(1.0) / ONE as f64;
    let rounded = least as f32;
    if f64::from(rounded) < least {
        rounded.next_up()
    } else {
        rounded
    }
}

/// The first of the `candidates`, from the best on, with which `sum` and their weights reach
/// `wanted`; halves them until few are left.
fn last_wanted(candidates: &mut [Candidate], mut sum: u64, wanted: f64) -> Candidate {
    let mut rest = candidates;
    while rest.len() > FEW {
        let middle = rest.len() / 2;
        rest.select_nth_unstable_by(middle, |a, b| b.cmp(a));
        let (better, worse) = rest.split_at_mut(middle);
        let part: u64 = better.iter().map(|candidate| candidate.weight()).sum();
        if (sum + part) as f64 >= wanted {
            rest = better;
        } else {
            sum += part;
            rest = worse;
        }
    }
    rest.sort_unstable_by(|a, b| b.cmp(a));
    let enough = rest.iter().find(|candidate| {
        sum += candidate.weight();
        sum as f64 >= wanted
    });
    // The bucket reaches it, so one candidate of the bucket does.
    enough.copied().unwrap_or(Candidate::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_chance_rounded_down_to_fixed_point() {
        let edges = [
            0.0,
            1.0,
            1e-45,
            0.5,
            1.0 / 3.0,
            1.0f32.next_down(),
            exp(CUT),
            exp(LEAST),
        ];
        let others = (0..200_000u32).map(|n| f32::from_bits(n * 5_326));
        let chances: Vec<f32> = edges
            .into_iter()
            .chain(others)
            .filter(|x| *x <= 1.0)
            .collect();
        assert!(chances.len() > 190_000);
        let expected = |chance: f32| (f64::from(chance) * ONE as f64) as u64;
        for block in chances.as_chunks::<BLOCK>().0 {
            for (&chance, of_block) in block.iter().zip(weights(block)) {
                let expected = expected(chance);
                assert_eq!(
                    (weight(chance), of_block),
                    (expected, expected),
                    "{chance:e}"
                );
            }
            let sum: u64 = block.iter().map(|&chance| expected(chance)).sum();
            assert_eq!(sum_of_weights(block), sum);
        }
        assert_eq!(sum_of_weights(&[1.0; BLOCK]), ONE * BLOCK as u64);
    }
}
