//! Models as directories of the transformers library, and back.

use std::path::Path;

use serde_json::{Map, json};
use tritone_formats::codec::Rounding;
use tritone_formats::hf::{HfExport, HfFiles, HfModel, HfPart};
use tritone_formats::{GgufFile, TensorType};

use super::trial::run;
use crate::reference::{Random, Shape};

/// What is to be said of directories of the family.
pub(crate) fn trial(shape: Shape) -> String {
    let model = Random::new(shape, 7).file();
    let file = GgufFile::new(&model[..]).unwrap();
    let export = match HfExport::new(&file) {
        Ok(export) => export,
        Err(error) => {
            return match error.to_string() {
                why if why.contains("no class") => "no class packs it".to_owned(),
                why if why.contains("belong to") => "its scales are finer".to_owned(),
                why => format!("**{why}**"),
            };
        }
    };
    let text = |name: &str| {
        let found = export.texts.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| text.as_str())
    };
    let shard = shard(&file, &export.tensors);
    let shards: [&[u8]; 1] = [&shard];
    let files = HfFiles {
        config: text("config.json").unwrap(),
        tokenizer: text("tokenizer.json"),
        tokenizer_config: text("tokenizer_config.json"),
        generation_config: text("generation_config.json"),
        chat_template: text("chat_template.jinja"),
        shards: &shards,
    };
    let back = HfModel::new(&files).unwrap();
    let plan = back
        .plan("back", Some(TensorType::Iq2Bn), &mut |_| true)
        .unwrap();
    let mut body = plan.writer.begin(Vec::new()).unwrap();
    for tensor in &plan.tensors {
        let bytes = back.bytes(tensor, Rounding::Exact).unwrap();
        body.write(&tensor.name, &bytes).unwrap();
    }
    let back = body.finish().unwrap();
    let logits = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        run(AsRef::<Path>::as_ref(file.path()))
    };
    match (logits(&model), logits(&back)) {
        (Ok(one), Ok(other)) if one == other => "packed".to_owned(),
        (Ok(_), Ok(_)) => "**other logits**".to_owned(),
        (Err(why), _) | (_, Err(why)) => format!("**{why}**"),
    }
}

/// A safetensors file.
fn shard(file: &GgufFile<&[u8]>, parts: &[HfPart]) -> Vec<u8> {
    let (mut tensors, mut data) = (Map::new(), Vec::new());
    for part in parts {
        let start = data.len();
        data.extend_from_slice(&part.bytes(file).unwrap());
        let entry = json!({
            "dtype": part.dtype.name(),
            "shape": part.shape,
            "data_offsets": [start, data.len()],
        });
        tensors.insert(part.name.clone(), entry);
    }
    let header = json!(tensors).to_string();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &data,
    ]
    .concat()
}
