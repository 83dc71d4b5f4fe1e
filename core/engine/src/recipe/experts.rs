//! Experts of a model file.

use tritone_formats::{GgufError, GgufFile};

use super::Experts;

/// What gates are kept below where files do not say.
const CLAMP: f32 = 7.0;

/// Width and number of experts, `ARCH.expert_*`.
pub(super) fn read<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    layers: usize,
) -> Result<(usize, Option<Experts>), String> {
    let text = |e: GgufError| e.to_string();
    let number = |key: &str, most: usize| -> Result<usize, String> {
        let key = format!("{architecture}.{key}");
        // Some programs write one number a layer.
        let all: Vec<usize> = match file.value::<usize>(&key) {
            Ok(Some(one)) => vec![one],
            Ok(None) => return Err(format!("{key} is missing")),
            Err(_) => file.require(&key).map_err(text)?,
        };
        match all.first() {
            Some(first) if all.iter().any(|other| other != first) => Err(format!(
                "{key} differs from layer to layer, which is not supported"
            )),
            Some(value) if (1..=most).contains(value) => Ok(*value),
            first => {
                let value = first.copied().unwrap_or(0);
                Err(format!("{key} is {value}; expected 1 to {most}"))
            }
        }
    };
    let ffn = number("expert_feed_forward_length", 131_072)?;
    let count = number("expert_count", 4096)?;
    let used = number("expert_used_count", count)?;
    // What is kept for every expert is only allocated for experts that are there.
    let rows = count.checked_mul(ffn).ok_or("the experts are too many")?;
    for layer in 0..layers {
        let name = format!("blk.{layer}.ffn_gate_exps.weight");
        let found = file.require_tensor(&name).map_err(text)?.rows();
        if found != rows {
            return Err(format!(
                "tensor '{name}' has {found} rows; {count} experts of {ffn} have {rows}"
            ));
        }
    }
    let key = format!("{architecture}.expert_shared_count");
    let shared: usize = file.value(&key).map_err(text)?.unwrap_or(0);
    if shared > 0 {
        return Err(format!(
            "{key} is {shared}: shared experts are not supported"
        ));
    }
    let key = format!("{architecture}.swiglu_clamp_exp");
    let clamps: Vec<f32> = match file.value::<f32>(&key) {
        Ok(Some(one)) => vec![one],
        Ok(None) => vec![CLAMP],
        Err(_) => file.require(&key).map_err(text)?,
    };
    let clamp = clamps.first().copied().unwrap_or(0.0);
    if !(clamp.is_finite() && clamp >= 0.0) || clamps.iter().any(|other| *other != clamp) {
        return Err(format!(
            "{key} is {clamps:?}; expected one number, at least 0, for all layers"
        ));
    }
    let clamp = Some(clamp).filter(|clamp| *clamp > 0.0);
    Ok((ffn, Some(Experts { count, used, clamp })))
}
