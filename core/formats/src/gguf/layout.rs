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

/// Checks the tensors against each other and the data section, which goes from `data_start` to
/// `file_len`. Data beyond `bytes` is not looked into.
pub(super) fn place(
    declared: Vec<Declared>,
    bytes: &[u8],
    file_len: usize,
    data_start: usize,
    alignment: usize,
) -> Result<Vec<TensorEntry>, GgufError> {
    let available = file_len.saturating_sub(data_start);
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

    // `starts` holds every offset, so they fit.
    let start = |tensor: &Declared| usize::try_from(tensor.offset).unwrap_or(usize::MAX);
    let room = |tensor: &Declared| {
        let start = start(tensor);
        let next = starts.partition_point(|&other| other <= start);
        let end = starts.get(next).map_or(available, |&next| next);
        end.saturating_sub(start)
    };
    let number_42 = read_42(
        declared
            .iter()
            .filter(|tensor| tensor.ty == TensorType::Q2_0)
            .map(|tensor| {
                let at = data_start.saturating_add(start(tensor));
                (
                    &tensor.dims,
                    room(tensor),
                    bytes.get(at..).unwrap_or_default(),
                )
            }),
        alignment,
    );

    let mut tensors = Vec::with_capacity(declared.len());
    for tensor in declared {
        let (start, room) = (start(&tensor), room(&tensor));
        let ty = match tensor.ty {
            TensorType::Q2_0 => number_42,
            ty => read_36(ty, &tensor.dims, room, alignment),
        };
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
            Err(SizeError::Rows { multiple }) => {
                let tensor = name();
                return Err(GgufError::RowCount {
                    tensor,
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
    let fills = |ty| fills(ty, dims, room, alignment);
    if ty == TensorType::I2S && !fills(ty) && fills(old) {
        old
    } else {
        ty
    }
}

/// Whether a tensor of this type takes all of the room to the next one.
fn fills(ty: TensorType, dims: &[usize], room: usize, alignment: usize) -> bool {
    match ty.tensor_bytes(dims) {
        Ok(size) => size == room || size.checked_next_multiple_of(alignment) == Some(room),
        Err(_) => false,
    }
}

/// Blocks of legacy number 42 that are looked into.
const SAMPLES: usize = 64;

/// Number 42 is 64 elements in 18 bytes in llama.cpp; PrismML's programs have written 128 in 34
/// bytes, and OxiBonsai too, with the scale behind the codes. Sizes follow from the shapes, so that
/// the room of all tensors of the number (shape, room, data) tells the first from the others; the
/// stored scales and codes tell the others apart.
fn read_42<'a>(
    tensors: impl Iterator<Item = (&'a [usize; 4], usize, &'a [u8])> + Clone,
    alignment: usize,
) -> TensorType {
    let all_fill = |ty: TensorType| {
        let mut tensors = tensors.clone();
        tensors.all(|(dims, room, _)| fills(ty, dims, room, alignment))
    };
    if all_fill(TensorType::Q2_0) {
        return TensorType::Q2_0;
    }
    let sound = |data: &[u8]| {
        let mut blocks = data.as_chunks::<34>().0.iter().take(SAMPLES);
        blocks.all(|&[s0, s1, ref codes @ ..]| {
            let scale = half::f16::from_le_bytes([s0, s1]);
            let positive = scale.is_finite() && !scale.is_sign_negative();
            positive && codes.iter().all(|byte| byte & byte >> 1 & 0x55 == 0)
        })
    };
    let data_sound = |(_, room, data): (_, usize, &[u8])| sound(data.get(..room).unwrap_or(data));
    if all_fill(TensorType::Q2_0G128) && tensors.clone().all(data_sound) {
        TensorType::Q2_0G128
    } else {
        TensorType::other_42()
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
