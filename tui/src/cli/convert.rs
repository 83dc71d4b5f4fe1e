//! `tritone convert`: the ternary weights of a model in another stored form.

mod directory;
mod file;
mod safetensors;

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
use super::directory as places;
use super::failure::{CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::output::{Bytes, Meter, check_space, refuse_existing, write_tensors};
use super::{setup, types};

const EXAMPLES: &str = "\
Weights and scales stay what they are, so that the model computes the same; where the new type cannot
hold a scale exactly, nothing is written unless --lossy allows the nearest one. Floats that lie on a
ternary grid already, as some models are published, become ternary; without --type they and the
weights of directories get the type that holds them exactly. Ternary embeddings
become F16, which holds them. Everything else is copied. Parts of a model that is cut into several
files (NAME-00001-of-00003.gguf) are joined.

Type safetensors writes a model directory for the transformers library: packed weights with one scale a
matrix, config.json, the tokenizer and the chat template.

Examples:
  tritone convert bonsai-4b-PQ2_0.gguf --type ptq1_0        a fifth smaller, the same answers
  tritone convert bitnet-2b4t.gguf --type tq2_0 --lossy     for llama.cpp
  tritone convert Falcon3-1B-Instruct-1.58bit --type i2_s   a directory from Hugging Face
  tritone convert bonsai-8b-PQ2_0-00001-of-00003.gguf       three files become one
  tritone convert bonsai-8b-PQ2_0.gguf --split-size 500     and the other way round
  tritone convert fine-tuned.gguf --type safetensors        a directory for the transformers library
  tritone convert from-arm.gguf --i2s-layout arm --type i2_s --out everywhere.gguf";

/// `tritone convert`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// Model to read: a GGUF file, or a directory in the layout of the transformers library (config.json,
    /// safetensors, tokenizer.json); the one of --model if none is named.
    file: Option<PathBuf>,
    /// Type of the ternary weights: i2_s, tq1_0, tq2_0, q2_0, pq2_0, ptq1_0, iq1_bn, iq2_bn or
    /// iq2_bn_r4 [default: as they are]; or safetensors, for a model directory.
    #[arg(long = "type", value_name = "TYPE", value_parser = form)]
    form: Option<Form>,
    /// File to write [default: the name of the model, with the type, in the current directory].
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    /// Cut the model into several files of at most so many MB (10^6 bytes) of weights each.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    split_size: Option<u64>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Store the nearest scale where a type with scales of 16 bits cannot hold one exactly.
    #[arg(long)]
    lossy: bool,
    /// Round weights that are floats, and lie on no ternary grid, to ternary ones: `absmean` takes
    /// round(w / mean|w|) with one scale a matrix. Right for master weights of models that were
    /// trained so, the ruin of all others.
    #[arg(long, value_name = "HOW")]
    ternarise: Option<Ternarise>,
}

/// Most bytes in a file of a model directory, as the transformers library has long had it.
const SHARD: u64 = 5_000_000_000;

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A GGUF file with ternary weights of this type.
    Gguf(TensorType),
    /// A directory for the transformers library.
    Directory,
}

fn form(name: &str) -> Result<Form, String> {
    if name.eq_ignore_ascii_case("safetensors") {
        return Ok(Form::Directory);
    }
    let ty = types::ternary_type(name).map_err(|error| format!("{error}; so can safetensors"))?;
    Ok(Form::Gguf(ty))
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
        ModelSource::Open { .. } | ModelSource::Embedded { .. } => None,
    };
    let place = path.and_then(places::of);
    let path = place.as_deref().or(path);
    let target = match &args.out {
        Some(path) => path.clone(),
        None => default_target(path, args.form),
    };
    if path.is_some_and(|path| same_file(path, &target)) {
        let why = format!("'{}' would be written over itself", target.display());
        return Err(Usage(why).into());
    }
    let layout = common.i2s_layout.unwrap_or_default();
    let ty = match args.form {
        None => None,
        Some(Form::Gguf(ty)) => Some(ty),
        Some(Form::Directory) => {
            let target = safetensors::Target {
                path: &target,
                shard: args.split_size.map_or(SHARD, |mb| mb * 1_000_000),
                console,
            };
            return safetensors::convert(&source, layout, &target);
        }
    };
    refuse_existing(&target, args.force)?;
    let job = Job {
        target: &target,
        rounding: match args.lossy {
            true => Rounding::Nearest,
            false => Rounding::Exact,
        },
        ternarise: args.ternarise,
        force: args.force,
        ty,
        most: args.split_size.map_or(u64::MAX, |mb| mb * 1_000_000),
        console,
        started: Instant::now(),
    };
    match &place {
        Some(place) => directory::convert(place, &job),
        None => file::convert(&source, layout, &job),
    }
}

/// How floats become ternary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Ternarise {
    /// By the mean of their magnitudes, as BitNet does it in training.
    Absmean,
}

/// What is written, and where to.
struct Job<'a> {
    target: &'a Path,
    rounding: Rounding,
    ternarise: Option<Ternarise>,
    force: bool,
    ty: Option<TensorType>,
    /// Bytes of weights in a file.
    most: u64,
    console: &'a Console,
    started: Instant,
}

impl Job<'_> {
    /// Writes the tensors of `plan`, made from a model of this name and size.
    fn write<'b>(
        &self,
        plan: GgufWriter,
        (name, old_size): (&str, u64),
        mut tensors: impl Iterator<Item = (String, Bytes<'b>)>,
    ) -> anyhow::Result<ExitCode> {
        let parts = plan.split(self.most)?;
        let count = parts.len();
        let targets: Vec<PathBuf> = match count {
            1 => vec![self.target.to_owned()],
            _ => (1..=count).map(|part| self.part(part, count)).collect(),
        };
        let size = parts.iter().map(GgufWriter::file_len).sum();
        check_space(self.target, size)?;
        let interrupt = Interrupt::listen()?;
        let mut meter = Meter::new(self.console, size);
        let (mut before, mut files) = (0, Vec::new());
        for (part, target) in parts.into_iter().zip(&targets) {
            refuse_existing(target, self.force)?;
            let writing = || format!("cannot write '{}'", target.display());
            let out = AtomicFile::create(target).with_context(writing)?;
            let mut last = 0;
            let mut written = |done: u64| {
                last = done;
                meter.show(before + done);
                !interrupt.is_pressed()
            };
            let out = write_tensors(part, out, &mut tensors, &mut written);
            let Some(out) = out.with_context(|| format!("cannot convert '{name}'"))? else {
                return Ok(ExitCode::from(CANCELLED));
            };
            before += last;
            files.push(out);
        }
        for (out, target) in files.into_iter().zip(&targets) {
            refuse_existing(target, self.force)?;
            let writing = || format!("cannot write '{}'", target.display());
            out.finish().with_context(writing)?;
        }
        drop(meter);
        let ty = self.ty.map(|ty| format!(" as {ty}"));
        let first = targets.first().map_or(self.target, PathBuf::as_path);
        let files = match count {
            1 => String::new(),
            _ => format!(" in {count} files"),
        };
        writeln!(
            io::stdout(),
            "{}: {name}{}, {}{files} (was {}) in {:.1} s",
            first.display(),
            ty.unwrap_or_default(),
            human_bytes(size),
            human_bytes(old_size),
            self.started.elapsed().as_secs_f64(),
        )?;
        Ok(ExitCode::SUCCESS)
    }

    /// The file of a part: `model.gguf` in two is `model-00001-of-00002.gguf` and the second one.
    fn part(&self, part: usize, count: usize) -> PathBuf {
        let stem = self.target.file_stem().unwrap_or_default();
        let mut name = stem.to_owned();
        name.push(format!("-{part:05}-of-{count:05}.gguf"));
        self.target.with_file_name(name)
    }
}

/// `model.gguf` becomes `model-tq2_0.gguf` or the directory `model-safetensors`, in the current
/// directory, and `model-00001-of-00003.gguf` becomes `model.gguf`.
fn default_target(path: Option<&Path>, form: Option<Form>) -> PathBuf {
    let stem = path.and_then(|path| match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    });
    let stem = stem.map_or("tritone-tiny".into(), |stem| stem.to_string_lossy());
    let stem = whole_name(&stem).unwrap_or(&stem);
    match form {
        Some(Form::Gguf(ty)) => format!("{stem}-{}.gguf", ty.name().to_lowercase()).into(),
        Some(Form::Directory) => format!("{stem}-safetensors").into(),
        None => format!("{stem}.gguf").into(),
    }
}

/// The name without the numbers of a part.
fn whole_name(stem: &str) -> Option<&str> {
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, part) = rest.rsplit_once('-')?;
    (digits(count) && digits(part)).then_some(name)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
