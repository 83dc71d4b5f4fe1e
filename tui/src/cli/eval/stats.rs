//! What scored tokens add up to.
//!
//! Everything is added in the order of the text, in binary64, and functions come from the `libm`
//! crate, so that the numbers are the same everywhere.

/// A mean and its error, of numbers that come one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Mean {
    /// One more.
    pub(super) fn add(&mut self, x: f64) {
        self.count += 1;
        self.sum += x;
        self.squares += x * x;
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// All together.
    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean; NaN of none.
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Standard error of the mean; `None` of fewer than two.
    pub(super) fn error(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let variance = self.squares / self.count as f64 - self.mean() * self.mean();
        Some((variance.max(0.0) / (self.count - 1) as f64).sqrt())
    }
}

/// How surprised a model is by a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Perplexity {
    /// Negative log-probabilities, in nats.
    pub(super) surprise: Mean,
    bytes: u64,
    words: u64,
    in_word: bool,
}

impl Perplexity {
    /// A scored token: its negative log-probability and the bytes it stands for.
    pub(super) fn add(&mut self, surprise: f64, bytes: &[u8]) {
        self.surprise.add(surprise);
        self.bytes += bytes.len() as u64;
        for byte in bytes {
            let word = !byte.is_ascii_whitespace();
            self.words += u64::from(word && !self.in_word);
            self.in_word = word;
        }
    }

    /// Scored tokens are not next to those before.
    pub(super) fn gap(&mut self) {
        self.in_word = false;
    }

    /// The perplexity: e to the mean surprise.
    pub(super) fn value(&self) -> f64 {
        libm::exp(self.surprise.mean())
    }

    /// Its standard error, to first order.
    pub(super) fn error(&self) -> Option<f64> {
        Some(self.surprise.error()? * self.value())
    }

    /// Bits for each byte of the scored text; `None` without one.
    pub(super) fn bits_per_byte(&self) -> Option<f64> {
        self.bits_over(self.bytes)
    }

    /// Bits for each word of the scored text; `None` without one.
    pub(super) fn bits_per_word(&self) -> Option<f64> {
        self.bits_over(self.words)
    }

    /// Bytes and words of the scored text.
    pub(super) fn amounts(&self) -> (u64, u64) {
        (self.bytes, self.words)
    }

    fn bits_over(&self, count: u64) -> Option<f64> {
        (count > 0).then(|| self.surprise.sum() / std::f64::consts::LN_2 / count as f64)
    }
}

/// How far what one model says is from what another says.
#[derive(Debug, Default)]
pub(super) struct Distance {
    /// Divergences, in nats.
    pub(super) divergence: Mean,
    all: Vec<f64>,
    /// Differences of the probabilities of the token that comes, squared.
    shift: Mean,
    same: u64,
    /// Of the model that is compared with.
    pub(super) base: Perplexity,
    /// Differences of the log-probabilities of the token that comes.
    pub(super) ratio: Mean,
}

/// One scored token, in the eyes of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Divergence of this model from the other.
    pub(super) divergence: f64,
    /// Whether both have the same first choice.
    pub(super) same: bool,
    /// Log-probability of the token for this model.
    pub(super) ln: f64,
    /// And for the other.
    pub(super) base: f64,
}

impl Distance {
    /// One more token.
    pub(super) fn add(&mut self, pair: Pair, bytes: &[u8]) {
        self.divergence.add(pair.divergence);
        self.all.push(pair.divergence);
        let change = libm::exp(pair.ln) - libm::exp(pair.base);
        self.shift.add(change * change);
        self.same += u64::from(pair.same);
        self.base.add(-pair.base, bytes);
        self.ratio.add(pair.base - pair.ln);
    }

    /// Root of the mean squared change of the probability of the token that comes.
    pub(super) fn shift(&self) -> f64 {
        self.shift.mean().sqrt()
    }

    /// How often both have the same first choice, and the standard error of that.
    pub(super) fn same(&self) -> (f64, f64) {
        let count = self.divergence.count() as f64;
        let share = self.same as f64 / count;
        (share, (share * (1.0 - share) / count).sqrt())
    }

    /// The divergences that these shares of all do not exceed.
    pub(super) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted = self.all.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        shares.map(|share| {
            let at = (share * last as f64).round() as usize;
            sorted.get(at).copied().unwrap_or(f64::NAN)
        })
    }
}

/// A share with its interval of 95 % (Wilson 1927).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    /// The share itself.
    pub(super) value: f64,
    /// Lower end.
    pub(super) low: f64,
    /// Upper end.
    pub(super) high: f64,
}

impl Share {
    /// `hits` of `count`; `None` of none.
    pub(super) fn new(hits: u64, count: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (count as f64, hits as f64 / count as f64);
        let middle = p + Z * Z / (2.0 * n);
        let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        Some(Self {
            value: p,
            low: ((middle - reach) / whole).max(0.0),
            high: ((middle + reach) / whole).min(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn a_mean_has_the_error_of_the_textbook() {
        let mut mean = Mean::default();
        assert_eq!(mean.error(), None);
        for x in [1.0, 2.0, 4.0, 9.0] {
            mean.add(x);
        }
        near(mean.mean(), 4.0);
        // Sample variance 38 / 3 over 4.
        near(mean.error().unwrap(), (38.0_f64 / 3.0 / 4.0).sqrt());
    }

    #[test]
    fn bits_are_counted_by_bytes_and_words() {
        let mut text = Perplexity::default();
        for part in ["The", " sky", "\nis", " ", "blue", "."] {
            text.add(std::f64::consts::LN_2, part.as_bytes());
        }
        assert_eq!(text.amounts(), (16, 4));
        near(text.bits_per_byte().unwrap(), 6.0 / 16.0);
        near(text.bits_per_word().unwrap(), 1.5);
        near(text.value(), 2.0);
        text.gap();
        text.add(1.0, b"x");
        assert_eq!(text.amounts(), (17, 5));
        assert_eq!(Perplexity::default().bits_per_byte(), None);
    }

    #[test]
    fn distances_are_summed_up() {
        let mut distance = Distance::default();
        for (i, divergence) in [0.1, 0.3, 0.2, 0.0].into_iter().enumerate() {
            let pair = Pair {
                divergence,
                same: i != 1,
                ln: -1.0,
                base: -2.0,
            };
            distance.add(pair, b"a");
        }
        near(distance.divergence.mean(), 0.15);
        assert_eq!(distance.quantiles([0.0, 1.0, 0.34]), [0.0, 0.3, 0.1]);
        near(distance.same().0, 0.75);
        near(distance.shift(), (-1.0_f64).exp() - (-2.0_f64).exp());
        near(distance.ratio.mean(), -1.0);
        near(distance.base.value(), 2.0_f64.exp());
    }

    #[test]
    fn an_interval_is_wilsons() {
        assert_eq!(Share::new(0, 0), None);
        // From a table: 8 of 10.
        let share = Share::new(8, 10).unwrap();
        assert!((share.low - 0.4902).abs() < 1e-4 && (share.high - 0.9433).abs() < 1e-4);
        let all = Share::new(5, 5).unwrap();
        assert!(all.high == 1.0 && all.low > 0.5 && all.low < 0.6);
    }
}
