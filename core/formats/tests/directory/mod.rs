//! A model directory from anywhere, for the fuzz target and the tests that replay its corpus.

use tritone_formats::GgufFile;
use tritone_formats::codec::Rounding;
use tritone_formats::hf::{HfError, HfFiles, HfModel};

/// Takes `input` for `config.json` and, behind a NUL, a safetensors file, and converts what is in them. A
/// file that comes of it is sound; the value is the number of its tensors.
pub(crate) fn exercise(input: &[u8]) -> Result<usize, HfError> {
    let (config, weights) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    let config = String::from_utf8_lossy(config);
    let files = HfFiles {
        config: &config,
        shards: &[weights],
        ..HfFiles::default()
    };
    let model = HfModel::new(&files).inspect_err(|error| assert!(!error.to_string().is_empty()))?;
    let plan = model.plan("fuzz", None, &mut |_| true)?;
    let mut data = Vec::new();
    for tensor in &plan.tensors {
        data.push(model.bytes(tensor, Rounding::Exact)?);
    }
    let length = plan.writer.file_len();
    let written = plan.writer.begin(Vec::new()).and_then(|mut body| {
        for (tensor, data) in plan.tensors.iter().zip(&data) {
            body.write(&tensor.name, data)?;
        }
        body.finish()
    });
    let written = written?;
    assert_eq!(written.len() as u64, length);
    let file = GgufFile::new(written);
    let Ok(file) = file else {
        panic!("what was written is no GGUF file: {:?}", file.err());
    };
    for tensor in file.tensors() {
        let mut row = vec![0.0; tensor.columns()];
        for number in [0, tensor.rows() - 1] {
            assert!(tensor.decode_row(number, &mut row).is_ok(), "{tensor:?}");
        }
    }
    Ok(file.tensors().len())
}
