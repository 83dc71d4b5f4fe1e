//! From flags, profile and machine to a loaded model.
//!
//! Every value that is lowered, raised or replaced on the way becomes a note for the user.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tritone_abi::{Kernel, KvFormat};
use tritone_engine::{
    Capacity, Engine, EngineOptions, Forms, LoadError, LoadProgress, LoadedFrom, MemoryPlan, Model,
    ModelBytes, ModelSource, PackCache, PartReport, human_bytes,
};
use tritone_formats::I2sLayout;
use tritone_loader::{Options, Registry, Search};
use tritone_machine::{Machine, choose_preset_threads, choose_threads};
use tritone_profile::{Head, KvType, Origin, Profile, Resolved, process_environment};

use super::args::CommonArgs;
use super::ceiling;
use super::console::{Console, visible};
use super::directory::{self, cache::Converted};
use super::interrupt::Interrupt;
use super::profile;
use crate::app::backend::{ChoiceCard, Races};
use crate::cli::date;
use crate::cli::models::resolve;
use crate::race::choose::{Candidate, Candidates, Choice, Why, choose, plausible};
use crate::race::store::{self, Key, Race, Store};

/// The model that is compiled in; see `models/tritone-tiny/MODEL_CARD.md`.
static EMBEDDED: &[u8] = include_bytes!("../../../models/tritone-tiny/tritone-tiny-i2_s.gguf");

/// Everything that is decided before a model is opened.
pub(crate) struct Setup {
    /// The machine.
    pub(crate) machine: Machine,
    /// The profile with the origin of every value.
    pub(crate) resolved: Resolved,
    /// Threads to use.
    pub(crate) threads: usize,
    /// All kernels.
    pub(crate) registry: Registry,
    /// The kernel that somebody named, and where.
    named: Option<(Arc<dyn Kernel>, String)>,
    /// The kernels to choose from.
    pub(crate) candidates: Candidates,
    /// Races between kernels, and the file they are kept in.
    races: Store,
    races_path: Option<PathBuf>,
    /// The model to use.
    pub(crate) source: ModelSource,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// Bytes that a screen takes.
    pub(crate) beside: u64,
    /// Nobody asked for a profile or a memory limit.
    limit_is_ours: bool,
    /// Compare packed weights with the model.
    /// How I2_S tensors lie in the file.
    i2s_layout: I2sLayout,
    verify_cache: bool,
}

/// A memory plan, its limit, and what there is to say about the limit.
pub(crate) struct Planned {
    /// The limit in bytes.
    pub(crate) limit: u64,
    /// The plan under this limit; `None` when the kernel does not take the model.
    pub(crate) plan: Option<MemoryPlan>,
    /// What the user should know.
    pub(crate) note: Option<String>,
}

impl Setup {
    /// Looks at the machine and settles profile, threads and kernel.
    ///
    /// # Errors
    /// A profile or kernel that is not there, or a value out of range.
    pub(crate) fn new(common: &CommonArgs) -> anyhow::Result<Self> {
        Self::with_settings(common, &[])
    }

    /// [`new`](Self::new) with settings of the profile that were made while the program runs.
    ///
    /// # Errors
    /// As for `new`.
    pub(crate) fn with_settings(
        common: &CommonArgs,
        settings: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let machine = Machine::detect();
        let layers = profile::layers(common, settings, &machine);
        let resolved = profile::resolve(common.profile.as_deref(), &layers)?;
        let automatic = resolved.is_automatic();
        let mut notes = Vec::new();
        let threads = threads(common, &resolved, automatic, &machine, &mut notes);
        if let Some(Origin::Automatic(why)) = origin(&resolved, "threads")
            && layers.auto.as_ref().is_some_and(|auto| auto.passing)
        {
            notes.push(format!(
                "threads: {threads} for now, as {why}; `--threads` sets another number"
            ));
        }
        let registry = registry(common);
        for refused in registry.refused() {
            let path = &refused.path;
            notes.push(format!("plugin {path:?} was refused: {}", refused.reason));
        }
        let candidates = Candidates::new(&registry)?;
        let named = named_kernel(&registry, &resolved, &mut notes)?;
        let races_path = store::path(&process_environment);
        let races = races_path
            .as_deref()
            .map_or_else(|| Ok(Store::default()), Store::read);
        let races = races.unwrap_or_else(|why| {
            let path = races_path.clone().unwrap_or_default();
            notes.push(format!(
                "the measurements of kernels in {path:?} are left out: {why}; `tritone kernels --forget` \
                 removes them"
            ));
            Store::default()
        });
        let limit_is_ours = limit_is_ours(&resolved);
        let source = named_source(common.model.as_deref(), &mut notes)?;
        notes.extend(ceiling::note(&machine, resolved.profile()));
        Ok(Self {
            machine,
            resolved,
            threads,
            registry,
            named,
            candidates,
            races,
            races_path,
            source,
            notes,
            beside: 0,
            limit_is_ours,
            verify_cache: common.verify_cache,
            i2s_layout: common.i2s_layout.unwrap_or_default(),
        })
    }

    /// The profile.
    pub(crate) fn profile(&self) -> &Profile {
        self.resolved.profile()
    }

    /// Where the model is opened from: the file itself, or the one that a directory was converted to,
    /// and what there is to say about that.
    ///
    /// # Errors
    /// When a directory holds no model this program runs, or `progress` ended its conversion.
    pub(crate) fn resolve(
        &self,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Converted, LoadError> {
        if let ModelSource::File(path) = &self.source
            && let Some(place) = directory::of(path)
        {
            return directory::cache::open(&place, self.models_cache().as_deref(), progress);
        }
        Ok(Converted {
            source: self.source.clone(),
            notes: Vec::new(),
        })
    }

    /// Opens the model without loading its weights; the second value is what there is to say.
    ///
    /// # Errors
    /// When the file is missing, damaged, or not a model this program runs, or `progress` ended the
    /// conversion of a directory.
    pub(crate) fn open(
        &self,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<(Model, Vec<String>), LoadError> {
        let Converted { source, notes } = self.resolve(progress)?;
        // A layout belongs to files that others have made.
        let own = matches!(&self.source, ModelSource::File(path) if directory::of(path).is_some());
        let layout = match own {
            true => I2sLayout::Canonical,
            false => self.i2s_layout,
        };
        let model = Model::open_as(&source, layout);
        let model = model.map_err(|error| ceiling::explained(error, &self.machine))?;
        Ok((model, notes))
    }

    /// [`open`](Self::open) with a line on `console` while it takes time, and what there is to say said.
    ///
    /// # Errors
    /// As for `open`.
    pub(crate) fn open_and_say(
        &self,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Result<Model, LoadError> {
        let mut line = console.progress();
        let (model, notes) = self.open(&mut |progress| {
            line.loading(&progress);
            !interrupt.is_pressed()
        })?;
        line.clear();
        for note in &notes {
            console.note(note);
        }
        Ok(model)
    }

    /// Where converted directories are kept.
    fn models_cache(&self) -> Option<PathBuf> {
        let dir = match self.profile().pack_cache.as_str() {
            "off" => None,
            "auto" => store::directory(&process_environment),
            dir => Some(dir.into()),
        };
        Some(dir?.join("models"))
    }

    /// The kernel for `model`: the one that was named, else the fastest one of a race with this model on
    /// this machine, else the one with the highest score.
    pub(crate) fn choose(&self, model: &Model) -> Choice {
        if let Some((kernel, place)) = &self.named {
            return Choice {
                kernel: Arc::clone(kernel),
                why: Why::Named(place.clone()),
            };
        }
        choose(&self.candidates, self.race(model))
    }

    /// What the user should know of a choice: that it is not what the scores say, or that it is for
    /// want of a measurement that holds.
    pub(crate) fn choice_note(&self, choice: &Choice) -> Option<String> {
        if choice.is_outdated() {
            return Some(format!(
                "the measurements of kernels with this model are of another build: {} is used by its \
                 score; `tritone kernels --race` measures again",
                choice.kernel.facts().name
            ));
        }
        let by_score = Arc::ptr_eq(&choice.kernel, &self.candidates.best.kernel);
        (choice.is_automatic() && !by_score).then(|| format!("kernel {}", choice.explanation()))
    }

    /// The race with `model` here, if there was one.
    fn race(&self, model: &Model) -> Option<&Race> {
        if self.races.len() == 0 {
            return None; // Nothing is read of the file for nothing.
        }
        self.races.find(&self.race_key(model))
    }

    /// What a chat needs to race with `model`.
    pub(crate) fn races(&self, model: &Model) -> Races {
        let choice = self.choose(model);
        let automatic = if choice.is_automatic() && !choice.is_measured() {
            plausible(&self.candidates, &*choice.kernel)
        } else {
            Vec::new()
        };
        let (key, path) = (self.race_key(model), self.races_path.clone());
        let (candidates, named) = (self.candidates.clone(), !choice.is_automatic());
        let before = choice.explanation();
        Races {
            choice: ChoiceCard {
                explanation: before.clone(),
                named,
                unmeasured: !automatic.is_empty(),
                unusable: super::kernels::unusable(&self.registry),
            },
            automatic,
            keep: Box::new(move |standing| {
                let Some(path) = &path else {
                    return Err("the result is not kept: there is no cache directory".to_owned());
                };
                let standing = candidates.stamped(standing);
                let store = store::record(path, &key, date::now(), &standing)
                    .map_err(|error| format!("the result is not kept: {path:?}: {error}"))?;
                Ok(if named {
                    before.clone()
                } else {
                    choose(&candidates, store.find(&key)).explanation()
                })
            }),
        }
    }

    /// What races with `model` here found of the kernels as they are built now: name and speed.
    pub(crate) fn speeds(&self, model: &Model) -> Vec<(String, store::Speed)> {
        let Some(race) = self.race(model) else {
            return Vec::new();
        };
        let speed = |candidate: &Candidate| {
            let name = candidate.kernel.facts().name.clone();
            Some((name, candidate.speed(race)?.clone()))
        };
        self.candidates.iter().filter_map(speed).collect()
    }

    /// What a race with `model` here is kept under.
    pub(crate) fn race_key(&self, model: &Model) -> Key {
        Key::new(&self.machine, self.threads, model.content_id())
    }

    /// The file that races are kept in, if there is a place for one.
    pub(crate) fn races_path(&self) -> Option<&Path> {
        self.races_path.as_deref()
    }

    /// The context for `model`: what was asked for, and otherwise no more than it was trained for.
    pub(crate) fn context(&self, model: &Model) -> usize {
        context(&self.resolved, model)
    }

    /// The forms of head and KV cache.
    pub(crate) fn forms(&self, model: &Model) -> Forms {
        self.forms_with(self.profile().head, model)
    }

    /// [`forms`](Self::forms) with another head.
    pub(crate) fn forms_with(&self, head: Head, model: &Model) -> Forms {
        forms(self.profile().kv_type, head, model)
    }

    /// Whether somebody named the kernel.
    pub(crate) fn names_kernel(&self) -> bool {
        self.named.is_some()
    }

    /// Whether somebody chose the form of the KV cache: in a file, a variable or a flag.
    pub(crate) fn names_kv(&self) -> bool {
        !matches!(
            origin(&self.resolved, "kv_type"),
            None | Some(Origin::Preset(_))
        )
    }

    /// Where packed weights are kept.
    pub(crate) fn pack_cache(&self) -> PackCache {
        let verify = self.verify_cache;
        match self.profile().pack_cache.as_str() {
            "off" => PackCache::default(),
            "auto" => PackCache {
                beside: true,
                dir: store::directory(&process_environment),
                least_bytes: LEAST_PACK,
                verify,
            },
            dir => PackCache {
                dir: Some(dir.into()),
                verify,
                ..PackCache::default()
            },
        }
    }

    /// Whether packs of the model are kept.
    pub(crate) fn keeps_packs(&self) -> bool {
        let file = matches!(self.source, ModelSource::File(_));
        file && self.profile().pack_cache != "off"
    }

    /// Plans the memory for `capacity` and settles the limit.
    ///
    /// The limit is the profile's. Only when nobody asked for that limit or profile it is raised to
    /// what the model needs, if that is at most 80 % of the memory this process may use.
    pub(crate) fn plan(&self, model: &Model, capacity: Capacity) -> Planned {
        self.plan_for(
            model,
            &*self.choose(model).kernel,
            self.forms(model),
            capacity,
        )
    }

    /// [`plan`](Self::plan) with another kernel and other forms.
    pub(crate) fn plan_for(
        &self,
        model: &Model,
        kernel: &dyn Kernel,
        forms: Forms,
        capacity: Capacity,
    ) -> Planned {
        let make = |limit| {
            let threads = self.threads;
            MemoryPlan::new(
                model.recipe(),
                kernel,
                threads,
                capacity,
                forms,
                Some(limit),
            )
        };
        plan_under(self.profile(), &self.machine, self.limit_is_ours, &make)
    }

    /// Options to run `model` with `sequences` conversations at a time, and what to say about them.
    pub(crate) fn options(&self, model: &Model, sequences: usize) -> (EngineOptions, Vec<String>) {
        let context = self.context(model);
        let profile = self.profile();
        let choice = self.choose(model);
        let capacity = Capacity::new(context, sequences, profile.prefill_chunk).beside(self.beside);
        let forms = self.forms(model);
        let planned = self.plan_for(model, &*choice.kernel, forms, capacity);
        let mut notes: Vec<String> = planned.note.into_iter().collect();
        notes.extend(self.choice_note(&choice));
        let options = EngineOptions {
            kernel: choice.kernel,
            threads: self.threads,
            context: Some(context),
            batch: sequences,
            prefill_chunk: profile.prefill_chunk,
            inter_token_target: Some(Duration::from_millis(profile.inter_token_target_ms)),
            forms,
            beside: self.beside,
            memory_limit: Some(planned.limit),
            pack_cache: self.pack_cache(),
            mlock: profile.mlock,
        };
        (options, notes)
    }

    /// Loads the model to hold one conversation.
    ///
    /// # Errors
    /// When the model cannot be opened or does not fit.
    pub(crate) fn load(
        &self,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Ready, LoadError> {
        let begin = Instant::now();
        let (model, mut notes) = self.open(progress)?;
        let model = Arc::new(model);
        let open = begin.elapsed();
        let (options, more) = self.options(&model, 1);
        notes.extend(more);
        let engine = Engine::start(model, &options, progress)?;
        notes.extend(engine.info().notices.iter().cloned());
        Ok(Ready {
            memory_limit: options.memory_limit.unwrap_or(u64::MAX),
            engine,
            notes,
            open,
            load: begin.elapsed(),
        })
    }
}

/// A loaded model.
pub(crate) struct Ready {
    /// The running engine.
    pub(crate) engine: Engine,
    /// Bytes that the process may take.
    pub(crate) memory_limit: u64,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// Time to open the file: header, tokenizer, template.
    pub(crate) open: Duration,
    /// Time of all.
    pub(crate) load: Duration,
}

impl Ready {
    /// `ready in 0.61 s (packed 497 MiB at 1.4 GiB/s)`.
    pub(crate) fn sentence(&self) -> String {
        let report = &self.engine.info().load;
        let parts: Vec<_> = [(&report.weights, ""), (&report.head, " of the head")]
            .into_iter()
            .filter_map(|(part, of)| said(part, of))
            .collect();
        format!(
            "ready in {:.2} s ({})",
            self.load.as_secs_f64(),
            parts.join(", ")
        )
    }
}

/// How a part came into memory, unless it is used from the model file.
fn said(part: &PartReport, of: &str) -> Option<String> {
    let bytes = human_bytes(part.bytes);
    match &part.from {
        LoadedFrom::Model => None,
        LoadedFrom::Packed => {
            let rate = part.bytes as f64 / part.took.as_secs_f64().max(1e-6);
            let rate = human_bytes(rate as u64);
            Some(format!("packed {bytes}{of} at {rate}/s"))
        }
        LoadedFrom::Cache(_) => Some(format!("{bytes}{of} from the packed cache")),
    }
}

/// Packs below this are not written unless a directory is named: packing takes no time.
const LEAST_PACK: u64 = 32 << 20;

/// The kernels that are linked in, each only where it can be.
static BUILT_IN: &[&tritone_abi::table::KernelTable] = &[
    tritone_scalar::TABLE,
    #[cfg(target_arch = "x86_64")]
    tritone_avx2::TABLE,
    #[cfg(target_arch = "x86_64")]
    tritone_avx512::TABLE,
    #[cfg(target_arch = "aarch64")]
    tritone_neon::TABLE,
    tritone_lut::TABLE,
];

/// All kernels of this machine, for commands that need no profile or model.
pub(crate) fn registry(common: &CommonArgs) -> Registry {
    let search = Search::from_environment(common.plugin_dir.clone());
    Registry::discover(BUILT_IN, &search, &Options::from_environment())
}

/// The model that a path names: the built-in one without a path.
pub(crate) fn source(path: Option<&Path>) -> ModelSource {
    match path.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => ModelSource::File(path.to_owned()),
        None => ModelSource::Embedded {
            name: "tritone-tiny",
            bytes: EMBEDDED,
        },
    }
}

/// The model that a path or a name of `tritone models` stands for. What a part of a name stands for
/// is said.
///
/// # Errors
/// When a name fits several models.
pub(crate) fn named_source(
    path: Option<&Path>,
    notes: &mut Vec<String>,
) -> anyhow::Result<ModelSource> {
    let source = source(path);
    let Some(name) = path.and_then(resolve::name) else {
        return Ok(source);
    };
    let Some(found) = resolve::resolve(name, &process_environment)? else {
        // Opening says what is wrong with the path.
        if let Err(error) = ModelBytes::open(&source) {
            let name = visible(name);
            return Err(anyhow::Error::new(error).context(format!(
                "there is no file '{name}', and no model of this name (`tritone models` lists them)"
            )));
        }
        return Ok(source);
    };
    notes.extend(found.note);
    Ok(found.source)
}

fn origin<'a>(resolved: &'a Resolved, key: &str) -> Option<&'a Origin> {
    resolved.origin_of(key).map(|entry| &entry.origin)
}

/// The context for `model` under a profile: what was asked for by a flag or a variable, and otherwise no
/// more than it was trained for.
pub(super) fn context(resolved: &Resolved, model: &Model) -> usize {
    let wanted = resolved.profile().context;
    match origin(resolved, "context") {
        Some(Origin::Flag(_) | Origin::Environment(_)) => wanted,
        _ => wanted.min(model.recipe().trained_context),
    }
}

/// The forms of KV cache and head.
pub(super) fn forms(kv: KvType, head: Head, model: &Model) -> Forms {
    let kv = match kv {
        KvType::F16 => KvFormat::F16,
        KvType::Q8 => KvFormat::Q8,
        KvType::F32 => KvFormat::F32,
    };
    let head = match head {
        Head::F16 => tritone_engine::Head::F16,
        Head::Q8 => tritone_engine::Head::Q8,
        Head::Q6 => tritone_engine::Head::Q6,
        Head::Q4 => tritone_engine::Head::Q4,
        Head::Q4Exact => tritone_engine::Head::Q4Exact,
        Head::Ternary => tritone_engine::Head::Ternary,
        Head::Auto => match model.recipe().ternary_head {
            Some(_) => tritone_engine::Head::Ternary,
            None => tritone_engine::Head::F16,
        },
    };
    Forms { head, kv }
}

/// Whether nobody asked for the profile or the memory limit.
pub(super) fn limit_is_ours(resolved: &Resolved) -> bool {
    resolved.is_automatic()
        && matches!(
            origin(resolved, "memory_mb"),
            None | Some(Origin::Preset(_))
        )
}

/// Plans under the limit of `profile`, or of the system where that is lower. A limit that is `ours` is
/// raised to what is needed, if that is at most 80 % of the memory this process may use.
pub(super) fn plan_under(
    profile: &Profile,
    machine: &Machine,
    ours: bool,
    make: &dyn Fn(u64) -> Option<MemoryPlan>,
) -> Planned {
    let limit = profile.memory_bytes();
    let plan = make(limit);
    // The system's own limits come before those of the profile.
    let ceiling = plan.as_ref().and_then(|plan| ceiling::bytes(machine, plan));
    let (limit, plan) = match ceiling {
        Some(ceiling) if ceiling < limit => (ceiling, make(ceiling)),
        _ => (limit, plan),
    };
    let keep = |plan| Planned {
        limit,
        plan,
        note: None,
    };
    let Some(needed) = plan
        .as_ref()
        .filter(|plan| !plan.fits())
        .map(MemoryPlan::total)
    else {
        return keep(plan);
    };
    let usable = machine.memory.usable_bytes().unwrap_or(0);
    let too_much = needed > usable / 5 * 4 || ceiling.is_some_and(|most| needed > most);
    if !ours || too_much {
        return keep(plan);
    }
    let mib = needed.div_ceil(1 << 20);
    let note = format!(
        "memory limit raised from {} MiB (profile {}, chosen for this machine) to {mib} MiB, which \
         this model takes; `--memory` or `--profile` sets a limit that is kept",
        profile.memory_mb, profile.name,
    );
    let limit = mib << 20;
    Planned {
        limit,
        plan: make(limit),
        note: Some(note),
    }
}

/// How many threads to use. A preset that was chosen for the machine is no request, so that
/// lowering its number is no news.
fn threads(
    common: &CommonArgs,
    resolved: &Resolved,
    automatic: bool,
    machine: &Machine,
    notes: &mut Vec<String>,
) -> usize {
    let of_preset = common.threads.is_none()
        && matches!(
            origin(resolved, "threads"),
            None | Some(Origin::Preset(_) | Origin::Automatic(_))
        );
    let choice = match of_preset {
        true => choose_preset_threads(resolved.profile().threads, machine),
        false => {
            let asked = common.threads.unwrap_or(resolved.profile().threads);
            choose_threads(Some(asked), machine)
        }
    };
    if !(automatic && of_preset) {
        notes.extend(choice.note);
    }
    choice.threads
}

/// The kernel that somebody named, and where. A flag is an order; a profile or the environment only
/// states a preference.
fn named_kernel(
    registry: &Registry,
    resolved: &Resolved,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<(Arc<dyn Kernel>, String)>> {
    let name = resolved.profile().kernel.as_str();
    if name == "auto" {
        return Ok(None);
    }
    let from = origin(resolved, "kernel");
    match registry.by_name(name) {
        Ok(kernel) => {
            let place = from.map_or_else(|| "the profile".to_owned(), ToString::to_string);
            Ok(Some((kernel, place)))
        }
        Err(error) => match from {
            Some(Origin::Flag(_)) | None => Err(error.into()),
            Some(from) => {
                notes.push(format!(
                    "kernel {} ({from}) is not used, one is chosen instead: {error}",
                    visible(name)
                ));
                Ok(None)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use tritone_machine::Memory;

    use super::*;

    /// The setup for a machine with that much memory, with the flags given.
    fn setup(memory: u64, common: &CommonArgs) -> Setup {
        let mut setup = Setup::new(common).unwrap();
        setup.machine.memory = Memory {
            total_bytes: Some(memory),
            ..Memory::default()
        };
        setup
    }

    #[test]
    fn only_a_limit_nobody_asked_for_is_raised_and_never_beyond_the_machine() {
        let asked = CommonArgs {
            profile: Some("mobile".to_owned()),
            ..CommonArgs::default()
        };
        let mut machine = setup(0, &asked);
        let (model, _) = machine.open(&mut |_| true).unwrap();
        let small = Capacity::new(1024, 1, 64);
        let large = Capacity::new(1 << 18, 1, 64);
        let needed = machine.plan(&model, large).plan.unwrap().total();
        assert!(needed > 512 << 20);
        let enough = needed / 4 * 5 + 8;

        // Asked for: kept.
        machine.machine.memory.total_bytes = Some(enough);
        let kept = machine.plan(&model, large);
        assert_eq!((kept.limit, kept.note), (512 << 20, None));
        assert!(!kept.plan.unwrap().fits());

        // Chosen for the machine: raised to what is needed, and that is said.
        machine.limit_is_ours = true;
        let raised = machine.plan(&model, large);
        assert_eq!(raised.limit, needed.next_multiple_of(1 << 20));
        assert!(raised.plan.unwrap().fits());
        let note = raised.note.unwrap();
        let said = format!(
            "from 512 MiB (profile mobile, chosen for this machine) to {} MiB",
            raised.limit >> 20
        );
        assert!(note.contains(&said), "{note}");

        // Not when there is no need, and not when it takes more than 80 % of the machine.
        assert_eq!(machine.plan(&model, small).limit, 512 << 20);
        machine.machine.memory.total_bytes = Some(enough - 16);
        assert_eq!(machine.plan(&model, large).limit, 512 << 20);
    }

    #[test]
    fn packs_lie_where_they_are_wanted() {
        let cache = |wanted: Option<&str>| {
            let pack_cache = wanted.map(str::to_owned);
            let setup = Setup::new(&CommonArgs {
                pack_cache,
                verify_cache: true,
                ..CommonArgs::default()
            });
            setup.unwrap().pack_cache()
        };
        assert_eq!(cache(Some("off")), PackCache::default());
        let auto = cache(None);
        assert_eq!(auto, cache(Some("auto")));
        assert!(auto.beside && auto.verify && auto.least_bytes > 1 << 20);
        let named = cache(Some("/a/b"));
        assert_eq!((named.beside, named.least_bytes), (false, 0));
        assert_eq!(named.dir.as_deref(), Some(Path::new("/a/b")));
    }

    #[test]
    fn a_memory_flag_or_a_named_profile_is_a_wish() {
        let ours = |common: &CommonArgs| Setup::new(common).unwrap().limit_is_ours;
        let profile = |name: &str| Some(name.to_owned());
        assert!(!ours(&CommonArgs {
            memory: Some(512),
            ..CommonArgs::default()
        }));
        assert!(!ours(&CommonArgs {
            profile: profile("edge"),
            ..CommonArgs::default()
        }));
    }

    #[test]
    fn a_preset_context_ends_where_the_model_does_but_a_flag_is_kept() {
        let context = |ctx: Option<u64>| {
            let profile = Some("cloud".to_owned());
            let setup = Setup::new(&CommonArgs {
                profile,
                ctx,
                ..CommonArgs::default()
            })
            .unwrap();
            setup.context(&setup.open(&mut |_| true).unwrap().0)
        };
        assert_eq!(context(None), 1024);
        assert_eq!(context(Some(2000)), 2000);
        assert_eq!(context(Some(100)), 100);
    }
}
