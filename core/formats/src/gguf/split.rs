//! Models that are cut into several files, as `llama-gguf-split` does it: every part is a GGUF file
//! with some of the tensors and says with `split.no` (from 0), `split.count` and
//! `split.tensors.count` (of all parts) where it belongs. The first one has the metadata.

use std::collections::HashMap;

use super::file::GgufFile;
use crate::error::{GgufError, shown};
use crate::types::TensorType;

/// Where a file belongs in a model that is cut into several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Which one it is, from 0.
    pub number: usize,
    /// How many there are, at least 2.
    pub count: usize,
    /// Tensors of all of them together, if it says.
    pub tensors: Option<usize>,
}

/// Files that are not the parts of one model. Parts are counted from 1, as in their names.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The keys of a part are damaged.
    #[error("part {part}: {source}")]
    Keys {
        /// The part.
        part: usize,
        /// What is wrong.
        source: GgufError,
    },
    /// There are more or fewer files than parts.
    #[error("{given} of {count} parts are there")]
    Missing {
        /// Files.
        given: usize,
        /// Parts, as the first one says.
        count: usize,
    },
    /// A file that is no part.
    #[error("part {part} has no split.count: it is no part of a model that is cut into several")]
    NoPart {
        /// The part.
        part: usize,
    },
    /// A part that stands at another one's place.
    #[error("part {part} says that it is part {says} (split.no {})", says.saturating_sub(1))]
    Number {
        /// The part.
        part: usize,
        /// What it says, from 1.
        says: usize,
    },
    /// A part that counts the parts in another way than the first one.
    #[error("part {part} says that there are {says} parts (split.count), part 1 says {count}")]
    Count {
        /// The part.
        part: usize,
        /// What it says.
        says: usize,
        /// What part 1 says.
        count: usize,
    },
    /// A part whose metadata contradicts the first one's.
    #[error("part {part} is of another model: its '{key}' is not that of part 1")]
    OtherModel {
        /// The part.
        part: usize,
        /// The first key that differs.
        key: String,
    },
    /// A tensor that two parts have.
    #[error("tensor '{tensor}' is in part {first} and in part {second}")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
        /// The first part that has it.
        first: usize,
        /// The second one.
        second: usize,
    },
    /// The parts hold another number of tensors than they say.
    #[error("the parts hold {tensors} tensors; {says} are announced (split.tensors.count)")]
    TensorCount {
        /// Tensors of all parts.
        tensors: usize,
        /// What a part says.
        says: usize,
    },
    /// A type number whose meaning follows from sizes means one thing here and another there.
    #[error(
        "tensors of type 42 are {first} in part {first_part} and {second} in part {second_part}"
    )]
    Type {
        /// A part with such tensors.
        first_part: usize,
        /// What they are.
        first: TensorType,
        /// Another part.
        second_part: usize,
        /// What they are there.
        second: TensorType,
    },
}

/// What the keys `split.*` say.
pub(super) fn read<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Option<Split>, GgufError> {
    let count: Option<usize> = file.value("split.count")?;
    let Some(count) = count.filter(|count| *count > 1) else {
        return Ok(None);
    };
    let number: usize = file.require("split.no")?;
    if number >= count {
        return Err(GgufError::SplitNumber { number, count });
    }
    let tensors = file.value("split.tensors.count")?;
    Ok(Some(Split {
        number,
        count,
        tensors,
    }))
}

/// Checks that `files` are the parts of one model, in order.
pub(super) fn check<B: AsRef<[u8]>>(files: &[GgufFile<B>]) -> Result<(), SplitError> {
    let mut splits = Vec::new();
    for (file, part) in files.iter().zip(1..) {
        let split = file.split();
        let split = split.map_err(|source| SplitError::Keys { part, source })?;
        splits.push(split.ok_or(SplitError::NoPart { part })?);
    }
    let count = splits.first().map_or(1, |split| split.count);
    for (split, part) in splits.iter().zip(1..) {
        let says = split.count;
        if says != count {
            return Err(SplitError::Count { part, says, count });
        }
        let says = split.number.saturating_add(1);
        if says != part {
            return Err(SplitError::Number { part, says });
        }
    }
    let given = files.len();
    if given != count {
        return Err(SplitError::Missing { given, count });
    }
    let mut owner = HashMap::new();
    let mut number_42: Option<(usize, TensorType)> = None;
    for (file, part) in files.iter().zip(1..) {
        one_model(files, file, part)?;
        for tensor in file.tensors() {
            if let Some(first) = owner.insert(tensor.name(), part) {
                return Err(SplitError::DuplicateTensor {
                    tensor: shown(tensor.name()),
                    first,
                    second: part,
                });
            }
            let ty = tensor.ty();
            if ty.id() != TensorType::Q2_0.id() {
                continue;
            }
            let (first_part, first) = *number_42.get_or_insert((part, ty));
            if first != ty {
                return Err(SplitError::Type {
                    first_part,
                    first,
                    second_part: part,
                    second: ty,
                });
            }
        }
    }
    let tensors = owner.len();
    let wrong = |says: &usize| *says != tensors;
    match splits.iter().filter_map(|split| split.tensors).find(wrong) {
        None => Ok(()),
        Some(says) => Err(SplitError::TensorCount { tensors, says }),
    }
}

/// Whatever a part repeats of the metadata has to be the first one's.
fn one_model<B: AsRef<[u8]>>(
    files: &[GgufFile<B>],
    file: &GgufFile<B>,
    part: usize,
) -> Result<(), SplitError> {
    let first = files.first();
    let differs = |(key, value): &(&str, _)| {
        let known = first.and_then(|first| first.get(key));
        !key.starts_with("split.") && known.is_some_and(|known| known != *value)
    };
    match file.metadata().find(differs) {
        Some((key, _)) if part > 1 => Err(SplitError::OtherModel {
            part,
            key: shown(key),
        }),
        _ => Ok(()),
    }
}
