//! Several files as the parts of one model, for the fuzz target and the tests that replay its corpus.

use tritone_formats::{GgufFile, SplitError};

/// Cuts `input` into files (a byte says how many, two bytes how long each but the last is) and joins them.
/// `None` when one of them is no GGUF file.
pub(crate) fn exercise(input: &[u8]) -> Option<Result<usize, SplitError>> {
    let (&count, mut rest) = input.split_first()?;
    let mut files = Vec::new();
    for _ in 0..count % 4 {
        let (length, more) = rest.split_first_chunk()?;
        let (file, more) = more.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        files.push(file);
        rest = more;
    }
    files.push(rest);
    let whole: usize = files.iter().map(|file| file.len()).sum();
    let count = files.len();
    let parts = files.into_iter().map(|file| GgufFile::new(file).ok());
    let joined = match GgufFile::join(parts.collect::<Option<Vec<_>>>()?) {
        Ok(joined) => joined,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Some(Err(error));
        }
    };
    assert_eq!(joined.parts().count(), count);
    assert_eq!(joined.file_len(), whole as u64);
    assert!(joined.part(count).is_none());
    let tensors = joined.tensors().len();
    for tensor in joined.tensors() {
        let found = joined.tensor(tensor.name());
        let place = |view: tritone_formats::TensorView<'_>| (view.part(), view.byte_range());
        assert_eq!(found.map(place), Some(place(tensor)), "{tensor:?}");
        let bytes = joined.part(tensor.part()).map(|part| part.bytes());
        let range = tensor.byte_range();
        assert!(
            bytes.is_some_and(|bytes| range.end <= bytes.len()),
            "{tensor:?}"
        );
        if tensor.columns() <= 1 << 16 {
            let _ = tensor.decode_row(0, &mut vec![0.0; tensor.columns()]);
        }
    }
    Some(Ok(tensors))
}

/// The input that [`exercise`] cuts into `files`.
#[allow(dead_code, reason = "the fuzz target has its inputs")]
pub(crate) fn input(files: &[&[u8]]) -> Vec<u8> {
    let mut input = vec![files.len() as u8 - 1];
    for (i, file) in files.iter().enumerate() {
        if i + 1 < files.len() {
            input.extend((file.len() as u16).to_le_bytes());
        }
        input.extend(*file);
    }
    input
}
