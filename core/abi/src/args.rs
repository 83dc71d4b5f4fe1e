//! Arguments of the kernel operations: shapes checked once, then passed around as views.

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use crate::error::KernelError;
use crate::layout::LayoutId;

/// Bytes between two rows of int8 activations: `cols` rounded up to 64.
#[must_use]
pub const fn padded_stride(cols: usize) -> usize {
    cols.next_multiple_of(64)
}

/// Scales of a ternary matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightScales<'a> {
    /// One scale for the matrix.
    Tensor(f32),
    /// One scale a row; `scales[row]`, padded with zeros to a multiple of 32 rows.
    Row(&'a [f32]),
    /// One scale for every `group` (64, 128 or 256) columns of a row; `cols` is a multiple of
    /// `group`. `scales[(row / 32 * groups + g) * 32 + row % 32]` with `groups = cols / group`,
    /// rows padded to 32 with zeros: the order in which a 32-row group reads them.
    Group {
        /// Columns that share a scale.
        group: usize,
        /// `rows.next_multiple_of(32) * cols / group` values.
        scales: &'a [f32],
    },
}

impl WeightScales<'_> {
    /// Columns that share one *activation* scale for a matrix with `cols` columns: grouped
    /// weights need activations quantised in the same groups.
    #[must_use]
    pub fn activation_group(&self, cols: usize) -> usize {
        match self {
            Self::Group { group, .. } => *group,
            Self::Tensor(_) | Self::Row(_) => cols,
        }
    }
}

/// A packed ternary matrix: `rows` outputs by `cols` inputs.
#[derive(Clone, Copy, Debug)]
pub struct TernaryMatrix<'a> {
    /// Layout of `data`.
    pub layout: LayoutId,
    /// Outputs.
    pub rows: usize,
    /// Inputs; at most 131072, so that an integer sum stays below 2^24.
    pub cols: usize,
    /// Scales of the weights.
    pub scales: WeightScales<'a>,
    /// Packed weights, as `Kernel::packed_bytes` long.
    pub data: &'a [u8],
}

impl TernaryMatrix<'_> {
    /// Checks everything that does not depend on the layout.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self) -> Result<(), KernelError> {
        let bad = |rule| Err(KernelError::BadArgument(rule));
        if self.rows == 0 || self.cols == 0 || self.cols > 131_072 {
            return bad("a ternary matrix has 1.. rows and 1..=131072 columns");
        }
        let padded = self.rows.next_multiple_of(32);
        match self.scales {
            WeightScales::Tensor(_) => Ok(()),
            WeightScales::Row(s) if s.len() == padded => Ok(()),
            WeightScales::Row(_) => bad("row scales are one a row, padded to 32 rows"),
            WeightScales::Group { group, scales } => {
                if !matches!(group, 64 | 128 | 256) || !self.cols.is_multiple_of(group) {
                    return bad("scale groups are 64, 128 or 256 columns and divide the row");
                }
                if padded.checked_mul(self.cols / group) != Some(scales.len()) {
                    return bad("group scales are rows (padded to 32) times groups");
                }
                Ok(())
            }
        }
    }
}

/// Quantised activations of `tokens` rows.
#[derive(Clone, Copy, Debug)]
pub struct Activations<'a> {
    /// Rows.
    pub tokens: usize,
    /// Values in a row.
    pub cols: usize,
    /// Values that share a scale: `cols`, or a divisor of it.
    pub group: usize,
    /// `tokens` rows of [`padded_stride`]`(cols)` bytes; the padding is zero.
    pub q: &'a [i8],
    /// `[tokens][cols / group]`: what one step of `q` is worth.
    pub scales: &'a [f32],
    /// `[tokens][cols / group]`: sum of `q` over the group.
    pub sums: &'a [i32],
}

impl<'a> Activations<'a> {
    /// Scales in a row.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.cols / self.group
    }

    /// Bytes between two rows of `q`.
    #[must_use]
    pub fn stride(&self) -> usize {
        padded_stride(self.cols)
    }

    /// The padded int8 row of `token`.
    #[must_use]
    pub fn row(&self, token: usize) -> &'a [i8] {
        &self.q[token * self.stride()..(token + 1) * self.stride()]
    }

    /// Checks that the lengths fit the shape.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self) -> Result<(), KernelError> {
        let bad = |rule| Err(KernelError::BadArgument(rule));
        if self.cols == 0 || self.group == 0 || !self.cols.is_multiple_of(self.group) {
            return bad("activation groups divide the row");
        }
        if self.tokens.checked_mul(self.stride()) != Some(self.q.len()) {
            return bad("int8 activations are tokens x padded stride");
        }
        let scales = self.tokens.checked_mul(self.groups());
        if scales != Some(self.scales.len()) || scales != Some(self.sums.len()) {
            return bad("activation scales and sums are tokens x groups");
        }
        Ok(())
    }
}

/// Where one quantised row goes.
#[derive(Debug)]
pub struct QuantizedRow<'a> {
    /// [`padded_stride`]`(cols)` values; the padding is written as zero.
    pub q: &'a mut [i8],
    /// One scale a group.
    pub scales: &'a mut [f32],
    /// One sum a group.
    pub sums: &'a mut [i32],
}

impl QuantizedRow<'_> {
    /// Checks that the buffers fit a row of `cols` values in groups of `group`.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self, cols: usize, group: usize) -> Result<(), KernelError> {
        if cols == 0 || group == 0 || !cols.is_multiple_of(group) {
            return Err(KernelError::BadArgument("activation groups divide the row"));
        }
        let groups = cols / group;
        if self.q.len() != padded_stride(cols)
            || self.scales.len() != groups
            || self.sums.len() != groups
        {
            return Err(KernelError::BadArgument(
                "quantised row does not fit its buffers",
            ));
        }
        Ok(())
    }
}

/// A rectangle of an f32 matrix `[tokens][stride]` that one call may write: columns `range` of
/// every row. Different threads hold views of disjoint rectangles of one buffer.
#[derive(Debug)]
pub struct MatOut<'a> {
    base: NonNull<f32>,
    stride: usize,
    tokens: usize,
    range: Range<usize>,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view is an exclusive borrow of its rectangle (the constructor's contract), and f32
// may be written from any thread.
unsafe impl Send for MatOut<'_> {}

impl<'a> MatOut<'a> {
    /// The rectangle `range` of all rows of `buffer`, which holds whole rows of `stride`.
    ///
    /// # Errors
    /// When the buffer is not whole rows or the range leaves the row.
    pub fn new(
        buffer: &'a mut [f32],
        stride: usize,
        range: Range<usize>,
    ) -> Result<Self, KernelError> {
        if stride == 0 || !buffer.len().is_multiple_of(stride) {
            return Err(KernelError::BadArgument("output is not whole rows"));
        }
        if range.start > range.end || range.end > stride {
            return Err(KernelError::BadArgument("output range leaves the row"));
        }
        let tokens = buffer.len() / stride;
        let base = NonNull::new(buffer.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Ok(Self {
            base,
            stride,
            tokens,
            range,
            buffer: PhantomData,
        })
    }

    /// A rectangle of a buffer that other threads write elsewhere.
    ///
    /// # Safety
    /// * `base` points to `tokens * stride` floats that live for `'a`;
    /// * `range.start <= range.end <= stride`;
    /// * nobody else reads or writes columns `range` of these rows during `'a`.
    #[must_use]
    pub unsafe fn from_raw(
        base: NonNull<f32>,
        stride: usize,
        tokens: usize,
        range: Range<usize>,
    ) -> Self {
        Self {
            base,
            stride,
            tokens,
            range,
            buffer: PhantomData,
        }
    }

    /// Rows of the matrix.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Columns that may be written.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Floats between two rows.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The writable part of row `token`, `range().len()` long.
    ///
    /// # Panics
    /// When `token` is not below [`tokens`](Self::tokens).
    #[inline]
    pub fn row(&mut self, token: usize) -> &mut [f32] {
        assert!(token < self.tokens, "row {token} of {}", self.tokens);
        // SAFETY: `token < tokens` and `range` lies inside a row, so the slice is inside the
        // buffer; `&mut self` makes it the only borrow of this exclusive rectangle.
        unsafe {
            let start = self
                .base
                .as_ptr()
                .add(token * self.stride + self.range.start);
            core::slice::from_raw_parts_mut(start, self.range.len())
        }
    }

    pub(crate) fn base(&self) -> *mut f32 {
        self.base.as_ptr()
    }
}

/// Which function gates the feed-forward product.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateKind {
    /// `max(gate, 0)^2 * up` (BitNet b1.58 2B4T).
    Relu2 = 0,
    /// `silu(gate) * up` (LLaMA, Qwen).
    Silu = 1,
    /// `gelu_tanh(gate) * up` (Gemma).
    GeluTanh = 2,
}

/// Which pairs of a head are rotated together.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// `(i, i + rot / 2)`: "neox", "rotate half".
    Half = 0,
    /// `(2i, 2i + 1)`: GGUF files of arch `llama`.
    Interleaved = 1,
}

/// Rotary position embedding (Su et al. 2021) of the heads of one token, in place:
/// `a' = fma(a, cos, -(b * sin))`, `b' = fma(b, cos, a * sin)`.
#[derive(Clone, Copy, Debug)]
pub struct RopeArgs<'a> {
    /// Values in a head.
    pub head_dim: usize,
    /// `rot / 2` cosines for this position; `rot <= head_dim`, the rest of a head is kept.
    pub cos: &'a [f32],
    /// `rot / 2` sines.
    pub sin: &'a [f32],
    /// Pairing.
    pub style: RopeStyle,
}

impl RopeArgs<'_> {
    /// Checks that the table fits the head and the head fits `x` values.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self, x: usize) -> Result<(), KernelError> {
        let fits = self.cos.len() == self.sin.len()
            && self
                .cos
                .len()
                .checked_mul(2)
                .is_some_and(|rot| rot <= self.head_dim)
            && self.head_dim > 0
            && x.is_multiple_of(self.head_dim);
        if fits {
            Ok(())
        } else {
            Err(KernelError::BadArgument(
                "rope table does not fit the heads",
            ))
        }
    }
}

/// Canonical ternary rows to be packed; see [`layout`](crate::layout) for their format.
#[derive(Clone, Copy, Debug)]
pub struct PackArgs<'a> {
    /// `rows * cols.div_ceil(4)` bytes.
    pub codes: &'a [u8],
    /// Rows; a part of a matrix is whole row groups, save at its end.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// The largest shapes a thread will ask for, to size its scratch memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchNeed {
    /// Largest number of columns of a matrix.
    pub max_cols: usize,
    /// Largest number of tokens in one call.
    pub max_tokens: usize,
    /// Largest number of query heads in one attention call.
    pub max_heads: usize,
    /// Largest head.
    pub max_head_dim: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_view_writes_its_rectangle_only() {
        let mut buffer = vec![0.0f32; 3 * 10];
        let mut out = MatOut::new(&mut buffer, 10, 4..7).unwrap();
        for t in 0..3 {
            out.row(t).fill(t as f32 + 1.0);
        }
        for (i, v) in buffer.iter().enumerate() {
            let want = if (4..7).contains(&(i % 10)) {
                (i / 10) as f32 + 1.0
            } else {
                0.0
            };
            assert_eq!(*v, want, "float {i}");
        }
        assert!(MatOut::new(&mut buffer, 7, 0..7).is_err());
        assert!(MatOut::new(&mut buffer, 10, 4..11).is_err());
        assert!(MatOut::new(&mut buffer, 0, 0..0).is_err());
    }

    #[test]
    fn shapes_that_contradict_themselves_are_refused() {
        let scales = [0.5f32; 64];
        let w = |rows, cols, scales| TernaryMatrix {
            layout: LayoutId::T2R32,
            rows,
            cols,
            scales,
            data: &[],
        };
        assert!(w(33, 64, WeightScales::Row(&scales)).check().is_ok());
        assert!(w(32, 64, WeightScales::Row(&scales)).check().is_err());
        let group = |group, scales| WeightScales::Group { group, scales };
        assert!(w(32, 128, group(64, &scales)).check().is_ok());
        assert!(w(32, 128, group(32, &scales)).check().is_err());
        assert!(w(32, 96, group(64, &scales)).check().is_err());
        assert!(w(0, 64, WeightScales::Tensor(1.0)).check().is_err());
        assert!(w(1, 131_073, WeightScales::Tensor(1.0)).check().is_err());
    }
}
