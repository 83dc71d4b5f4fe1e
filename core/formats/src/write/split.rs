//! Plans of models that are cut into several files.

use super::{GgufWriter, WriteError};

impl GgufWriter {
    /// Cuts the plan into parts with at most `most` bytes of tensor data each, or one tensor where
    /// that is longer: the first one keeps the metadata, all say with `split.*` where they belong.
    /// A plan that needs no cut stays whole.
    ///
    /// # Errors
    ///
    /// When there would be more than 65 535 parts, or the plan has keys `split.*` already.
    pub fn split(mut self, most: u64) -> Result<Vec<Self>, WriteError> {
        let tensors = std::mem::take(&mut self.tensors);
        self.names.clear();
        self.data_len = 0;
        let total = tensors.len();
        let alignment = self.alignment;
        let mut parts = vec![self];
        for tensor in tensors {
            let full = |part: &Self| {
                let end = part.data_len.saturating_add(tensor.size);
                !part.tensors.is_empty() && end > most
            };
            if parts.last().is_none_or(full) {
                let alignment = u32::try_from(alignment).map_err(|_| WriteError::Alignment)?;
                parts.push(Self::with_alignment(alignment)?);
            }
            if let Some(part) = parts.last_mut() {
                part.tensor(&tensor.name, tensor.ty, &tensor.dims)?;
            }
        }
        if parts.len() > 1 {
            let count = u16::try_from(parts.len()).map_err(|_| WriteError::TooManyParts)?;
            let tensors = i32::try_from(total).map_err(|_| WriteError::TooManyParts)?;
            for (part, number) in parts.iter_mut().zip(0..count) {
                part.metadata("split.no", number)?
                    .metadata("split.count", count)?
                    .metadata("split.tensors.count", tensors)?;
            }
        }
        Ok(parts)
    }
}
