//! `tritone convert`: the ternary weights of a model file in another stored form.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use tritone_engine::{ModelBytes, human_bytes};
use tritone_formats::codec::{self, CodecError, Rounding, Scales};
use tritone_formats::write::{GgufBody, GgufWriter};
use tritone_formats::{GgufFile, TensorType, TensorView};

use super::args::CommonArgs;
use super::atomic::AtomicFile;
use super::console::Console;
use super::failure::{CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::output::{Meter, check_space, refuse_existing};
use super::{setup, types};

const EXAMPLES: &str = "\
Weights and scales stay what they are, so that the model computes the same; where the new type cannot
hold a scale exactly, nothing is written unless --lossy allows the nearest one. Ternary embeddings
become F16, which holds them. Everything else is copied.

Examples:
  tritone convert bonsai-4b-PQ2_0.gguf --type ptq1_0      a fifth smaller, the same answers
  tritone convert bitnet-2b4t.gguf --type tq2_0 --lossy   for llama.cpp
  tritone convert from-arm.gguf --i2s-layout arm --type i2_s --out everywhere.gguf";

/// `tritone convert`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// Model file to read (GGUF); the one of --model if none is named.
    file: Option<PathBuf>,
    /// Type of the ternary weights: i2_s, tq1_0, tq2_0, q2_0, pq2_0, ptq1_0, iq1_bn, iq2_bn or
    /// iq2_bn_r4.
    #[arg(long = "type", value_name = "TYPE", value_parser = types::ternary_type)]
    ty: TensorType,
    /// File to write [default: the name of the model file, with the type].
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Store the nearest scale where a type with scales of 16 bits cannot hold one exactly.
    #[arg(long)]
    lossy: bool,
}

/// Runs the command.
pub(crate) fn run(
    args: &ConvertArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let path = args.file.as_deref().or(common.model.as_deref());
    let source = setup::source(path);
    let name = source.name();
    let reading = || format!("cannot read '{name}'");
    let mut file = GgufFile::new(ModelBytes::open(&source)?).with_context(reading)?;
    file.set_i2s_layout(common.i2s_layout.unwrap_or_default())
        .with_context(reading)?;
    let target = match &args.out {
        Some(path) => path.clone(),
        None => default_target(path, args.ty),
    };
    if path.is_some_and(|path| same_file(path, &target)) {
        let why = format!("'{}' would be written over itself", target.display());
        return Err(Usage(why).into());
    }
    refuse_existing(&target, args.force)?;

    let plan = plan(&file, args.ty).with_context(reading)?;
    let size = plan.file_len();
    check_space(&target, size)?;
    let interrupt = Interrupt::listen()?;
    let started = Instant::now();
    let writing = || format!("cannot write '{}'", target.display());
    let out = AtomicFile::create(&target).with_context(writing)?;
    let mut writer = Writer {
        body: plan.begin(out).with_context(writing)?,
        ty: args.ty,
        rounding: match args.lossy {
            true => Rounding::Nearest,
            false => Rounding::Exact,
        },
        meter: Meter::new(console, size),
        interrupt: &interrupt,
    };
    for tensor in file.tensors() {
        if !writer.write(tensor)? {
            return Ok(ExitCode::from(CANCELLED));
        }
    }
    let Writer { body, meter, .. } = writer;
    let out = body.finish().with_context(writing)?;
    refuse_existing(&target, args.force)?;
    out.finish().with_context(writing)?;
    drop(meter);
    writeln!(
        io::stdout(),
        "{}: {} as {}, {} (was {}) in {:.1} s",
        target.display(),
        name,
        args.ty,
        human_bytes(size),
        human_bytes(file.bytes().len() as u64),
        started.elapsed().as_secs_f64(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// `model.gguf` becomes `model-tq2_0.gguf`, in the current directory.
fn default_target(path: Option<&Path>, ty: TensorType) -> PathBuf {
    let stem = path.and_then(Path::file_stem);
    let stem = stem.map_or("tritone-tiny".into(), |stem| stem.to_string_lossy());
    format!("{stem}-{}.gguf", ty.name().to_lowercase()).into()
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// What becomes of a tensor's type: the matrices of the layers take the new one, ternary tables
/// become halves, the rest stays.
fn new_type(tensor: &TensorView<'_>, ty: TensorType) -> TensorType {
    match (tensor.ty().is_ternary(), tensor.name().starts_with("blk.")) {
        (true, true) => ty,
        (true, false) => TensorType::F16,
        (false, _) => tensor.ty(),
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

fn plan(file: &GgufFile<ModelBytes>, ty: TensorType) -> anyhow::Result<GgufWriter> {
    let mut plan = GgufWriter::new();
    for (key, value) in file.metadata() {
        // What the new file says about itself, or what is wrong for it.
        let own = ["general.alignment", "general.file_type"].contains(&key);
        if !own && !key.starts_with("split.") {
            plan.metadata(key, value)?;
        }
    }
    if let Some(number) = file_type(ty) {
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

/// Reads, changes and writes tensors.
struct Writer<'a> {
    body: GgufBody<AtomicFile>,
    ty: TensorType,
    rounding: Rounding,
    meter: Meter,
    interrupt: &'a Interrupt,
}

impl Writer<'_> {
    /// Writes a tensor; `false` when interrupted.
    fn write(&mut self, tensor: TensorView<'_>) -> anyhow::Result<bool> {
        let name = tensor.name();
        let bytes = match new_type(&tensor, self.ty) {
            ty if ty == tensor.ty() => {
                self.body.write(name, tensor.bytes()?)?;
                self.meter.advance(tensor.bytes()?.len() as u64);
                return Ok(!self.interrupt.is_pressed());
            }
            TensorType::F16 => halves(&tensor)?,
            ty => self
                .ternary(&tensor, ty)
                .with_context(|| format!("tensor '{name}' cannot become {ty}"))?,
        };
        self.body.write(name, &bytes)?;
        self.meter.advance(bytes.len() as u64);
        Ok(!self.interrupt.is_pressed())
    }

    fn ternary(&self, tensor: &TensorView<'_>, ty: TensorType) -> anyhow::Result<Vec<u8>> {
        let source = tensor.ternary()?;
        let (rows, columns) = (source.rows(), source.columns());
        let mut ternary = Vec::with_capacity(rows * columns);
        let mut codes = vec![0; columns / 4];
        for row in 0..rows {
            source.canonical_row(row, &mut codes)?;
            ternary.extend(codes.iter().flat_map(|byte| {
                [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6].map(|code| code as i8 - 1)
            }));
        }
        let scales = source.scales()?;
        let shape = (rows, columns);
        let encoded = codec::encode_ternary(ty, &ternary, shape, &scales, self.rounding);
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
