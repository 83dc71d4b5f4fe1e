//! The scalar kernel: every operation in plain loops, for any processor.
//!
//! It is the oracle the other kernels are compared with, so its code follows the definitions of
//! [`tritone_abi`] line by line, and it is the kernel of last resort, so its loops are shaped for
//! the auto-vectoriser. On x86-64 every loop is compiled twice: for the baseline, where a fused
//! multiply-add is a (slow) library call, and with AVX2 and FMA; both give the same bits.
//!
//! # Use
//!
//! As a shared library it is found by the loader through `tritone_kernel_scalar`; linked in, it
//! is [`Scalar`] (or [`TABLE`], behind the same boundary as a library).
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calls of the copies compiled with target features"
    )
)]

#[macro_use]
mod twice;

mod attend;
mod head;
mod matmul;
mod probe;
mod rows;
#[cfg(test)]
mod tests;

use tritone_abi::export::{check_lengths, check_matmul};
use tritone_abi::layout::t2r32;
use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError, LayoutId,
    MatOut, Ops, PackArgs, QuantizedRow, RopeArgs, Score, TernaryMatrix, check_merge,
};

/// The scalar kernel. Needs no scratch memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

tritone_abi::export_kernel! {
    static KERNEL: Scalar = Scalar;
    symbol: tritone_kernel_scalar,
    name: "scalar",
    isa: "none",
    layout: LayoutId::T2R32,
    row_align: 32,
    ops: Ops::ALL.with(Ops::PROBE),
}

impl Kernel for Scalar {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        Score {
            rank: 1,
            reason: "portable; runs everywhere".to_owned(),
        }
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        if rows == 0 || cols == 0 || cols > 131_072 {
            return None;
        }
        t2r32::packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        if self.packed_bytes(args.rows, args.cols) != Some(out.len()) {
            return Err(KernelError::BadArgument(
                "packed buffer does not fit the shape",
            ));
        }
        t2r32::pack(args.codes, args.rows, args.cols, out)
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        _scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        w.check()?;
        x.check()?;
        check_matmul(w, x, out)?;
        matmul::check_layout(w, &out.range())?;
        matmul::matmul(w, x, out);
        Ok(())
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        _scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        w.check(x, out.tokens(), out.range())?;
        match x {
            HeadInput::F32 { x, .. } => head::floats(w, x, out),
            HeadInput::Int8(x) => head::codes(w, x, out),
        }
        Ok(())
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        out.check(x.len(), group)?;
        rows::quantize(x, group, out);
        Ok(())
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        check_lengths(x.len(), [weight.len(), out.len()])?;
        rows::rms_norm(x, weight, eps, out);
        Ok(())
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        args.check(x.len())?;
        rows::rope(x, args);
        Ok(())
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        check_lengths(gate.len(), [up.len(), out.len()])?;
        rows::gate(kind, gate, up, out);
        Ok(())
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        _scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        args.check(out)?;
        attend::attend(args, out);
        Ok(())
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        check_merge(heads, head_dim, acc.len(), next.len())?;
        attend::merge(heads, head_dim, acc, next);
        Ok(())
    }

    fn probe_read(&self, data: &[u8], _prefetch: usize) -> Result<u64, KernelError> {
        let mut sum = 0;
        probe::read(data, &mut sum);
        Ok(sum)
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        let mut sums = [0; 64];
        probe::int8(rounds, &mut sums);
        std::hint::black_box(sums);
        Ok(rounds.saturating_mul(probe::MACS))
    }
}
