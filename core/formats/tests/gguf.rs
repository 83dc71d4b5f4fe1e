//! The container: hand-made files, sound ones and one for every way to be wrong.

mod exercise;
mod raw;

use std::sync::Arc;

use proptest::prelude::*;
use raw::Raw;
use tritone_formats::codec::{CodecError, Rounding, Scales, encode_ternary};
use tritone_formats::{
    Array, GgufError, GgufFile, I2sLayout, StrArray, TensorType, Value, ValueType,
};

#[test]
fn every_value_type_is_read() {
    let file = GgufFile::new(raw::rich()).unwrap();
    assert_eq!(file.version(), 3);
    assert_eq!(file.alignment(), 64);
    assert_eq!(
        file.require::<&str>("general.architecture").unwrap(),
        "bitnet-b1.58"
    );
    assert_eq!(file.get("k.u8"), Some(Value::U8(200)));
    assert_eq!(file.get("k.i8"), Some(Value::I8(-128)));
    assert_eq!(file.get("k.u16"), Some(Value::U16(65_535)));
    assert_eq!(file.get("k.i16"), Some(Value::I16(-2)));
    assert_eq!(file.get("k.i32"), Some(Value::I32(-3)));
    assert_eq!(file.require::<f32>("k.f32").unwrap(), 1e-5);
    assert!(file.require::<bool>("k.bool").unwrap());
    assert_eq!(file.require::<u64>("k.u64").unwrap(), u64::MAX);
    assert_eq!(file.get("k.i64"), Some(Value::I64(i64::MIN)));
    assert_eq!(file.require::<f32>("k.f64").unwrap(), 0.1_f32);
    assert_eq!(file.require::<Vec<i32>>("k.types").unwrap(), [1, 2, -1]);
    assert_eq!(file.require::<Vec<bool>>("k.flags").unwrap(), [true, false]);
    assert_eq!(file.get("absent"), None);
    assert_eq!(file.value::<u32>("absent"), Ok(None));

    let tokens = file.require::<StrArray<'_>>("k.tokens").unwrap();
    assert_eq!(
        tokens.iter().collect::<Vec<_>>(),
        [&b"<s>"[..], b"", b"\xff\xfe", b"tok"]
    );
    assert!(file.require::<StrArray<'_>>("k.empty").unwrap().is_empty());

    let types: Vec<_> = file.metadata().map(|(_, value)| value.ty()).collect();
    assert_eq!(types.len(), 16);
    assert_eq!(types[..3], [ValueType::Str, ValueType::U32, ValueType::U8]);
}

#[test]
fn tensors_are_views_into_the_file() {
    let bytes = raw::rich();
    let file = GgufFile::new(Arc::<[u8]>::from(bytes.clone())).unwrap();
    let data = file.part(0).unwrap().data_offset();
    assert_eq!(data % 64, 0);

    let embd = file.tensor("token_embd.weight").unwrap();
    assert_eq!(
        (embd.dims(), embd.columns(), embd.rows()),
        (&[32, 4][..], 32, 4)
    );
    assert_eq!(embd.byte_range(), data..data + 256);
    assert_eq!(embd.bytes().unwrap(), &bytes[data..data + 256]);
    assert_eq!(embd.row_bytes(3).unwrap(), &bytes[data + 192..data + 256]);

    let mut row = [0.0; 128];
    let query = file.tensor("blk.0.attn_q.weight").unwrap();
    query.decode_row(1, &mut row).unwrap();
    // The stored byte is 01 10 00 01 for every block byte.
    let expected = [[0.0; 32], [0.5; 32], [-0.5; 32], [0.0; 32]].concat();
    assert_eq!(row[..], expected);

    assert_eq!(file.tensor("bf16").unwrap().dims(), [2, 1, 2, 1]);
    assert_eq!(file.tensor("bf16").unwrap().rows(), 2);
    assert!(file.tensor("absent").is_none());
    let names: Vec<_> = file
        .tensors()
        .map(|tensor| tensor.name().to_owned())
        .collect();
    assert_eq!(names[..2], ["token_embd.weight", "output_norm.weight"]);
    assert_eq!(names.len(), 7);
}

#[test]
fn version_2_has_the_same_layout() {
    let mut bytes = raw::rich();
    bytes[4] = 2;
    assert_eq!(GgufFile::new(&bytes).unwrap().version(), 2);
    exercise::exercise(&bytes).unwrap();
}

#[test]
fn unsupported_types_open_but_give_no_data() {
    let file = GgufFile::new(raw::rich()).unwrap();
    let tl2 = file.tensor("tl2").unwrap();
    assert_eq!(tl2.byte_range().len(), 128, "up to the next tensor");
    let error = tl2.bytes().unwrap_err();
    assert!(matches!(error, GgufError::Unsupported { id: 39, .. }));
    let text = error.to_string();
    assert!(
        text.contains("'tl2'") && text.contains("TL2") && text.contains("I2_S"),
        "{text}"
    );
    assert_eq!(tl2.decode_row(0, &mut [0.0; 32]).unwrap_err(), error);
}

#[test]
fn number_36_is_told_apart_by_size() {
    let two = |second: u64, len: usize| {
        Raw::header(3, 2, 0)
            .tensor("a", &[1024], 36, 0)
            .tensor("b", &[1], 0, second)
            .data(32, &vec![0; len])
    };
    // 1024 / 4 + 32 = 288 bytes of I2_S, or 1024 * 18 / 32 = 576 bytes of IQ4_NL_4_4.
    let bytes = two(288, 292);
    let file = GgufFile::new(&bytes).unwrap();
    assert_eq!(file.tensor("a").unwrap().ty(), TensorType::I2S);
    let bytes = two(576, 580);
    let file = GgufFile::new(&bytes).unwrap();
    let old = file.tensor("a").unwrap();
    assert_eq!(old.ty().name(), "IQ4_NL_4_4");
    assert!(matches!(
        old.ternary(),
        Err(GgufError::Unsupported { id: 36, .. })
    ));
    // Neither size fits exactly: I2_S with a gap behind it.
    let bytes = two(320, 324);
    let file = GgufFile::new(&bytes).unwrap();
    assert_eq!(file.tensor("a").unwrap().byte_range().len(), 288);
}

/// Tensors "a" of 8192 and "b" of 4096 elements under number 42.
fn forty_two(ty: TensorType, rows: &[[usize; 2]; 2]) -> Vec<u8> {
    let encode = |[rows, columns]: [usize; 2]| {
        let ternary: Vec<i8> = (0..rows * columns).map(|i| (i % 3) as i8 - 1).collect();
        let scales = Scales::Tensor(0.5);
        let shape = (rows, columns);
        encode_ternary(ty, &ternary, shape, &scales, Rounding::Exact).unwrap_or_default()
    };
    let dims = |[rows, columns]: [usize; 2]| [columns as u64, rows as u64];
    let mut data = encode(rows[0]);
    data.resize(data.len().next_multiple_of(32), 0);
    let second = data.len() as u64;
    data.extend(encode(rows[1]));
    Raw::header(3, 2, 0)
        .tensor("a", &dims(rows[0]), 42, 0)
        .tensor("b", &dims(rows[1]), 42, second)
        .data(32, &data)
}

#[test]
fn number_42_is_told_apart_by_the_sizes_of_all_tensors() {
    for (ty, rows) in [
        (TensorType::Q2_0, [[16, 512], [8, 512]]),
        (TensorType::Q2_0, [[16, 512], [64, 64]]),
        (TensorType::Q2_0G128, [[16, 512], [8, 512]]),
        // The first tensor's size is hidden by the padding; the second one tells.
        (TensorType::Q2_0, [[1, 128], [64, 64]]),
        (TensorType::Q2_0G128, [[1, 128], [32, 128]]),
    ] {
        let bytes = forty_two(ty, &rows);
        let file = GgufFile::new(&bytes).unwrap();
        for (tensor, [rows, columns]) in file.tensors().zip(rows) {
            assert_eq!(tensor.ty(), ty, "{rows:?}");
            let mut out = vec![9.0; columns];
            tensor.decode_row(rows - 1, &mut out).unwrap();
            let first = (rows - 1) * columns;
            let expected = |i: usize| ((first + i) % 3) as f32 / 2.0 - 0.5;
            assert!(out.iter().enumerate().all(|(i, x)| *x == expected(i)));
        }
    }
}

#[test]
fn number_42_with_the_scale_behind_the_codes_is_refused() {
    let mut bytes = forty_two(TensorType::Q2_0G128, &[[16, 512], [8, 512]]);
    let data = GgufFile::new(&bytes)
        .unwrap()
        .part(0)
        .unwrap()
        .data_offset();
    for block in bytes[data..].as_chunks_mut::<34>().0 {
        block.rotate_left(2);
    }
    let file = GgufFile::new(&bytes).unwrap();
    let error = file.tensor("a").unwrap().bytes().unwrap_err().to_string();
    assert!(error.contains("42") && error.contains("PQ2_0"), "{error}");
    // Nor does any size fit here.
    let odd = Raw::header(3, 1, 0)
        .tensor("a", &[8192], 42, 0)
        .data(32, &[0; 2400]);
    let file = GgufFile::new(&odd).unwrap();
    assert!(file.tensor("a").unwrap().bytes().is_err());
}

#[test]
fn a_person_can_say_which_i2s_layout_it_is() {
    let ternary: Vec<i8> = (0..4_u32 * 128)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 9) % 3)
        .map(|code| code as i8 - 1)
        .collect();
    let layouts = [I2sLayout::Canonical, I2sLayout::Arm, I2sLayout::Rows4];
    for layout in layouts {
        let ty = layout.tensor_type();
        let scales = Scales::Tensor(0.5);
        let stored = encode_ternary(ty, &ternary, (4, 128), &scales, Rounding::Exact).unwrap();
        let bytes = Raw::header(3, 1, 0)
            .tensor("a", &[128, 4], 36, 0)
            .data(32, &stored);
        let mut file = GgufFile::new(&bytes).unwrap();
        let right: Vec<_> = layouts
            .map(|layout| {
                file.set_i2s_layout(layout).unwrap();
                let view = file.tensor("a").unwrap().ternary().unwrap();
                let mut out = [0.0; 128];
                (0..4).all(|row| {
                    // A wrong layout may meet the unused code 3.
                    let read = view.decode_row(row, &mut out);
                    let expected = &ternary[row * 128..][..128];
                    read.is_ok()
                        && out
                            .iter()
                            .zip(expected)
                            .all(|(x, t)| *x == f32::from(*t) / 2.0)
                })
            })
            .to_vec();
        assert_eq!(right, layouts.map(|other| other == layout), "{layout:?}");
    }
    let three = encode_ternary(
        TensorType::I2S,
        &ternary[..384],
        (3, 128),
        &Scales::Tensor(1.0),
        Rounding::Exact,
    );
    let bytes = Raw::header(3, 1, 0)
        .tensor("a", &[128, 3], 36, 0)
        .data(32, &three.unwrap());
    let mut file = GgufFile::new(&bytes).unwrap();
    assert!(file.set_i2s_layout(I2sLayout::Rows4).is_err(), "three rows");
    assert_eq!(file.tensor("a").unwrap().ty(), TensorType::I2S);
}

#[test]
fn wrong_types_say_key_expected_and_got() {
    let file = GgufFile::new(raw::rich()).unwrap();
    let text = |error: GgufError| error.to_string();
    assert_eq!(
        text(file.require::<u32>("k.i32").unwrap_err()),
        "metadata key 'k.i32' should be an unsigned 32-bit integer, but is i32 -3"
    );
    assert_eq!(
        text(file.require::<f32>("k.tokens").unwrap_err()),
        "metadata key 'k.tokens' should be a float, but is an array of 4 string"
    );
    assert_eq!(
        text(file.require::<Vec<&str>>("k.tokens").unwrap_err()),
        "metadata key 'k.tokens' should be an array, each element a UTF-8 string, but is an array \
         of 4 string"
    );
    assert_eq!(
        text(file.require::<&str>("nope").unwrap_err()),
        "metadata key 'nope' is missing"
    );
    assert!(file.require::<Array<'_>>("k.u8").is_err());
    assert!(file.require::<StrArray<'_>>("k.types").is_err());
    assert!(
        file.require::<Vec<u32>>("k.types").is_err(),
        "one element is -1"
    );
    assert!(file.require::<bool>("k.u8").is_err());
}

#[test]
fn codec_errors_name_the_tensor() {
    let mut bytes = raw::rich();
    let at = GgufFile::new(&bytes)
        .unwrap()
        .tensor("blk.0.attn_q.weight")
        .unwrap()
        .byte_range();
    bytes[at.start + 32 + 5] |= 0b11 << 4;
    let file = GgufFile::new(&bytes).unwrap();
    let query = file.tensor("blk.0.attn_q.weight").unwrap();
    let mut canonical = [0; 32];
    query
        .ternary()
        .unwrap()
        .canonical_row(0, &mut canonical)
        .unwrap();
    let unused = CodecError::UnusedCode { row: 1, column: 37 };
    assert_eq!(
        query.ternary().unwrap().canonical_row(1, &mut canonical),
        Err(unused.clone())
    );
    let expected = GgufError::Codec {
        tensor: "blk.0.attn_q.weight".into(),
        source: unused,
    };
    assert_eq!(query.decode_row(1, &mut [0.0; 128]), Err(expected));

    let short = query.decode_row(0, &mut [0.0; 127]).unwrap_err();
    assert!(
        short.to_string().contains("128") && short.to_string().contains("127"),
        "{short}"
    );
    assert!(
        file.tensor("q8").unwrap().row_bytes(1).is_err(),
        "there is one row"
    );
    assert!(file.tensor("q8").unwrap().ternary().is_err());
}

/// One sound scalar key named `k`.
fn key() -> Raw {
    Raw::default().key("k", 4, &[1, 0, 0, 0])
}

#[test]
fn a_header_is_read_as_soon_as_it_is_there() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
    );
    let bytes = std::fs::read(path).unwrap();
    let whole = GgufFile::new(&bytes).unwrap();
    let len = bytes.len() as u64;
    let header = |end: usize| GgufFile::header(&bytes[..end], len).unwrap();
    for end in [0, 3, 8, 24, 25, 1000, 20_000] {
        assert!(header(end).is_none(), "{end}");
    }
    let file = header(whole.data_offset()).unwrap();
    let facts = |tensor: tritone_formats::TensorView<'_>| {
        (tensor.name().to_owned(), tensor.ty(), tensor.byte_range())
    };
    assert!(file.tensors().map(facts).eq(whole.tensors().map(facts)));
    assert_eq!(file.metadata().count(), whole.metadata().count());
    // Data that is not there is none, and no panic.
    let tensor = file.tensor("blk.0.ffn_down.weight").unwrap();
    assert_eq!(tensor.bytes().unwrap(), b"");
    assert!(tensor.ternary().is_err());
    // What is wrong with a file is said at once, and a file must be as long as its tensors need.
    assert!(GgufFile::header(b"<html>..".as_slice(), len).is_err());
    let cut = GgufFile::header(&bytes[..whole.data_offset()], len - 1);
    assert!(matches!(cut, Err(GgufError::PastEnd { .. })));
    let over = GgufFile::header(&bytes[..20_000], 20_000);
    assert!(matches!(
        over,
        Err(GgufError::CountPastEnd { .. } | GgufError::Truncated { .. })
    ));
}

#[test]
fn every_fault_has_its_error() {
    let head = |tensors, keys| Raw::header(3, tensors, keys);
    let one = |dims: &[u64], ty, offset| head(1, 0).tensor("t", dims, ty, offset);
    let faults: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "Truncated"),
        ("magic", b"GGUX\x03\0\0\0".to_vec(), "NotGguf"),
        (
            "lfs pointer",
            b"version https://git-lfs.github.com/spec/v1".to_vec(),
            "NotGguf",
        ),
        ("big-endian", b"GGUF\0\0\0\x03".to_vec(), "BigEndian"),
        ("version 1", b"GGUF\x01\0\0\0".to_vec(), "Version1"),
        ("version 4", b"GGUF\x04\0\0\0".to_vec(), "UnknownVersion"),
        ("version 0", b"GGUF\0\0\0\0".to_vec(), "UnknownVersion"),
        ("no counts", b"GGUF\x03\0\0\0\0\0".to_vec(), "Truncated"),
        ("tensor count", head(u64::MAX, 0).0, "TooMany"),
        ("key count", head(0, u64::MAX).0, "TooMany"),
        ("keys past end", head(0, 1000).0, "CountPastEnd"),
        (
            "tensors past end",
            head(1000, 1).bytes(&key().0).0,
            "CountPastEnd",
        ),
        (
            "key length",
            head(0, 1).u64(u64::MAX).bytes(&[0; 64]).0,
            "Truncated",
        ),
        (
            "long key",
            head(0, 1).text(&[b'a'; 65_536]).u32(0).bytes(&[0]).0,
            "NameTooLong",
        ),
        (
            "key bytes",
            head(0, 1).text(b"\xff").u32(0).bytes(&[0]).0,
            "NameNotUtf8",
        ),
        (
            "value type",
            head(0, 1).key("k", 13, &[0; 8]).0,
            "UnknownValueType",
        ),
        (
            "element type",
            head(0, 1).array("k", 99, 0, &[]).0,
            "UnknownValueType",
        ),
        (
            "nested array",
            head(0, 1).array("k", 9, 1, &[0; 64]).0,
            "NestedArray",
        ),
        (
            "array count",
            head(0, 1).array("k", 4, u64::MAX / 4 + 2, &[0; 64]).0,
            "CountPastEnd",
        ),
        (
            "string count",
            head(0, 1).array("k", 8, 9, &[0; 64]).0,
            "CountPastEnd",
        ),
        (
            "string in array",
            head(0, 1).array("k", 8, 2, &[255; 16]).0,
            "Truncated",
        ),
        (
            "string value",
            head(0, 1).key("k", 8, &u64::MAX.to_le_bytes()).0,
            "Truncated",
        ),
        (
            "short value",
            head(0, 1).key("k", 10, &[0; 7]).0,
            "Truncated",
        ),
        ("bool", head(0, 1).key("k", 7, &[2]).0, "BadBool"),
        (
            "bool array",
            head(0, 1).array("k", 7, 3, &[0, 1, 255]).0,
            "BadBool",
        ),
        (
            "same key",
            head(0, 2).bytes(&key().0).bytes(&key().0).0,
            "DuplicateKey",
        ),
        (
            "alignment 0",
            head(0, 1).key("general.alignment", 4, &[0; 4]).0,
            "BadAlignment",
        ),
        (
            "alignment 48",
            head(0, 1).key("general.alignment", 4, &[48, 0, 0, 0]).0,
            "BadAlignment",
        ),
        (
            "alignment 2 GiB",
            head(0, 1).key("general.alignment", 4, &[0, 0, 0, 128]).0,
            "BadAlignment",
        ),
        (
            "alignment type",
            head(0, 1)
                .key("general.alignment", 7, &[1])
                .bytes(&[0; 3])
                .0,
            "WrongType",
        ),
        ("rank 0", one(&[], 0, 0).bytes(&[0; 8]).0, "BadRank"),
        ("rank 5", one(&[1; 5], 0, 0).data(32, &[0; 4]), "BadRank"),
        (
            "rank 2^32-1",
            head(1, 0).text(b"t").u32(u32::MAX).bytes(&[1; 64]).0,
            "BadRank",
        ),
        (
            "zero dimension",
            one(&[4, 0], 0, 0).data(32, &[0; 16]),
            "ZeroDimension",
        ),
        (
            "dimension 2^64-1",
            one(&[u64::MAX, 2], 0, 0).data(32, &[0; 16]),
            "DimensionOverflow",
        ),
        (
            "product 2^64",
            one(&[1 << 32, 1 << 32], 0, 0).data(32, &[0; 16]),
            "DimensionOverflow",
        ),
        (
            "product of a sizeless type",
            one(&[1 << 33, 1 << 33], 39, 0).data(32, &[0; 16]),
            "DimensionOverflow",
        ),
        (
            "bytes 2^64",
            one(&[1 << 62], 0, 0).data(32, &[0; 16]),
            "DimensionOverflow",
        ),
        (
            "bytes 2^64 + block",
            one(&[1 << 62, 2], 8, 0).data(32, &[0; 64]),
            "DimensionOverflow",
        ),
        (
            "bytes 2^63",
            one(&[1 << 61], 0, 0).data(32, &[0; 16]),
            "DimensionOverflow",
        ),
        (
            "half a block",
            one(&[48], 8, 0).data(32, &[0; 64]),
            "RowLength",
        ),
        (
            "row of I2_S",
            one(&[64, 2], 36, 0).data(32, &[0; 64]),
            "RowLength",
        ),
        (
            "unknown type",
            one(&[4], 77, 0).data(32, &[0; 16]),
            "UnknownTensorType",
        ),
        (
            "negative type",
            one(&[4], u32::MAX, 0).data(32, &[0; 16]),
            "UnknownTensorType",
        ),
        (
            "misaligned",
            one(&[4], 0, 16).data(32, &[0; 64]),
            "Misaligned",
        ),
        (
            "offset past end",
            one(&[4], 0, 64).data(32, &[0; 32]),
            "PastEnd",
        ),
        (
            "offset 2^64-32",
            one(&[4], 0, u64::MAX - 31).data(32, &[0; 32]),
            "PastEnd",
        ),
        (
            "size past end",
            one(&[4], 0, 32).data(32, &[0; 47]),
            "PastEnd",
        ),
        ("no data section", one(&[4], 0, 0).0, "PastEnd"),
        (
            "no data section for a sizeless type",
            one(&[4], 39, 0).0,
            "PastEnd",
        ),
        (
            "no room for a sizeless type",
            one(&[4], 39, 0).data(32, &[]),
            "PastEnd",
        ),
        (
            "same tensor",
            head(2, 0)
                .tensor("t", &[4], 0, 0)
                .tensor("t", &[4], 0, 32)
                .data(32, &[0; 64]),
            "DuplicateTensor",
        ),
        (
            "overlap",
            head(2, 0)
                .tensor("a", &[9], 0, 0)
                .tensor("b", &[4], 0, 32)
                .data(32, &[0; 64]),
            "Overlap",
        ),
        (
            "same place",
            head(2, 0)
                .tensor("b", &[4], 0, 32)
                .tensor("a", &[4], 0, 32)
                .data(32, &[0; 64]),
            "Overlap",
        ),
        (
            "same place without size",
            head(2, 0)
                .tensor("b", &[4], 39, 0)
                .tensor("a", &[4], 39, 0)
                .data(32, &[0; 64]),
            "Overlap",
        ),
    ];
    for (what, bytes, expected) in faults {
        let error = exercise::exercise(&bytes).expect_err(what);
        let variant = format!("{error:?}");
        let variant = variant.split([' ', '{']).next().unwrap();
        assert_eq!(variant, expected, "{what}: {error}");
    }
}

#[test]
fn errors_say_where_and_what_to_do() {
    let text = |bytes: &[u8]| GgufFile::new(bytes).unwrap_err().to_string();
    assert!(text(b"version https://git-lfs").contains("git lfs"));
    assert!(text(b"GGUF\0\0\0\x03").contains("big-endian"));
    let past = Raw::header(3, 1, 0)
        .tensor("blk.0", &[8, 8], 0, 32)
        .data(32, &[0; 100]);
    let past = text(&past);
    assert!(
        past.contains("'blk.0'") && past.contains("256 bytes at byte 32"),
        "{past}"
    );
    let hidden = Raw::header(3, 1, 0)
        .tensor("\u{1b}[2J", &[0], 0, 0)
        .data(32, &[]);
    assert!(
        !text(&hidden).contains('\u{1b}'),
        "control characters reach the terminal"
    );
}

#[test]
fn the_last_tensor_needs_no_padding_and_gaps_are_allowed() {
    let bytes = Raw::header(3, 2, 0)
        .tensor("late", &[3], 0, 96)
        .tensor("early", &[1], 0, 0)
        .data(32, &[0; 96 + 12]);
    exercise::exercise(&bytes).unwrap();
    assert_eq!(
        GgufFile::new(&bytes)
            .unwrap()
            .tensor("late")
            .unwrap()
            .byte_range()
            .len(),
        12
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = exercise::exercise(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_header_are_no_danger(
        tensors in 0_u64..4,
        keys in 0_u64..4,
        rest in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => 0_u8..20, 1 => any::<u8>()], 0..400),
    ) {
        let _ = exercise::exercise(&Raw::header(3, tensors, keys).bytes(&rest).0);
    }

    #[test]
    fn arbitrary_damage_is_no_danger(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut bytes = raw::rich();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = exercise::exercise(&bytes);
    }
}
