//! The safe face: checks every argument, then enters the loops with the proof of their features.

use tritone_abi::export::{check_lengths, check_matmul};
use tritone_abi::layout::t2r32;
use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError, LayoutId,
    MatOut, PackArgs, QuantizedRow, RopeArgs, Score, ScratchNeed, TernaryMatrix,
};

use crate::isa::Isa;
use crate::{Avx2, attend, decode, gemm, head, probe, rows};

/// Most columns of a matrix; see [`TernaryMatrix::cols`].
const MAX_COLS: usize = 131_072;

fn isa() -> Result<Isa, KernelError> {
    Isa::new().ok_or(KernelError::WrongIsa)
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

impl Kernel for Avx2 {
    fn facts(&self) -> &Facts {
        crate::facts()
    }

    fn score(&self) -> Score {
        match Isa::detect() {
            Ok(_) => Score {
                rank: 20,
                reason: "AVX2+FMA+F16C, 256-bit integer dot products by maddubs".to_owned(),
            },
            Err(missing) => Score {
                rank: 0,
                reason: format!("this processor lacks {missing}"),
            },
        }
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        let queries = need.max_tokens.saturating_mul(need.max_heads);
        gemm::scratch_bytes(need.max_cols).max(attend::scratch_bytes(queries))
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
        let isa = isa()?;
        w.check()?;
        x.check()?;
        check_matmul(w, x, out)?;
        check_layout(w, out)?;
        if x.tokens <= decode::MAX_TOKENS {
            decode::matmul(isa, w, x, out);
            return Ok(());
        }
        let tile = scratch
            .get_mut(..gemm::scratch_bytes(w.cols))
            .ok_or(KernelError::BadArgument("scratch memory is too short"))?;
        gemm::matmul(isa, w, x, out, tile);
        Ok(())
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        _scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let isa = isa()?;
        w.check(x, out.tokens(), out.range())?;
        match x {
            HeadInput::F32 { x, tokens } => head::floats(isa, w, x, *tokens, out),
            HeadInput::Int8(x) => head::codes(isa, w, x, out),
        }
        Ok(())
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let _proof = isa()?;
        out.check(x.len(), group)?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { rows::quantize(x, group, out) };
        Ok(())
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let _proof = isa()?;
        check_lengths(x.len(), [weight.len(), out.len()])?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { rows::rms_norm(x, weight, eps, out) };
        Ok(())
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        let _proof = isa()?;
        args.check(x.len())?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { rows::rope(x, args) };
        Ok(())
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let _proof = isa()?;
        check_lengths(gate.len(), [up.len(), out.len()])?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { rows::gate(kind, gate, up, out) };
        Ok(())
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let isa = isa()?;
        args.check(out)?;
        attend::attend(isa, args, out, scratch)
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        let _proof = isa()?;
        tritone_abi::check_merge(heads, head_dim, acc.len(), next.len())?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { attend::merge(heads, head_dim, acc, next) };
        Ok(())
    }

    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        let _proof = isa()?;
        // SAFETY: the proof says that the function's features are there.
        Ok(unsafe { probe::read(data, prefetch) })
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        let _proof = isa()?;
        // SAFETY: the proof says that the function's features are there.
        unsafe { probe::int8(rounds) };
        Ok(rounds.saturating_mul(probe::MACS))
    }
}
