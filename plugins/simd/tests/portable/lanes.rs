//! Sixteen lanes in an array.

use tritone_abi::numerics::{self, LANES};
use tritone_simd::{Floats, Ints, Op, Simd};

/// The proof that there is memory.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const WIDTH: usize>;

impl<const WIDTH: usize> Simd for Portable<WIDTH> {
    type Floats = F32x16;
    type Ints = I32x16;

    const WIDTH: usize = WIDTH;

    fn detect() -> Option<Self> {
        Some(Self)
    }

    fn run<O: Op>(self, op: O) -> O::Output {
        op.body(self)
    }

    fn splat(self, x: f32) -> F32x16 {
        F32x16([x; LANES])
    }

    fn load(self, x: &[f32; LANES]) -> F32x16 {
        F32x16(*x)
    }

    fn load_f16(self, x: &[u16; LANES]) -> F32x16 {
        F32x16(x.map(numerics::f16_to_f32))
    }

    fn load_f16_bytes(self, x: &[u8; 2 * LANES]) -> F32x16 {
        let half = |i| u16::from_le_bytes([x[2 * i], x[2 * i + 1]]);
        F32x16(core::array::from_fn(|i| numerics::f16_to_f32(half(i))))
    }

    fn load_i8(self, x: &[i8; LANES]) -> F32x16 {
        F32x16(x.map(f32::from))
    }

    fn no_ints(self) -> I32x16 {
        I32x16([0; LANES])
    }

    fn prefetch(self, _: *const u8) {}
}

#[derive(Clone, Copy)]
pub(crate) struct F32x16([f32; LANES]);

impl F32x16 {
    fn with(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Floats for F32x16 {
    type Ints = I32x16;

    fn store(self, out: &mut [f32; LANES]) {
        *out = self.0;
    }

    fn add(self, b: Self) -> Self {
        self.with(b, |a, b| a + b)
    }

    fn sub(self, b: Self) -> Self {
        self.with(b, |a, b| a - b)
    }

    fn mul(self, b: Self) -> Self {
        self.with(b, |a, b| a * b)
    }

    fn div(self, b: Self) -> Self {
        self.with(b, |a, b| a / b)
    }

    fn fma(self, b: Self, c: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }

    fn max(self, b: Self) -> Self {
        self.with(b, |a, b| if a > b { a } else { b })
    }

    fn min(self, b: Self) -> Self {
        self.with(b, |a, b| if a < b { a } else { b })
    }

    fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    fn neg(self) -> Self {
        Self(self.0.map(|a| -a))
    }

    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }

    fn exp2_int(self) -> Self {
        Self(
            self.0
                .map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23)),
        )
    }

    fn sum(self) -> f32 {
        numerics::sum_lanes(self.0)
    }

    fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        let mut out = self;
        for (i, pair) in out.0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let [a, b] = *pair;
            *pair = [
                a.mul_add(cos[i], -(b * sin[i])),
                b.mul_add(cos[i], a * sin[i]),
            ];
        }
        out
    }

    fn to_i8(self) -> I32x16 {
        I32x16(self.0.map(|x| i32::from(x.round_ties_even() as i8)))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct I32x16([i32; LANES]);

impl Ints for I32x16 {
    fn add(self, b: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] + b.0[i]))
    }

    fn sum(self) -> i32 {
        self.0.iter().sum()
    }

    fn store(self, out: &mut [i8; LANES]) {
        *out = self.0.map(|v| v as i8);
    }
}
