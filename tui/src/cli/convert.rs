//! `tritone convert`: the ternary weights of a model in another stored form.

mod directory;
mod file;

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use tritone_engine::{ModelSource, human_bytes};
use tritone_formats::TensorType;
use tritone_formats::codec::Rounding;
use tritone_formats::write::GgufWriter;

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
  tritone convert Falcon3-1B-Instruct-1.58bit --type i2_s a directory from Hugging Face
  tritone convert from-arm.gguf --i2s-layout arm --type i2_s --out everywhere.gguf";

/// `tritone convert`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// Model to read: a GGUF file, or a directory in the layout of the transformers library (config.json,
    /// safetensors, tokenizer.json); the one of --model if none is named.
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
    let named = args.file.as_deref().or(common.model.as_deref());
    let mut notes = Vec::new();
    let source = setup::named_source(named, &mut notes)?;
    for note in &notes {
        console.note(note);
    }
    let path = match &source {
        ModelSource::File(path) => Some(path.as_path()),
        ModelSource::Embedded { .. } => None,
    };
    let target = match &args.out {
        Some(path) => path.clone(),
        None => default_target(path, args.ty),
    };
    if path.is_some_and(|path| same_file(path, &target)) {
        let why = format!("'{}' would be written over itself", target.display());
        return Err(Usage(why).into());
    }
    refuse_existing(&target, args.force)?;
    let rounding = match args.lossy {
        true => Rounding::Nearest,
        false => Rounding::Exact,
    };
    let job = Job {
        target: &target,
        force: args.force,
        ty: args.ty,
        console,
        started: Instant::now(),
    };
    match path.filter(|path| path.is_dir()) {
        Some(directory) => directory::convert(directory, &job, rounding),
        None => {
            let layout = common.i2s_layout.unwrap_or_default();
            file::convert(&source, layout, &job, rounding)
        }
    }
}

/// Makes the bytes of a tensor.
type Bytes<'a> = Box<dyn FnOnce() -> anyhow::Result<Cow<'a, [u8]>> + 'a>;

/// What is written, and where to.
struct Job<'a> {
    target: &'a Path,
    force: bool,
    ty: TensorType,
    console: &'a Console,
    started: Instant,
}

impl Job<'_> {
    /// Writes a file of the tensors of `plan`, made from a model of this name and size.
    fn write<'b>(
        &self,
        plan: GgufWriter,
        (name, old_size): (&str, u64),
        tensors: impl Iterator<Item = (String, Bytes<'b>)>,
    ) -> anyhow::Result<ExitCode> {
        let target = self.target;
        let size = plan.file_len();
        check_space(target, size)?;
        let interrupt = Interrupt::listen()?;
        let writing = || format!("cannot write '{}'", target.display());
        let out = AtomicFile::create(target).with_context(writing)?;
        let mut body = plan.begin(out).with_context(writing)?;
        let mut meter = Meter::new(self.console, size);
        for (tensor, bytes) in tensors {
            let bytes = bytes().with_context(|| format!("cannot convert '{name}'"))?;
            body.write(&tensor, &bytes).with_context(writing)?;
            meter.advance(bytes.len() as u64);
            if interrupt.is_pressed() {
                return Ok(ExitCode::from(CANCELLED));
            }
        }
        let out = body.finish().with_context(writing)?;
        refuse_existing(target, self.force)?;
        out.finish().with_context(writing)?;
        drop(meter);
        writeln!(
            io::stdout(),
            "{}: {name} as {}, {} (was {}) in {:.1} s",
            target.display(),
            self.ty,
            human_bytes(size),
            human_bytes(old_size),
            self.started.elapsed().as_secs_f64(),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `model.gguf` becomes `model-tq2_0.gguf`, in the current directory.
fn default_target(path: Option<&Path>, ty: TensorType) -> PathBuf {
    let stem = path.and_then(|path| match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    });
    let stem = stem.map_or("tritone-tiny".into(), |stem| stem.to_string_lossy());
    format!("{stem}-{}.gguf", ty.name().to_lowercase()).into()
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
