//! Classes of the transformers library that are supported.

/// What a class is, as far as `config.json` does not say.
#[derive(Debug)]
pub(in crate::hf) struct Class {
    /// In `architectures`.
    pub(in crate::hf) name: &'static str,
    /// `general.architecture` of a GGUF file.
    pub(in crate::hf) architecture: &'static str,
    /// `hidden_act`, or `hidden_activation`.
    pub(in crate::hf) activation: &'static str,
    pub(in crate::hf) sub_norms: bool,
    pub(in crate::hf) head_norms: bool,
    pub(in crate::hf) post_norms: bool,
    /// What is added to the weights of norms.
    pub(in crate::hf) norm_offset: f32,
    /// Rows of queries and keys are reordered, as GGUF files of the architecture have them.
    pub(in crate::hf) permuted: bool,
    /// Base of angles if nothing is said.
    pub(in crate::hf) theta: f64,
    /// The head is the embedding if nothing is said.
    pub(in crate::hf) tied: bool,
}

const PLAIN: Class = Class {
    name: "",
    architecture: "",
    activation: "silu",
    sub_norms: false,
    head_norms: false,
    post_norms: false,
    norm_offset: 0.0,
    permuted: false,
    theta: 10_000.0,
    tied: false,
};

const QWEN3: Class = Class {
    name: "Qwen3ForCausalLM",
    architecture: "qwen3",
    head_norms: true,
    ..PLAIN
};

const GEMMA3: Class = Class {
    name: "Gemma3ForCausalLM",
    architecture: "gemma3",
    activation: "gelu_pytorch_tanh",
    head_norms: true,
    post_norms: true,
    norm_offset: 1.0,
    theta: 1e6,
    tied: true,
    ..PLAIN
};

static CLASSES: [Class; 8] = [
    Class {
        name: "BitNetForCausalLM",
        architecture: "bitnet-b1.58",
        activation: "relu2",
        sub_norms: true,
        ..PLAIN
    },
    Class {
        name: "BitnetForCausalLM",
        architecture: "bitnet",
        sub_norms: true,
        ..PLAIN
    },
    Class {
        name: "LlamaForCausalLM",
        architecture: "llama",
        permuted: true,
        ..PLAIN
    },
    QWEN3,
    // Embedding models have no head, so that nothing but the embedding is left for one.
    Class {
        name: "Qwen3Model",
        tied: true,
        ..QWEN3
    },
    GEMMA3,
    Class {
        name: "Gemma3TextModel",
        ..GEMMA3
    },
    Class {
        name: "MiniCPMForCausalLM",
        architecture: "minicpm",
        permuted: true,
        ..PLAIN
    },
];

/// The class called `name`.
///
/// # Errors
/// The names there are.
pub(in crate::hf) fn find(name: &str) -> Result<&'static Class, String> {
    let found = CLASSES.iter().find(|class| class.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = CLASSES.iter().map(|class| class.name).collect();
        format!(
            "architecture '{}' is not supported; {} are",
            name.escape_default(),
            names.join(", ")
        )
    })
}
