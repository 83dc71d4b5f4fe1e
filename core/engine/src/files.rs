//! The files of a model: one, or all parts of one that is cut into several.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tritone_formats::{GgufFile, Split, TensorView};

use crate::api::ModelSource;
use crate::error::LoadError;
use crate::map::{FileId, ModelBytes};

/// Opens the GGUF file of `source`, and the other parts if the model is cut into several files;
/// which one of them `source` names makes no difference. Tensor data is not touched.
///
/// # Errors
/// When a file cannot be opened or is no sound GGUF file, or when parts are missing or do not belong
/// together.
pub fn open_gguf(source: &ModelSource) -> Result<GgufFile<ModelBytes>, LoadError> {
    let file = open(source)?;
    let split = file.split().map_err(|fault| LoadError::Format {
        model: source.name(),
        source: fault,
    })?;
    match (split, source) {
        (Some(split), ModelSource::File(path)) => join(file, path, split),
        (None, _) | (_, ModelSource::Open { .. } | ModelSource::Embedded { .. }) => Ok(file),
    }
}

fn open(source: &ModelSource) -> Result<GgufFile<ModelBytes>, LoadError> {
    GgufFile::new(ModelBytes::open(source)?).map_err(|fault| LoadError::Format {
        model: source.name(),
        source: fault,
    })
}

/// Opens the parts beside `file`, which is one of them.
fn join(
    file: GgufFile<ModelBytes>,
    path: &Path,
    split: Split,
) -> Result<GgufFile<ModelBytes>, LoadError> {
    let refuse = |what: String| LoadError::Parts {
        model: path.display().to_string(),
        what,
    };
    let Split { number, count, .. } = split;
    let names = Names::of(path).filter(|names| (names.part, names.count) == (number + 1, count));
    let names = names.ok_or_else(|| {
        refuse(format!(
            "it is part {} of {count}, but is not called NAME-{:05}-of-{count:05}.gguf, so that the \
             others cannot be found; give the parts their names back",
            number + 1,
            number + 1
        ))
    })?;
    let mut file = Some(file);
    let mut parts = Vec::new();
    for part in 1..=count {
        let own = if part == number + 1 {
            file.take()
        } else {
            None
        };
        parts.push(match own {
            Some(file) => file,
            None => match open(&ModelSource::File(names.path(part))) {
                Err(LoadError::Open { path, source })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    let name = path.display();
                    let what = format!("part {part} of {count} is missing: there is no {name}");
                    return Err(refuse(what));
                }
                other => other?,
            },
        });
    }
    GgufFile::join(parts).map_err(|fault| refuse(fault.to_string()))
}

/// The names of parts: `NAME-00002-of-00005.gguf`.
struct Names {
    /// What stands before the numbers, with the directory.
    stem: PathBuf,
    part: usize,
    count: usize,
}

impl Names {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, part) = rest.rsplit_once('-')?;
        let number = |digits: &str| {
            let all = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|_| all)
        };
        Some(Self {
            stem: path.with_file_name(stem),
            part: number(part)?,
            count: number(count)?,
        })
    }

    fn path(&self, part: usize) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(format!("-{part:05}-of-{:05}.gguf", self.count));
        path.into()
    }
}

/// Bytes in one of the files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Which file, from 0.
    pub(crate) part: usize,
    /// Where in it.
    pub(crate) range: Range<usize>,
}

impl Stretch {
    /// The data of a tensor.
    pub(crate) fn of(tensor: &TensorView<'_>) -> Self {
        Self {
            part: tensor.part(),
            range: tensor.byte_range(),
        }
    }

    /// A part of it, counted from its start.
    pub(crate) fn within(&self, range: Range<usize>) -> Self {
        let start = self.range.start;
        Self {
            part: self.part,
            range: start + range.start..start + range.end,
        }
    }

    /// Pieces of at most `size` bytes.
    pub(crate) fn pieces(self, size: usize) -> impl Iterator<Item = Self> {
        let Self { part, range } = self;
        pieces(range, size).map(move |range| Self { part, range })
    }

    /// The bytes.
    pub(crate) fn bytes<'a>(&self, file: &'a GgufFile<ModelBytes>) -> &'a [u8] {
        let bytes = file.part(self.part).map(|part| part.bytes());
        bytes
            .and_then(|bytes| bytes.get(self.range.clone()))
            .unwrap_or_default()
    }

    /// See [`ModelBytes::release`].
    pub(crate) fn release(&self, file: &GgufFile<ModelBytes>) {
        if let Some(part) = file.part(self.part) {
            part.owner().release(self.range.clone());
        }
    }

    /// See [`ModelBytes::release_around`].
    pub(crate) fn release_around(&self, file: &GgufFile<ModelBytes>) {
        if let Some(part) = file.part(self.part) {
            part.owner().release_around(self.range.clone());
        }
    }

    /// See [`ModelBytes::populate`].
    pub(crate) fn populate(&self, file: &GgufFile<ModelBytes>) {
        if let Some(part) = file.part(self.part) {
            part.owner().populate(self.range.clone());
        }
    }

    /// See [`ModelBytes::lock`].
    pub(crate) fn lock(&self, file: &GgufFile<ModelBytes>) -> io::Result<()> {
        match file.part(self.part) {
            Some(part) => part.owner().lock(self.range.clone()),
            None => Ok(()),
        }
    }
}

/// Pieces of at most `size` bytes of a range.
pub(crate) fn pieces(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(size).map(move |at| at..end.min(at + size))
}

/// Which files `file` is mapped from; `None` when it is linked into the program.
pub(crate) fn file_id(file: &GgufFile<ModelBytes>) -> Option<FileId> {
    let ids = file.parts().map(|part| Some(part.owner().file()?.0));
    Some(FileId::joined(&ids.collect::<Option<Vec<_>>>()?))
}

/// Which files lie there now.
///
/// # Errors
/// What the system says.
pub(crate) fn file_id_now(file: &GgufFile<ModelBytes>) -> io::Result<FileId> {
    let paths = file.parts().filter_map(|part| part.owner().file());
    let ids = paths.map(|(_, path)| Ok(FileId::of(&path.metadata()?)));
    Ok(FileId::joined(&ids.collect::<io::Result<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_lead_to_each_other() {
        let names = Names::of(Path::new("/a/b/m-q-00002-of-00013.gguf")).unwrap();
        assert_eq!((names.part, names.count), (2, 13));
        assert_eq!(names.path(11), Path::new("/a/b/m-q-00011-of-00013.gguf"));
        let here = Names::of(Path::new("m-00001-of-00002.gguf")).unwrap();
        assert_eq!(here.path(2), Path::new("m-00002-of-00002.gguf"));
        for other in [
            "m.gguf",
            "m-1-of-2.gguf",
            "m-00001-of-00002.bin",
            "m-0000+-of-00002.gguf",
            "m-00001-of-000002.gguf",
            "",
        ] {
            assert!(Names::of(Path::new(other)).is_none(), "{other}");
        }
    }
}
