//! Merging of partial attention.

use tritone_abi::{Kernel, attend_width};
use tritone_scalar::Scalar;

use crate::attend::{DIMS, HEADS};
use crate::data::{Guarded, POISON, Rng};
use crate::misuse;
use crate::rows::rounds;
use crate::suite::{Outcome, Suite, Verdict, compare, oracle, worked};

/// What the two rows hold, head by head.
#[derive(Clone, Copy, Debug)]
enum States {
    /// Both saw something.
    Both,
    /// Both have the same maximum.
    Level,
    /// The maxima are too far apart for the smaller one to count.
    FarApart,
    /// `acc` saw nothing.
    AccEmpty,
    /// `next` saw nothing.
    NextEmpty,
    /// Neither did.
    Neither,
    /// Any of these, by turns.
    Mixed,
}

const STATES: [States; 7] = [
    States::Both,
    States::Level,
    States::FarApart,
    States::AccEmpty,
    States::NextEmpty,
    States::Neither,
    States::Mixed,
];

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let mut n = 0;
    for _ in 0..rounds(suite) {
        for head_dim in suite.sizes(DIMS) {
            for states in STATES {
                n += 1;
                let heads = HEADS[n % HEADS.len()];
                let shape = format_args!("heads {heads}, head_dim {head_dim}, {states:?}");
                suite.case(shape, |kernel, rng| {
                    merge(kernel, heads, head_dim, states, rng)
                });
            }
        }
    }
    misuse::merge_cases(suite);
}

/// One row of `heads` results whose maxima are `max(head)`, or nothing where that is `None`.
fn row(
    heads: usize,
    head_dim: usize,
    max: impl Fn(usize) -> Option<f32>,
    rng: &mut Rng,
) -> Guarded<f32> {
    let len = attend_width(heads, head_dim, true);
    let mut row = Guarded::new(len, rng.below(16), 0.0, POISON);
    let (values, states) = row.get_mut().split_at_mut(heads * head_dim);
    for h in 0..heads {
        if let Some(max) = max(h) {
            values[h * head_dim..][..head_dim].copy_from_slice(&rng.floats(head_dim, 40.0));
            states[2 * h] = max;
            states[2 * h + 1] = 1.0 + rng.below(64) as f32 + rng.float() * 0.5;
        }
    }
    row
}

fn merge(
    kernel: &dyn Kernel,
    heads: usize,
    head_dim: usize,
    states: States,
    rng: &mut Rng,
) -> Verdict {
    // Near enough that both count to the last bit.
    let a = rng.floats(heads, 20.0);
    let b: Vec<f32> = a.iter().map(|a| a + rng.float() * 2.0).collect();
    let state = |h: usize| match states {
        States::Mixed => STATES[h % 6],
        one => one,
    };
    let acc = |h: usize| match state(h) {
        States::AccEmpty | States::Neither => None,
        States::FarApart if h.is_multiple_of(2) => Some(a[h] - 1e4),
        _ => Some(a[h]),
    };
    let next = |h: usize| match state(h) {
        States::NextEmpty | States::Neither => None,
        States::FarApart if !h.is_multiple_of(2) => Some(b[h] - 1e4),
        States::Level => Some(a[h]),
        _ => Some(b[h]),
    };
    let mut got = row(heads, head_dim, acc, rng);
    let next = row(heads, head_dim, next, rng);
    let mut want = got.get().to_vec();
    oracle(Scalar.attend_merge(heads, head_dim, &mut want, next.get()))?;
    worked(kernel.attend_merge(heads, head_dim, got.get_mut(), next.get()))?;
    compare(got.get(), &want, |i| format!("element {i}"))?;
    got.intact("merged row")?;
    Ok(Outcome::Passed)
}
