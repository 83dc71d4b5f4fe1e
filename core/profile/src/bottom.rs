//! What a profile stands on: the preset at the bottom, and the files above it.

use std::path::{Path, PathBuf};

use crate::error::{ProfileError, meant, shown};
use crate::mistake::What;
use crate::nearest::nearest;
use crate::origin::FileKind;
use crate::preset::{self, DEFAULT_PRESET, PRESETS, Preset};
use crate::resolve::Layers;
use crate::select::Selection;
use crate::source::{self, Base, Source};
use crate::user;

/// Most profiles that stand on each other, above the preset.
pub(crate) const MAX_DEPTH: usize = 8;

/// A profile file above the preset.
pub(crate) struct Floor {
    /// What it is called unless it says otherwise.
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// The preset, and the profile files on it.
pub(crate) struct Bottom<'l> {
    pub(crate) preset: &'static Preset,
    /// Why it is this one.
    pub(crate) chosen: String,
    /// The lowest first.
    pub(crate) floors: Vec<Floor>,
    /// What was chosen for the machine, where nobody named a preset.
    pub(crate) automatic: Option<&'l Selection>,
}

/// Who names a profile.
enum Asker {
    /// A flag or a variable.
    Said(String),
    /// The base of a file.
    File(Base),
}

/// Where to begin.
pub(crate) enum Start<'a> {
    /// At a name.
    Name(&'a str, String),
    /// At a file.
    Path(&'a Path, String),
    /// At the base of the user's or the project's file.
    Base(Base),
    /// Nowhere: nobody named a profile.
    Nowhere,
}

/// Goes down from `start` to a preset.
pub(crate) fn find<'l>(
    start: Start<'_>,
    layers: &'l Layers<'_>,
) -> Result<Bottom<'l>, ProfileError> {
    // From the top down.
    let mut floors: Vec<Floor> = Vec::new();
    let mut chain: Vec<String> = Vec::new();
    let mut without_base = None;
    let (mut next, chosen) = match start {
        Start::Nowhere => (None, None),
        Start::Name(name, from) => {
            let why = format!("asked for by {from}");
            (Some((name.to_owned(), Asker::Said(from))), Some(why))
        }
        Start::Base(base) => {
            let why = format!("named as base by {}", base.place());
            (Some((base.name.clone(), Asker::File(base))), Some(why))
        }
        Start::Path(path, from) => {
            let source = source::read_file(FileKind::Profile, path)?;
            let base = source.base.clone();
            let why = Some(format!("asked for by {from}"));
            floors.push(Floor {
                name: source::name_from_path(path),
                source,
            });
            without_base = Some(format!("{} ({from})", path.display()));
            (base.map(|base| (base.name.clone(), Asker::File(base))), why)
        }
    };
    while let Some((name, asker)) = next {
        if let Some(preset) = preset::find(&name) {
            floors.reverse();
            return Ok(Bottom {
                preset,
                chosen: chosen.unwrap_or_default(),
                floors,
                automatic: None,
            });
        }
        let path = own_path(&name, layers);
        let Some(path) = path else {
            return Err(unknown(&name, asker, layers));
        };
        let seen = chain.contains(&name);
        chain.push(name.clone());
        if seen || chain.len() > MAX_DEPTH {
            return Err(endless(&chain, seen, asker));
        }
        let source = source::read_file(FileKind::Named, &path)?;
        let base = source.base.clone();
        without_base = Some(format!("user profile {name}"));
        next = base.map(|base| (base.name.clone(), Asker::File(base)));
        floors.push(Floor { name, source });
    }
    floors.reverse();
    let (preset, reason, automatic) = automatic(layers);
    let chosen = match without_base {
        Some(file) => format!("{file} names no base; {reason}"),
        None => reason,
    };
    Ok(Bottom {
        preset,
        chosen,
        floors,
        automatic,
    })
}

fn own_path(name: &str, layers: &Layers<'_>) -> Option<PathBuf> {
    let dir = layers.profiles_dir.as_deref()?;
    let path = user::path_of(dir, name);
    (user::name_fault(name).is_none() && path.is_file()).then_some(path)
}

fn automatic<'l>(layers: &'l Layers<'_>) -> (&'static Preset, String, Option<&'l Selection>) {
    let default = || preset::find(DEFAULT_PRESET).unwrap_or(&PRESETS[0]);
    match &layers.auto {
        Some(selection) => {
            let preset = preset::find(selection.preset).unwrap_or_else(default);
            (preset, selection.reason(), Some(selection))
        }
        None => {
            let why = "the default, as nothing names a profile".to_owned();
            (default(), why, None)
        }
    }
}

fn unknown(name: &str, asker: Asker, layers: &Layers<'_>) -> ProfileError {
    let own: Vec<String> = layers
        .profiles_dir
        .as_deref()
        .and_then(|dir| user::user_profiles(dir).ok())
        .unwrap_or_default()
        .into_iter()
        .map(|profile| profile.name)
        .collect();
    let names = PRESETS.iter().map(|preset| preset.name);
    let nearest = nearest(name, names.chain(own.iter().map(String::as_str))).map(str::to_owned);
    match asker {
        Asker::Said(from) => ProfileError::UnknownProfile {
            name: shown(name),
            from,
            nearest,
            own,
        },
        Asker::File(base) => {
            let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
            let own = match own.as_slice() {
                [] => String::new(),
                own => format!(", your own are {}", own.join(", ")),
            };
            let possible = format!("the presets are {}{own}", names.join(", "));
            let what = What {
                message: format!("no profile is called \"{}\"", shown(name)),
                instead: format!("{}; {possible}", meant(nearest.as_deref())),
                label: "no profile".to_owned(),
                help: Some(match &nearest {
                    Some(nearest) => format!("did you mean \"{nearest}\"?"),
                    None => possible,
                }),
                exact: false,
            };
            base.file.mistake(base.span, what).into()
        }
    }
}

/// A profile stands on itself, or on too many others.
fn endless(chain: &[String], seen: bool, asker: Asker) -> ProfileError {
    let chain = chain.join(" -> ");
    let message = if seen {
        format!("profiles stand on each other in a circle: {chain}")
    } else {
        format!("more than {MAX_DEPTH} profiles stand on each other: {chain}")
    };
    match asker {
        Asker::File(base) => {
            let what = What {
                message,
                label: "leads back, or too far".to_owned(),
                help: Some("name a preset as `base` in one of them".to_owned()),
                ..What::default()
            };
            base.file.mistake(base.span, what).into()
        }
        // Whoever begins has not been there before.
        Asker::Said(from) => ProfileError::UnknownProfile {
            name: message,
            from,
            nearest: None,
            own: Vec::new(),
        },
    }
}
