//! The perplexity of a text, and how far two models are apart on it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tritone_abi::KvFormat;
use tritone_engine::sample::LogSoftmax;
use tritone_engine::{Forms, Model, Want};

use super::args::EvalArgs;
use super::base::{Base, Logits};
use super::report::{self, Report};
use super::score::{self, Scorer};
use super::stats::{Distance, Pair, Perplexity};
use super::windows::{Rule, Window, Windows};
use crate::app::meter::Meter;
use crate::cli::args::CommonArgs;
use crate::cli::console::{Console, Progress};
use crate::cli::failure::{BadRequest, CANCELLED};
use crate::cli::interrupt::Interrupt;
use crate::cli::setup::{self, Setup};
use crate::view::format;

/// The longest text that is read.
const MOST_TEXT: u64 = 256 << 20;
/// Tokens of a window, as llama.cpp has it.
const WINDOW: usize = 512;

/// Runs the command for a text.
pub(super) fn run(
    args: &EvalArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common)?;
    let interrupt = Interrupt::listen()?;
    let model = Arc::new(setup.open_and_say(console, &interrupt)?);
    let mut notes = setup.notes.clone();
    notes.extend(model.notices().iter().cloned());
    let logits = match &args.against {
        Some(path) if args.against_logits() => Some(Logits::open(path)?),
        _ => None,
    };
    let other = match &args.against {
        Some(path) if logits.is_none() => {
            let source = setup::named_source(Some(path), &mut notes)?;
            Some(Arc::new(Model::open_as(
                &source,
                common.i2s_layout.unwrap_or_default(),
            )?))
        }
        _ => None,
    };
    let windows = match &logits {
        Some(logits) => one_window(logits, &model)?,
        None => windows(args, common, &model, other.as_deref(), &mut notes)?,
    };

    let capacity = score::capacity(windows.size(), setup.profile().prefill_chunk);
    let choice = setup.choose(&model);
    let planned = setup.plan_for(&model, &*choice.kernel, setup.forms(&model), capacity);
    notes.extend(planned.note.clone());
    notes.extend(setup.choice_note(&choice));
    for note in &notes {
        console.note(note);
    }
    let mut line = console.progress();
    let mut scorer = score::load(
        &setup,
        &model,
        capacity,
        setup.forms(&model),
        planned.limit,
        (&mut line, &interrupt),
    )?;
    let forms = other_forms(args, &setup, other.as_ref().unwrap_or(&model));
    let base = match logits {
        Some(logits) => Base::Logits(logits),
        None if args.compares() => {
            let used = scorer.runner().plan().total();
            let other = other.as_ref().unwrap_or(&model);
            let kernel = setup.choose(other).kernel;
            let limit = setup.plan_for(other, &*kernel, forms, capacity).limit;
            // A limit that was asked for holds for both together.
            let limit = match planned.note {
                None => limit.saturating_sub(used),
                Some(_) => limit,
            };
            let place = (&mut line, &interrupt);
            let scorer = score::load(&setup, other, capacity, forms, limit, place)?;
            Base::Model(Box::new(scorer))
        }
        None => Base::None,
    };
    let mut pass = Pass {
        model: &model,
        base,
        text: Perplexity::default(),
        distance: args.compares().then(Distance::default),
        row: Vec::new(),
        windows: 0,
        tokens: 0,
    };
    let begin = Instant::now();
    let most = args.windows.map_or(usize::MAX, |most| most as usize);
    let count = windows.count().min(most);
    let complete = pass.all(&windows, count, &mut scorer, &interrupt, &mut line)?;
    line.clear();
    if pass.windows == 0 {
        return Ok(ExitCode::from(CANCELLED));
    }
    let other = match &pass.base {
        Base::None => None,
        Base::Logits(_) => args.against.as_ref().map(|path| path.display().to_string()),
        Base::Model(_) => {
            let name = other.as_ref().unwrap_or(&model).recipe().name.clone();
            Some(format!("{name} ({})", report::forms(forms)))
        }
    };
    Report {
        model: &model,
        setup: &setup,
        scorer: &scorer,
        windows: (pass.windows, windows.count()),
        size: windows.size(),
        stride: args.stride,
        tokens: pass.tokens,
        text: &pass.text,
        distance: pass.distance.as_ref(),
        against: other,
        complete,
        took: begin.elapsed(),
        notes: &notes,
    }
    .print(args.json)?;
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CANCELLED)
    })
}

/// The forms to compare with: those in use, but for what was named.
fn other_forms(args: &EvalArgs, setup: &Setup, model: &Model) -> Forms {
    let mut forms = setup.forms(model);
    forms.head = args.against_head.unwrap_or(forms.head);
    if let Some(kv) = &args.against_kv {
        forms.kv = match kv.as_str() {
            "q8" => KvFormat::Q8,
            "f32" => KvFormat::F32,
            _ => KvFormat::F16,
        };
    }
    forms
}

/// The text, cut into windows.
fn windows(
    args: &EvalArgs,
    common: &CommonArgs,
    model: &Model,
    other: Option<&Model>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Windows> {
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let text = read(path)?;
    let encode = |model: &Model| -> anyhow::Result<Vec<u32>> {
        let mut tokens = model
            .tokenizer()
            .encode_document(&text)
            .map_err(|error| BadRequest(format!("cannot split '{}': {error}", path.display())))?;
        // No document ends here.
        if model.tokenizer().around_document().1.is_some() {
            tokens.pop();
        }
        Ok(tokens)
    };
    let tokens = encode(model)?;
    if let Some(other) = other
        && (other.recipe().vocab != model.recipe().vocab || encode(other)? != tokens)
    {
        let why = format!(
            "{} and {} split the text into different tokens, so that there is nothing to compare",
            model.source(),
            other.source()
        );
        return Err(BadRequest(why).into());
    }
    let asked = common
        .ctx
        .map(|ctx| usize::try_from(ctx).unwrap_or(usize::MAX));
    let trained = model.recipe().trained_context;
    let size = asked.unwrap_or_else(|| WINDOW.min(trained));
    if size > trained {
        notes.push(format!(
            "windows of {size} tokens, but the model was trained for {trained}"
        ));
    }
    if tokens.len() < size {
        notes.push(format!(
            "the text has {} tokens only: it is one window",
            tokens.len()
        ));
    }
    let rule = match args.stride {
        Some(stride) => Rule::Stride(stride as usize),
        None => Rule::Halves,
    };
    let bos = model.tokenizer().around_document().0;
    Ok(Windows::new(tokens, size, rule, bos).map_err(BadRequest)?)
}

/// The tokens that logits were written for: one window, all of which is scored.
fn one_window(logits: &Logits, model: &Model) -> anyhow::Result<Windows> {
    let (vocab, tokens) = (model.recipe().vocab, logits.tokens().to_vec());
    if logits.vocab() != vocab || tokens.iter().any(|token| *token as usize >= vocab) {
        let why = format!(
            "the logits are for a vocabulary of {} tokens; the model has {vocab}",
            logits.vocab()
        );
        return Err(BadRequest(why).into());
    }
    let size = tokens.len();
    Ok(Windows::new(tokens, size, Rule::Stride(size), None).map_err(BadRequest)?)
}

/// The text of a file, or of standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin()
            .lock()
            .take(MOST_TEXT + 1)
            .read_to_end(&mut bytes)
    } else {
        let file = File::open(path).with_context(|| format!("cannot read '{name}'"))?;
        file.take(MOST_TEXT + 1).read_to_end(&mut bytes)
    };
    read.with_context(|| format!("cannot read '{name}'"))?;
    if bytes.len() as u64 > MOST_TEXT {
        let why = format!("'{name}' is longer than {} MiB", MOST_TEXT >> 20);
        return Err(BadRequest(why).into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        BadRequest(format!(
            "'{name}' is not UTF-8 text: byte {at} is not part of a character"
        ))
        .into()
    })
}

/// A pass over the windows.
struct Pass<'a> {
    model: &'a Model,
    base: Base,
    text: Perplexity,
    distance: Option<Distance>,
    /// A row of the logits that are compared with.
    row: Vec<f32>,
    /// Whole windows that are done, and tokens that were read for them.
    windows: usize,
    tokens: usize,
}

impl Pass<'_> {
    /// Scores windows up to `count`; whether all were done. What is left of a window that was not
    /// finished is not counted.
    fn all(
        &mut self,
        windows: &Windows,
        count: usize,
        scorer: &mut Scorer,
        interrupt: &Interrupt,
        line: &mut Progress,
    ) -> anyhow::Result<bool> {
        let begin = Instant::now();
        let mut meter = Meter::default();
        meter.record(begin.elapsed(), 0);
        let total = (count * windows.size()) as u64;
        let mut scores = Vec::new();
        for i in 0..count {
            let window = windows.get(i);
            scores.clear();
            for (range, want) in scorer.parts(&window.scored) {
                if interrupt.is_pressed() {
                    return Ok(false);
                }
                self.part(&window, range.clone(), want, scorer, &mut scores)?;
                let done = self.tokens + range.end;
                meter.record(begin.elapsed(), done as u64);
                line.show(|| progress((i, count), &meter, total, &self.text));
            }
            if !windows.are_continuous() {
                self.text.gap();
            }
            for (token, pair) in &scores {
                let bytes = self.model.tokenizer().decode_bytes(*token);
                self.text.add(-pair.ln, bytes);
                if let Some(distance) = &mut self.distance {
                    distance.add(*pair, bytes);
                }
            }
            self.tokens += window.tokens.len();
            self.windows += 1;
        }
        Ok(true)
    }

    /// Reads a part of a window, and scores the tokens that come after wanted positions.
    fn part(
        &mut self,
        window: &Window,
        range: std::ops::Range<usize>,
        want: Want,
        scorer: &mut Scorer,
        scores: &mut Vec<(u32, Pair)>,
    ) -> anyhow::Result<()> {
        let tokens = &window.tokens[range.clone()];
        scorer.read(tokens, range.start, want)?;
        if let Base::Model(base) = &mut self.base {
            base.read(tokens, range.start, want)?;
        }
        if want != Want::All {
            return Ok(());
        }
        for (row, position) in range.enumerate() {
            let next = window.tokens[position + 1];
            let logits = &*scorer.logits(row);
            let base = match &mut self.base {
                Base::None => None,
                Base::Model(base) => Some(&*base.logits(row)),
                Base::Logits(file) => {
                    file.row(position, &mut self.row);
                    Some(&self.row[..])
                }
            };
            scores.push((next, pair(logits, base, next)?));
        }
        Ok(())
    }
}

/// What is said about the token that comes.
fn pair(logits: &[f32], base: Option<&[f32]>, next: u32) -> anyhow::Result<Pair> {
    let next = next as usize;
    let of = |row: &[f32]| {
        let logit = row.get(next).copied().unwrap_or(f32::NAN);
        LogSoftmax::new(row).ln(logit)
    };
    let ln = of(logits);
    anyhow::ensure!(ln.is_finite(), "the logits of the model are no numbers");
    let Some(base) = base else {
        return Ok(Pair {
            divergence: 0.0,
            same: true,
            ln,
            base: ln,
        });
    };
    let pair = Pair {
        divergence: LogSoftmax::divergence(base, logits),
        same: first(logits) == first(base),
        ln,
        base: of(base),
    };
    let sound = pair.divergence.is_finite() && pair.base.is_finite();
    anyhow::ensure!(sound, "the logits to compare with are no numbers");
    Ok(pair)
}

/// The most likely token; the first of several.
fn first(logits: &[f32]) -> usize {
    let better = |best: usize, (i, x): (usize, &f32)| if *x > logits[best] { i } else { best };
    logits.iter().enumerate().fold(0, better)
}

fn progress((i, count): (usize, usize), meter: &Meter, total: u64, text: &Perplexity) -> String {
    let mut line = format!("window {} of {count}", i + 1);
    if let Some(rate) = meter.rate() {
        line += &format!(", {} tokens/s", format::rate(rate));
    }
    if let Some(left) = meter.remaining(total) {
        line += &format!(", {} left", format::clock(left));
    }
    if text.surprise.count() > 0 {
        line += &format!(", perplexity {:.4}", text.value());
    }
    line
}
