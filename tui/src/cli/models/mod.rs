//! `tritone models`: the model files on this machine, and models by name.

pub(crate) mod facts;
pub(crate) mod listed;
mod ollama;
pub(crate) mod places;
pub(crate) mod resolve;
pub(crate) mod scan;
mod table;
mod walk;

pub(crate) use table::wrapped;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use tritone_engine::{Model, ModelSource};
use tritone_profile::process_environment;

use super::console::{Console, visible};
use facts::{Facts, Runs, facts};
use places::{Kind, Place, places};
use scan::{Entry, scan};

/// The name of the model that is compiled in.
pub(crate) const BUILT_IN: &str = "tritone-tiny";

const EXAMPLES: &str = "\
Looks into the program's own store, the caches of Hugging Face, LM Studio, Ollama and llama.cpp, and
the current directory. Only headers are read, and nothing is sent anywhere. A name of this list, or
a part of one that no other has, works wherever a model file does:

  tritone --model bonsai-1.7b
  tritone inspect bitnet-b1.58-2b-4t-i2_s

Environment:
  TRITONE_MODELS  the program's own store; HF_HOME, HF_HUB_CACHE, OLLAMA_MODELS and LLAMA_CACHE move
                  the others";

/// `tritone models`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModelsArgs {
    /// List models whose weights are not ternary, too; they do not run.
    #[arg(long)]
    all: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A model of the list.
struct Listed {
    id: String,
    kind: Kind,
    repo: Option<String>,
    /// The built-in one has none.
    path: Option<PathBuf>,
    files: usize,
    bytes: u64,
    facts: Facts,
}

impl Listed {
    /// Reads the header of what was found.
    fn of(entry: Entry) -> Self {
        Self {
            facts: facts(&entry),
            id: entry.id,
            kind: entry.kind,
            repo: entry.repo,
            path: Some(entry.path),
            files: entry.files,
            bytes: entry.bytes,
        }
    }

    fn entry_id(&self) -> &str {
        &self.id
    }

    /// Models that run come first.
    fn order(&self) -> (u8, &str) {
        let rank = match self.facts.runs {
            Runs::Yes => 0,
            Runs::No(_) => 1,
            Runs::NotTernary => 2,
        };
        (rank, &self.id)
    }
}

/// Runs the command.
pub(crate) fn run(args: &ModelsArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let places = places(&process_environment, std::env::current_dir().ok());
    let (entries, notes) = scan(&places);
    let mut models = vec![built_in()?];
    models.extend(entries.into_iter().map(Listed::of));
    models.sort_by(|a, b| a.order().cmp(&b.order()));
    let found = models.len();
    if !args.all {
        models.retain(|model| model.facts.runs != Runs::NotTernary);
    }
    let hidden = found - models.len();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", object(&models, &places, &notes, hidden))?;
        return Ok(ExitCode::SUCCESS);
    }
    out.write_all(visible(&table::table(&models)).as_bytes())?;
    out.flush()?;
    for note in &notes {
        console.note(note);
    }
    match hidden {
        0 => {}
        1 => console.note("1 more model is not ternary; --all lists it"),
        _ => console.note(&format!(
            "{hidden} more models are not ternary; --all lists them"
        )),
    }
    Ok(ExitCode::SUCCESS)
}

fn built_in() -> anyhow::Result<Listed> {
    let source = super::setup::source(None);
    let model = Model::open(&source)?;
    let recipe = model.recipe();
    Ok(Listed {
        id: BUILT_IN.to_owned(),
        kind: Kind::BuiltIn,
        repo: None,
        path: match source {
            ModelSource::File(path) => Some(path),
            ModelSource::Open { .. } | ModelSource::Embedded { .. } => None,
        },
        files: 1,
        bytes: model.file_bytes(),
        facts: Facts {
            architecture: Some(recipe.architecture.clone()),
            ty: "I2_S".to_owned(),
            parameters: Some(recipe.parameters()),
            runs: Runs::Yes,
        },
    })
}

fn object(models: &[Listed], places: &[Place], notes: &[String], hidden: usize) -> Value {
    let model = |model: &Listed| {
        let facts = &model.facts;
        let why = facts.why_not();
        json!({
            "id": model.id,
            "place": model.kind.word(),
            "repository": model.repo,
            "path": model.path,
            "files": model.files,
            "bytes": model.bytes,
            "architecture": facts.architecture,
            "type": facts.ty,
            "parameters": facts.parameters,
            "runs": why.is_none(),
            "why_not": why,
        })
    };
    let place = |place: &Place| {
        json!({
            "place": place.kind.word(),
            "path": place.path,
            "exists": place.path.is_dir(),
        })
    };
    json!({
        "models": models.iter().map(model).collect::<Vec<_>>(),
        "not_listed": hidden,
        "places": places.iter().map(place).collect::<Vec<_>>(),
        "notices": notes,
    })
}
