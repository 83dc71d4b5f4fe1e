//! The embedded model, against the same weights in their other published form.
//!
//! Safetensors files of BitNet models pack four *rows* to a byte (row `i * R + r` in bits `2i` of
//! byte row `r`, R = rows / 4), so agreement says that neither reading is transposed or shuffled.

#![allow(clippy::unwrap_used, reason = "a helper of tests opens the file")]

use safetensors::SafeTensors;
use tritone_formats::{GgufFile, StrArray, TensorType};

const GGUF: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
);
const SAFETENSORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/tritone-tiny/hf/model.safetensors"
);

fn open() -> GgufFile<Vec<u8>> {
    GgufFile::new(std::fs::read(GGUF).unwrap()).unwrap()
}

#[test]
fn metadata_is_what_the_model_card_says() {
    let file = open();
    assert_eq!(
        file.require::<&str>("general.architecture").unwrap(),
        "bitnet-b1.58"
    );
    assert_eq!(file.require::<u32>("bitnet-b1.58.block_count").unwrap(), 6);
    assert_eq!(
        file.require::<usize>("bitnet-b1.58.embedding_length")
            .unwrap(),
        256
    );
    assert_eq!(
        file.require::<f32>("bitnet-b1.58.rope.freq_base").unwrap(),
        10_000.0
    );
    assert!(
        file.require::<bool>("tokenizer.ggml.add_bos_token")
            .unwrap()
    );
    let tokens = file
        .require::<StrArray<'_>>("tokenizer.ggml.tokens")
        .unwrap();
    assert_eq!(tokens.len(), 2048);
    let offsets = tokens.offsets();
    assert_eq!(tokens.at(offsets[2032]), Some(&b"<|begin_of_text|>"[..]));
    assert_eq!(tokens.at(offsets[2041]), Some(&b"<|eot_id|>"[..]));
    assert_eq!(
        file.require::<StrArray<'_>>("tokenizer.ggml.merges")
            .unwrap()
            .len(),
        1776
    );
    assert_eq!(
        file.require::<Vec<i32>>("tokenizer.ggml.token_type")
            .unwrap()
            .len(),
        2048
    );
    assert_eq!(file.tensors().len(), 68);
    assert_eq!(file.metadata().count(), 27);
}

#[test]
#[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
fn ternary_weights_equal_the_packed_safetensors() {
    let file = open();
    let other = std::fs::read(SAFETENSORS).unwrap();
    let other = SafeTensors::deserialize(&other).unwrap();
    let names = [
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];
    let mut compared = 0;
    for layer in 0..6 {
        for (ours, theirs) in names {
            let tensor = file
                .require_tensor(&format!("blk.{layer}.{ours}.weight"))
                .unwrap();
            let theirs = format!("model.layers.{layer}.{theirs}");
            let packed = other.tensor(&format!("{theirs}.weight")).unwrap();
            let scale = other.tensor(&format!("{theirs}.weight_scale")).unwrap();
            let scale = f32::from_bits(
                u32::from(u16::from_le_bytes(scale.data().try_into().unwrap())) << 16,
            );

            let ternary = tensor.ternary().unwrap();
            let (rows, columns) = (ternary.rows(), ternary.columns());
            assert_eq!(packed.shape(), [rows / 4, columns], "{theirs}");
            assert!(
                (ternary.row_scales(0).unwrap()[0] / scale - 1.0).abs() < 1.0 / 128.0,
                "{theirs}"
            );

            let mut canonical = vec![0; columns / 4];
            for row in 0..rows {
                ternary.canonical_row(row, &mut canonical).unwrap();
                let (field, byte_row) = (row / (rows / 4), row % (rows / 4));
                for column in 0..columns {
                    let ours = canonical[column / 4] >> (2 * (column % 4)) & 3;
                    let theirs = packed.data()[byte_row * columns + column] >> (2 * field) & 3;
                    assert_eq!(
                        ours,
                        theirs,
                        "{}: row {row}, column {column}",
                        tensor.name()
                    );
                }
                compared += columns;
            }
        }
    }
    assert_eq!(
        compared,
        6 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 768)
    );
}

#[test]
#[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
fn embeddings_equal_the_safetensors() {
    let file = open();
    let embeddings = file.require_tensor("token_embd.weight").unwrap();
    assert_eq!(embeddings.ty(), TensorType::F16);
    let other = std::fs::read(SAFETENSORS).unwrap();
    let other = SafeTensors::deserialize(&other).unwrap();
    let other = other.tensor("model.embed_tokens.weight").unwrap();
    let mut row = [0.0; 256];
    for (token, stored) in other.data().chunks_exact(512).enumerate() {
        embeddings.decode_row(token, &mut row).unwrap();
        for (x, bits) in row.iter().zip(stored.chunks_exact(2)) {
            let bits = u16::from_le_bytes([bits[0], bits[1]]);
            let y = f32::from_bits(u32::from(bits) << 16);
            // One side is rounded to 8 bits, the other to 11, or to the f16 subnormal step.
            assert!(
                (x - y).abs() <= y.abs() / 256.0 + 3e-8,
                "token {token}: {x} and {y}"
            );
        }
    }
}
