//! A chat template and the contents of two messages from the fuzzer: rendered, encoded and
//! decoded again.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tritone_engine::text::{
    ChatTemplate, Message, RenderOptions, Role, Specials, Tokenizer, TokenizerSpec,
};

/// One token for every byte, and two control tokens.
static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let moved = (0..=255).filter(|byte| !printable(byte)).count() as u32;
    let letters = (0..=255).filter(printable).chain(0x100..0x100 + moved);
    let mut tokens: Vec<String> = letters
        .filter_map(char::from_u32)
        .map(String::from)
        .collect();
    let bos = tokens.len() as u32;
    tokens.extend(["<|begin_of_text|>".to_owned(), "<|eot_id|>".to_owned()]);
    let spec = TokenizerSpec {
        model: "gpt2",
        pre: Some("llama-bpe"),
        architecture: "bitnet-b1.58",
        tokens: tokens.iter().map(String::as_bytes).collect(),
        bos: Some(bos),
        eot: Some(bos + 1),
        ..TokenizerSpec::default()
    };
    Tokenizer::from_spec(&spec)
        .expect("a vocabulary of all bytes")
        .0
});

fuzz_target!(|input: (String, String, String)| {
    let (source, first, second) = input;
    let tokenizer = &*TOKENIZER;
    for content in [&first, &second] {
        let ids = tokenizer
            .encode(content, Specials::Plain)
            .expect("all text has tokens");
        assert!(!ids.iter().any(|&id| tokenizer.is_control(id)));
        assert_eq!(&tokenizer.decode(&ids), content);
    }
    let Ok((template, _)) = ChatTemplate::new(Some(&source), "bitnet-b1.58", tokenizer) else {
        return;
    };
    let messages = [
        Message::new(Role::User, first),
        Message::new(Role::Assistant, second),
    ];
    if let Ok(rendered) = template.render(&messages, &RenderOptions::default()) {
        let ids = tokenizer
            .encode_rendered(&rendered)
            .expect("all text has tokens");
        let bytes = ids
            .iter()
            .flat_map(|&id| tokenizer.decode_bytes(id))
            .copied()
            .collect();
        assert_eq!(
            String::from_utf8(bytes).as_deref(),
            Ok(rendered.text().as_str())
        );
    }
});
