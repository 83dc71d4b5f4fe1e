//! What is measured, for the screen and for logs.

use std::fs;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tritone_engine::EngineStatus;
use tritone_monitor::{Event, EventKind, Record, export, utc};
use tritone_probe::{Bounds, Sampler, Subject, Told, Watch, unix_ms};
use tritone_profile::process_environment;

use super::effects::Slot;
use crate::app::backend::Backend;
use crate::app::msg::Msg;
use crate::app::views::monitor::Destination;
use crate::cli::paths;
use crate::desk::attach::expanded;

impl Subject for Slot {
    fn status(&self) -> Option<EngineStatus> {
        self.get().map(|backend| backend.status())
    }

    fn bounds(&self) -> Bounds {
        self.get()
            .map(|backend| backend.bounds())
            .unwrap_or_default()
    }

    fn elsewhere(&self) -> Option<Vec<Record>> {
        self.get()?.measured_elsewhere()
    }
}

/// Begins to measure for the screen.
pub(super) fn for_screen(sender: UnboundedSender<Msg>, slot: Slot, watch: Watch) -> Sampler {
    Sampler::start(slot, watch, move |told| {
        let msg = match told {
            Told::Sample(sample) => Msg::Sample(sample),
            Told::Event(event) => Msg::Happened(event),
            Told::Notice(text) => Msg::Notice(text),
        };
        sender.send(msg).is_ok()
    })
}

/// Begins to measure what `backend` does where there is no screen, for the log alone, which begins with what it runs
/// on; `note` is told what the user should know.
pub(crate) fn for_log(
    backend: &Arc<dyn Backend>,
    watch: Watch,
    note: impl Fn(&str) + Send + Sync + 'static,
) -> Sampler {
    let slot = Slot::holding(Arc::clone(backend));
    let sampler = Sampler::start(slot, watch, move |told| {
        if let Told::Notice(text) = told {
            note(&text);
        }
        true
    });
    let at = unix_ms();
    for (kind, name) in [
        (EventKind::Model, backend.model().name),
        (EventKind::Profile, backend.profile()),
        (EventKind::Kernel, backend.kernel_name()),
    ] {
        sampler.record(Event::new(at, kind, &name));
    }
    sampler
}

/// Writes `records` as `to` says, and says where they are.
pub(super) fn export(records: &[Record], to: &Destination) -> Result<String, String> {
    if let Some(file) = &to.file {
        let path = expanded(file);
        return write(&path, records, to.csv).map(|()| path.display().to_string());
    }
    let dir = paths::state(&process_environment).ok_or(
        "nothing is exported: there is no directory for it, as neither HOME nor XDG_STATE_HOME is set",
    )?;
    export_to(&dir, &utc(unix_ms()), records, to)
}

fn export_to(
    dir: &Path,
    time: &str,
    records: &[Record],
    to: &Destination,
) -> Result<String, String> {
    fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
    let plain: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    let base = dir.join(format!("monitor-{plain}"));
    let mut written = Vec::new();
    for (wanted, ending) in [(to.json, "json"), (to.csv, "csv")] {
        if wanted {
            write(&base.with_extension(ending), records, ending == "csv")?;
            written.push(format!(".{ending}"));
        }
    }
    Ok(format!("{}{}", base.display(), written.join(" and ")))
}

/// Writes `records` into a file that is not there yet.
fn write(path: &Path, records: &[Record], csv: bool) -> Result<(), String> {
    let failed = |error: std::io::Error| cannot(path, &error);
    let mut file = fs::File::create_new(path)
        .map(BufWriter::new)
        .map_err(failed)?;
    match csv {
        true => export::csv(records, &mut file),
        false => export::json(records, &mut file),
    }
    .map_err(failed)?;
    file.into_inner().map_err(|error| failed(error.into()))?;
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("cannot export to {path}: it is there already; give another name")
        }
        _ => format!("cannot export to {path}: {error}"),
    }
}

#[cfg(test)]
mod tests;
