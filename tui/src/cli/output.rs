//! Model files that are written: checks before, progress meanwhile.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use tritone_engine::human_bytes;
use tritone_formats::write::GgufWriter;

use super::console::{Console, Progress};

/// A file that is there is replaced only on demand.
pub(super) fn refuse_existing(target: &Path, force: bool) -> anyhow::Result<()> {
    let there = target.symlink_metadata().is_ok();
    anyhow::ensure!(
        force || !there,
        "'{}' is there already; --force replaces it",
        target.display()
    );
    Ok(())
}

/// Says at once what would fail after a while. File systems that cannot tell are believed to have
/// room.
pub(super) fn check_space(target: &Path, size: u64) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let directory = target.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        if let Ok(state) = rustix::fs::statvfs(directory) {
            let free = state.f_bavail.saturating_mul(state.f_frsize);
            anyhow::ensure!(
                state.f_blocks == 0 || free >= size,
                "'{}' needs {}, but there are only {} free",
                target.display(),
                human_bytes(size),
                human_bytes(free),
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (target, size);
    Ok(())
}

/// Makes the bytes of a tensor.
pub(super) type Bytes<'a> = Box<dyn FnOnce() -> anyhow::Result<Cow<'a, [u8]>> + 'a>;

/// Writes a file as planned, with as many of `tensors` as it has. `written` gets the bytes of tensors so
/// far and returns `false` to stop; the result is then `None`.
pub(super) fn write_tensors<'b, W: Write>(
    plan: GgufWriter,
    out: W,
    tensors: &mut dyn Iterator<Item = (String, Bytes<'b>)>,
    written: &mut dyn FnMut(u64) -> bool,
) -> anyhow::Result<Option<W>> {
    let count = plan.tensor_names().len();
    let mut body = plan.begin(out)?;
    let mut done = 0;
    for (tensor, bytes) in tensors.take(count) {
        let bytes = bytes().with_context(|| format!("cannot convert '{tensor}'"))?;
        body.write(&tensor, &bytes)?;
        done += bytes.len() as u64;
        if !written(done) {
            return Ok(None);
        }
    }
    Ok(Some(body.finish()?))
}

/// How far the file has come.
pub(super) struct Meter {
    line: Progress,
    started: Instant,
    done: u64,
    total: u64,
}

impl Meter {
    /// The line for a file of `total` bytes.
    pub(super) fn new(console: &Console, total: u64) -> Self {
        Self {
            line: console.progress(),
            started: Instant::now(),
            done: 0,
            total,
        }
    }

    /// So many bytes more are done.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.show(self.done + bytes);
    }

    /// So many bytes are done by now.
    pub(super) fn show(&mut self, done: u64) {
        self.done = done;
        let (started, done, total) = (self.started, self.done, self.total.max(1));
        self.line.show(|| {
            let rate = done as f64 / started.elapsed().as_secs_f64().max(1e-3);
            let rest = total.saturating_sub(done) as f64 / rate.max(1.0);
            format!(
                "{} of {} ({:.0} %), {}/s, {rest:.0} s left",
                human_bytes(done),
                human_bytes(total),
                100.0 * done as f64 / total as f64,
                human_bytes(rate as u64),
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_fit_is_refused_at_once() {
        let target = std::env::temp_dir().join("never-written.gguf");
        assert!(check_space(&target, 1 << 62).is_err());
        assert!(check_space(&target, 1).is_ok());
    }
}
