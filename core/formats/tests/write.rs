//! The writer: what it writes is read back, and a plan that is not kept is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests read values back")]

mod exercise;

use proptest::prelude::*;
use tritone_formats::write::{GgufWriter, Strings, WriteError};
use tritone_formats::{Array, GgufFile, StrArray, TensorType, Value};

#[test]
fn the_smallest_file_byte_by_byte() {
    let mut plan = GgufWriter::new();
    plan.metadata("k", 7_u32)
        .unwrap()
        .tensor("t", TensorType::F32, &[2])
        .unwrap();
    let len = plan.file_len();
    let mut body = plan.begin(Vec::new()).unwrap();
    body.write("t", &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let bytes = body.finish().unwrap();

    let mut expected = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    expected.extend(b"\x01\0\0\0\0\0\0\0k\x04\0\0\0\x07\0\0\0");
    expected.extend(b"\x01\0\0\0\0\0\0\0t\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0");
    expected.extend([0; 8]);
    expected.resize(96, 0);
    expected.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    expected.resize(128, 0);
    assert_eq!(bytes, expected);
    assert_eq!(len, 128);
}

#[test]
fn plans_are_checked() {
    let mut plan = GgufWriter::new();
    plan.metadata("k", true).unwrap();
    assert!(matches!(
        plan.metadata("k", 1_u8),
        Err(WriteError::Duplicate { .. })
    ));
    assert!(matches!(
        plan.metadata("general.alignment", 64_u32),
        Err(WriteError::Alignment)
    ));
    let long = "n".repeat(65_536);
    assert!(matches!(
        plan.metadata(&long, 1_u8),
        Err(WriteError::NameTooLong { .. })
    ));
    plan.tensor("t", TensorType::F32, &[4]).unwrap();
    let mut refuse = |name: &str, ty, dims: &[usize]| plan.tensor(name, ty, dims).unwrap_err();
    assert!(matches!(
        refuse("t", TensorType::F32, &[4]),
        WriteError::Duplicate { .. }
    ));
    assert!(matches!(
        refuse("u", TensorType::F32, &[]),
        WriteError::Dimensions { .. }
    ));
    assert!(matches!(
        refuse("u", TensorType::F32, &[1; 5]),
        WriteError::Dimensions { .. }
    ));
    assert!(matches!(
        refuse("u", TensorType::F32, &[4, 0]),
        WriteError::Dimensions { .. }
    ));
    assert!(matches!(
        refuse("u", TensorType::Q6K, &[128]),
        WriteError::Size { .. }
    ));
    assert!(matches!(
        refuse("u", TensorType::F32, &[usize::MAX]),
        WriteError::Size { .. }
    ));
    assert!(GgufWriter::with_alignment(48).is_err());
    assert!(GgufWriter::with_alignment(0).is_err());
    assert!(GgufWriter::with_alignment(1 << 21).is_err());
}

#[test]
fn data_follows_the_plan() {
    let mut plan = GgufWriter::new();
    plan.tensor("a", TensorType::F32, &[2]).unwrap();
    plan.tensor("b", TensorType::F32, &[1]).unwrap();
    let mut body = plan.begin(Vec::new()).unwrap();
    assert!(matches!(
        body.write("b", &[0; 4]),
        Err(WriteError::OutOfOrder { .. })
    ));
    body.write("a", &[0; 5]).unwrap();
    assert!(matches!(
        body.write("a", &[0; 4]),
        Err(WriteError::TooMuch { left: 3, .. })
    ));
    body.write("a", &[0; 3]).unwrap();
    assert!(matches!(
        body.write("a", &[]),
        Err(WriteError::OutOfOrder { .. })
    ));
    body.write("b", &[0; 3]).unwrap();
    assert!(matches!(
        body.finish(),
        Err(WriteError::Unfinished { left: 1, .. })
    ));
}

/// A metadata value of any kind that the writer takes.
#[derive(Debug, Clone)]
enum Meta {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Str(String),
    U64s(Vec<u64>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    Strs(Vec<Vec<u8>>),
}

fn meta() -> impl Strategy<Value = Meta> {
    use prop::collection::vec;
    prop_oneof![
        any::<u8>().prop_map(Meta::U8),
        any::<i8>().prop_map(Meta::I8),
        any::<u16>().prop_map(Meta::U16),
        any::<i16>().prop_map(Meta::I16),
        any::<u32>().prop_map(Meta::U32),
        any::<i32>().prop_map(Meta::I32),
        any::<u64>().prop_map(Meta::U64),
        any::<i64>().prop_map(Meta::I64),
        any::<f32>().prop_map(Meta::F32),
        any::<f64>().prop_map(Meta::F64),
        any::<bool>().prop_map(Meta::Bool),
        vec(any::<char>(), 0..20).prop_map(|text| Meta::Str(text.into_iter().collect())),
        vec(any::<u64>(), 0..20).prop_map(Meta::U64s),
        vec(any::<i32>(), 0..20).prop_map(Meta::I32s),
        vec(any::<f32>(), 0..20).prop_map(Meta::F32s),
        vec(any::<bool>(), 0..20).prop_map(Meta::Bools),
        vec(vec(any::<u8>(), 0..12), 0..20).prop_map(Meta::Strs),
    ]
}

fn put(plan: &mut GgufWriter, key: &str, meta: &Meta) {
    match meta {
        Meta::U8(x) => plan.metadata(key, *x),
        Meta::I8(x) => plan.metadata(key, *x),
        Meta::U16(x) => plan.metadata(key, *x),
        Meta::I16(x) => plan.metadata(key, *x),
        Meta::U32(x) => plan.metadata(key, *x),
        Meta::I32(x) => plan.metadata(key, *x),
        Meta::U64(x) => plan.metadata(key, *x),
        Meta::I64(x) => plan.metadata(key, *x),
        Meta::F32(x) => plan.metadata(key, *x),
        Meta::F64(x) => plan.metadata(key, *x),
        Meta::Bool(x) => plan.metadata(key, *x),
        Meta::Str(x) => plan.metadata(key, x.as_str()),
        Meta::U64s(x) => plan.metadata(key, &x[..]),
        Meta::I32s(x) => plan.metadata(key, &x[..]),
        Meta::F32s(x) => plan.metadata(key, &x[..]),
        Meta::Bools(x) => plan.metadata(key, &x[..]),
        Meta::Strs(x) => plan.metadata(key, Strings(x)),
    }
    .unwrap();
}

fn is_back(file: &GgufFile<Vec<u8>>, key: &str, meta: &Meta) -> bool {
    let elements = || {
        file.require::<Array<'_>>(key)
            .map(|array| array.iter().collect::<Vec<_>>())
            .unwrap()
    };
    match (meta, file.get(key).unwrap()) {
        (Meta::U8(x), Value::U8(y)) => *x == y,
        (Meta::I8(x), Value::I8(y)) => *x == y,
        (Meta::U16(x), Value::U16(y)) => *x == y,
        (Meta::I16(x), Value::I16(y)) => *x == y,
        (Meta::U32(x), Value::U32(y)) => *x == y,
        (Meta::I32(x), Value::I32(y)) => *x == y,
        (Meta::U64(x), Value::U64(y)) => *x == y,
        (Meta::I64(x), Value::I64(y)) => *x == y,
        (Meta::F32(x), Value::F32(y)) => x.to_bits() == y.to_bits(),
        (Meta::F64(x), Value::F64(y)) => x.to_bits() == y.to_bits(),
        (Meta::Bool(x), Value::Bool(y)) => *x == y,
        (Meta::Str(x), Value::Str(y)) => x.as_bytes() == y,
        (Meta::U64s(x), Value::Array(_)) => {
            elements() == x.iter().map(|&x| Value::U64(x)).collect::<Vec<_>>()
        }
        (Meta::I32s(x), Value::Array(_)) => file.require::<Vec<i32>>(key).as_ref() == Ok(x),
        (Meta::F32s(x), Value::Array(_)) => {
            let back = file.require::<Vec<f32>>(key).unwrap();
            back.iter()
                .map(|x| x.to_bits())
                .eq(x.iter().map(|x| x.to_bits()))
        }
        (Meta::Bools(x), Value::Array(_)) => file.require::<Vec<bool>>(key).as_ref() == Ok(x),
        (Meta::Strs(x), Value::Array(_)) => file
            .require::<StrArray<'_>>(key)
            .unwrap()
            .iter()
            .eq(x.iter().map(Vec::as_slice)),
        _ => false,
    }
}

/// A type and dimensions that suit it.
fn shape() -> impl Strategy<Value = (TensorType, Vec<usize>)> {
    let types = prop::sample::select(vec![
        (TensorType::F32, 1),
        (TensorType::F16, 1),
        (TensorType::Bf16, 1),
        (TensorType::Q8_0, 32),
        (TensorType::Q4_0, 32),
        (TensorType::Q6K, 256),
        (TensorType::I2S, 128),
    ]);
    (types, prop::collection::vec(1_usize..4, 1..=4)).prop_map(|((ty, block), mut dims)| {
        dims[0] *= block;
        (ty, dims)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        alignment in prop::option::of(0_u32..8),
        metas in prop::collection::vec(meta(), 0..12),
        shapes in prop::collection::vec((shape(), any::<u8>(), 1_usize..200), 0..8),
    ) {
        let mut plan = match alignment {
            Some(power) => GgufWriter::with_alignment(1 << power).unwrap(),
            None => GgufWriter::new(),
        };
        for (i, meta) in metas.iter().enumerate() {
            put(&mut plan, &format!("key.{i}"), meta);
        }
        for (i, ((ty, dims), ..)) in shapes.iter().enumerate() {
            plan.tensor(&format!("tensor.{i}"), *ty, dims).unwrap();
        }
        let file_len = plan.file_len();
        let mut body = plan.begin(Vec::new()).unwrap();
        let mut written = Vec::new();
        for (i, ((ty, dims), first, part)) in shapes.iter().enumerate() {
            let len = ty.tensor_bytes(dims).unwrap();
            let data: Vec<u8> = (0..len).map(|j| first.wrapping_add(j as u8)).collect();
            for part in data.chunks(*part) {
                body.write(&format!("tensor.{i}"), part).unwrap();
            }
            written.push(data);
        }
        let bytes = body.finish().unwrap();
        prop_assert_eq!(bytes.len() as u64, file_len);
        exercise::exercise(&bytes).unwrap();

        let file = GgufFile::new(bytes).unwrap();
        prop_assert_eq!(file.alignment(), alignment.map_or(32, |power| 1 << power));
        prop_assert_eq!(file.metadata().count(), metas.len() + usize::from(alignment.is_some()));
        for (i, meta) in metas.iter().enumerate() {
            prop_assert!(is_back(&file, &format!("key.{i}"), meta), "key {} {:?}", i, meta);
        }
        prop_assert_eq!(file.tensors().len(), shapes.len());
        for (i, ((ty, dims), ..)) in shapes.iter().enumerate() {
            let tensor = file.tensor(&format!("tensor.{i}")).unwrap();
            prop_assert_eq!(tensor.ty(), *ty);
            prop_assert_eq!(tensor.dims(), &dims[..]);
            prop_assert_eq!(tensor.bytes().unwrap(), &written[i][..]);
        }
    }
}
