//! How many bytes a tensor takes.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing
)]

/// How a tensor's byte length follows from its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Rows of blocks.
    Blocks { elements: usize, bytes: usize },
    /// Two bits per element, then 32 bytes that begin with an f32 scale.
    Tail { multiple: usize, group: usize },
    /// Every row: a scale, then blocks of 64 elements; the number of rows is a multiple of `group`.
    Rows {
        scale: usize,
        bytes: usize,
        group: usize,
    },
    /// Not computable: the distance to the next tensor.
    ToNext,
}

/// A shape that a type cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The row length is no whole number of blocks.
    #[error("the row length must be a multiple of {multiple}")]
    Row {
        /// Elements in a block.
        multiple: usize,
    },
    /// The number of rows is no whole number of the groups that are interleaved.
    #[error("the number of rows must be a multiple of {multiple}")]
    Rows {
        /// Rows in a group.
        multiple: usize,
    },
    /// The byte length does not fit into memory.
    #[error("the size overflows")]
    Overflow,
    /// The type's byte length does not follow from the shape.
    #[error("the type has no computable size")]
    Unknown,
}

impl Size {
    /// Bytes of a whole tensor; `dims[0]` is the row length.
    pub(super) fn tensor_bytes(self, dims: &[usize]) -> Result<usize, SizeError> {
        let columns = dims.first().copied().unwrap_or(0);
        let elements = dims.iter().try_fold(1, |n: usize, &dim| n.checked_mul(dim));
        let elements = elements.ok_or(SizeError::Overflow)?;
        let rows = elements.checked_div(columns).unwrap_or(0);
        let blocks = |multiple: usize| match columns.checked_rem(multiple) {
            Some(0) => Ok(columns.checked_div(multiple).unwrap_or(0)),
            _ => Err(SizeError::Row { multiple }),
        };
        let row_groups = |multiple: usize| match rows.checked_rem(multiple) {
            Some(0) => Ok(()),
            _ => Err(SizeError::Rows { multiple }),
        };
        let bytes = match self {
            Size::Blocks { elements, bytes } => blocks(elements)?
                .checked_mul(bytes)
                .and_then(|row| row.checked_mul(rows)),
            Size::Tail { multiple, group } => {
                blocks(multiple)?;
                row_groups(group)?;
                elements.div_euclid(4).checked_add(32)
            }
            Size::Rows {
                scale,
                bytes,
                group,
            } => {
                let row = blocks(64)?.checked_mul(bytes);
                row_groups(group)?;
                row.and_then(|row| row.checked_add(scale))
                    .and_then(|row| row.checked_mul(rows))
            }
            Size::ToNext => return Err(SizeError::Unknown),
        };
        // Slices cannot be longer than isize::MAX, so neither can a tensor.
        bytes
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or(SizeError::Overflow)
    }
}
