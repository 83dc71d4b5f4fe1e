//! The shared kernel trait.

use crate::args::{
    Activations, GateKind, MatOut, PackArgs, QuantizedRow, RopeArgs, ScratchNeed, TernaryMatrix,
};
use crate::attend::AttendArgs;
use crate::error::KernelError;
use crate::head::{HeadInput, HeadMatrix};
use crate::layout::LayoutId;

/// Which operations a kernel implements. A partial kernel leaves the rest to another one.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ops(pub u32);

impl Ops {
    /// `pack`, `packed_bytes` and `matmul`: the ternary product.
    pub const MATMUL: Self = Self(1);
    /// `head`.
    pub const HEAD: Self = Self(1 << 1);
    /// `quantize`.
    pub const QUANTIZE: Self = Self(1 << 2);
    /// `rms_norm`.
    pub const RMS_NORM: Self = Self(1 << 3);
    /// `rope`.
    pub const ROPE: Self = Self(1 << 4);
    /// `gate`.
    pub const GATE: Self = Self(1 << 5);
    /// `attend` and `attend_merge`.
    pub const ATTEND: Self = Self(1 << 6);
    /// Everything a step needs.
    pub const ALL: Self = Self(0x7f);
    /// `probe_read` and `probe_int8`: measures of what this instruction set can reach.
    pub const PROBE: Self = Self(1 << 7);
    /// `norm_quantize` and `gate_quantize`: faster forms of what `rms_norm`, `gate` and `quantize`
    /// do one after another. A step does without.
    pub const FUSED: Self = Self(1 << 8);

    /// The operations of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A norm to be applied.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// One weight a value.
    pub weight: &'a [f32],
    /// Added to the mean square.
    pub eps: f32,
}

/// What a kernel says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Short lower-case name, unique among plugins: `scalar`, `avx512`.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Tells two builds of one version apart.
    pub build_id: String,
    /// Instruction sets needed, for people: `AVX-512 F+BW+VL`.
    pub isa: String,
    /// Layout of packed weights.
    pub layout: LayoutId,
    /// Row ranges given to `matmul` start on a multiple of this (and end on one, or at the end
    /// of the matrix); packed bytes of such ranges lie one after another.
    pub row_align: usize,
    /// What is implemented.
    pub ops: Ops,
}

/// How well a kernel suits this processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// 0: cannot run here. Larger is better; the scalar kernel has 1.
    pub rank: u32,
    /// Why, for people.
    pub reason: String,
}

/// The hot loops of a decoder step. See the crate documentation for the rules.
///
/// # Errors
/// All operations check their arguments and return [`KernelError::BadArgument`] before they
/// write anything; an operation outside [`Facts::ops`] returns [`KernelError::Unsupported`]; a
/// processor without the kernel's instructions gives [`KernelError::WrongIsa`].
pub trait Kernel: Send + Sync {
    /// What the kernel is.
    fn facts(&self) -> &Facts;

    /// How well it suits this processor. Must test the features the operations use, including
    /// the operating system's part (`is_x86_feature_detected!` does).
    fn score(&self) -> Score;

    /// Bytes of scratch memory a thread must pass to `matmul`, `head` and `attend` for shapes up
    /// to `need`. The memory is aligned to 64 bytes.
    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        let _ = need;
        0
    }

    /// Bytes of a packed matrix, or `None` when the shape is not supported.
    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        let _ = (rows, cols);
        None
    }

    /// Packs canonical ternary rows; `out` is [`packed_bytes`](Self::packed_bytes) long.
    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        let _ = (args, out);
        Err(KernelError::Unsupported("pack"))
    }

    /// `out[t][r]` for the rows `r` in `out.range()` and all tokens `t`.
    ///
    /// With one weight scale `w` a row (or matrix) and one activation scale `a` a token:
    /// `sum as f32 * (w * a)`, `sum` the exact integer product. With groups: from 0, in
    /// increasing `g`, `acc = fma(sum[g] as f32, w[g] * a[g], acc)`.
    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let _ = (w, x, out, scratch);
        Err(KernelError::Unsupported("matmul"))
    }

    /// Logits of the rows in `out.range()`; see [`crate::head`] for formats and arithmetic.
    /// Ranges start on multiples of 16 rows and end on one, or at the end of the matrix.
    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let _ = (w, x, out, scratch);
        Err(KernelError::Unsupported("head"))
    }

    /// Quantises one row of activations in groups of `group` values: per group, with
    /// `m = abs_max(x)`, `q = quantize_one(x, quantize_factor(m))`, `scale = activation_scale(m)`
    /// and `sum` the sum of `q` ([`crate::numerics`]).
    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let _ = (x, group, out);
        Err(KernelError::Unsupported("quantize"))
    }

    /// [`numerics::rms_norm`](crate::numerics::rms_norm) of one row. All slices have one length.
    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let _ = (x, weight, eps, out);
        Err(KernelError::Unsupported("rms_norm"))
    }

    /// Rotates the heads of one token in place; see [`RopeArgs`].
    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        let _ = (x, args);
        Err(KernelError::Unsupported("rope"))
    }

    /// `out[i] = f(gate[i]) * up[i]`. All slices have one length.
    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let _ = (kind, gate, up, out);
        Err(KernelError::Unsupported("gate"))
    }

    /// Attention of one KV head's queries; see [`AttendArgs`].
    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let _ = (args, out, scratch);
        Err(KernelError::Unsupported("attend"))
    }

    /// Merges the partial result `next` of attention into `acc`, which lies before it:
    /// [`merge_partial`](crate::merge_partial). Both are rows as [`AttendArgs::partial`] writes
    /// them.
    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        let _ = (heads, head_dim, acc, next);
        Err(KernelError::Unsupported("attend_merge"))
    }

    /// [`rms_norm`](Self::rms_norm) of `x`, then [`quantize`](Self::quantize) of the result: the
    /// same bits in fewer passes. `work` is as long as `x`; its contents are undefined afterwards.
    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.rms_norm(x, norm.weight, norm.eps, work)?;
        self.quantize(work, group, out)
    }

    /// [`gate`](Self::gate), then [`rms_norm`](Self::rms_norm) if there is a `norm`, then
    /// [`quantize`](Self::quantize): the same bits in fewer passes. All slices have one length;
    /// the contents of `gate` and `work` are undefined afterwards.
    fn gate_quantize(
        &self,
        (kind, gate, up): (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.gate(kind, gate, up, work)?;
        match norm {
            None => self.quantize(work, group, out),
            Some(norm) => {
                self.rms_norm(work, norm.weight, norm.eps, gate)?;
                self.quantize(gate, group, out)
            }
        }
    }

    /// Reads `data` once, as fast as this instruction set can, and returns the sum of its
    /// little-endian 64-bit words modulo 2^64 (the last word padded with zeros). `prefetch` is
    /// how many bytes ahead to prefetch, 0 for not at all.
    ///
    /// Measures the limit that a product bound by memory can reach.
    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        let _ = (data, prefetch);
        Err(KernelError::Unsupported("probe_read"))
    }

    /// Runs the fastest int8 dot product of this instruction set on registers alone, at least
    /// `rounds` times, and returns how many multiply-adds that were.
    ///
    /// Measures the limit that a product bound by arithmetic can reach.
    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        let _ = rounds;
        Err(KernelError::Unsupported("probe_int8"))
    }
}
