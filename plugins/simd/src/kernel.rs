//! The safe face: checks every argument, then enters the loops with the proof of their features.

use core::marker::PhantomData;

use tritone_abi::export::{check_lengths, check_matmul};
use tritone_abi::layout::t2r32;
use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError, LayoutId,
    MatOut, Norm, PackArgs, QuantizedRow, RopeArgs, Score, ScratchNeed, TernaryMatrix, check_merge,
};

use crate::attend::{self, Merge};
use crate::backend::Backend;
use crate::fused::{GateQuantize, NormQuantize};
use crate::gate::Gate;
use crate::head::FloatHead;
use crate::lanes::Simd;
use crate::norm::RmsNorm;
use crate::quantize::Quantize;
use crate::rope::Rope;

/// Most columns of a matrix; see [`TernaryMatrix::cols`].
const MAX_COLS: usize = 131_072;

/// A whole kernel over a vector unit. All its working memory comes from the caller.
pub struct SimdKernel<B>(PhantomData<B>);

impl<B> SimdKernel<B> {
    /// The kernel; it has no state.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<B> Default for SimdKernel<B> {
    fn default() -> Self {
        Self::new()
    }
}

fn proof<B: Backend>() -> Result<B::Simd, KernelError> {
    B::Simd::detect().ok_or(KernelError::WrongIsa)
}

/// Checks what [`LayoutId::T2R32`] demands beyond [`TernaryMatrix::check`].
fn check_layout(w: &TernaryMatrix<'_>, out: &MatOut<'_>) -> Result<(), KernelError> {
    let bad = |rule| Err(KernelError::BadArgument(rule));
    if w.layout != LayoutId::T2R32 {
        return bad("weights are packed for another layout");
    }
    if t2r32::packed_bytes(w.rows, w.cols) != Some(w.data.len()) {
        return bad("packed weights do not fit the shape");
    }
    let range = out.range();
    let whole = |end: usize| end.is_multiple_of(t2r32::GROUP_ROWS);
    if !whole(range.start) || !(whole(range.end) || range.end == w.rows) {
        return bad("row ranges are whole groups of 32 rows");
    }
    Ok(())
}

impl<B: Backend> Kernel for SimdKernel<B> {
    fn facts(&self) -> &Facts {
        B::facts()
    }

    fn score(&self) -> Score {
        B::score()
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        let queries = need.max_tokens.saturating_mul(need.max_heads);
        B::gemm_scratch(need.max_cols).max(attend::scratch_bytes(queries))
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        if rows == 0 || cols == 0 || cols > MAX_COLS {
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
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        w.check()?;
        x.check()?;
        check_matmul(w, x, out)?;
        check_layout(w, out)?;
        if x.tokens <= B::DECODE_TOKENS {
            B::decode(s, w, x, out);
            return Ok(());
        }
        let tile = scratch
            .get_mut(..B::gemm_scratch(w.cols))
            .ok_or(KernelError::BadArgument("scratch memory is too short"))?;
        B::gemm(s, w, x, out, tile);
        Ok(())
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        _scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        w.check(x, out.tokens(), out.range())?;
        match *x {
            HeadInput::F32 { x, tokens } => s.run(FloatHead { w, x, tokens, out }),
            HeadInput::Int8(ref x) => B::codes(s, w, x, out),
        }
        Ok(())
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        out.check(x.len(), group)?;
        s.run(Quantize { x, group, out });
        Ok(())
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        check_lengths(x.len(), [weight.len(), out.len()])?;
        s.run(RmsNorm {
            x,
            weight,
            eps,
            out,
        });
        Ok(())
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        args.check(x.len())?;
        s.run(Rope { x, args });
        Ok(())
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        check_lengths(gate.len(), [up.len(), out.len()])?;
        s.run(Gate {
            kind,
            gate,
            up,
            out,
        });
        Ok(())
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        args.check(out)?;
        attend::attend(s, args, out, scratch)
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        check_merge(heads, head_dim, acc.len(), next.len())?;
        s.run(Merge {
            heads,
            head_dim,
            acc,
            next,
        });
        Ok(())
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        check_lengths(x.len(), [norm.weight.len(), work.len()])?;
        out.check(x.len(), group)?;
        s.run(NormQuantize {
            x,
            norm,
            work,
            group,
            out,
        });
        Ok(())
    }

    fn gate_quantize(
        &self,
        (kind, gate, up): (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let s = proof::<B>()?;
        let weights = norm.map_or(gate.len(), |norm| norm.weight.len());
        check_lengths(gate.len(), [up.len(), work.len()])?;
        check_lengths(gate.len(), [weights, weights])?;
        out.check(gate.len(), group)?;
        s.run(GateQuantize {
            kind,
            gate,
            up,
            norm,
            work,
            group,
            out,
        });
        Ok(())
    }

    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        Ok(B::probe_read(proof::<B>()?, data, prefetch))
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        Ok(B::probe_int8(proof::<B>()?, rounds))
    }
}
