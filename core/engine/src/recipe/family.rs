//! What an architecture name says that the metadata does not.

use tritone_abi::{GateKind, RopeStyle};

use super::rope::Windows;
use super::scales::Scaling;

/// A row of the table of architectures.
pub(super) struct Family {
    /// `general.architecture`.
    pub(super) name: &'static str,
    pub(super) gate: GateKind,
    pub(super) style: RopeStyle,
    pub(super) sub_norms: bool,
    pub(super) head_norms: bool,
    pub(super) post_norms: bool,
    pub(super) scaling: Scaling,
    pub(super) windows: Windows,
    /// Whether layers without a window are rotated where others have one.
    pub(super) rotates_all: bool,
    pub(super) experts: bool,
    /// Layers of gated DeltaNet among those with attention, whose result has a gate (Qwen3-Next).
    pub(super) hybrid: bool,
    /// Name of the norm in front of the feed-forward part.
    pub(super) ffn_norm: &'static str,
    /// Models of this architecture, for people.
    pub(super) models: &'static str,
}

/// What most families are: LLaMA with halves of heads rotated together.
const PLAIN: Family = Family {
    name: "",
    gate: GateKind::Silu,
    style: RopeStyle::Half,
    sub_norms: false,
    head_norms: false,
    post_norms: false,
    scaling: Scaling::Plain,
    windows: Windows::Never,
    rotates_all: true,
    experts: false,
    hybrid: false,
    ffn_norm: "ffn_norm",
    models: "",
};

/// Architectures this program runs.
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "bitnet-b1.58",
        gate: GateKind::Relu2,
        sub_norms: true,
        models: "BitNet b1.58 2B4T",
        ..PLAIN
    },
    // The name the same model had in April 2025.
    Family {
        name: "bitnet-25",
        gate: GateKind::Relu2,
        sub_norms: true,
        models: "BitNet b1.58 2B4T, first upload",
        ..PLAIN
    },
    Family {
        name: "bitnet",
        sub_norms: true,
        models: "1bitLLM bitnet_b1_58",
        ..PLAIN
    },
    // Converters reorder the rows of queries and keys, so that neighbours are paired.
    Family {
        name: "llama",
        style: RopeStyle::Interleaved,
        models: "Falcon3-1.58bit, Falcon-E, Llama3-8B-1.58, TriLM",
        ..PLAIN
    },
    Family {
        name: "qwen3",
        head_norms: true,
        models: "Ternary Bonsai, BitNet embedding 0.6B",
        ..PLAIN
    },
    Family {
        name: "gemma3",
        gate: GateKind::GeluTanh,
        head_norms: true,
        post_norms: true,
        scaling: Scaling::Gemma,
        windows: Windows::ButOneOf(6),
        models: "BitNet embedding 270M",
        ..PLAIN
    },
    // Its converter reorders rows as that of `llama` does.
    Family {
        name: "minicpm",
        style: RopeStyle::Interleaved,
        scaling: Scaling::MiniCpm,
        models: "BitCPM4",
        ..PLAIN
    },
    Family {
        name: "maple",
        head_norms: true,
        windows: Windows::Listed,
        rotates_all: false,
        experts: true,
        models: "DeepGrove Maple",
        ..PLAIN
    },
    Family {
        name: "qwen35",
        head_norms: true,
        hybrid: true,
        ffn_norm: "post_attention_norm",
        models: "Ternary Bonsai 27B, Bonsai 2",
        ..PLAIN
    },
];

/// The family of an architecture.
///
/// # Errors
/// The names there are.
pub(super) fn find(architecture: &str) -> Result<&'static Family, String> {
    let family = FAMILIES.iter().find(|family| family.name == architecture);
    family.ok_or_else(|| {
        let other = match architecture {
            "clip" => "a vision projector (mmproj), which turns pictures into input for a model",
            "dspark" => "a draft model, which guesses tokens for another one",
            _ => "",
        };
        if !other.is_empty() {
            return format!(
                "architecture '{architecture}' is {other}; give the file of the language model itself"
            );
        }
        let known: Vec<_> = FAMILIES
            .iter()
            .map(|family| format!("'{}' ({})", family.name, family.models))
            .collect();
        format!(
            "architecture '{}' is not supported; this version runs {}",
            architecture.escape_default(),
            known.join(", ")
        )
    })
}
