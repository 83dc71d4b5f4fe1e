//! The sixteen virtual lanes of [`tritone_abi::numerics`], as a vector unit offers them.
//!
//! Implementations hold them in as many registers as it takes; lane 0 comes first. Every method
//! is to be `#[inline(always)]`.

use tritone_abi::numerics::LANES;

/// The proof that this processor has a vector unit, and the source of its values: whoever holds
/// one, or a value made by one, may use the unit's instructions.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen f32.
    type Floats: Floats<Ints = Self::Ints>;
    /// Sixteen integers.
    type Ints: Ints;

    /// Sixteens of positions, or of a head's values, that attention takes at once: 1 or 2. With
    /// four queries it keeps `4 * WIDTH` sixteens of sums; these should fill the registers.
    const WIDTH: usize;

    /// The proof, where the processor and the operating system support the unit. Does not
    /// allocate.
    fn detect() -> Option<Self>;

    /// Runs an operation inside a function that is compiled for the unit's features.
    fn run<O: Op>(self, op: O) -> O::Output;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::Floats;

    /// Sixteen values.
    fn load(self, x: &[f32; LANES]) -> Self::Floats;

    /// Sixteen binary16 values, widened exactly.
    fn load_f16(self, x: &[u16; LANES]) -> Self::Floats;

    /// Sixteen little-endian binary16 values, widened exactly.
    fn load_f16_bytes(self, x: &[u8; 2 * LANES]) -> Self::Floats;

    /// Sixteen int8 values as floats.
    fn load_i8(self, x: &[i8; LANES]) -> Self::Floats;

    /// Sixteen zeros.
    fn no_ints(self) -> Self::Ints;

    /// Asks for the cache line at `address`. Any address will do: a prefetch cannot fault.
    fn prefetch(self, address: *const u8);

    /// Up to sixteen values; zeros follow.
    ///
    /// # Panics
    /// When there are more than sixteen.
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> Self::Floats {
        if let Ok(whole) = x.try_into() {
            return self.load(whole);
        }
        let mut all = [0.0; LANES];
        all[..x.len()].copy_from_slice(x);
        self.load(&all)
    }
}

/// Sixteen f32. Operations are lane by lane, each correctly rounded.
pub trait Floats: Copy {
    /// What [`to_i8`](Self::to_i8) gives.
    type Ints: Ints;

    /// Writes all lanes.
    fn store(self, out: &mut [f32; LANES]);

    /// `self + b`.
    #[must_use]
    fn add(self, b: Self) -> Self;

    /// `self - b`.
    #[must_use]
    fn sub(self, b: Self) -> Self;

    /// `self * b`.
    #[must_use]
    fn mul(self, b: Self) -> Self;

    /// `self / b`.
    #[must_use]
    fn div(self, b: Self) -> Self;

    /// `self * b + c`, rounded once.
    #[must_use]
    fn fma(self, b: Self, c: Self) -> Self;

    /// `if self > b { self } else { b }`: `b` where either is NaN.
    #[must_use]
    fn max(self, b: Self) -> Self;

    /// `if self < b { self } else { b }`: `b` where either is NaN.
    #[must_use]
    fn min(self, b: Self) -> Self;

    /// Clears the sign.
    #[must_use]
    fn abs(self) -> Self;

    /// Flips the sign.
    #[must_use]
    fn neg(self) -> Self;

    /// To the nearest integer, half to even.
    #[must_use]
    fn round(self) -> Self;

    /// `2^self` of integers from -126 to 127.
    #[must_use]
    fn exp2_int(self) -> Self;

    /// Sum over the tree of [`sum_lanes`](tritone_abi::numerics::sum_lanes): lanes 8 apart, then
    /// 4, 2 and 1.
    fn sum(self) -> f32;

    /// The largest lane. No lane is NaN.
    fn largest(self) -> f32;

    /// Rotates the pairs `(x[2i], x[2i + 1])` by the angles of `cos[i]`, `sin[i]`:
    /// `fma(a, cos, -(b * sin))` and `fma(b, cos, a * sin)`.
    #[must_use]
    fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self;

    /// `clamp(round_half_even(self), -128, 127)`, NaN giving 0.
    fn to_i8(self) -> Self::Ints;

    /// The lanes in memory.
    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all
    }

    /// Writes the first lanes, as many as `out` holds.
    ///
    /// # Panics
    /// When that is more than sixteen.
    #[inline(always)]
    fn store_part(self, out: &mut [f32]) {
        if let Ok(whole) = out.try_into() {
            return self.store(whole);
        }
        let all = self.to_array();
        out.copy_from_slice(&all[..out.len()]);
    }
}

/// Sixteen integers, wide enough to sum 2^16 values in the range of i8.
pub trait Ints: Copy {
    /// Lane by lane.
    #[must_use]
    fn add(self, b: Self) -> Self;

    /// Sum of all lanes, modulo 2^32.
    fn sum(self) -> i32;

    /// Writes lanes that are in the range of i8.
    fn store(self, out: &mut [i8; LANES]);
}

/// An operation that can be compiled for any vector unit.
pub trait Op {
    /// What it gives.
    type Output;

    /// The operation's loops; `#[inline(always)]`, as everything they call.
    fn body<S: Simd>(self, s: S) -> Self::Output;
}
