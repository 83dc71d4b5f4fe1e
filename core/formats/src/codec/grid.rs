//! Ternary weights among floats: exactly, where values lie on a ternary grid already, or rounded.
//!
//! Some models are published unpacked: every weight is a float, and that float is minus a scale,
//! zero, or the scale. One scale may reach over the tensor, over rows (where ranges of outputs have been
//! trained on different machines), or over groups of a row's columns.

use super::ternary::Scales;

/// Columns of the groups that scales are looked for in, the finest first.
const GROUPS: [usize; 3] = [64, 128, 256];

/// Ternary weights, row by row, and their scales.
pub type Grid = (Vec<i8>, Scales);

/// A value that does not lie on a ternary grid.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "row {row}, column {column} is {value}, while values before it in its group of {group} columns \
     are {scale} or -{scale}: it is on no ternary grid"
)]
pub struct OffGrid {
    /// The row.
    pub row: usize,
    /// The column.
    pub column: usize,
    /// The value there.
    pub value: f32,
    /// The magnitude that came first.
    pub scale: f32,
    /// Columns that were expected to share it.
    pub group: usize,
}

/// The weights of `values`, rows of `columns` finite floats, where all of them are minus a scale, zero
/// or that scale; with the scales in the coarsest form that says the same: one for the tensor, one for
/// every row, or one for groups of 256, 128 or 64 columns. Magnitudes have to be equal in every bit.
///
/// # Errors
///
/// The first value that is off.
pub fn ternary_grid(values: &[f32], columns: usize) -> Result<Grid, OffGrid> {
    let group = match columns.is_multiple_of(GROUPS[0]) {
        true => GROUPS[0],
        false => columns.max(1),
    };
    let mut ternary = Vec::with_capacity(values.len());
    let mut scales = Vec::new();
    for (number, values) in values.chunks(group).enumerate() {
        // A group of zeros has any scale.
        let scale = values.iter().map(|x| x.abs()).find(|x| *x != 0.0);
        for (i, &value) in values.iter().enumerate() {
            let magnitude = value.abs();
            let scale = scale.unwrap_or(0.0);
            if magnitude != 0.0 && magnitude != scale {
                let at = number * group + i;
                let (row, column) = (at / columns, at % columns);
                return Err(OffGrid {
                    row,
                    column,
                    value,
                    scale,
                    group,
                });
            }
            ternary.push(match magnitude == 0.0 {
                true => 0,
                false => value.signum() as i8,
            });
        }
        scales.push(scale);
    }
    Ok((ternary, coarsest(scales, columns, group)))
}

/// Scales of groups of `group` columns in the coarsest form.
fn coarsest(mut scales: Vec<Option<f32>>, columns: usize, group: usize) -> Scales {
    if let Some(scale) = one(&scales) {
        return Scales::Tensor(scale);
    }
    let in_row = (columns / group).max(1);
    if let Some(rows) = scales.chunks(in_row).map(one).collect() {
        return Scales::Row(rows);
    }
    let mut columns_under_one = group;
    for coarser in GROUPS.into_iter().skip(1) {
        if !columns.is_multiple_of(coarser) {
            break;
        }
        let joined = scales.chunks(2).map(|pair| Some((one(pair)?, pair)));
        let joined: Option<Vec<_>> = joined.collect();
        let Some(joined) = joined else { break };
        // Nothing but zeros stays so.
        scales = joined
            .into_iter()
            .map(|(scale, pair)| pair.iter().any(Option::is_some).then_some(scale))
            .collect();
        columns_under_one = coarser;
    }
    Scales::Group {
        columns: columns_under_one,
        values: scales
            .into_iter()
            .map(|scale| scale.unwrap_or(0.0))
            .collect(),
    }
}

/// The one scale that `scales` are, as far as they matter; 0 when none does.
fn one(scales: &[Option<f32>]) -> Option<f32> {
    let mut known = scales.iter().flatten();
    let first = known.next().copied().unwrap_or(0.0);
    known.all(|scale| *scale == first).then_some(first)
}

/// Master weights rounded as BitNet does it in training: `round(w / mean|w|)`, at most one step, with
/// one scale, as transformers computes it.
pub fn absmean(weights: &[f32]) -> Grid {
    let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
    let mean = (sum / weights.len().max(1) as f64) as f32;
    let inverse = 1.0 / mean.max(1e-5);
    let ternary = weights
        .iter()
        .map(|w| (w * inverse).round_ties_even().clamp(-1.0, 1.0) as i8);
    (ternary.collect(), Scales::Tensor(1.0 / inverse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values of `rows` rows whose scale at a row and column is that of `scale`.
    fn values(rows: usize, columns: usize, scale: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let value = |at: usize| {
            let t = (at * 7 + at / 11) % 3;
            (t as f32 - 1.0) * scale(at / columns, at % columns)
        };
        (0..rows * columns).map(value).collect()
    }

    #[test]
    fn the_coarsest_form_is_found() {
        let by = |columns, scale: &dyn Fn(usize, usize) -> f32| {
            let values = values(6, columns, scale);
            let (ternary, scales) = ternary_grid(&values, columns).unwrap();
            for (at, (t, value)) in ternary.iter().zip(&values).enumerate() {
                let scale = scales.at(columns, at / columns, at % columns).unwrap();
                assert_eq!(f32::from(*t) * scale, *value, "{at}");
            }
            scales
        };
        assert_eq!(by(256, &|_, _| 0.3), Scales::Tensor(0.3));
        assert_eq!(by(100, &|_, _| 0.3), Scales::Tensor(0.3));
        // Two shards of rows.
        let shards = by(512, &|row, _| if row < 2 { 0.1 } else { 0.2 });
        assert_eq!(shards, Scales::Row([vec![0.1; 2], vec![0.2; 4]].concat()));
        let odd = by(100, &|row, _| row as f32);
        assert_eq!(odd, Scales::Row((0..6).map(|row| row as f32).collect()));
        // Two shards of columns, at every border a group can have.
        for (border, columns, group) in [
            (256, 512, 256),
            (512, 1024, 256),
            (128, 512, 128),
            (384, 512, 128),
            (192, 512, 64),
            (192, 384, 64),
            (128, 384, 128),
        ] {
            let Scales::Group {
                columns: found,
                values,
            } = by(columns, &|_, column| {
                if column < border { 0.5 } else { 0.25 }
            })
            else {
                panic!("groups");
            };
            assert_eq!(
                (found, values.len()),
                (group, 6 * columns / group),
                "{border}"
            );
        }
    }

    #[test]
    fn zeros_have_any_scale() {
        assert_eq!(
            ternary_grid(&[0.0; 128], 64),
            Ok((vec![0; 128], Scales::Tensor(0.0)))
        );
        let mut half = vec![-0.0; 128];
        half[100] = -2.0;
        let (ternary, scales) = ternary_grid(&half, 128).unwrap();
        assert_eq!(scales, Scales::Tensor(2.0));
        assert_eq!((ternary[0], ternary[100]), (0, -1));
        // Zeros between two scales: the row of zeros may have either, the groups stay apart.
        let mut parts = vec![0.0; 256];
        (parts[0], parts[255]) = (1.0, 3.0);
        let Scales::Group { columns, values } = ternary_grid(&parts, 256).unwrap().1 else {
            panic!("groups");
        };
        assert_eq!((columns, values), (128, vec![1.0, 3.0]));
    }

    #[test]
    fn the_first_value_off_the_grid_is_named() {
        let mut off = values(3, 128, |_, _| 0.5);
        let at = 128 + 70;
        off[at] = f32::from_bits(0.5f32.to_bits() + 1);
        let error = ternary_grid(&off, 128).unwrap_err();
        assert_eq!((error.row, error.column, error.scale), (1, 70, 0.5));
        assert_eq!(error.value.to_bits(), 0.5f32.to_bits() + 1);
        let text = error.to_string();
        assert!(text.contains("row 1, column 70 is 0.50000006"), "{text}");
    }

    proptest! {
        /// Whatever is accepted comes back bit for bit, and in no coarser form than it is.
        #[test]
        fn accepted_values_come_back(
            rows in 1usize..4,
            blocks in 1usize..5,
            choice in prop::collection::vec(0usize..3, 16),
            damage in prop::option::of((any::<prop::sample::Index>(), -1.0f32..1.0)),
        ) {
            let columns = 64 * blocks;
            let scale = |row: usize, column: usize| {
                [0.25, 0.5, 1.5][choice[(row * 5 + column / 64) % 16]]
            };
            let mut values = values(rows, columns, scale);
            if let Some((at, value)) = damage {
                let at = at.index(values.len());
                values[at] = value;
            }
            if let Ok((ternary, scales)) = ternary_grid(&values, columns) {
                for (at, (t, value)) in ternary.iter().zip(&values).enumerate() {
                    let scale = scales.at(columns, at / columns, at % columns).unwrap();
                    prop_assert_eq!(f32::from(*t) * scale, *value);
                }
            } else {
                prop_assert!(damage.is_some());
            }
        }
    }
}
