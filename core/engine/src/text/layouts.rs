//! Chat layouts for files without a template, or with a wrong one.

use super::Tokenizer;

/// A known layout.
pub(super) struct Layout {
    /// For people.
    pub(super) name: &'static str,
    /// The tokens it writes besides BOS; a model that has all of them was trained with it.
    tokens: &'static [&'static str],
    /// Its Jinja source.
    pub(super) source: &'static str,
}

/// BitNet b1.58 2B4T: no line breaks between messages, which its report prints with some.
static BITNET: Layout = Layout {
    name: "BitNet b1.58 2B4T",
    tokens: &["<|eot_id|>"],
    source: "\
        {% for message in messages %}{{ bos_token if loop.first }}\
        {{ message.role | capitalize }}: {{ message.content | trim }}<|eot_id|>{% endfor %}\
        {% if add_generation_prompt %}Assistant: {% endif %}",
};

/// Layouts that are told by their control tokens.
static BY_TOKENS: [Layout; 4] = [
    Layout {
        name: "ChatML",
        tokens: &["<|im_start|>", "<|im_end|>"],
        source: "\
            {% for message in messages %}<|im_start|>{{ message.role }}{{ '\\n' }}\
            {{ message.content }}<|im_end|>{{ '\\n' }}{% endfor %}\
            {% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{% endif %}",
    },
    Layout {
        name: "Llama 3",
        tokens: &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        source: "\
            {% for message in messages %}{{ bos_token if loop.first }}\
            <|start_header_id|>{{ message.role }}<|end_header_id|>{{ '\\n\\n' }}\
            {{ message.content | trim }}<|eot_id|>{% endfor %}\
            {% if add_generation_prompt %}\
            <|start_header_id|>assistant<|end_header_id|>{{ '\\n\\n' }}{% endif %}",
    },
    Layout {
        name: "Falcon 3",
        tokens: &["<|user|>", "<|assistant|>"],
        source: "\
            {% for message in messages %}<|{{ message.role }}|>{{ '\\n' }}\
            {{ message.content }}{{ '\\n' }}{% endfor %}\
            {% if add_generation_prompt %}<|assistant|>{{ '\\n' }}{% endif %}",
    },
    // The system message goes in front of the first question: there is no turn for it.
    Layout {
        name: "Gemma",
        tokens: &["<start_of_turn>", "<end_of_turn>"],
        source: "\
            {{ bos_token }}{% set ns = namespace(system='') %}\
            {% for message in messages %}{% if message.role == 'system' %}\
            {% set ns.system = message.content ~ '\\n\\n' %}{% else %}\
            <start_of_turn>{{ 'model' if message.role == 'assistant' else 'user' }}{{ '\\n' }}\
            {{ ns.system }}{{ message.content | trim }}<end_of_turn>{{ '\\n' }}\
            {% set ns.system = '' %}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}<start_of_turn>model{{ '\\n' }}{% endif %}",
    },
];

/// For models that were trained with none.
static PLAIN: Layout = Layout {
    name: "plain text",
    tokens: &[],
    source: "\
        {% for message in messages %}{{ message.role | capitalize }}: \
        {{ message.content | trim }}{{ '\\n' }}{% endfor %}\
        {% if add_generation_prompt %}Assistant:{% endif %}",
};

impl Layout {
    /// A token that the layout needs and the tokenizer lacks.
    pub(super) fn lacks(&self, tokenizer: &Tokenizer) -> Option<&'static str> {
        let missing = |token: &&&str| tokenizer.id_of(token).is_none();
        self.tokens.iter().find(missing).copied()
    }
}

/// The layout of 2B4T, for the architectures of that model.
pub(super) fn bitnet(architecture: &str) -> Option<&'static Layout> {
    matches!(architecture, "bitnet-b1.58" | "bitnet-25").then_some(&BITNET)
}

/// The layout for a file without a template, and what the user should know about it.
pub(super) fn without_template(
    architecture: &str,
    tokenizer: &Tokenizer,
) -> (&'static Layout, String) {
    let candidates = bitnet(architecture).into_iter().chain(&BY_TOKENS);
    let mut fitting = candidates.filter(|layout| layout.lacks(tokenizer).is_none());
    let known = fitting.next();
    match known {
        Some(layout) => (
            layout,
            format!(
                "the file has no chat template; using the one of {}",
                layout.name
            ),
        ),
        None => (
            &PLAIN,
            "the file has no chat template and no tokens of a known one: this looks like a base \
             model, which goes on with a text rather than answering; messages are written as \
             `User: ...` and `Assistant:`"
                .to_owned(),
        ),
    }
}
