//! Generated values and guarded buffers.

use core::ops::Range;

use tritone_abi::layout::canonical_row_bytes;
use tritone_abi::{
    Activations, Kernel, KernelError, MatOut, QuantizedRow, ScratchNeed, padded_stride,
};
use tritone_scalar::Scalar;

use crate::fence::Buffer;
use crate::suite::{compare, oracle};

/// SplitMix64 (Steele, Lea & Flood 2014).
pub(crate) struct Rng(u64);

impl Rng {
    /// A stream for one case.
    pub(crate) fn new(seed: u64, op: &str, case: usize) -> Self {
        let mut rng = Self(seed);
        for word in op.bytes().map(u64::from).chain([case as u64]) {
            rng.0 = rng.next() ^ word;
        }
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..n`, for `n` above 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// Uniform in -1..1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    pub(crate) fn floats(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| self.float() * size).collect()
    }

    /// A scale: any sign, sometimes zero.
    pub(crate) fn scale(&mut self) -> f32 {
        if self.below(16) == 0 {
            0.0
        } else {
            self.float() * 0.03
        }
    }

    /// A finite binary16: any sign, mostly 2^-5 to 2^3, sometimes zero or subnormal.
    pub(crate) fn half(&mut self) -> u16 {
        let r = self.next();
        let fraction = (r & 0x83ff) as u16;
        match (r >> 20) % 64 {
            0 => fraction & 0x8000,
            1 => fraction,
            _ => fraction + (10 + (r >> 32) % 8) as u16 * 0x400,
        }
    }

    /// A binary16 that is not finite.
    pub(crate) fn bad_half(&mut self) -> u16 {
        [0x7e01, 0x7c00, 0xfc00, 0xfe55, 0x7fff][self.below(5)]
    }
}

/// What an output holds before it is written: an unlikely, finite value.
pub(crate) const POISON: f32 = f32::from_bits(0xdead_beef);

/// Values on either side of a guarded buffer.
const GUARD: usize = 64;

/// A buffer at an odd place with known values before and after it, or with an untouchable page
/// right after it while buffers are [`fenced`](crate::fence::fenced).
pub(crate) struct Guarded<T> {
    buffer: Buffer<T>,
    range: Range<usize>,
    guard: T,
}

impl<T: Copy + PartialEq> Guarded<T> {
    /// `len` values of `fill`; `offset` moves them away from the allocation's alignment.
    pub(crate) fn new(len: usize, offset: usize, fill: T, guard: T) -> Self {
        let range = GUARD + offset..GUARD + offset + len;
        let mut buffer = Buffer::new(range.end, GUARD, guard);
        buffer[range.clone()].fill(fill);
        Self {
            buffer,
            range,
            guard,
        }
    }

    /// A copy of `values`.
    pub(crate) fn of(values: &[T], offset: usize, guard: T) -> Self {
        let mut new = Self::new(values.len(), offset, guard, guard);
        new.get_mut().copy_from_slice(values);
        new
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.buffer[self.range.clone()]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.range.clone()]
    }

    /// Whether the buffer, filled with the guard's value, was never written.
    pub(crate) fn all_guard(&self) -> bool {
        self.buffer.iter().all(|v| *v == self.guard)
    }

    /// Whether the values around the buffer are as they were; `what` names it.
    pub(crate) fn intact(&self, what: &str) -> Result<(), String> {
        let (before, after) = (
            &self.buffer[..self.range.start],
            &self.buffer[self.range.end..],
        );
        if before.iter().chain(after).all(|v| *v == self.guard) {
            Ok(())
        } else {
            Err(format!("wrote outside the {what}"))
        }
    }
}

/// Scratch memory: aligned to 64 bytes, exactly as long as asked for, full of noise.
pub(crate) fn scratch(kernel: &dyn Kernel, need: &ScratchNeed, rng: &mut Rng) -> Guarded<u8> {
    scratch_of(kernel.scratch_bytes(need), rng)
}

/// [`scratch`] of `len` bytes.
pub(crate) fn scratch_of(len: usize, rng: &mut Rng) -> Guarded<u8> {
    let mut new = Guarded::new(len + 64, 0, 0xc3, 0xc3);
    let address = new.buffer.as_ptr().addr();
    // As far back as the alignment allows, towards a fence.
    let start = (address + new.range.end - len) / 64 * 64 - address;
    new.range = start..start + len;
    for byte in new.get_mut() {
        *byte = rng.next() as u8;
    }
    new
}

/// A guarded matrix with a rectangle that may be written.
pub(crate) struct Output {
    cells: Guarded<f32>,
    tokens: usize,
    stride: usize,
    range: Range<usize>,
}

impl Output {
    pub(crate) fn new(tokens: usize, stride: usize, range: Range<usize>, offset: usize) -> Self {
        Self {
            cells: Guarded::new(tokens * stride, offset, POISON, POISON),
            tokens,
            stride,
            range,
        }
    }

    /// The rectangle.
    pub(crate) fn view(&mut self) -> Result<MatOut<'_>, KernelError> {
        MatOut::new(self.cells.get_mut(), self.stride, self.range.clone())
    }

    /// The whole matrix.
    pub(crate) fn cells(&self) -> &[f32] {
        self.cells.get()
    }

    /// Compares the rectangle with `want` (rows of `want_stride`, from `want_start` on), and
    /// everything around it with what was there before.
    pub(crate) fn compare(
        &self,
        want: &[f32],
        want_stride: usize,
        want_start: usize,
    ) -> Result<(), String> {
        for t in 0..self.tokens {
            let row = &self.cells.get()[t * self.stride..][..self.stride];
            let want = &want[t * want_stride + want_start..][..self.range.len()];
            compare(&row[self.range.clone()], want, |i| {
                format!("token {t}, column {}", self.range.start + i)
            })?;
            let outside = row[..self.range.start].iter().chain(&row[self.range.end..]);
            untouched(outside).map_err(|e| format!("token {t}: {e} outside the rectangle"))?;
        }
        self.cells.intact("output buffer")
    }

    /// Compares two matrices of one shape, what surrounds the rectangle included.
    pub(crate) fn same(&self, want: &Self) -> Result<(), String> {
        self.compare(want.cells(), want.stride, want.range.start)
    }

    /// Whether nothing at all was written.
    pub(crate) fn untouched(&self) -> Result<(), String> {
        untouched(self.cells.get().iter())?;
        self.cells.intact("output buffer")
    }
}

fn untouched<'a>(mut cells: impl Iterator<Item = &'a f32>) -> Result<(), String> {
    match cells.all(|v| v.to_bits() == POISON.to_bits()) {
        true => Ok(()),
        false => Err("wrote".to_owned()),
    }
}

/// Canonical ternary rows with codes from `code`.
pub(crate) fn canonical(rows: usize, cols: usize, mut code: impl FnMut() -> u8) -> Vec<u8> {
    let stride = canonical_row_bytes(cols);
    let mut out = vec![0x55u8; rows * stride];
    for row in out.chunks_exact_mut(stride) {
        for c in 0..cols {
            let shift = 2 * (c % 4);
            row[c / 4] = row[c / 4] & !(3 << shift) | (code() << shift);
        }
    }
    out
}

/// Where the activations of a case come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// All of int8, with random scales.
    Random,
    /// One value everywhere.
    All(i8),
    /// Float rows, quantised by the oracle.
    Floats(Row),
}

/// Kinds of float rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Uniform, with halves at rounding ties.
    Plain,
    /// Ties everywhere: multiples of one half of a quantisation step.
    Ties,
    /// Zeros of both signs.
    Zero,
    /// Subnormals and other values far below 1e-5.
    Tiny,
    /// Up to the largest finite value.
    Huge,
    /// Infinities and NaN among the others.
    NonFinite,
}

impl Row {
    pub(crate) const ALL: [Self; 6] = [
        Self::Plain,
        Self::Ties,
        Self::Zero,
        Self::Tiny,
        Self::Huge,
        Self::NonFinite,
    ];

    /// `n` values.
    pub(crate) fn floats(self, n: usize, rng: &mut Rng) -> Vec<f32> {
        let mut out: Vec<f32> = (0..n)
            .map(|i| match self {
                Self::Plain => rng.float() * 4.0,
                Self::Ties => (rng.below(509) as f32 - 254.0) * 0.5,
                Self::Zero => [0.0, -0.0][rng.below(2)],
                Self::Tiny => f32::from_bits((rng.next() as u32) & 0x80ff_ffff),
                Self::Huge => rng.float() * f32::MAX,
                Self::NonFinite if i % 7 == 3 => {
                    [f32::INFINITY, f32::NEG_INFINITY, f32::NAN][rng.below(3)]
                }
                Self::NonFinite => rng.float(),
            })
            .collect();
        match self {
            // 127 makes the quantisation factor 1, so that halves are exact ties.
            Self::Ties => out[rng.below(n)] = [127.0, -127.0][rng.below(2)],
            Self::Huge => out[rng.below(n)] = [f32::MAX, f32::MIN][rng.below(2)],
            _ => {}
        }
        out
    }
}

/// Owned activations, each part at an odd place.
pub(crate) struct Quantized {
    tokens: usize,
    cols: usize,
    group: usize,
    pub(crate) q: Guarded<i8>,
    pub(crate) scales: Guarded<f32>,
    pub(crate) sums: Guarded<i32>,
}

impl Quantized {
    pub(crate) fn new(
        (tokens, cols, group): (usize, usize, usize),
        inputs: Inputs,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let (stride, groups) = (padded_stride(cols), cols / group);
        let mut x = Self {
            tokens,
            cols,
            group,
            q: Guarded::new(tokens * stride, rng.below(64), 0, 99),
            scales: Guarded::new(tokens * groups, rng.below(16), 0.0, POISON),
            sums: Guarded::new(tokens * groups, rng.below(16), 0, -1),
        };
        for t in 0..tokens {
            let q = &mut x.q.get_mut()[t * stride..(t + 1) * stride];
            let scales = &mut x.scales.get_mut()[t * groups..(t + 1) * groups];
            let sums = &mut x.sums.get_mut()[t * groups..(t + 1) * groups];
            if let Inputs::Floats(kind) = inputs {
                let row = kind.floats(cols, rng);
                oracle(Scalar.quantize(&row, group, &mut QuantizedRow { q, scales, sums }))?;
                continue;
            }
            for (c, q) in q[..cols].iter_mut().enumerate() {
                *q = match inputs {
                    Inputs::All(value) => value,
                    _ => rng.next() as i8,
                };
                sums[c / group] += i32::from(*q);
            }
            scales.fill_with(|| rng.scale());
        }
        Ok(x)
    }

    pub(crate) fn view(&self) -> Activations<'_> {
        Activations {
            tokens: self.tokens,
            cols: self.cols,
            group: self.group,
            q: self.q.get(),
            scales: self.scales.get(),
            sums: self.sums.get(),
        }
    }
}
