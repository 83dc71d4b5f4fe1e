//! Types of tensors by name.

use tritone_formats::{I2sLayout, TensorType};

/// Types of ternary weights that can be written.
const TERNARY: [TensorType; 9] = [
    TensorType::I2S,
    TensorType::Tq1_0,
    TensorType::Tq2_0,
    TensorType::Q2_0,
    TensorType::Pq2_0,
    TensorType::Ptq1_0,
    TensorType::Iq1Bn,
    TensorType::Iq2Bn,
    TensorType::Iq2BnR4,
];

/// The ternary type of this name, by the names of the programs that read it.
pub(crate) fn ternary_type(name: &str) -> Result<TensorType, String> {
    let named = |ty: &&TensorType| ty.name().eq_ignore_ascii_case(name);
    TERNARY.iter().find(named).copied().ok_or_else(|| {
        let names = TERNARY.map(|ty| ty.name().to_lowercase());
        format!(
            "there is no ternary type of this name; {} can be written",
            names.join(", ")
        )
    })
}

/// The layout of I2_S tensors of this name.
pub(crate) fn i2s_layout(name: &str) -> Result<I2sLayout, String> {
    match name {
        "canonical" => Ok(I2sLayout::Canonical),
        "arm" => Ok(I2sLayout::Arm),
        "rows4" => Ok(I2sLayout::Rows4),
        _ => Err("expected canonical, arm or rows4".to_owned()),
    }
}
