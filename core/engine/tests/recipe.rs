//! What the metadata and the tensors of a file have to agree on.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use tritone_engine::Recipe;
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufFile, TensorType};

/// A file with an embedding of `columns` columns, and a head of its own unless it is tied.
fn recipe(columns: usize, tied: bool) -> Result<Recipe, String> {
    let mut plan = GgufWriter::new();
    plan.metadata("general.architecture", "bitnet-b1.58")
        .unwrap();
    for (key, value) in [
        ("block_count", 1u32),
        ("embedding_length", 128),
        ("feed_forward_length", 256),
        ("attention.head_count", 2),
        ("context_length", 64),
    ] {
        plan.metadata(&format!("bitnet-b1.58.{key}"), value)
            .unwrap();
    }
    plan.tensor("token_embd.weight", TensorType::F32, &[columns, 3])
        .unwrap();
    if !tied {
        plan.tensor("output.weight", TensorType::F32, &[128, 3])
            .unwrap();
    }
    let mut body = plan.begin(Vec::new()).unwrap();
    let zeros = vec![0; 4 * 3 * columns];
    body.write("token_embd.weight", &zeros).unwrap();
    if !tied {
        body.write("output.weight", &[0; 4 * 3 * 128]).unwrap();
    }
    Recipe::from_gguf(&GgufFile::new(body.finish().unwrap()).unwrap())
}

#[test]
fn an_embedding_of_another_width_is_refused_with_or_without_a_head_of_its_own() {
    for tied in [true, false] {
        assert_eq!(recipe(128, tied).unwrap().tied_head, tied);
        for columns in [64, 256] {
            let error = recipe(columns, tied).unwrap_err();
            let says = format!("rows of {columns}; bitnet-b1.58.embedding_length asks for 128");
            assert!(error.contains(&says), "{error}");
        }
    }
}

/// Experts that a file only claims to have.
#[test]
fn experts_have_to_be_there() {
    let recipe = |rows: usize| {
        let mut plan = GgufWriter::new();
        plan.metadata("general.architecture", "maple").unwrap();
        for (key, value) in [
            ("block_count", 1u32),
            ("embedding_length", 128),
            ("attention.head_count", 2),
            ("context_length", 64),
            ("expert_count", 4),
            ("expert_used_count", 2),
            ("expert_feed_forward_length", 32),
            ("attention.sliding_window", 8),
        ] {
            plan.metadata(&format!("maple.{key}"), value).unwrap();
        }
        plan.metadata("maple.attention.sliding_window_pattern", &[true][..])
            .unwrap();
        let mut names = vec![("token_embd.weight", 3), ("output.weight", 3)];
        names.extend((rows > 0).then_some(("blk.0.ffn_gate_exps.weight", rows)));
        for (name, rows) in &names {
            plan.tensor(name, TensorType::F32, &[128, *rows]).unwrap();
        }
        let mut body = plan.begin(Vec::new()).unwrap();
        for (name, rows) in &names {
            body.write(name, &vec![0; 4 * 128 * rows]).unwrap();
        }
        Recipe::from_gguf(&GgufFile::new(body.finish().unwrap()).unwrap())
    };
    assert_eq!(recipe(128).unwrap().experts.unwrap().count, 4);
    let says = "has 96 rows; 4 experts of 32 have 128";
    assert!(recipe(96).unwrap_err().contains(says));
    assert!(
        recipe(0)
            .unwrap_err()
            .contains("blk.0.ffn_gate_exps.weight")
    );
}
