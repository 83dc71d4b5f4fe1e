//! `tritone profile list`

use std::io::{self, Write as _};

use serde_json::{Value, json};
use tritone_profile::{PRESETS, ProfileError, Resolved, resolve, user_profiles};

use super::Place;
use crate::cli::console::visible;

/// A profile of the list.
struct Row {
    name: String,
    own: bool,
    profile: Result<Resolved, ProfileError>,
}

/// Every profile, the presets first. Only the files themselves count, not what lies above them.
fn rows(place: &Place) -> anyhow::Result<Vec<Row>> {
    let own = match &place.layers.profiles_dir {
        Some(dir) => user_profiles(dir)?,
        None => Vec::new(),
    };
    let names = PRESETS
        .iter()
        .map(|preset| (preset.name.to_owned(), false))
        .chain(own.into_iter().map(|profile| (profile.name, true)));
    let layers = tritone_profile::Layers {
        auto: place.layers.auto.clone(),
        profiles_dir: place.layers.profiles_dir.clone(),
        ..tritone_profile::Layers::none()
    };
    Ok(names
        .map(|(name, own)| Row {
            profile: resolve(Some(&name), &layers),
            name,
            own,
        })
        .collect())
}

pub(super) fn run(place: &Place, json: bool) -> anyhow::Result<()> {
    let rows = rows(place)?;
    let used = resolve(place.asked.as_deref(), &place.layers)?;
    let name = used.lineage().last().map_or("", String::as_str);
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{:#}", object(&rows, &used, name, place))?;
        return Ok(());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    writeln!(
        out,
        "  {:width$}  THREADS  MEMORY      PRIORITY     BATCH  ABOUT",
        "NAME"
    )?;
    for row in &rows {
        let mark = if row.name == name { '*' } else { ' ' };
        let said = match &row.profile {
            Ok(resolved) => {
                let p = resolved.profile();
                format!(
                    "{:>7}  {:>6} MiB  {:11}  {:>5}  {}",
                    p.threads,
                    p.memory_mb,
                    p.priority.as_str(),
                    p.batch,
                    p.description
                )
            }
            Err(error) => format!("cannot be used: {error}"),
        };
        let line = format!("{mark} {:width$}  {said}", row.name);
        writeln!(out, "{}", visible(line.trim_end()))?;
    }
    writeln!(out)?;
    let p = used.profile();
    let text = format!(
        "* {name} is used here, {}.\n  With all that lies above it: {} threads, {} MiB, batch {}, \
         context {}; `tritone profile explain` says why.",
        used.chosen(),
        p.threads,
        p.memory_mb,
        p.batch,
        p.context
    );
    writeln!(out, "{}", visible(&text))?;
    if rows.iter().all(|row| !row.own) {
        writeln!(
            out,
            "  `tritone profile new NAME` makes a profile of your own."
        )?;
    }
    Ok(())
}

fn object(rows: &[Row], used: &Resolved, name: &str, place: &Place) -> Value {
    let row = |row: &Row| {
        let (profile, fault) = match &row.profile {
            Ok(resolved) => (Some(resolved), None),
            Err(error) => (None, Some(error.to_string())),
        };
        json!({
            "name": row.name,
            "own": row.own,
            "used": row.name == name,
            "lineage": profile.map(Resolved::lineage),
            "profile": profile.map(Resolved::profile),
            "error": fault,
        })
    };
    json!({
        "profiles": rows.iter().map(row).collect::<Vec<_>>(),
        "used": {
            "name": name,
            "lineage": used.lineage(),
            "because": used.chosen(),
            "automatic": used.is_automatic(),
        },
        "directory": place.layers.profiles_dir,
    })
}
