//! The safe face: checks every argument, then enters the loops of the best form.

use tritone_abi::export::check_matmul;
use tritone_abi::layout::t5r128;
use tritone_abi::{
    Activations, Facts, Kernel, KernelError, LayoutId, MatOut, PackArgs, Score, ScratchNeed,
    TernaryMatrix,
};

use crate::forms::{FORMS, Loops};
use crate::{decode, gemm};

/// Most columns of a matrix; see [`TernaryMatrix::cols`].
const MAX_COLS: usize = 131_072;

/// The kernel: the ternary product, by looking up.
#[derive(Clone, Copy, Debug)]
pub struct Lut {
    /// A form that this processor runs; `None` for the best one.
    form: Option<&'static Loops>,
}

impl Lut {
    /// The kernel, which takes the best form that the processor runs.
    #[must_use]
    pub const fn best() -> Self {
        Self { form: None }
    }

    /// The kernel in every form that this processor runs, best first, with the form's name: to
    /// compare them.
    pub fn forms() -> impl Iterator<Item = (&'static str, Self)> {
        let forms = FORMS.iter().filter(|form| (form.runs)());
        forms.map(|form| (form.name, Self { form: Some(form) }))
    }

    fn form(&self) -> Result<&'static Loops, KernelError> {
        let best = || FORMS.iter().find(|form| (form.runs)());
        self.form.or_else(best).ok_or(KernelError::WrongIsa)
    }
}

/// Checks what [`LayoutId::T5R128`] demands beyond [`TernaryMatrix::check`].
fn check_layout(w: &TernaryMatrix<'_>, out: &MatOut<'_>) -> Result<(), KernelError> {
    let bad = |rule| Err(KernelError::BadArgument(rule));
    if w.layout != LayoutId::T5R128 {
        return bad("weights are packed for another layout");
    }
    if t5r128::packed_bytes(w.rows, w.cols) != Some(w.data.len()) {
        return bad("packed weights do not fit the shape");
    }
    let range = out.range();
    let whole = |end: usize| end.is_multiple_of(t5r128::GROUP_ROWS);
    if !whole(range.start) || !(whole(range.end) || range.end == w.rows) {
        return bad("row ranges are whole groups of 128 rows");
    }
    Ok(())
}

impl Kernel for Lut {
    fn facts(&self) -> &Facts {
        crate::facts()
    }

    fn score(&self) -> Score {
        match self.form() {
            Ok(form) => Score {
                rank: form.rank,
                reason: format!(
                    "weights of 1.6 bits, looked up {}; wins only where memory is the limit",
                    form.how
                ),
            },
            Err(error) => Score {
                rank: 0,
                reason: error.to_string(),
            },
        }
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        decode::scratch_bytes(need.max_cols).max(gemm::scratch_bytes(need.max_cols))
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        if rows == 0 || cols == 0 || cols > MAX_COLS {
            return None;
        }
        t5r128::packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        if self.packed_bytes(args.rows, args.cols) != Some(out.len()) {
            return Err(KernelError::BadArgument(
                "packed buffer does not fit the shape",
            ));
        }
        t5r128::pack(args.codes, args.rows, args.cols, out)
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let form = self.form()?;
        w.check()?;
        x.check()?;
        check_matmul(w, x, out)?;
        check_layout(w, out)?;
        let (product, bytes) = match form.gemm {
            Some((tokens, gemm)) if x.tokens >= tokens => (gemm, gemm::scratch_bytes(w.cols)),
            _ => (form.decode, decode::scratch_bytes(w.cols)),
        };
        let scratch = scratch
            .get_mut(..bytes)
            .ok_or(KernelError::BadArgument("scratch memory is too short"))?;
        // SAFETY: forms get here only if the processor runs them.
        unsafe { product(w, x, out, scratch) };
        Ok(())
    }
}
