//! Numbers that were measured several times.

use serde::{Deserialize, Serialize};

/// A number that was measured several times, or why it was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "Stored")]
pub(crate) enum Measured {
    /// What the samples say together.
    Samples {
        /// The middle one, or the mean of the middle two.
        median: f64,
        /// The lowest.
        min: f64,
        /// The highest.
        max: f64,
        /// Median absolute deviation from the median.
        mad: f64,
        /// One a repetition, in order.
        samples: Vec<f64>,
    },
    /// There is none.
    Missing {
        /// Why.
        missing: String,
    },
}

/// [`Measured`] as it stands in a file. The summary is made again from the samples.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Samples { samples: Vec<f64> },
    Missing { missing: String },
}

impl From<Stored> for Measured {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Samples { samples } => Self::new(samples),
            Stored::Missing { missing } => Self::Missing { missing },
        }
    }
}

/// Why a number is missing that Ctrl+C came before.
const NOT_REACHED: &str = "not measured: interrupted";

impl Measured {
    /// Summarises samples; none at all is said to be an interruption.
    pub(crate) fn new(samples: Vec<f64>) -> Self {
        let (Some(median), Some(min), Some(max)) = (
            quantile(&samples, 0.5),
            samples.iter().copied().min_by(f64::total_cmp),
            samples.iter().copied().max_by(f64::total_cmp),
        ) else {
            return Self::missing(NOT_REACHED);
        };
        let away: Vec<f64> = samples.iter().map(|x| (x - median).abs()).collect();
        Self::Samples {
            median,
            min,
            max,
            mad: quantile(&away, 0.5).unwrap_or(0.0),
            samples,
        }
    }

    pub(crate) fn missing(why: impl Into<String>) -> Self {
        Self::Missing {
            missing: why.into(),
        }
    }

    /// The median, if there is one.
    pub(crate) fn median(&self) -> Option<f64> {
        match self {
            Self::Samples { median, .. } => Some(*median),
            Self::Missing { .. } => None,
        }
    }

    /// Every sample times `factor`.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Samples { samples, .. } => {
                Self::new(samples.iter().map(|sample| sample * factor).collect())
            }
            Self::Missing { .. } => self.clone(),
        }
    }

    /// Every sample as a share of the limit of the same repetition. The machine may change from
    /// one repetition to the next, so a ratio of medians would compare different machines.
    pub(crate) fn share_of(&self, limit: &Self) -> Self {
        match (self, limit) {
            (
                Self::Samples { samples, .. },
                Self::Samples {
                    samples: limits, ..
                },
            ) => Self::new(samples.iter().zip(limits).map(|(a, b)| a / b).collect()),
            (Self::Missing { .. }, _) => self.clone(),
            (_, Self::Missing { .. }) => limit.clone(),
        }
    }
}

/// The value below which a share `q` of `samples` lies, between two of them in proportion; `None`
/// without samples.
pub(crate) fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (sorted.get(low)?, sorted.get(high)?);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(measured: &Measured) -> (f64, f64, f64, f64) {
        match measured {
            Measured::Samples {
                median,
                min,
                max,
                mad,
                ..
            } => (*median, *min, *max, *mad),
            Measured::Missing { missing } => panic!("{missing}"),
        }
    }

    #[test]
    fn samples_are_summarised() {
        let odd = Measured::new(vec![3.0, 1.0, 2.0]);
        assert_eq!(summary(&odd), (2.0, 1.0, 3.0, 1.0));
        let even = Measured::new(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!(summary(&even), (2.5, 1.0, 4.0, 1.0));
        assert_eq!(summary(&odd.scaled(2.0)), (4.0, 2.0, 6.0, 2.0));
        let outlier = Measured::new(vec![5.0, 5.0, 90.0, 5.5, 4.5]);
        assert_eq!(summary(&outlier), (5.0, 4.5, 90.0, 0.5));
    }

    #[test]
    fn shares_compare_samples_of_one_repetition() {
        let rate = Measured::new(vec![10.0, 40.0, 30.0]);
        let limit = Measured::new(vec![20.0, 50.0, 100.0]);
        let (median, min, max, _) = summary(&rate.share_of(&limit));
        assert_eq!((median, min, max), (0.5, 0.3, 0.8));
        // The third repetition was interrupted.
        let short = Measured::new(vec![20.0, 50.0]);
        let (_, min, max, _) = summary(&rate.share_of(&short));
        assert_eq!((min, max), (0.5, 0.8));
        let missing = Measured::missing("no such loop");
        assert_eq!(rate.share_of(&missing), missing);
        assert_eq!(missing.median(), None);
        assert_eq!(
            Measured::new(vec![]).share_of(&limit),
            Measured::new(vec![])
        );
    }

    #[test]
    fn quantiles_lie_between_samples() {
        let samples = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(quantile(&samples, 0.5), Some(3.0));
        assert_eq!(quantile(&samples, 0.0), Some(1.0));
        assert_eq!(quantile(&samples, 1.0), Some(5.0));
        assert!((quantile(&samples, 0.95).unwrap() - 4.8).abs() < 1e-12);
        assert_eq!(quantile(&[7.0], 0.95), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_stored_summary_is_made_again() {
        let lie = r#"{"median": 9, "min": 9, "max": 9, "samples": [1, 2, 3]}"#;
        let read: Measured = serde_json::from_str(lie).unwrap();
        assert_eq!(summary(&read), (2.0, 1.0, 3.0, 1.0));
        let kept = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Measured>(&kept).unwrap(), read);
        let missing: Measured = serde_json::from_str(r#"{"missing": "no loop"}"#).unwrap();
        assert_eq!(missing, Measured::missing("no loop"));
    }
}
