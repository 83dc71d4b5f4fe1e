//! The recipe of a model in words.

use tritone_abi::GateKind;
use tritone_engine::{Recipe, Rope, RopeScaling};

/// What differs from model to model, without a label.
pub(super) fn words(recipe: &Recipe) -> String {
    let mut parts = vec![norms(recipe)];
    parts.push(match &recipe.rope {
        Some(rope) => rotation(rope, recipe.head_dim),
        None => "no rotation".to_owned(),
    });
    let windows = (0..recipe.layers.len()).filter_map(|layer| recipe.window(layer));
    if let Some(narrowest) = windows.clone().min() {
        parts.push(format!(
            "{} layers with windows of {narrowest}",
            windows.count()
        ));
    }
    parts.push(
        match recipe.gate {
            GateKind::Relu2 => "gate ReLU squared",
            GateKind::Silu => "gate SiLU",
            GateKind::GeluTanh => "gate GELU (tanh)",
        }
        .to_owned(),
    );
    parts.push(
        match recipe.tied_head {
            true => "head tied to the embeddings",
            false => "head of its own",
        }
        .to_owned(),
    );
    parts.push(match recipe.weight_group {
        None => "one scale a matrix".to_owned(),
        Some(columns) => format!("scales of {columns} columns"),
    });
    parts.join("; ")
}

fn norms(recipe: &Recipe) -> String {
    let more: Vec<_> = [
        (recipe.sub_norms, "sub-norms"),
        (recipe.head_norms, "norms of queries and keys"),
        (recipe.post_norms, "norms behind"),
        (recipe.input_norms, "norms in every product"),
    ]
    .into_iter()
    .filter_map(|(there, name)| there.then_some(name))
    .collect();
    let with = match more.is_empty() {
        true => String::new(),
        false => format!(" with {}", more.join(" and ")),
    };
    format!("RMSNorm {:e}{with}", recipe.eps)
}

fn rotation(rope: &Rope, head_dim: usize) -> String {
    let over = match rope.dims == head_dim {
        true => String::new(),
        false => format!(" over {} of {head_dim}", rope.dims),
    };
    let scaled = match &rope.scaling {
        RopeScaling::None => String::new(),
        RopeScaling::Linear { factor } => format!(", divided by {factor}"),
        RopeScaling::Yarn { factor, original } => format!(", YaRN {factor} x {original}"),
        RopeScaling::Factors { original, .. } => format!(", LongRoPE beyond {original}"),
    };
    format!("RoPE {}{over}{scaled}", rope.theta)
}
