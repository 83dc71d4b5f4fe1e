//! A directory in the layout of the transformers library as the source.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tritone_formats::hf::HfError;

use super::Job;
use crate::cli::directory::{Directory, with_advice};
use crate::cli::failure::CANCELLED;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Bytes, Meter};

/// Writes the model of the directory `place` as a GGUF file.
pub(super) fn convert(place: &Path, job: &Job<'_>) -> anyhow::Result<ExitCode> {
    let reading = || format!("cannot read '{}'", place.display());
    let directory = Directory::read(place)?;
    let shards = directory.shards();
    let mut model = directory.model(&shards).with_context(reading)?;
    if job.ternarise.is_some() {
        model.ternarise();
    }
    for notice in model.notices() {
        job.console.note(&notice);
    }
    let name = directory.name();
    let size = shards.iter().map(|shard| shard.len() as u64).sum();
    let interrupt = Interrupt::listen()?;
    let mut meter = Meter::new(job.console, size);
    let plan = model.plan(&name, job.ty, &mut |seen| {
        meter.show(seen);
        !interrupt.is_pressed()
    });
    drop(meter);
    let plan = match plan {
        Err(HfError::Stopped) => return Ok(ExitCode::from(CANCELLED)),
        plan => plan.map_err(with_advice).with_context(reading)?,
    };
    let tensors = plan.tensors.iter().map(|tensor| {
        let bytes: Bytes<'_> = Box::new(|| {
            let bytes = model.bytes(tensor, job.rounding);
            Ok(Cow::Owned(bytes.map_err(with_advice)?))
        });
        (tensor.name.clone(), bytes)
    });
    job.write(plan.writer, (&name, size), tensors)
}
