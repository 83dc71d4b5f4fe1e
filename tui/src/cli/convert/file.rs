//! A GGUF file as the source.

use std::borrow::Cow;

use anyhow::Context as _;
use tritone_engine::{ModelBytes, ModelSource, open_gguf};
use tritone_formats::codec::{self, CodecError, Rounding, Scales};
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufFile, I2sLayout, TensorType, TensorView};

use super::Job;

/// Writes the tensors of `source` with ternary weights of another type.
pub(super) fn convert(
    source: &ModelSource,
    layout: I2sLayout,
    job: &Job<'_>,
    rounding: Rounding,
) -> anyhow::Result<std::process::ExitCode> {
    let name = source.name();
    let reading = || format!("cannot read '{name}'");
    let mut file = open_gguf(source)?;
    file.set_i2s_layout(layout).with_context(reading)?;
    let plan = plan(&file, job.ty).with_context(reading)?;
    let tensors = file.tensors().map(|tensor| {
        let bytes: super::Bytes<'_> = Box::new(move || bytes(&tensor, job.ty, rounding));
        (tensor.name().to_owned(), bytes)
    });
    job.write(plan, (&name, file.file_len()), tensors)
}

/// The bytes of a tensor in the new file.
fn bytes<'a>(
    tensor: &TensorView<'a>,
    ty: Option<TensorType>,
    rounding: Rounding,
) -> anyhow::Result<Cow<'a, [u8]>> {
    match new_type(tensor, ty) {
        ty if ty == tensor.ty() => Ok(Cow::Borrowed(tensor.bytes()?)),
        TensorType::F16 => halves(tensor).map(Cow::Owned),
        ty => ternary(tensor, ty, rounding)
            .with_context(|| format!("tensor '{}' cannot become {ty}", tensor.name()))
            .map(Cow::Owned),
    }
}

/// What becomes of a tensor's type: the matrices of the layers take the new one, ternary tables
/// become halves, the rest stays. Without a new one all stays, but for layouts that nothing in a
/// file could tell.
fn new_type(tensor: &TensorView<'_>, ty: Option<TensorType>) -> TensorType {
    match (ty, tensor.ty()) {
        (None, TensorType::I2sArm | TensorType::I2sRows4) => TensorType::I2S,
        (Some(new), old) if old.is_ternary() => match tensor.name().starts_with("blk.") {
            true => new,
            false => TensorType::F16,
        },
        (_, old) => old,
    }
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

fn plan(file: &GgufFile<ModelBytes>, ty: Option<TensorType>) -> anyhow::Result<GgufWriter> {
    let mut plan = GgufWriter::new();
    for (key, value) in file.metadata() {
        // What the new file says about itself, or what is wrong for it.
        let own = key == "general.alignment" || (key == "general.file_type" && ty.is_some());
        if !own && !key.starts_with("split.") {
            plan.metadata(key, value)?;
        }
    }
    if let Some(number) = ty.and_then(file_type) {
        plan.metadata("general.file_type", number)?;
    }
    let mut ternary = 0;
    for tensor in file.tensors() {
        let ty = new_type(&tensor, ty);
        plan.tensor(tensor.name(), ty, tensor.dims())?;
        ternary += usize::from(tensor.ty().is_ternary());
    }
    anyhow::ensure!(ternary > 0, "it has no ternary weights");
    Ok(plan)
}

fn ternary(tensor: &TensorView<'_>, ty: TensorType, rounding: Rounding) -> anyhow::Result<Vec<u8>> {
    let source = tensor.ternary()?;
    let (rows, columns) = (source.rows(), source.columns());
    let mut ternary = Vec::with_capacity(rows * columns);
    let mut codes = vec![0; columns / 4];
    for row in 0..rows {
        source.canonical_row(row, &mut codes)?;
        ternary.extend(codec::ternary_values(&codes));
    }
    let scales = source.scales()?;
    let shape = (rows, columns);
    let encoded = codec::encode_ternary(ty, &ternary, shape, &scales, rounding);
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
