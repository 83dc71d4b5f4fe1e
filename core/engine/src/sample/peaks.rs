use super::SampleError;

/// Tokens are looked at in blocks of this many.
pub(super) const BLOCK: usize = 32;

/// Logits that are compared at once.
const LANES: usize = 8;

/// The greatest logit of every block of tokens, and of all.
///
/// One pass over the logits, after which everything that depends on single tokens looks at the
/// few blocks that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Peaks {
    tops: Vec<f32>,
    max: f32,
}

impl Peaks {
    /// Finds them, and checks every logit.
    pub(super) fn find(&mut self, logits: &[f32]) -> Result<(), SampleError> {
        self.tops.clear();
        let mut good = [true; LANES];
        for block in logits.chunks(BLOCK) {
            let mut tops = [f32::NEG_INFINITY; LANES];
            let (wide, rest) = block.as_chunks::<LANES>();
            for lanes in wide {
                look(&mut tops, &mut good, lanes);
            }
            look(&mut tops, &mut good, rest);
            self.tops.push(greatest(&tops));
        }
        if good.contains(&false) {
            let broken = logits.iter().position(|&logit| !is_good(logit));
            if let Some(token) = broken {
                let value = logits[token];
                return Err(SampleError::BrokenLogit { token, value });
            }
        }
        self.max = greatest(&self.tops);
        if self.max == f32::NEG_INFINITY {
            Err(SampleError::AllMasked)
        } else {
            Ok(())
        }
    }

    /// The greatest logit of all.
    pub(super) fn max(&self) -> f32 {
        self.max
    }

    /// The greatest logit of each block.
    pub(super) fn tops(&self) -> &[f32] {
        &self.tops
    }

    /// The best token of the same `logits`, the lower id of equals.
    pub(super) fn best(&self, logits: &[f32]) -> u32 {
        let block = self.tops.iter().position(|&top| top == self.max);
        let start = block.unwrap_or(0) * BLOCK;
        let at = logits[start..].iter().position(|&logit| logit == self.max);
        (start + at.unwrap_or(0)) as u32
    }

    /// The `most` greatest of the same `logits`, greatest first, the lower id of equals first.
    pub(super) fn likeliest(&self, logits: &[f32], most: usize, found: &mut Vec<(u32, f32)>) {
        found.clear();
        if most == 0 {
            return;
        }
        for (block, top) in self.tops.iter().enumerate() {
            if found.len() == most && found.last().is_none_or(|(_, least)| top <= least) {
                continue;
            }
            let start = block * BLOCK;
            for (i, &logit) in logits[start..].iter().take(BLOCK).enumerate() {
                // Equals come in the order of their ids, so a later one goes behind.
                let at = found.partition_point(|&(_, other)| other >= logit);
                if at < most && logit > f32::NEG_INFINITY {
                    found.truncate(most - 1);
                    found.insert(at, ((start + i) as u32, logit));
                }
            }
        }
    }
}

/// The logits of a block; minus infinity after the last token.
#[inline(always)]
pub(super) fn logits_of(logits: &[f32], block: u32) -> [f32; BLOCK] {
    let rest = &logits[block as usize * BLOCK..];
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut padded = [f32::NEG_INFINITY; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        }
    }
}

/// The ids of a block, and beyond the vocabulary where it ends within the block.
pub(super) fn tokens_of(block: u32) -> impl Iterator<Item = u32> {
    (block * BLOCK as u32..).take(BLOCK)
}

/// `f` of every value: a plain loop, of which vector code is made, unlike of `array::map`.
#[inline(always)]
pub(super) fn each<T: Copy + Default>(values: &[f32; BLOCK], f: impl Fn(f32) -> T) -> [T; BLOCK] {
    let mut results = [T::default(); BLOCK];
    for (result, &value) in results.iter_mut().zip(values) {
        *result = f(value);
    }
    results
}

/// Neither NaN nor plus infinity.
#[inline(always)]
fn is_good(logit: f32) -> bool {
    logit < f32::INFINITY
}

/// Takes up to [`LANES`] logits into account.
#[inline(always)]
fn look(tops: &mut [f32; LANES], good: &mut [bool; LANES], lanes: &[f32]) {
    for ((top, good), &logit) in tops.iter_mut().zip(good).zip(lanes) {
        *top = if logit > *top { logit } else { *top };
        *good &= is_good(logit);
    }
}

fn greatest(values: &[f32]) -> f32 {
    let greater = |max, &value| if value > max { value } else { max };
    values.iter().fold(f32::NEG_INFINITY, greater)
}
