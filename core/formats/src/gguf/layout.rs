//! Where tensors lie in the data section: sizes from types, bounds, overlaps.

use std::ops::Range;

use super::index::text;
use crate::error::{GgufError, shown};
use crate::types::{SizeError, TensorType};

/// A tensor info as the header states it.
pub(super) struct Declared {
    pub(super) name: Range<usize>,
    pub(super) dims: [usize; 4],
    pub(super) rank: usize,
    pub(super) ty: TensorType,
    /// From the start of the data section.
    pub(super) offset: u64,
}

/// A tensor that has been checked against the data section.
pub(super) struct TensorEntry {
    pub(super) name: Range<usize>,
    pub(super) dims: [usize; 4],
    pub(super) rank: usize,
    pub(super) ty: TensorType,
    /// From the start of the file.
    pub(super) data: Range<usize>,
}

/// Checks the tensors against each other and the data section, which begins at `data_start`.
pub(super) fn place(
    declared: Vec<Declared>,
    bytes: &[u8],
    data_start: usize,
    alignment: usize,
) -> Result<Vec<TensorEntry>, GgufError> {
    let available = bytes.len().saturating_sub(data_start);
    let mut starts = Vec::with_capacity(declared.len());
    for tensor in &declared {
        let name = || shown(text(bytes, &tensor.name));
        let start = usize::try_from(tensor.offset)
            .ok()
            .filter(|&start| start <= available);
        let start = start.ok_or_else(|| GgufError::PastEnd {
            tensor: name(),
            offset: tensor.offset,
            size: tensor.ty.tensor_bytes(&tensor.dims).unwrap_or(0),
            available,
        })?;
        if start.checked_rem(alignment) != Some(0) {
            let offset = tensor.offset;
            return Err(GgufError::Misaligned {
                tensor: name(),
                offset,
                alignment,
            });
        }
        starts.push(start);
    }
    starts.sort_unstable();

    let mut tensors = Vec::with_capacity(declared.len());
    for tensor in declared {
        // `starts` holds this offset, so it fits.
        let start = usize::try_from(tensor.offset).unwrap_or(usize::MAX);
        let next = starts.partition_point(|&other| other <= start);
        let room = starts
            .get(next)
            .map_or(available, |&next| next)
            .saturating_sub(start);
        let ty = read_36(tensor.ty, &tensor.dims, room, alignment);
        let name = || shown(text(bytes, &tensor.name));
        let size = match ty.tensor_bytes(&tensor.dims) {
            Ok(size) => size,
            // A tensor has at least one element, so without room it lies beyond the end.
            Err(SizeError::Unknown) => room.max(1),
            Err(SizeError::Row { multiple }) => {
                let [columns, ..] = tensor.dims;
                let tensor = name();
                return Err(GgufError::RowLength {
                    tensor,
                    columns,
                    name: ty.name(),
                    multiple,
                });
            }
            Err(SizeError::Overflow) => {
                let dims = tensor.dims.iter().take(tensor.rank);
                let dims = dims
                    .map(|&dim| u64::try_from(dim).unwrap_or(u64::MAX))
                    .collect();
                return Err(GgufError::DimensionOverflow {
                    tensor: name(),
                    dims,
                });
            }
        };
        let begin = data_start.checked_add(start);
        let end = start.checked_add(size).filter(|&end| end <= available);
        let end = end.and_then(|end| data_start.checked_add(end));
        let (Some(begin), Some(end)) = (begin, end) else {
            let offset = tensor.offset;
            return Err(GgufError::PastEnd {
                tensor: name(),
                offset,
                size,
                available,
            });
        };
        let Declared {
            name, dims, rank, ..
        } = tensor;
        tensors.push(TensorEntry {
            name,
            dims,
            rank,
            ty,
            data: begin..end,
        });
    }
    refuse_overlaps(&tensors, bytes, data_start)?;
    Ok(tensors)
}

/// Number 36 was IQ4_NL_4_4 in llama.cpp for a while and is I2_S in bitnet.cpp. Both sizes follow
/// from the shape and differ, so the room up to the next tensor tells which one it is.
fn read_36(ty: TensorType, dims: &[usize], room: usize, alignment: usize) -> TensorType {
    let old = TensorType::old_36();
    let fills = |ty: TensorType| match ty.tensor_bytes(dims) {
        Ok(size) => size == room || size.checked_next_multiple_of(alignment) == Some(room),
        Err(_) => false,
    };
    if ty == TensorType::I2S && !fills(ty) && fills(old) {
        old
    } else {
        ty
    }
}

fn refuse_overlaps(
    tensors: &[TensorEntry],
    bytes: &[u8],
    data_start: usize,
) -> Result<(), GgufError> {
    let mut by_start: Vec<&TensorEntry> = tensors.iter().collect();
    by_start.sort_unstable_by_key(|tensor| tensor.data.start);
    for pair in by_start.windows(2) {
        if let [first, second] = pair
            && (first.data.end > second.data.start || first.data.start == second.data.start)
        {
            return Err(GgufError::Overlap {
                first: shown(text(bytes, &first.name)),
                second: shown(text(bytes, &second.name)),
                offset: second.data.start.saturating_sub(data_start),
            });
        }
    }
    Ok(())
}
