//! What this machine reaches at best, reading memory and multiplying bytes; measured once and kept in a
//! file of the user's cache directory.
//!
//! The kernel's own loops measure it, so the result holds for a kernel and a number of threads. A file
//! that is damaged costs a measurement, and that is said.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tritone_abi::Kernel;
use tritone_machine::Machine;

use super::bench::{Int8Peak, ReadBuffer};
use super::{cache_file, date};
use crate::race::store;

/// What the file is called inside; the number grows when the meaning of a field changes.
const SCHEMA: &str = "tritone-reach/1";
/// Measurements that are kept, the latest ones.
const MOST: usize = 100;
/// Memory that is read, within what `ReadBuffer::size` allows: enough to be no cache's.
const READ_BYTES: usize = 256 << 20;
/// Time of one measurement of the int8 peak.
const INT8_TIME: Duration = Duration::from_millis(40);
/// Rates beyond this are of no machine.
const MOST_RATE: f64 = 1e16;

/// What so many threads reach in a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) threads: usize,
    /// Bytes read.
    pub(crate) read: f64,
    /// Multiply-adds of bytes.
    pub(crate) macs: f64,
    /// When it was measured, in seconds since 1970.
    pub(crate) unix_time: u64,
}

/// A measurement, and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    cpu: String,
    kernel: String,
    #[serde(flatten)]
    reach: Reach,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reaches {
    schema: String,
    rows: Vec<Row>,
}

/// `reach.json` in the program's cache directory, if there is a place for one.
pub(crate) fn path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(store::directory(env)?.join("reach.json"))
}

/// Thread counts that are measured for a model that runs on `threads`.
fn counts(threads: usize) -> Vec<usize> {
    let mut counts = vec![1, threads.max(1)];
    counts.dedup();
    counts
}

impl Reaches {
    /// Reads the file; no file is nothing measured.
    ///
    /// # Errors
    /// Why the file is left out, for people.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let Some(found) = cache_file::read::<Self>(path)? else {
            return Ok(Self::default());
        };
        cache_file::expect_schema(&found.schema, SCHEMA)?;
        let sane = |rate: f64| rate.is_finite() && rate > 0.0 && rate < MOST_RATE;
        let bad = found
            .rows
            .iter()
            .find(|row| !(sane(row.reach.read) && sane(row.reach.macs)));
        match bad {
            Some(row) => Err(format!(
                "its rates for {} threads are none of a machine",
                row.reach.threads
            )),
            None => Ok(found),
        }
    }

    /// What one thread and `threads` threads reach with a kernel; `None` unless both are known.
    pub(crate) fn find(
        &self,
        machine: &Machine,
        kernel: &str,
        threads: usize,
    ) -> Option<Vec<Reach>> {
        let of = |count: &usize| {
            let row = self.rows.iter().rev().find(|row| {
                row.cpu == machine.cpu && row.kernel == kernel && row.reach.threads == *count
            });
            Some(row?.reach.clone())
        };
        counts(threads).iter().map(of).collect()
    }

    fn add(&mut self, machine: &Machine, kernel: &str, reaches: &[Reach]) {
        for reach in reaches {
            let row = Row {
                cpu: machine.cpu.clone(),
                kernel: kernel.to_owned(),
                reach: reach.clone(),
            };
            self.rows.retain(|old| {
                (&old.cpu, &old.kernel, old.reach.threads)
                    != (&row.cpu, &row.kernel, row.reach.threads)
            });
            self.rows.push(row);
        }
        let surplus = self.rows.len().saturating_sub(MOST);
        self.rows.drain(..surplus);
    }
}

/// Measures for about half a second what `kernel` reaches with one thread and with `threads`.
///
/// # Errors
/// Why it cannot be measured, for people.
pub(crate) fn measure(
    kernel: &dyn Kernel,
    machine: &Machine,
    threads: usize,
) -> Result<Vec<Reach>, String> {
    let failed = |error: tritone_abi::KernelError| error.to_string();
    let size = ReadBuffer::size(machine).min(READ_BYTES);
    let buffer =
        ReadBuffer::new(size, threads).ok_or("there is no memory to measure with".to_owned())?;
    let peak = Int8Peak::calibrate(kernel, INT8_TIME).map_err(failed)?;
    let mut reaches = Vec::new();
    for threads in counts(threads) {
        let best = buffer.best(kernel, threads, None, |_| true);
        let (read, _) = best.map_err(failed)?.unwrap_or((0.0, 0));
        reaches.push(Reach {
            threads,
            // Whole numbers come back from the file as they were.
            read: read.round(),
            macs: peak.measure(kernel, threads, None).map_err(failed)?.round(),
            unix_time: date::now(),
        });
    }
    Ok(reaches)
}

/// Adds measurements to the file at `path`, in place of a file that cannot be used.
///
/// # Errors
/// What the system says.
pub(crate) fn keep(
    path: &Path,
    machine: &Machine,
    kernel: &str,
    reaches: &[Reach],
) -> io::Result<()> {
    // Read again: another program may have measured meanwhile.
    let mut all = Reaches::read(path).unwrap_or_default();
    SCHEMA.clone_into(&mut all.schema);
    all.add(machine, kernel, reaches);
    cache_file::write(path, &all)
}

/// What is known, or else is measured now and kept; and what there is to say about the file.
///
/// # Errors
/// Why it cannot be measured, for people.
pub(crate) fn known_or_measured(
    path: Option<&Path>,
    kernel: &dyn Kernel,
    machine: &Machine,
    threads: usize,
) -> Result<(Vec<Reach>, Option<String>), String> {
    let name = &kernel.facts().name;
    let read = path.map_or_else(|| Ok(Reaches::default()), Reaches::read);
    let damaged = |why: &String| {
        let path = path.unwrap_or(Path::new(""));
        format!("the measurements of this machine in {path:?} are left out and replaced: {why}")
    };
    let mut note = read.as_ref().err().map(damaged);
    if let Some(known) = read.unwrap_or_default().find(machine, name, threads) {
        return Ok((known, note));
    }
    let reaches = measure(kernel, machine, threads)?;
    if let Some(path) = path
        && let Err(error) = keep(path, machine, name, &reaches)
    {
        note = Some(format!(
            "the measurements of this machine are not kept: {path:?}: {error}"
        ));
    }
    Ok((reaches, note))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tritone_machine::Roots;

    use super::*;

    fn machine() -> Machine {
        Machine::detect_at(&Roots {
            proc: "/nowhere".into(),
            sys: "/nowhere".into(),
        })
    }

    fn reach(threads: usize, read: f64) -> Reach {
        Reach {
            threads,
            read,
            macs: 1e9,
            unix_time: 5,
        }
    }

    #[test]
    fn what_was_measured_is_found_again_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/reach.json");
        assert_eq!(Reaches::read(&path), Ok(Reaches::default()));
        let first = [reach(1, 1e10), reach(2, 2e10)];
        keep(&path, &machine(), "avx2", &first).unwrap();
        keep(&path, &machine(), "avx2", &[reach(1, 3e10)]).unwrap();
        keep(&path, &machine(), "scalar", &[reach(1, 4e10)]).unwrap();
        let all = Reaches::read(&path).unwrap();
        let found = all.find(&machine(), "avx2", 2).unwrap();
        assert_eq!(found, [reach(1, 3e10), reach(2, 2e10)]);
        assert_eq!(all.find(&machine(), "avx2", 1).unwrap(), [reach(1, 3e10)]);
        assert_eq!(all.find(&machine(), "avx2", 3), None);
        assert_eq!(all.find(&machine(), "scalar", 2), None);
        let mut other = machine();
        other.cpu = "another".to_owned();
        assert_eq!(all.find(&other, "avx2", 1), None);
    }

    #[test]
    fn a_damaged_file_costs_a_measurement_and_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reach.json");
        let kernel = crate::cli::setup::registry(&Default::default())
            .by_name("scalar")
            .unwrap();
        let mut machine = machine();
        machine.memory.total_bytes = Some(64 << 20);
        let get = || known_or_measured(Some(&path), &*kernel, &machine, 1).unwrap();
        for (text, why) in [
            ("{", "EOF"),
            (r#"{"schema": "other", "rows": []}"#, "schema is 'other'"),
            (
                r#"{"schema": "tritone-reach/1", "rows": [{"cpu": "unknown", "kernel": "scalar",
                   "threads": 1, "read": -1, "macs": 1, "unix_time": 1}]}"#,
                "none of a machine",
            ),
        ] {
            fs::write(&path, text).unwrap();
            let (measured, note) = get();
            assert!(measured[0].read > 0.0);
            let note = note.unwrap();
            assert!(note.contains(why) && note.contains("reach.json"), "{note}");
            // It has been replaced, and is used from now on.
            assert_eq!(get(), (measured, None));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_file_is_read_or_refused(text in "[\\{\\}\\[\\]\":,a-z0-9.e+-]{0,120}", rate in any::<f64>()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("reach.json");
            let row = format!(
                r#"{{"schema": "{SCHEMA}", "rows": [{{"cpu": "", "kernel": "", "threads": 1,
                "read": {rate:e}, "macs": 1e9, "unix_time": 0}}]}}"#
            );
            for text in [&text, &row] {
                fs::write(&path, text).unwrap();
                if let Ok(found) = Reaches::read(&path) {
                    prop_assert!(found.rows.iter().all(|row| row.reach.read > 0.0));
                }
            }
        }
    }
}
