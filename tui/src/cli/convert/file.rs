//! A GGUF file as the source.

use std::borrow::Cow;

use anyhow::Context as _;
use tritone_engine::{ModelBytes, ModelSource, open_gguf};
use tritone_formats::codec::{self, CodecError, Grid, Scales};
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufFile, I2sLayout, TensorType, TensorView};

use super::Job;
use crate::cli::output::Bytes;

/// Writes the tensors of `source` with ternary weights of another type.
pub(super) fn convert(
    source: &ModelSource,
    layout: I2sLayout,
    job: &Job<'_>,
) -> anyhow::Result<std::process::ExitCode> {
    let name = source.name();
    let reading = || format!("cannot read '{name}'");
    let mut file = open_gguf(source)?;
    file.set_i2s_layout(layout).with_context(reading)?;
    let types = file.tensors().map(|tensor| new_type(&tensor, job));
    let types: anyhow::Result<Vec<_>> = types.collect();
    let types = types.with_context(reading)?;
    let plan = plan(&file, &types, job.ty).with_context(reading)?;
    let tensors = file.tensors().zip(types).map(|(tensor, ty)| {
        let bytes: Bytes<'_> = Box::new(move || bytes(&tensor, ty, job));
        (tensor.name().to_owned(), bytes)
    });
    job.write(plan, (&name, file.file_len()), tensors)
}

/// The bytes of a tensor in the new file.
fn bytes<'a>(
    tensor: &TensorView<'a>,
    ty: TensorType,
    job: &Job<'_>,
) -> anyhow::Result<Cow<'a, [u8]>> {
    match ty {
        ty if ty == tensor.ty() => Ok(Cow::Borrowed(tensor.bytes()?)),
        TensorType::F16 => halves(tensor).map(Cow::Owned),
        ty => ternary(tensor, ty, job)
            .with_context(|| format!("tensor '{}' cannot become {ty}", tensor.name()))
            .map(Cow::Owned),
    }
}

/// What becomes of a tensor's type: the matrices of the layers take the new one, ternary tables
/// become halves, the rest stays. Without a new one all stays, but for layouts that nothing in a
/// file could tell, and for floats, which get the type that holds them exactly.
fn new_type(tensor: &TensorView<'_>, job: &Job<'_>) -> anyhow::Result<TensorType> {
    let old = tensor.ty();
    let matrix = is_matrix(tensor.name());
    Ok(match (job.ty, old) {
        (None, TensorType::I2sArm | TensorType::I2sRows4) => TensorType::I2S,
        (Some(new), old) if matrix && (old.is_ternary() || is_float(old)) => new,
        (Some(_), old) if old.is_ternary() => TensorType::F16,
        (None, old) if matrix && is_float(old) => {
            let (_, scales) = floats(tensor, job)?;
            let ty = codec::lossless_type(&scales, tensor.columns());
            ty.with_context(|| {
                let name = tensor.name();
                format!(
                    "no type holds the scales of '{name}' exactly; --type with --lossy rounds them"
                )
            })?
        }
        (_, old) => old,
    })
}

fn is_float(ty: TensorType) -> bool {
    [TensorType::F32, TensorType::F16, TensorType::Bf16].contains(&ty)
}

/// Whether a tensor is a ternary matrix of a layer, going by its name.
fn is_matrix(name: &str) -> bool {
    let inner = name
        .strip_prefix("blk.")
        .and_then(|name| name.strip_suffix(".weight"));
    inner
        .and_then(|inner| inner.split_once('.'))
        .is_some_and(|(_, inner)| {
            [
                "attn_q",
                "attn_k",
                "attn_v",
                "attn_output",
                "ffn_gate",
                "ffn_up",
                "ffn_down",
            ]
            .contains(&inner)
        })
}

/// llama.cpp's and bitnet.cpp's number for a file whose weights mostly have this type.
fn file_type(ty: TensorType) -> Option<u32> {
    match ty {
        TensorType::I2S => Some(40),
        TensorType::Tq1_0 => Some(36),
        TensorType::Tq2_0 => Some(37),
        TensorType::Q2_0 => Some(41),
        _ => None,
    }
}

fn plan(
    file: &GgufFile<ModelBytes>,
    types: &[TensorType],
    ty: Option<TensorType>,
) -> anyhow::Result<GgufWriter> {
    let mut plan = GgufWriter::new();
    let changed = |(tensor, ty): (TensorView<'_>, &TensorType)| tensor.ty() != *ty;
    let changed = file.tensors().zip(types).any(changed);
    for (key, value) in file.metadata() {
        // What the new file says about itself, or what is wrong for it.
        let own = key == "general.alignment" || (key == "general.file_type" && changed);
        if !own && !key.starts_with("split.") {
            plan.metadata(key, value)?;
        }
    }
    if changed && let Some(number) = ty.and_then(file_type) {
        plan.metadata("general.file_type", number)?;
    }
    for (tensor, ty) in file.tensors().zip(types) {
        plan.tensor(tensor.name(), *ty, tensor.dims())?;
    }
    anyhow::ensure!(
        types.iter().any(|ty| ty.is_ternary()),
        "it has no ternary weights"
    );
    Ok(plan)
}

/// The weights and scales of a matrix of floats.
fn floats(tensor: &TensorView<'_>, job: &Job<'_>) -> anyhow::Result<Grid> {
    let (rows, columns) = (tensor.rows(), tensor.columns());
    let mut values = vec![0.0; rows * columns];
    for (row, out) in values.chunks_exact_mut(columns).enumerate() {
        tensor.decode_row(row, out)?;
    }
    let name = tensor.name();
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        anyhow::bail!("tensor '{name}' holds {} at {at}", values[at]);
    }
    match job.ternarise {
        Some(super::Ternarise::Absmean) => Ok(codec::absmean(&values)),
        None => codec::ternary_grid(&values, columns).with_context(|| {
            format!(
                "tensor '{name}' is {} and not ternary; --ternarise absmean rounds master weights of \
                 models that were trained so, and ruins others",
                tensor.ty()
            )
        }),
    }
}

/// The weights and scales of a matrix of any type.
fn weights(tensor: &TensorView<'_>, job: &Job<'_>) -> anyhow::Result<Grid> {
    if is_float(tensor.ty()) {
        return floats(tensor, job);
    }
    let source = tensor.ternary()?;
    let (rows, columns) = (source.rows(), source.columns());
    let mut ternary = Vec::with_capacity(rows * columns);
    let mut codes = vec![0; columns / 4];
    for row in 0..rows {
        source.canonical_row(row, &mut codes)?;
        ternary.extend(codec::ternary_values(&codes));
    }
    Ok((ternary, source.scales()?))
}

fn ternary(tensor: &TensorView<'_>, ty: TensorType, job: &Job<'_>) -> anyhow::Result<Vec<u8>> {
    let (ternary, scales) = weights(tensor, job)?;
    let shape = (tensor.rows(), tensor.columns());
    let encoded = codec::encode_ternary(ty, &ternary, shape, &scales, job.rounding);
    encoded.map_err(|error| match error {
        CodecError::InexactScale { .. } => {
            anyhow::Error::new(error).context("--lossy allows the nearest scale")
        }
        CodecError::ScaleVaries { .. } => {
            let finer = match scales {
                Scales::Group { columns, .. } => format!("groups of {columns} columns"),
                Scales::Row(_) | Scales::Tensor(_) => "rows".to_owned(),
            };
            let why = format!("its scales belong to {finer}; choose a type that has those");
            anyhow::Error::new(error).context(why)
        }
        error => error.into(),
    })
}

/// A ternary table in binary16: a scale of at most 16 bits stays what it is.
fn halves(tensor: &TensorView<'_>) -> anyhow::Result<Vec<u8>> {
    let mut row = vec![0.0; tensor.columns()];
    let mut bytes = Vec::with_capacity(2 * tensor.elements());
    for i in 0..tensor.rows() {
        tensor.decode_row(i, &mut row)?;
        codec::encode_row(TensorType::F16, &row, &mut bytes)?;
    }
    Ok(bytes)
}
