//! `tritone inspect`: what is in a model file, and what it takes to run it.
//!
//! Metadata and tensors are shown for every sound GGUF file; a model that cannot be run here is
//! shown with the reason.

mod deep;
mod metadata;
mod quality;
mod recipe;
mod speed;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tritone_engine::{
    Capacity, LoadError, MemoryPlan, Model, ModelBytes, PackState, PackStatus, Recipe, human_bytes,
    open_gguf, packs,
};
use tritone_formats::{GgufFile, TensorView};
use tritone_profile::{Head, process_environment};

use super::args::{CommonArgs, InspectArgs};
use super::console::{Console, visible};
use super::failure::CANCELLED;
use super::interrupt::Interrupt;
use super::reach;
use super::setup::{Planned, Setup, named_source};
use deep::Deep;
use quality::Finding;
use speed::{NoSpeed, Speed};

type Gguf = GgufFile<ModelBytes>;

/// A model that can be run, and what it takes.
struct Runnable {
    model: Arc<Model>,
    context: usize,
    planned: Planned,
    packs: Vec<PackStatus>,
}

/// What is found out about a file.
struct Report<'a> {
    name: &'a str,
    file: &'a Gguf,
    setup: &'a Setup,
    runnable: &'a Result<Runnable, LoadError>,
    findings: Vec<Finding>,
    deep: Option<Deep>,
    speed: Option<Result<Speed, NoSpeed>>,
}

/// Runs the command.
pub(crate) fn run(
    args: &InspectArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let mut setup = Setup::new(common)?;
    if let Some(path) = &args.file {
        setup.source = named_source(Some(path), &mut setup.notes)?;
    }
    let interrupt = Interrupt::listen()?;
    let mut line = console.progress();
    let converted = setup.resolve(&mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    })?;
    drop(line);
    setup.source = converted.source;
    setup.notes.extend(converted.notes);
    // The header, whatever model is in it. Tensor data is mapped and not touched.
    let (name, file) = (setup.source.name(), open_gguf(&setup.source)?);
    let runnable = setup.open(&mut |_| true).and_then(|(model, _)| {
        let head = setup.forms(&model).head;
        model.check_head(head)?;
        let context = setup.context(&model);
        let chunk = setup.profile().prefill_chunk;
        let planned = setup.plan(&model, Capacity::new(context, 1, chunk));
        let model = Arc::new(model);
        let (cache, threads) = (setup.pack_cache(), setup.threads);
        let kernel = setup.choose(&model).kernel;
        let packs = packs(&model, &*kernel, head, &cache, threads);
        Ok(Runnable {
            model,
            context,
            planned,
            packs,
        })
    });
    let mut notes = setup.notes.clone();
    if let Ok(runnable) = &runnable {
        notes.extend(runnable.planned.note.clone());
        notes.extend(runnable.model.notices().iter().cloned());
    }
    let deep = args.deep.then(|| Deep::read(&file, console, &interrupt));
    if matches!(deep, Some(None)) {
        return Ok(ExitCode::from(CANCELLED));
    }
    let deep = deep.flatten();
    let speed = runnable.as_ref().ok().filter(|_| !args.no_speed);
    let report = Report {
        findings: findings(&file, &runnable, &setup, deep.as_ref()),
        speed: speed.and_then(|runnable| speed_of(runnable, &setup)),
        name: &name,
        file: &file,
        setup: &setup,
        runnable: &runnable,
        deep,
    };
    if let Some(Ok(speed)) = &report.speed {
        notes.extend(speed.note.clone());
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", object(&report, &notes))?;
    } else {
        let text = text(&report, args.tensors);
        out.write_all(visible(&text).as_bytes())?;
        out.flush()?;
        for note in &notes {
            console.note(note);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What deserves a second look.
fn findings(
    file: &Gguf,
    runnable: &Result<Runnable, LoadError>,
    setup: &Setup,
    deep: Option<&Deep>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(runnable) = runnable {
        let recipe = runnable.model.recipe();
        findings.extend(quality::of_file(file, recipe));
        findings.extend(quality::of_context(runnable.context, recipe));
        if let Some(plan) = &runnable.planned.plan {
            let kernel = setup.choose(&runnable.model).kernel;
            let forms = setup.forms_with(Head::Q6, &runnable.model);
            let other = setup.plan_for(&runnable.model, &*kernel, forms, plan.capacity);
            findings.extend(quality::of_plan(plan, other.plan.as_ref()));
        }
    }
    findings.extend(deep.iter().flat_map(|deep| deep.findings()));
    findings
}

/// How fast the model can be expected to be; `None` when there is no plan.
fn speed_of(runnable: &Runnable, setup: &Setup) -> Option<Result<Speed, NoSpeed>> {
    let plan = runnable.planned.plan.as_ref()?;
    let kernel = setup.choose(&runnable.model).kernel;
    let recipe = runnable.model.recipe();
    let machine = (&setup.machine, setup.threads);
    Some(Speed::measure(
        plan,
        recipe,
        runnable.context,
        &*kernel,
        machine,
        reach::path(&process_environment).as_deref(),
    ))
}

/// Tensors and bytes of every tensor type.
fn types(file: &Gguf) -> BTreeMap<&'static str, (usize, u64)> {
    let mut types = BTreeMap::new();
    for tensor in file.tensors() {
        let (count, bytes): &mut (usize, u64) = types.entry(tensor.ty().name()).or_default();
        *count += 1;
        *bytes += tensor.byte_range().len() as u64;
    }
    types
}

fn line(label: &str, value: &str) -> String {
    format!("{label:<12}{value}\n")
}

/// Lines with a label in front of the first one.
fn lines(label: &str, values: &[String]) -> String {
    let mut text = String::new();
    for (i, value) in values.iter().enumerate() {
        text += &line(if i == 0 { label } else { "" }, value);
    }
    text
}

/// The report for people.
fn text(report: &Report<'_>, tensors: bool) -> String {
    let Report {
        name,
        file,
        setup,
        runnable,
        ..
    } = report;
    let mut size = human_bytes(file.file_len());
    let parts = file.parts().count();
    if parts > 1 {
        size += &format!(" in {parts} files");
    }
    let keys: Vec<_> = file.metadata().collect();
    let mut text = line("file", &format!("{name} ({size})"));
    text += &line(
        "format",
        &format!(
            "GGUF version {}, alignment {}, {} keys, {} tensors",
            file.version(),
            file.alignment(),
            keys.len(),
            file.tensors().len()
        ),
    );
    let types: Vec<_> = types(file)
        .into_iter()
        .map(|(ty, (count, bytes))| format!("{count} {ty} ({})", human_bytes(bytes)))
        .collect();
    text += &line("tensors", &types.join(", "));
    match runnable {
        Ok(runnable) => text += &recipe_text(runnable, setup),
        Err(error) => text += &line("model", &format!("cannot be run: {error}")),
    }
    match &report.speed {
        Some(Ok(speed)) => text += &lines("speed", &speed.lines()),
        Some(Err(why)) => text += &line("speed", &format!("not estimated: {why}")),
        None => {}
    }
    if let Some(deep) = &report.deep {
        text += &lines("weights", &deep.lines());
    }
    let findings = report.findings.iter().map(|finding| finding.text.clone());
    text += &lines("look at", &findings.collect::<Vec<_>>());
    text.push_str("\nMetadata\n");
    let width = keys
        .iter()
        .map(|(key, _)| key.chars().count())
        .max()
        .unwrap_or(0)
        .min(48);
    for (key, value) in keys {
        let key = metadata::escaped(key, 96);
        text.push_str(&format!("  {key:<width$}  {}\n", metadata::text(&value)));
    }
    if tensors {
        text.push_str("\nTensors\n");
        for tensor in file.tensors() {
            text += &tensor_text(&tensor);
        }
    }
    text
}

fn tensor_text(tensor: &TensorView<'_>) -> String {
    let shape: Vec<_> = tensor.dims().iter().map(usize::to_string).collect();
    format!(
        "  {:<32}  {:<6}  {:<16}  {} bytes\n",
        metadata::escaped(tensor.name(), 96),
        tensor.ty().name(),
        shape.join(" x "),
        tensor.byte_range().len()
    )
}

fn recipe_text(runnable: &Runnable, setup: &Setup) -> String {
    let recipe = runnable.model.recipe();
    let profile = setup.profile();
    let mut text = line(
        "model",
        &format!(
            "{} ({}), {:.2} million weights",
            recipe.name,
            recipe.architecture,
            recipe.parameters() as f64 / 1e6
        ),
    );
    text += &line(
        "",
        &format!(
            "{} layers of {} (feed-forward {}), {} heads of {} with {} for keys and values",
            recipe.layers.len(),
            recipe.hidden,
            recipe.ffn,
            recipe.heads,
            recipe.head_dim,
            recipe.kv_heads
        ),
    );
    if let Some(experts) = recipe.experts {
        let unused = recipe.ternary_weights() - recipe.ternary_macs();
        text += &line(
            "",
            &format!(
                "{} experts, of which a token uses {}: {:.2} million weights",
                experts.count,
                experts.used,
                (recipe.parameters() - unused) as f64 / 1e6
            ),
        );
    }
    if let Some(recurrent) = recipe.recurrent {
        text += &line(
            "",
            &format!(
                "{} of the layers are recurrent (gated DeltaNet), {} heads with states of {} x {}",
                recipe.recurrent_layers(),
                recurrent.value_heads,
                recurrent.head_dim,
                recurrent.head_dim
            ),
        );
    }
    if let Some(hadamard) = &recipe.hadamard {
        text += &line(
            "",
            &format!(
                "{} matrices are folded with a Hadamard transform in blocks of {}",
                hadamard.folded.len(),
                hadamard.block
            ),
        );
    }
    text += &line(
        "",
        &format!(
            "{} tokens, trained for a context of {}",
            recipe.vocab, recipe.trained_context
        ),
    );
    text += &line("recipe", &recipe::words(recipe));
    let kernel = &setup.choose(&runnable.model).kernel;
    let kernel = &kernel.facts().name;
    text += &line(
        "runs with",
        &format!(
            "kernel {kernel}, {} threads, profile {}, context {}",
            setup.threads, profile.name, runnable.context
        ),
    );
    match &runnable.planned.plan {
        Some(plan) => {
            text += &line("memory", &plan.to_string());
            let fits = if plan.fits() { "fits" } else { "does not fit" };
            let limit = human_bytes(runnable.planned.limit);
            text += &line("", &format!("{fits} the limit of {limit}"));
        }
        None => {
            text += &line(
                "memory",
                &format!("kernel {kernel} does not take these shapes"),
            )
        }
    }
    if runnable.packs.is_empty() && setup.keeps_packs() {
        text += &line("packed", "no packed cache yet");
    }
    for (i, pack) in runnable.packs.iter().enumerate() {
        let state = match &pack.state {
            PackState::Valid => human_bytes(pack.bytes),
            PackState::Unusable(why) => format!("not usable: {why}"),
        };
        let path = pack.path.display();
        let label = if i == 0 { "packed" } else { "" };
        text += &line(label, &format!("{}: {path} ({state})", pack.what));
    }
    text
}

/// The report for programs.
fn object(report: &Report<'_>, notes: &[String]) -> Value {
    let Report {
        name,
        file,
        setup,
        runnable,
        ..
    } = report;
    let keys: serde_json::Map<String, Value> = file
        .metadata()
        .map(|(key, value)| (key.to_owned(), metadata::json(&value)))
        .collect();
    let tensor = |tensor: TensorView<'_>| {
        json!({
            "name": tensor.name(),
            "type": tensor.ty().name(),
            "shape": tensor.dims(),
            "part": tensor.part(),
            "offset": tensor.byte_range().start,
            "bytes": tensor.byte_range().len(),
        })
    };
    let finding = |finding: &Finding| json!({ "what": finding.what, "text": finding.text });
    let (model, cannot_run) = match runnable {
        Ok(runnable) => (Some(model_json(runnable, setup)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    json!({
        "file": name,
        "bytes": file.file_len(),
        "parts": file.parts().count(),
        "gguf_version": file.version(),
        "alignment": file.alignment(),
        "metadata": keys,
        "tensors": file.tensors().map(tensor).collect::<Vec<_>>(),
        "model": model,
        "cannot_run": cannot_run,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "weights": report.deep.as_ref().map(Deep::json),
        "speed": report.speed.as_ref().and_then(|speed| Some(speed.as_ref().ok()?.json())),
        "no_speed": report.speed.as_ref().and_then(|speed| Some(speed.as_ref().err()?.to_string())),
        "notices": notes,
    })
}

fn model_json(runnable: &Runnable, setup: &Setup) -> Value {
    let recipe: &Recipe = runnable.model.recipe();
    let plan = |plan: &MemoryPlan| {
        json!({
            "weights": plan.weights,
            "head": plan.head,
            "kv": plan.kv,
            "states": plan.states,
            "scratch": plan.scratch,
            "program": plan.program,
            "total": plan.total(),
            "limit": plan.limit,
            "fits": plan.fits(),
            "fitting_context": plan.fitting_context,
        })
    };
    let pack = |pack: &PackStatus| {
        let why = match &pack.state {
            PackState::Valid => None,
            PackState::Unusable(why) => Some(why),
        };
        json!({
            "what": pack.what,
            "path": pack.path,
            "bytes": pack.bytes,
            "valid": why.is_none(),
            "why_not": why,
        })
    };
    json!({
        "name": recipe.name,
        "architecture": recipe.architecture,
        "parameters": recipe.parameters(),
        "layers": recipe.layers.len(),
        "recurrent_layers": recipe.recurrent_layers(),
        "hidden": recipe.hidden,
        "ffn": recipe.ffn,
        "experts": recipe.experts.map(|experts| experts.count),
        "experts_used": recipe.experts.map(|experts| experts.used),
        "active_parameters": recipe.parameters() - recipe.ternary_weights() + recipe.ternary_macs(),
        "heads": recipe.heads,
        "kv_heads": recipe.kv_heads,
        "head_dim": recipe.head_dim,
        "vocab": recipe.vocab,
        "trained_context": recipe.trained_context,
        "tied_head": recipe.tied_head,
        "context": runnable.context,
        "kernel": setup.choose(&runnable.model).kernel.facts().name,
        "threads": setup.threads,
        "profile": setup.profile().name,
        "head_type": setup.forms(&runnable.model).head.name(),
        "memory": runnable.planned.plan.as_ref().map(plan),
        "packs": runnable.packs.iter().map(pack).collect::<Vec<_>>(),
    })
}
