//! Faults of attention and of merging.

use tritone_abi::{AttendArgs, Cells, Kernel, KvPage, MatOut, PAGE_TOKENS};
use tritone_scalar::Scalar;

use crate::faults::{Fault, Outcome};

/// Spoils the right result in `out`, whose first row was `before`.
pub(crate) fn spoil(
    fault: Fault,
    args: &AttendArgs<'_>,
    before: &[f32],
    out: &mut MatOut<'_>,
) -> Outcome {
    let width = args.heads * args.head_dim;
    match fault {
        Fault::NeighbourScales => neighbour_scales(args, out)?,
        Fault::ValueScaleInSum => {
            let first = |v: &[f32; PAGE_TOKENS]| v.iter().copied().find(|v| v.is_finite());
            let scale = args.pages.iter().find_map(|page| match page.cells() {
                Cells::Q8 { v_scales, .. } => first(v_scales),
                _ => None,
            });
            for token in 0..args.tokens {
                if let (true, Some(scale)) = (args.partial, scale) {
                    for state in out.row(token)[width..].chunks_exact_mut(2) {
                        state[1] *= scale;
                    }
                }
            }
        }
        Fault::BlindLeftAlone if args.partial && args.visible(0).is_empty() => {
            out.row(0).copy_from_slice(before);
        }
        Fault::StateSwapped if args.partial => {
            for token in 0..args.tokens {
                for state in out.row(token)[width..].chunks_exact_mut(2) {
                    state.swap(0, 1);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Attention in which the key of a position has the scale of the position after it.
fn neighbour_scales(args: &AttendArgs<'_>, out: &mut MatOut<'_>) -> Outcome {
    let mut scales = Vec::new();
    for page in args.pages {
        match page.cells() {
            Cells::Q8 { k_scales, .. } => {
                let mut shifted = *k_scales;
                shifted.rotate_left(1);
                scales.push(shifted);
            }
            _ => return Ok(()),
        }
    }
    let pages: Vec<KvPage<'_>> = args
        .pages
        .iter()
        .zip(&scales)
        .filter_map(|(page, k_scales)| match page.cells() {
            Cells::Q8 { k, v, v_scales, .. } => {
                KvPage::q8((k, k_scales), (v, v_scales), args.head_dim).ok()
            }
            _ => None,
        })
        .collect();
    let pages = &pages;
    Scalar.attend(&AttendArgs { pages, ..*args }, out, &mut [])
}

/// Spoils the right merge in `acc`, which was `old`.
pub(crate) fn spoil_merge(
    fault: Fault,
    (heads, head_dim): (usize, usize),
    acc: &mut [f32],
    old: &[f32],
    next: &[f32],
) -> Outcome {
    let states = heads * head_dim;
    match fault {
        Fault::MergeUnfused => {
            for h in 0..heads {
                let (a, b) = (states + 2 * h, states + 2 * h + 1);
                if old[b] != 0.0 && next[b] != 0.0 {
                    let max = old[a].max(next[a]);
                    let exp = tritone_abi::numerics::exp;
                    acc[b] = old[b] * exp(old[a] - max) + next[b] * exp(next[a] - max);
                }
            }
        }
        Fault::NothingMerged => {
            // A state that saw nothing is taken for one with the maximum 0.
            for h in 0..heads {
                let max = states + 2 * h;
                if old[max + 1] == 0.0 && next[max + 1] != 0.0 {
                    acc[max] = next[max].max(0.0);
                }
            }
        }
        Fault::LaterFirst => {
            let mut swapped = next.to_vec();
            Scalar.attend_merge(heads, head_dim, &mut swapped, old)?;
            acc.copy_from_slice(&swapped);
        }
        _ => {}
    }
    Ok(())
}
