//! The ternary product by itself: matrices, activations, and threads that multiply them.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tritone_abi::{
    Activations, Kernel, KernelError, MatOut, PackArgs, ScratchNeed, TernaryMatrix, WeightScales,
    padded_stride,
};
use tritone_engine::{PageBytes, tile_rows};

use crate::cli::bench::limits::together;
use crate::cli::bench::pin::Pins;

/// Outputs and inputs of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// What a kernel does with a shape that it does not take.
const NO_SHAPE: KernelError = KernelError::Unsupported("a matrix of this shape");
const NO_MEMORY: KernelError = KernelError::Unsupported("so much memory");

/// A reproducible stream of bits (Knuth's MMIX generator; the high half is good).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u32 {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
}

/// A random matrix of `shape` in the layout of `kernel`.
pub(super) fn packed(kernel: &dyn Kernel, shape: Shape) -> Result<PageBytes, KernelError> {
    let Shape { rows, cols } = shape;
    let stride = cols.div_ceil(4);
    let mut bits = Bits(rows as u64 ^ cols as u64);
    let mut codes = vec![0u8; rows * stride];
    for row in codes.chunks_exact_mut(stride) {
        for (i, byte) in row.iter_mut().enumerate() {
            let random = bits.next();
            for field in 0..4 {
                // Beyond the last column stands a zero, which is code 1.
                let inside = 4 * i + field < cols;
                let code = if inside {
                    (random >> (8 * field)) % 3
                } else {
                    1
                };
                *byte |= (code as u8) << (2 * field);
            }
        }
    }
    let bytes = kernel.packed_bytes(rows, cols).ok_or(NO_SHAPE)?;
    let mut out = PageBytes::zeroed(bytes).ok_or(NO_MEMORY)?;
    let args = PackArgs {
        codes: &codes,
        rows,
        cols,
    };
    kernel.pack(&args, out.as_mut_slice())?;
    Ok(out)
}

/// Random activations.
pub(super) struct Inputs {
    tokens: usize,
    cols: usize,
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Inputs {
    pub(super) fn new(tokens: usize, cols: usize) -> Self {
        let stride = padded_stride(cols);
        let mut q = vec![0i8; tokens * stride];
        let mut bits = Bits(7);
        let mut sums = Vec::with_capacity(tokens);
        for row in q.chunks_exact_mut(stride) {
            row[..cols].fill_with(|| (bits.next() % 255) as u8 as i8);
            sums.push(row.iter().map(|q| i32::from(*q)).sum());
        }
        Self {
            tokens,
            cols,
            q,
            scales: vec![0.01; tokens],
            sums,
        }
    }

    fn view(&self) -> Activations<'_> {
        Activations {
            tokens: self.tokens,
            cols: self.cols,
            group: self.cols,
            q: &self.q,
            scales: &self.scales,
            sums: &self.sums,
        }
    }
}

/// What a thread has for itself.
struct Local {
    scratch: PageBytes,
    out: Vec<f32>,
}

/// Threads, a kernel, and what they multiply with.
pub(super) struct Team<'a> {
    kernel: &'a dyn Kernel,
    shape: Shape,
    inputs: &'a Inputs,
    pins: Option<&'a Pins>,
    locals: Vec<Mutex<Local>>,
}

impl<'a> Team<'a> {
    pub(super) fn new(
        kernel: &'a dyn Kernel,
        shape: Shape,
        inputs: &'a Inputs,
        threads: usize,
        pins: Option<&'a Pins>,
    ) -> Result<Self, KernelError> {
        let need = ScratchNeed {
            max_cols: shape.cols,
            max_tokens: inputs.tokens,
            max_heads: 1,
            max_head_dim: 1,
        };
        let local = || {
            Ok(Mutex::new(Local {
                scratch: PageBytes::zeroed(kernel.scratch_bytes(&need)).ok_or(NO_MEMORY)?,
                out: vec![0.0; shape.rows * inputs.tokens],
            }))
        };
        Ok(Self {
            kernel,
            shape,
            inputs,
            pins,
            locals: (0..threads).map(|_| local()).collect::<Result<_, _>>()?,
        })
    }

    /// Multiply-adds a second of all threads together. Each takes one tile after another of the
    /// matrices that lie one after another in `stream`, from number `next` on and around, until
    /// `time` is over.
    pub(super) fn streaming(
        &self,
        stream: &[u8],
        next: &AtomicUsize,
        time: Duration,
    ) -> Result<f64, KernelError> {
        let Shape { rows, cols } = self.shape;
        let bytes = self.kernel.packed_bytes(rows, cols).ok_or(NO_SHAPE)?;
        let matrices: Vec<&[u8]> = stream.chunks_exact(bytes).collect();
        if matrices.is_empty() {
            return Err(NO_MEMORY);
        }
        let step = tile_rows(self.kernel, cols, self.inputs.tokens);
        let tiles = rows.div_ceil(step);
        self.multiply(time, |_| {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            let start = unit % tiles * step;
            let data = matrices[unit / tiles % matrices.len()];
            (data, rows, start..rows.min(start + step))
        })
    }

    /// Multiply-adds a second of all threads together, each on a matrix of its own that all of its
    /// calls take whole: `own` holds them, `rows` rows each.
    pub(super) fn cached(
        &self,
        own: &[PageBytes],
        rows: usize,
        time: Duration,
    ) -> Result<f64, KernelError> {
        self.multiply(time, |thread| (own[thread].as_slice(), rows, 0..rows))
    }

    /// All threads multiply what `unit` gives them (weights, their rows, and which of them) until
    /// `time` is over.
    fn multiply<'w>(
        &self,
        time: Duration,
        unit: impl Fn(usize) -> (&'w [u8], usize, Range<usize>) + Sync,
    ) -> Result<f64, KernelError> {
        let (cols, tokens) = (self.shape.cols, self.inputs.tokens);
        let x = self.inputs.view();
        let (macs, took) = together(self.locals.len(), self.pins, |thread| {
            let local = self.locals[thread].lock();
            let local = &mut *local.unwrap_or_else(PoisonError::into_inner);
            let started = Instant::now();
            let mut macs = 0u64;
            while started.elapsed() < time {
                let (data, rows, range) = unit(thread);
                let w = TernaryMatrix {
                    layout: self.kernel.facts().layout,
                    rows,
                    cols,
                    scales: WeightScales::Tensor(0.02),
                    data,
                };
                let done = range.len();
                let mut out = MatOut::new(&mut local.out[..rows * tokens], rows, range)?;
                let scratch = local.scratch.as_mut_slice();
                self.kernel.matmul(&w, &x, &mut out, scratch)?;
                macs += (done * cols * tokens) as u64;
            }
            Ok(macs)
        })?;
        Ok(macs.into_iter().sum::<u64>() as f64 / took.as_secs_f64())
    }

    /// One output, to see that something was computed.
    #[cfg(test)]
    fn output(&self, at: usize) -> f32 {
        let local = self.locals[0].lock();
        local.unwrap_or_else(PoisonError::into_inner).out[at]
    }
}

/// Rows of a matrix of `cols` columns whose packed bytes fill at most `bytes`, in whole groups of the
/// kernel, at least one and at most `rows`.
pub(super) fn rows_within(kernel: &dyn Kernel, cols: usize, rows: usize, bytes: u64) -> usize {
    let align = kernel.facts().row_align.max(1);
    let group = kernel
        .packed_bytes(align, cols)
        .unwrap_or(usize::MAX)
        .max(1);
    let groups = usize::try_from(bytes).unwrap_or(usize::MAX) / group;
    (groups.max(1) * align).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup;

    #[test]
    fn all_kernels_multiply_the_same_and_are_counted() {
        let registry = setup::registry(&Default::default());
        let shape = Shape {
            rows: 96,
            cols: 200,
        };
        let mut outputs = Vec::new();
        for kernel in registry.kernels().iter().filter_map(|found| found.kernel()) {
            let inputs = Inputs::new(2, shape.cols);
            let team = Team::new(&**kernel, shape, &inputs, 2, None).unwrap();
            let one = packed(&**kernel, shape).unwrap();
            let stream = one.as_slice().repeat(3);
            let next = AtomicUsize::new(0);
            let time = Duration::from_millis(2);
            while next.load(Ordering::Relaxed) == 0 {
                assert!(team.streaming(&stream, &next, time).unwrap() >= 0.0);
            }
            let rows = rows_within(&**kernel, shape.cols, shape.rows, 1);
            assert!(rows > 0 && rows <= 96);
            let small = Shape { rows, cols: 200 };
            let own: Vec<_> = (0..2).map(|_| packed(&**kernel, small).unwrap()).collect();
            assert!(team.cached(&own, rows, time).unwrap() > 0.0);

            // Alone over all tiles, so that every output is there.
            let alone = Team::new(&**kernel, shape, &inputs, 1, None).unwrap();
            let next = AtomicUsize::new(0);
            // However slow the machine is now: more units than a matrix of any tiles has.
            while next.load(Ordering::Relaxed) < 2 * shape.rows {
                alone.streaming(one.as_slice(), &next, time).unwrap();
            }
            let all: Vec<u32> = (0..2 * 96).map(|at| alone.output(at).to_bits()).collect();
            assert!(all.iter().any(|bits| *bits != 0));
            outputs.push(all);
        }
        assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn rows_fill_what_there_is() {
        let kernel = setup::registry(&Default::default())
            .by_name("scalar")
            .unwrap();
        // T2R32: a group of 32 rows of 64 columns is 512 bytes.
        assert_eq!(rows_within(&*kernel, 64, 1000, 512), 32);
        assert_eq!(rows_within(&*kernel, 64, 1000, 1600), 96);
        assert_eq!(rows_within(&*kernel, 64, 40, 1600), 40);
        assert_eq!(rows_within(&*kernel, 64, 1000, 0), 32);
    }
}
