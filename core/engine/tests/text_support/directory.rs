//! A tokenizer of a directory, whatever its files hold; for tests and the fuzz target `tokenizer_json`.

use tritone_engine::text::{ChatTemplate, Specials, StopSet, Tokenizer, TokenizerSpec};
use tritone_formats::GgufFile;
use tritone_formats::hf::{HfFiles, HfTokenizer};
use tritone_formats::write::GgufWriter;

/// As small as a configuration can be.
const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "vocab_size": 300, "hidden_size": 256,
    "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    "quantization_config": {"quant_method": "bitnet"}}"#;

const TEXTS: [&str; 4] = ["", "a  ab\n\n", " <s>é字👍", "\u{2581}e\u{301}<|im_end|>"];

/// Takes `tokenizer.json`, and behind a NUL `tokenizer_config.json`. Whether it becomes a tokenizer.
pub(crate) fn exercise(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (tokenizer, companion) = match text.split_once('\0') {
        Some((tokenizer, companion)) => (tokenizer, Some(companion)),
        None => (&*text, None),
    };
    let files = HfFiles {
        config: CONFIG,
        tokenizer: Some(tokenizer),
        tokenizer_config: companion,
        ..HfFiles::default()
    };
    let Ok(made) = HfTokenizer::new(&files) else {
        return false;
    };
    let mut plan = GgufWriter::new();
    made.plan(&mut plan).expect("keys are planned once");
    let body = plan.begin(Vec::new()).expect("memory takes everything");
    let bytes = body.finish().expect("no tensors are missing");
    let file = GgufFile::new(bytes).expect("what was written can be read");
    let spec = TokenizerSpec::from_gguf(&file, "llama").expect("all keys are there");
    // The engine has demands of its own, such as a token for every byte.
    let Ok((tokenizer, _)) = Tokenizer::from_spec(&spec) else {
        return false;
    };
    for text in TEXTS {
        let ids = tokenizer
            .encode(text, Specials::Plain)
            .expect("all text has tokens");
        assert!(!ids.iter().any(|&id| tokenizer.is_control(id)));
        let _ = tokenizer.decode(&ids);
    }
    let _ = StopSet::new(&tokenizer);
    let template = file
        .value::<&str>("tokenizer.chat_template")
        .expect("it is text");
    let _ = ChatTemplate::new(template, "llama", &tokenizer);
    true
}
