//! `tritone profile show`

use std::io::{self, Write as _};

use serde_json::json;
use tritone_profile::resolve;

use super::Place;
use crate::cli::console::visible;

pub(super) fn run(place: &Place, name: Option<&str>, json: bool) -> anyhow::Result<()> {
    let resolved = resolve(name.or(place.asked.as_deref()), &place.layers)?;
    let mut out = io::stdout().lock();
    if json {
        let object = json!({
            "profile": resolved.profile(),
            "lineage": resolved.lineage(),
            "because": resolved.chosen(),
        });
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    let lineage = resolved.lineage().join(" < ");
    let head = match name {
        Some(_) => format!("# {lineage}\n\n"),
        None => format!("# {lineage}: {}.\n\n", resolved.chosen()),
    };
    write!(out, "{}{}", visible(&head), visible(&resolved.to_toml()))?;
    Ok(())
}
