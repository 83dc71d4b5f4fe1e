//! Everything a caller can do with a file, for the fuzz target and the tests that replay its corpus.

use tritone_formats::codec::CodecError;
use tritone_formats::hf::HfExport;
use tritone_formats::{Array, GgufError, GgufFile, GgufPart, StrArray, Value};

/// Parses `bytes` and touches every metadata value and tensor, asserting what a checked file
/// promises. Returns the error of the parser.
pub(crate) fn exercise(bytes: &[u8]) -> Result<(), GgufError> {
    beginning(bytes);
    let file = GgufFile::new(bytes).inspect_err(|error| assert!(!error.to_string().is_empty()))?;
    assert!(matches!(file.version(), 2 | 3));
    assert!(file.alignment().is_power_of_two());
    let start = file.part(0).map_or(0, GgufPart::data_offset);
    assert_eq!(start % file.alignment(), 0);

    for (key, value) in file.metadata() {
        assert_eq!(
            file.get(key).map(|found| found.ty()),
            Some(value.ty()),
            "{key:?}"
        );
        touch(&file, key, value);
    }

    let mut spans = Vec::new();
    for tensor in file.tensors() {
        let found = file.require_tensor(tensor.name())?;
        let span = tensor.byte_range();
        assert_eq!(found.byte_range(), span, "{tensor:?}");
        assert!(span.start >= start && span.end <= bytes.len(), "{tensor:?}");
        assert_eq!((span.start - start) % file.alignment(), 0, "{tensor:?}");
        assert!(
            (1..=4).contains(&tensor.dims().len()) && tensor.elements() > 0,
            "{tensor:?}"
        );
        assert_eq!(
            tensor.bytes().is_ok(),
            tensor.ty().is_supported(),
            "{tensor:?}"
        );
        if tensor.columns() <= 1 << 16 {
            decode(tensor);
        }
        spans.push(span);
    }
    spans.sort_by_key(|span| span.start);
    assert!(
        spans.windows(2).all(|pair| pair[0].end <= pair[1].start),
        "tensors overlap"
    );
    export(&file);
    Ok(())
}

/// The file as a model directory, if it can be one.
fn export(file: &GgufFile<&[u8]>) {
    let Ok(export) = HfExport::new(file) else {
        return;
    };
    for part in &export.tensors {
        if let Ok(bytes) = part.bytes(file) {
            assert_eq!(Some(bytes.len()), part.byte_len(), "{part:?}");
        }
    }
}

/// The first half of `bytes`, as a file that goes on.
fn beginning(bytes: &[u8]) {
    let (half, _) = bytes.split_at(bytes.len() / 2);
    let Ok(Some(file)) = GgufFile::header(half, bytes.len() as u64) else {
        return;
    };
    for (key, value) in file.metadata() {
        touch(&file, key, value);
    }
    for tensor in file.tensors() {
        assert!(tensor.byte_range().end <= bytes.len(), "{tensor:?}");
        let _ = tensor.ternary();
        if tensor.columns() <= 1 << 16 {
            let mut row = vec![0.0; tensor.columns()];
            let _ = tensor.decode_row(0, &mut row);
        }
    }
}

fn touch(file: &GgufFile<&[u8]>, key: &str, value: Value<'_>) {
    let integer = value.integer();
    let in_u32 = integer.and_then(|n| u32::try_from(n).ok());
    assert_eq!(file.value::<u32>(key).ok().flatten(), in_u32, "{key:?}");
    if let Value::Str(text) = value {
        assert_eq!(
            file.value::<&str>(key).is_ok(),
            std::str::from_utf8(text).is_ok(),
            "{key:?}"
        );
    }
    if let Ok(Some(array)) = file.value::<Array<'_>>(key) {
        assert_eq!(array.iter().count(), array.len(), "{key:?}");
        assert!(
            array.iter().all(|element| element.ty() == array.elem()),
            "{key:?}"
        );
    }
    if let Ok(Some(strings)) = file.value::<StrArray<'_>>(key) {
        let offsets = strings.offsets();
        assert_eq!(offsets.len(), strings.len(), "{key:?}");
        assert!(
            strings
                .iter()
                .zip(offsets)
                .all(|(text, at)| strings.at(at) == Some(text))
        );
    }
}

fn decode(tensor: tritone_formats::TensorView<'_>) {
    let mut out = vec![0.0; tensor.columns()];
    for row in [0, tensor.rows() - 1] {
        let decoded = tensor.decode_row(row, &mut out);
        if tensor.ty().is_ternary() {
            let ternary = tensor.ternary();
            assert!(ternary.is_ok(), "{tensor:?}");
            let Ok(ternary) = ternary else { continue };
            let mut canonical = vec![0; tensor.columns() / 4];
            let unpacked = ternary.canonical_row(row, &mut canonical);
            let scales = ternary.row_scales(row);
            let sound = unpacked.is_ok() && scales.is_ok();
            assert_eq!(sound, decoded.is_ok(), "{tensor:?}");
            assert!(
                matches!(unpacked, Ok(()) | Err(CodecError::UnusedCode { .. })),
                "{tensor:?}"
            );
            if let Ok(all) = ternary.scales() {
                let last = tensor.columns() - 1;
                assert!(all.at(tensor.columns(), row, last).is_some(), "{tensor:?}");
            }
        } else {
            assert_eq!(decoded.is_ok(), tensor.ty().is_supported(), "{tensor:?}");
        }
    }
    assert!(
        tensor.decode_row(tensor.rows(), &mut out).is_err(),
        "{tensor:?}"
    );
}
