//! `tritone synth`: a model of a published shape with random weights.
//!
//! Speed does not depend on what the weights say, so a file made here measures what a download
//! would.

mod random;
mod shape;
mod vocabulary;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tritone_engine::{human_bytes, open_gguf};
use tritone_formats::write::{GgufBody, GgufWriter};
use tritone_formats::{TensorType, codec};

use super::args::CommonArgs;
use super::atomic::AtomicFile;
use super::console::Console;
use super::failure::{CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::output::{Meter, check_space, refuse_existing};
use super::{setup, types};
use random::Stream;
use shape::{Content, SHAPES, Shape, Tensor};

const EXAMPLES: &str = "\
Common options that count here: --seed decides the weights, --head the type of embedding and output
head: f16, q8_0, q6_k, q4_0, or a ternary type [default: that of the published files].

Examples:
  tritone synth --shape 2b4t --out synthetic.gguf && tritone bench --model synthetic.gguf
  tritone synth --shape bonsai-4b --type ptq1_0";

/// `tritone synth`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SynthArgs {
    /// Shape of the model.
    #[arg(long, default_value = "2b4t", value_parser = shape_parser())]
    shape: Shape,
    /// Type of the ternary matrices: i2_s, tq1_0, tq2_0, q2_0, pq2_0, ptq1_0, iq1_bn, iq2_bn,
    /// iq2_bn_r4 [default: that of the published files].
    #[arg(long = "type", value_name = "TYPE", value_parser = types::ternary_type)]
    ty: Option<TensorType>,
    /// Layers, if not as many as the shape has.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    layers: Option<u16>,
    /// File to write [default: synthetic-SHAPE.gguf].
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Take the vocabulary of this model file, not the built-in model's. A vocabulary smaller than
    /// the shape's is filled up with tokens nobody uses.
    #[arg(long, value_name = "FILE")]
    vocab_from: Option<PathBuf>,
}

fn shape_parser() -> impl TypedValueParser<Value = Shape> {
    let values = SHAPES.map(|shape| PossibleValue::new(shape.name).help(shape.summary));
    PossibleValuesParser::new(values).try_map(|name| {
        let shape = SHAPES.into_iter().find(|shape| shape.name == name);
        shape.ok_or("no such shape")
    })
}

/// The type of the embedding that `--head` names, by llama.cpp's names or the short ones.
fn embedding(head: &str) -> anyhow::Result<TensorType> {
    match head {
        "f16" => Ok(TensorType::F16),
        "q8_0" | "q8" => Ok(TensorType::Q8_0),
        "q6_k" | "q6" => Ok(TensorType::Q6K),
        "q4_0" | "q4" => Ok(TensorType::Q4_0),
        other => types::ternary_type(other).map_err(|_| {
            let why = format!(
                "--head {other:?} cannot be written; f16, q8_0, q6_k, q4_0 and the types of --type can"
            );
            Usage(why).into()
        }),
    }
}

/// Standard deviation of embeddings: what published models start their training with.
const EMBEDDING_SIGMA: f32 = 0.02;
/// Bytes of ternary codes that are made at a time.
const PART: usize = 1 << 20;
/// Rows of ternary weights with scales of their own that are made at a time.
const PART_ROWS: usize = 64;
/// Most rows that a type interleaves.
const INTERLEAVED: usize = 4;

/// Runs the command.
pub(crate) fn run(
    args: &SynthArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let mut shape = args.shape;
    if let Some(layers) = args.layers {
        shape.layers = layers.into();
    }
    if let Some(ty) = args.ty {
        shape.ternary = ty;
    }
    if let Some(head) = &common.head {
        shape.embedding = embedding(head)?;
    }
    let tensors = shape.tensors();
    let mut plan = GgufWriter::new();
    shape.describe(&tensors, &mut plan)?;
    plan_vocabulary(args, &shape, &mut plan)?;
    Shape::plan(&tensors, &mut plan)?;

    let default = || format!("synthetic-{}.gguf", shape.name).into();
    let target: PathBuf = args.out.clone().unwrap_or_else(default);
    refuse_existing(&target, args.force)?;
    let size = plan.file_len();
    check_space(&target, size)?;
    let interrupt = Interrupt::listen()?;
    let started = Instant::now();
    let writing = || format!("cannot write '{}'", target.display());
    let file = AtomicFile::create(&target).with_context(writing)?;
    let mut writer = Writer {
        body: plan.begin(file).with_context(writing)?,
        seed: common.seed.unwrap_or(0),
        meter: Meter::new(console, size),
        interrupt: &interrupt,
    };
    for tensor in &tensors {
        if !writer.write(tensor).with_context(writing)? {
            return Ok(ExitCode::from(CANCELLED));
        }
    }
    let Writer { body, meter, .. } = writer;
    let file = body.finish().with_context(writing)?;
    refuse_existing(&target, args.force)?;
    file.finish().with_context(writing)?;
    drop(meter);

    writeln!(
        io::stdout(),
        "{}: {} with {} layers, {} in {:.1} s; random weights, for measurements only",
        target.display(),
        shape.name,
        shape.layers,
        human_bytes(size),
        started.elapsed().as_secs_f64(),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn plan_vocabulary(args: &SynthArgs, shape: &Shape, plan: &mut GgufWriter) -> anyhow::Result<()> {
    let source = setup::source(args.vocab_from.as_deref());
    let taken = open_gguf(&source).map_err(anyhow::Error::from);
    taken
        .and_then(|base| vocabulary::plan(&base, shape.vocab, plan))
        .with_context(|| format!("cannot take the vocabulary of '{}'", source.name()))
}

/// Makes an output the sum of so many terms that activations keep their size; embeddings have the
/// deviation they have elsewhere.
fn scale(tensor: &Tensor) -> f32 {
    if tensor.name.starts_with("blk.") {
        1.0 / (tensor.columns as f32 * random::DENSITY).sqrt()
    } else {
        EMBEDDING_SIGMA / random::DENSITY.sqrt()
    }
}

/// Fills tensors and writes them out.
struct Writer<'a> {
    body: GgufBody<AtomicFile>,
    seed: u64,
    meter: Meter,
    interrupt: &'a Interrupt,
}

impl Writer<'_> {
    /// Writes a tensor; `false` when interrupted.
    fn write(&mut self, tensor: &Tensor) -> anyhow::Result<bool> {
        let mut random = Stream::new(self.seed, &tensor.name);
        match tensor.content {
            Content::Constant(value) => {
                self.put(tensor, &value.to_le_bytes().repeat(tensor.columns))
            }
            Content::Embedding(ty) => {
                let (mut row, mut bytes) = (vec![0.0; tensor.columns], Vec::new());
                for _ in 0..tensor.rows {
                    random.fill_normal(EMBEDDING_SIGMA, &mut row);
                    bytes.clear();
                    codec::encode_row(ty, &row, &mut bytes)?;
                    if !self.put(tensor, &bytes)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Content::Ternary(TensorType::I2S) => {
                let pairs = random::code_pairs();
                let len = tensor.rows * tensor.columns / 4;
                let mut part = vec![0; len.min(PART)];
                for start in (0..len).step_by(PART) {
                    let codes = &mut part[..(len - start).min(PART)];
                    random.fill_codes(&pairs, codes);
                    if !self.put(tensor, codes)? {
                        return Ok(false);
                    }
                }
                let mut tail = [0; 32];
                tail[..4].copy_from_slice(&scale(tensor).to_le_bytes());
                self.put(tensor, &tail)
            }
            Content::Ternary(ty) => self.write_scaled(tensor, ty, random),
        }
    }

    /// Ternary weights of a type with many scales.
    fn write_scaled(
        &mut self,
        tensor: &Tensor,
        ty: TensorType,
        mut random: Stream,
    ) -> anyhow::Result<bool> {
        let (pairs, columns) = (random::code_pairs(), tensor.columns);
        let stored = vec![0; ty.tensor_bytes(&[columns, INTERLEAVED])?];
        let span = codec::Ternary::new(ty, &stored, INTERLEAVED, columns)?.span();
        let reach = match span {
            codec::Span::Columns(reach) => reach,
            codec::Span::Row | codec::Span::Tensor => columns,
        };
        let (mut codes, mut ternary) = (Vec::new(), Vec::new());
        for first in (0..tensor.rows).step_by(PART_ROWS) {
            let rows = PART_ROWS.min(tensor.rows - first);
            codes.resize(rows * columns / 4, 0);
            random.fill_codes(&pairs, &mut codes);
            ternary.clear();
            ternary.extend(codec::ternary_values(&codes));
            let mut values = vec![0.0; rows * columns / reach];
            random.fill_normal(0.1, &mut values);
            for value in &mut values {
                *value = scale(tensor) * (1.0 + *value);
            }
            let scales = match span {
                codec::Span::Columns(columns) => codec::Scales::Group { columns, values },
                codec::Span::Row | codec::Span::Tensor => codec::Scales::Row(values),
            };
            let (shape, nearest) = ((rows, columns), codec::Rounding::Nearest);
            let bytes = codec::encode_ternary(ty, &ternary, shape, &scales, nearest)?;
            if !self.put(tensor, &bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put(&mut self, tensor: &Tensor, part: &[u8]) -> anyhow::Result<bool> {
        self.body.write(&tensor.name, part)?;
        self.meter.advance(part.len() as u64);
        Ok(!self.interrupt.is_pressed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_named_as_elsewhere() {
        assert_eq!(embedding("f16").unwrap(), TensorType::F16);
        assert_eq!(embedding("q6_k").unwrap(), TensorType::Q6K);
        assert_eq!(embedding("q6").unwrap(), TensorType::Q6K);
        assert_eq!(embedding("pq2_0").unwrap(), TensorType::Pq2_0);
        assert!(embedding("q5_1").is_err());
        assert_eq!(types::ternary_type("pq2_0"), Ok(TensorType::Pq2_0));
        assert!(
            types::ternary_type("tl2")
                .unwrap_err()
                .contains("iq2_bn_r4")
        );
    }
}
