//! Faults that other readers of model files have had, each as a file that shows it.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod exercise;
mod raw;

use raw::Raw;
use tritone_formats::{GgufError, GgufFile, TensorType};

fn fault(bytes: &[u8]) -> String {
    exercise::exercise(bytes).unwrap_err().to_string()
}

/// Every type with a fixed size, by its number.
fn sized() -> impl Iterator<Item = (u32, TensorType)> {
    (0..400).filter_map(|id| Some((id, TensorType::from_id(id)?)))
}

/// CVE-2025-53630 (llama.cpp): sizes of tensors were added up without a look at the carry, so that the sum
/// came out small and the data was read beyond its end.
#[test]
fn cve_2025_53630_sizes_that_add_up_beyond_2_64() {
    let huge = 1_u64 << 61; // of F32: 2^63 bytes, twice
    let bytes = Raw::header(3, 2, 0)
        .tensor("a", &[huge - 8], 0, 0)
        .tensor("b", &[huge - 8], 0, (huge - 8) * 4)
        .data(32, &[0; 64]);
    let text = fault(&bytes);
    assert!(text.contains("'a'") || text.contains("'b'"), "{text}");
    // Offsets that come around to the start of the data.
    for offset in [u64::MAX - 31, u64::MAX - 63, 1 << 63, (1 << 63) - 32] {
        let bytes = Raw::header(3, 1, 0)
            .tensor("a", &[8], 0, offset)
            .data(32, &[0; 64]);
        let error = GgufFile::new(&bytes).unwrap_err();
        assert!(
            matches!(error, GgufError::PastEnd { .. }),
            "{offset}: {error}"
        );
    }
}

/// CVE-2026-27940 (llama.cpp): the repair of the fault above could be gone around with values beside the ones it
/// looked for. All values around the powers of two, for every type.
#[test]
fn cve_2026_27940_values_beside_the_repaired_ones() {
    for (id, ty) in sized() {
        for power in [31, 32, 33, 53, 58, 60, 61, 62, 63] {
            for near in [-256_i64, -64, -32, -1, 0, 1, 32, 64, 256] {
                let dim = (1_u64 << power).wrapping_add_signed(near);
                for dims in [
                    &[dim][..],
                    &[dim, 2],
                    &[256, dim],
                    &[dim, dim],
                    &[2, 2, dim, 2],
                ] {
                    let bytes = Raw::header(3, 1, 0)
                        .tensor("a", dims, id, 0)
                        .data(32, &[0; 64]);
                    let read = GgufFile::new(&bytes);
                    // Only types whose size nobody knows take whatever room there is.
                    let sizeless = read
                        .as_ref()
                        .is_ok_and(|file| file.tensors().all(|tensor| !tensor.ty().is_supported()));
                    assert!(read.is_err() || sizeless, "{ty} {dims:?}");
                }
            }
        }
    }
}

/// CVE-2026-33298 (llama.cpp): the byte size of one tensor overflowed, though its number of elements did not.
#[test]
fn cve_2026_33298_elements_that_fit_and_bytes_that_do_not() {
    for (id, dims) in [
        (0, [1_u64 << 62, 1]),       // 2^64 bytes of F32
        (0, [(1 << 62) + 8, 1]),     // 2^64 + 32
        (1, [1 << 63, 1]),           // 2^64 bytes of F16
        (8, [1 << 63, 1]),           // Q8_0: more bytes than elements
        (14, [256, 1 << 55]),        // Q6_K: below 2^63 bytes, but not there
        (36, [128, u64::MAX / 128]), // I2_S
        (135, [64, u64::MAX / 64]),  // IQ2_BN, whose rows have a header
    ] {
        let bytes = Raw::header(3, 1, 0)
            .tensor("a", &dims, id, 0)
            .data(32, &[0; 64]);
        let error = GgufFile::new(&bytes).unwrap_err();
        let refused = matches!(
            error,
            GgufError::DimensionOverflow { .. } | GgufError::PastEnd { .. }
        );
        assert!(refused, "{id} {dims:?}: {error}");
    }
}

/// llama.cpp PR #19856: lengths of strings and arrays were believed and memory taken for them, type numbers
/// were signed.
#[test]
fn lengths_are_not_believed_and_types_have_no_sign() {
    for length in [
        1 << 20,
        1 << 31,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 8,
        u64::MAX,
    ] {
        let string = Raw::header(3, 0, 1)
            .key("k", 8, &u64::to_le_bytes(length))
            .0;
        assert!(
            matches!(GgufFile::new(string), Err(GgufError::Truncated { .. })),
            "{length}"
        );
        for element in [0, 4, 8, 12] {
            let array = Raw::header(3, 0, 1).array("k", element, length, &[0; 64]).0;
            let read = GgufFile::new(array);
            assert!(
                matches!(read, Err(GgufError::CountPastEnd { .. })),
                "{length}"
            );
        }
    }
    for ty in [
        u32::MAX,
        1 << 31,
        (1 << 31) - 1,
        i32::MIN.cast_unsigned() + 1,
    ] {
        let bytes = Raw::header(3, 1, 0)
            .tensor("a", &[8], ty, 0)
            .data(32, &[0; 64]);
        let error = GgufFile::new(&bytes).unwrap_err();
        assert!(
            matches!(error, GgufError::UnknownTensorType { .. }),
            "{error}"
        );
        let bytes = Raw::header(3, 0, 1).key("k", ty, &[0; 8]).0;
        let error = GgufFile::new(bytes).unwrap_err();
        assert!(
            matches!(error, GgufError::UnknownValueType { .. }),
            "{error}"
        );
    }
}

/// CVE-2025-49847 (llama.cpp): the length of a token was put into a type too small for it.
#[test]
fn cve_2025_49847_tokens_of_any_length() {
    let long = vec![b'x'; 70_000];
    let tokens = Raw::default().text(b"<s>").text(&long).text(b"").0;
    let bytes = Raw::header(3, 0, 1)
        .array("tokenizer.ggml.tokens", 8, 3, &tokens)
        .0;
    let file = GgufFile::new(bytes).unwrap();
    let read: tritone_formats::StrArray<'_> = file.require("tokenizer.ggml.tokens").unwrap();
    assert_eq!(
        read.iter().map(<[u8]>::len).collect::<Vec<_>>(),
        [3, 70_000, 0]
    );
    // The second one claims 2^31 bytes, and the next of them 2^63.
    for claimed in [1_u64 << 31, 1 << 63] {
        let tokens = Raw::default()
            .text(b"<s>")
            .bytes(&claimed.to_le_bytes())
            .bytes(&long)
            .0;
        let bytes = Raw::header(3, 0, 1)
            .array("tokenizer.ggml.tokens", 8, 2, &tokens)
            .0;
        assert!(matches!(
            GgufFile::new(bytes),
            Err(GgufError::Truncated { .. })
        ));
    }
}

/// CVE-2026-7482 (Ollama, "Bleeding Llama"): a conversion took the sizes that a file claims and copied the memory
/// behind its data into the new file.
#[test]
fn cve_2026_7482_no_tensor_has_bytes_beyond_the_file() {
    let sound = Raw::header(3, 2, 0)
        .tensor("a", &[32, 2], 1, 0)
        .tensor("b", &[64], 0, 128)
        .data(32, &[7; 384]);
    let file = GgufFile::new(&sound[..]).unwrap();
    let inside = sound.as_ptr_range();
    for tensor in file.tensors() {
        let bytes = tensor.bytes().unwrap().as_ptr_range();
        assert!(inside.start <= bytes.start && bytes.end <= inside.end);
    }
    for cut in 1..384 {
        let error = GgufFile::new(&sound[..sound.len() - cut]).unwrap_err();
        assert!(matches!(error, GgufError::PastEnd { .. }), "{cut}: {error}");
    }
}
