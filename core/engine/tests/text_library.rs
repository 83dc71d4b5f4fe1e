//! Chat templates against the library for which they are written, and the built-in layouts against
//! templates of their families.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use serde_json::Value;
use std::sync::LazyLock;
use text_support::{BOS, Lists};
use tritone_engine::text::{
    ChatTemplate, Message, RenderOptions, Role, Specials, TextError, Tokenizer,
};

/// Made by `text_support/templates.py`.
static FILE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("text_support/templates.json")).unwrap());

const NAMES: [&str; 9] = [
    "bitnet", "llama3", "falcon3", "chatml", "minicpm", "qwen3", "qwen35", "gemma", "language",
];

/// Control tokens of all families.
const CONTROLS: [&str; 15] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|endoftext|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<s>",
    "</s>",
    "<|eot_id|>",
];

/// A tokenizer with `controls`, of which `bos` and `eos` begin and end texts.
fn with_controls(controls: &[&str], bos: Option<&str>, eos: Option<&str>) -> Tokenizer {
    let mut lists = Lists::tiny();
    for token in &mut lists.tokens[2032..] {
        token.extend(b"_not_used");
    }
    let names = ["<|begin_of_text|>"]
        .into_iter()
        .chain(controls.iter().copied());
    for (at, name) in (BOS as usize..).zip(names) {
        lists.tokens[at] = name.as_bytes().to_vec();
        lists.types[at] = 3;
    }
    let id = |name: Option<&str>| {
        let name = name?.as_bytes();
        lists
            .tokens
            .iter()
            .position(|token| token == name)
            .map(|id| id as u32)
    };
    let mut spec = lists.spec();
    (spec.bos, spec.eos, spec.eot, spec.pad) = (id(bos), id(eos), None, None);
    spec.add_bos = false;
    Tokenizer::from_spec(&spec).unwrap().0
}

fn chat(name: &str) -> Vec<Message> {
    let messages = FILE["chats"][name].as_array().unwrap().iter();
    let message = |message: &Value| {
        let role = Role::from_name(message[0].as_str().unwrap()).unwrap();
        Message::new(role, message[1].as_str().unwrap())
    };
    messages.map(message).collect()
}

/// The options of a case: generation prompt, thinking, and whether to go on with the last message.
fn options(case: &Value) -> RenderOptions<'static> {
    RenderOptions {
        add_generation_prompt: case[0].as_bool().unwrap(),
        thinking: case[1].as_bool(),
        continue_last: case[2].as_bool().unwrap(),
        date: Some("26 Jul 2024"),
    }
}

fn tokens(family: &Value) -> (Option<&str>, Option<&str>) {
    let token = |name: &str| family["tokens"].get(name).and_then(Value::as_str);
    (token("bos_token"), token("eos_token"))
}

#[test]
fn prompts_are_those_of_the_library() {
    for name in NAMES {
        let family = &FILE["templates"][name];
        let (bos, eos) = tokens(family);
        let tokenizer = with_controls(&CONTROLS, bos, eos);
        let source = family["template"].as_str().unwrap();
        let (template, notices) = ChatTemplate::new(Some(source), "llama", &tokenizer).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        assert_eq!(
            template.asks_for_thinking(),
            source.contains("enable_thinking"),
            "{name}"
        );
        let mut compared = 0;
        for case in family["cases"].as_array().unwrap() {
            let messages = chat(case[0].as_str().unwrap());
            for one in case[1].as_array().unwrap() {
                let what = format!("{name} {} {one}", case[0]);
                let rendered = template.render(&messages, &options(one));
                let Some(prompt) = case[2].as_str() else {
                    assert!(
                        rendered.is_err(),
                        "{what}: {:?}",
                        rendered.map(|r| r.text())
                    );
                    continue;
                };
                let rendered = rendered.unwrap_or_else(|err| panic!("{what}: {err}"));
                assert_eq!(rendered.text(), prompt, "{what}");
                // No token of the prompt that was in a message.
                let ids = tokenizer.encode_rendered(&rendered).unwrap();
                let controls = ids.iter().filter(|&&id| tokenizer.is_control(id)).count();
                let parsed = tokenizer.encode(prompt, Specials::Parse).unwrap();
                let all = parsed
                    .iter()
                    .filter(|&&id| tokenizer.is_control(id))
                    .count();
                let has = case[0] == "controls";
                assert!(if has { controls < all } else { controls == all }, "{what}");
                compared += 1;
            }
        }
        assert!(compared > 30, "{name}: {compared}");
    }
}

/// A layout for files without a template lays chats out as templates of the family do, where it is
/// as strict and knows the same roles.
#[test]
fn built_in_layouts_are_those_of_the_families() {
    type Wanted = fn(&str) -> bool;
    let layouts: [(&str, &str, &[&str], Wanted); 4] = [
        ("bitnet", "bitnet-b1.58", &["<|eot_id|>"], |_| true),
        ("chatml", "llama", &["<|im_start|>", "<|im_end|>"], |_| true),
        // It ends answers with EOS, of which a layout for files without a template knows nothing.
        (
            "falcon3",
            "llama",
            &["<|system|>", "<|user|>", "<|assistant|>"],
            |chat| matches!(chat, "user" | "system"),
        ),
        (
            "gemma",
            "llama",
            &["<start_of_turn>", "<end_of_turn>"],
            |chat| chat != "system_late",
        ),
    ];
    for (name, architecture, controls, wanted) in layouts {
        let family = &FILE["templates"][name];
        let (bos, eos) = tokens(family);
        let mut controls: Vec<&str> = controls.iter().copied().chain(bos).chain(eos).collect();
        controls.retain(|&control| control != "<|begin_of_text|>");
        controls.sort_unstable();
        controls.dedup();
        let tokenizer = with_controls(&controls, bos, eos);
        let (template, notices) = ChatTemplate::new(None, architecture, &tokenizer).unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        let mut compared = 0;
        for case in family["cases"].as_array().unwrap() {
            let chat_name = case[0].as_str().unwrap();
            let Some(prompt) = case[2].as_str() else {
                continue;
            };
            if !wanted(chat_name) {
                continue;
            }
            for one in case[1].as_array().unwrap() {
                let rendered = template.render(&chat(chat_name), &options(one)).unwrap();
                assert_eq!(rendered.text(), prompt, "{name} {chat_name} {one}");
                compared += 1;
            }
        }
        assert!(compared > 5, "{name}: {compared}");
    }
}

#[test]
fn a_message_that_the_template_changes_cannot_be_gone_on_with() {
    let tokenizer = with_controls(&CONTROLS, None, None);
    let on = RenderOptions {
        continue_last: true,
        ..RenderOptions::default()
    };
    let go_on = |source: &str, messages: &[Message]| {
        let (template, _) = ChatTemplate::new(Some(source), "llama", &tokenizer).unwrap();
        template
            .render(messages, &on)
            .map(|rendered| rendered.text())
    };
    let messages = [
        Message::new(Role::User, "a"),
        Message::new(Role::Assistant, "b c \u{F0000}"),
    ];
    let all = "{% for m in messages %}{{ m.content }}|{% endfor %}";
    assert_eq!(go_on(all, &messages).unwrap(), "a|b c \u{F0000}");
    for source in [
        "{{ messages[0].content }}",
        "{{ messages[1].content | upper }}{{ 1 }}",
        "{{ messages[1].content[2:] }}",
    ] {
        let result = go_on(source, &messages);
        assert_eq!(
            result.unwrap_err(),
            TextError::NothingToContinue,
            "{source}"
        );
    }
    assert_eq!(go_on(all, &[]).unwrap_err(), TextError::NothingToContinue);
    // Said twice, it ends where it was said last.
    let twice = "{{ messages[1].content }}/{{ messages[1].content }}!";
    assert_eq!(
        go_on(twice, &messages).unwrap(),
        "b c \u{F0000} /b c \u{F0000}"
    );
}
