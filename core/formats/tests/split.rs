//! Models that are cut into several files: joined again, and every way in which parts do not fit.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod raw;

use raw::Raw;
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufError, GgufFile, SplitError, TensorType};

/// Six vectors of 8 floats, `t0` holding zeros, `t1` ones and so on.
const TENSORS: usize = 6;

fn data(tensor: usize) -> Vec<u8> {
    [tensor as f32; 8]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect()
}

fn plan() -> GgufWriter {
    let mut plan = GgufWriter::with_alignment(64).unwrap();
    plan.metadata("general.architecture", "test").unwrap();
    plan.metadata("general.name", "cut").unwrap();
    for i in 0..TENSORS {
        plan.tensor(&format!("t{i}"), TensorType::F32, &[8])
            .unwrap();
    }
    plan
}

/// The parts of the model with at most `most` bytes of data each.
fn parts(most: u64) -> Vec<Vec<u8>> {
    let mut next = 0;
    let write = |part: GgufWriter| {
        let names: Vec<String> = part.tensor_names().map(str::to_owned).collect();
        let mut body = part.begin(Vec::new()).unwrap();
        for name in names {
            body.write(&name, &data(next)).unwrap();
            next += 1;
        }
        body.finish().unwrap()
    };
    plan().split(most).unwrap().into_iter().map(write).collect()
}

fn join(parts: &[&[u8]]) -> Result<GgufFile<Vec<u8>>, SplitError> {
    let open = |part: &&[u8]| GgufFile::new(part.to_vec()).unwrap();
    GgufFile::join(parts.iter().map(open).collect())
}

fn fault(parts: &[&[u8]]) -> String {
    join(parts).unwrap_err().to_string()
}

#[test]
fn parts_make_the_whole() {
    for (most, count) in [(u64::MAX, 1), (192, 2), (159, 3), (128, 3), (64, 6), (0, 6)] {
        let parts = parts(most);
        assert_eq!(parts.len(), count, "{most}");
        let views: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        if count == 1 {
            assert_eq!(GgufFile::new(views[0]).unwrap().split(), Ok(None));
            continue;
        }
        let file = join(&views).unwrap();
        assert_eq!(file.parts().count(), count);
        let whole: usize = parts.iter().map(Vec::len).sum();
        assert_eq!(file.file_len(), whole as u64);
        assert_eq!(file.require::<&str>("general.name"), Ok("cut"));
        assert_eq!(file.alignment(), 64);
        assert_eq!(file.tensors().len(), TENSORS);
        for (i, tensor) in file.tensors().enumerate() {
            assert_eq!(tensor.name(), format!("t{i}"));
            let found = file.require_tensor(tensor.name()).unwrap();
            assert_eq!(found.bytes().unwrap(), data(i));
            assert_eq!(found.part(), tensor.part());
            let part = file.part(tensor.part()).unwrap();
            assert_eq!(part.bytes()[tensor.byte_range()], data(i));
            assert!(tensor.byte_range().start >= part.data_offset());
        }
        assert!(file.part(count).is_none());
        let split = GgufFile::new(views[1]).unwrap().split().unwrap().unwrap();
        assert_eq!(
            (split.number, split.count, split.tensors),
            (1, count, Some(6))
        );
    }
}

#[test]
fn every_way_not_to_fit_has_its_message() {
    let three = parts(128);
    let [a, b, c] = [0, 1, 2].map(|i| three[i].as_slice());
    join(&[a, b, c]).unwrap();
    assert_eq!(fault(&[a, b]), "2 of 3 parts are there");
    assert_eq!(fault(&[]), "0 of 1 parts are there");
    assert_eq!(
        fault(&[a, c, b]),
        "part 2 says that it is part 3 (split.no 2)"
    );
    assert_eq!(
        fault(&[a, b, b]),
        "part 3 says that it is part 2 (split.no 1)"
    );
    let two = parts(192);
    let text = fault(&[a, b, &two[1]]);
    assert_eq!(
        text,
        "part 3 says that there are 2 parts (split.count), part 1 says 3"
    );
    let whole = &parts(u64::MAX)[0];
    let text = fault(&[a, whole, c]);
    assert!(text.starts_with("part 2 has no split.count"), "{text}");

    // A part of a model of the same number of parts: tensors that are there twice, or too few.
    let part = |number: u16, count: u16, names: &[&str], more: &[(&str, u32)]| {
        let mut plan = GgufWriter::new();
        for (key, value) in more {
            plan.metadata(key, *value).unwrap();
        }
        plan.metadata("split.no", number).unwrap();
        plan.metadata("split.count", count).unwrap();
        names.iter().for_each(|name| {
            plan.tensor(name, TensorType::F32, &[1]).unwrap();
        });
        let mut body = plan.begin(Vec::new()).unwrap();
        names
            .iter()
            .for_each(|name| body.write(name, &[0; 4]).unwrap());
        body.finish().unwrap()
    };
    let double = part(1, 3, &["x", "t1"], &[]);
    assert_eq!(
        fault(&[a, &double, c]),
        "tensor 't1' is in part 1 and in part 2"
    );
    let small = part(1, 3, &["x"], &[]);
    let text = fault(&[a, &small, c]);
    assert_eq!(
        text,
        "the parts hold 5 tensors; 6 are announced (split.tensors.count)"
    );
    let [one, other] = [3, 4].map(|layers| part(0, 2, &["x"], &[("block_count", layers)]));
    let second = part(1, 2, &["y"], &[("block_count", 3)]);
    join(&[&one, &second]).unwrap();
    let text = fault(&[&other, &second]);
    assert_eq!(
        text,
        "part 2 is of another model: its 'block_count' is not that of part 1"
    );
}

#[test]
fn keys_of_a_part_are_checked() {
    let keys = |no: Option<&[u8]>, count: &[u8]| {
        let mut raw = Raw::header(3, 0, 1 + u64::from(no.is_some()));
        raw = raw.key("split.count", 2, count);
        if let Some(no) = no {
            raw = raw.key("split.no", 2, no);
        }
        GgufFile::new(raw.0).unwrap()
    };
    assert_eq!(keys(None, &[1, 0]).split(), Ok(None), "not cut");
    assert_eq!(keys(None, &[0, 0]).split(), Ok(None));
    let missing = keys(None, &[2, 0]).split().unwrap_err();
    assert!(matches!(missing, GgufError::MissingKey { .. }), "{missing}");
    let beyond = keys(Some(&[2, 0]), &[2, 0]).split().unwrap_err();
    assert!(matches!(
        beyond,
        GgufError::SplitNumber {
            number: 2,
            count: 2
        }
    ));
    let text = GgufFile::new(Raw::header(3, 0, 1).key("split.count", 7, &[1]).0);
    assert!(text.unwrap().split().is_err(), "a bool");
    assert!(GgufFile::join(vec![keys(Some(&[9, 0]), &[2, 0])]).is_err());
}

#[test]
fn a_meaning_of_number_42_holds_for_all_parts() {
    // 34 bytes for 128 elements in one part, 18 for 64 in the other.
    let part = |number: u8, name: &str, bytes: usize| {
        Raw::header(3, 1, 2)
            .key("split.no", 2, &[number, 0])
            .key("split.count", 2, &[2, 0])
            .tensor(name, &[128, 64], 42, 0)
            .data(32, &vec![0; bytes])
    };
    let [old, new] = [34 * 64, 36 * 64];
    join(&[&part(0, "a", new), &part(1, "b", new)]).unwrap();
    let text = fault(&[&part(0, "a", new), &part(1, "b", old)]);
    assert!(
        text.contains("type 42") && text.contains("part 2"),
        "{text}"
    );
}
