//! What an architecture name says that the metadata does not.

use tritone_abi::{GateKind, RopeStyle};

/// A row of the table of architectures.
pub(super) struct Family {
    /// `general.architecture`.
    pub(super) name: &'static str,
    pub(super) gate: GateKind,
    pub(super) style: RopeStyle,
    pub(super) sub_norms: bool,
    pub(super) head_norms: bool,
    /// Models of this architecture, for people.
    pub(super) models: &'static str,
}

/// Architectures this program runs.
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "bitnet-b1.58",
        gate: GateKind::Relu2,
        style: RopeStyle::Half,
        sub_norms: true,
        head_norms: false,
        models: "BitNet b1.58 2B4T",
    },
    // The name the same model had in April 2025.
    Family {
        name: "bitnet-25",
        gate: GateKind::Relu2,
        style: RopeStyle::Half,
        sub_norms: true,
        head_norms: false,
        models: "BitNet b1.58 2B4T, first upload",
    },
    Family {
        name: "bitnet",
        gate: GateKind::Silu,
        style: RopeStyle::Half,
        sub_norms: true,
        head_norms: false,
        models: "1bitLLM bitnet_b1_58",
    },
    // Converters reorder the rows of queries and keys, so that neighbours are paired.
    Family {
        name: "llama",
        gate: GateKind::Silu,
        style: RopeStyle::Interleaved,
        sub_norms: false,
        head_norms: false,
        models: "Falcon3-1.58bit, Falcon-E, Llama3-8B-1.58, TriLM",
    },
    Family {
        name: "qwen3",
        gate: GateKind::Silu,
        style: RopeStyle::Half,
        sub_norms: false,
        head_norms: true,
        models: "Ternary Bonsai, BitNet embedding 0.6B",
    },
];

/// The family of an architecture.
///
/// # Errors
/// The names there are.
pub(super) fn find(architecture: &str) -> Result<&'static Family, String> {
    let family = FAMILIES.iter().find(|family| family.name == architecture);
    family.ok_or_else(|| {
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
