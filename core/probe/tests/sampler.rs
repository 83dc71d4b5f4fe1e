//! Samples, the log, and what is measured elsewhere.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::tempdir;
use tritone_engine::EngineStatus;
use tritone_monitor::{Event, EventKind, Metric, Record, Sample, read_log};
use tritone_probe::{Bounds, Sampler, Subject, Told, Watch};

const INTERVAL: Duration = Duration::from_millis(100);

/// There is no engine, or everything is measured elsewhere.
struct Nothing(Option<Mutex<Vec<Record>>>);

impl Subject for Nothing {
    fn status(&self) -> Option<EngineStatus> {
        None
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            interval: INTERVAL,
            ..Bounds::default()
        }
    }

    fn elsewhere(&self) -> Option<Vec<Record>> {
        let records = self.0.as_ref()?;
        Some(std::mem::take(&mut records.lock().unwrap()))
    }
}

fn start(subject: Nothing, log: Option<&Path>) -> (Sampler, Receiver<Told>) {
    let (sender, told) = channel();
    let watch = Watch {
        interval: None,
        log: log.map(Path::to_owned),
    };
    let sampler = Sampler::start(subject, watch, move |what| sender.send(what).is_ok());
    (sampler, told)
}

fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let content = read_log(path, |record| records.push(record)).unwrap();
    assert_eq!(content.damaged, 0);
    records
}

#[test]
fn samples_arrive_and_are_logged_with_what_happened() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let (sampler, told) = start(Nothing(None), Some(&path));
    let mut samples = Vec::new();
    while samples.len() < 3 {
        match told.recv().unwrap() {
            Told::Sample(sample) => samples.push(*sample),
            other => panic!("{other:?}"),
        }
    }
    sampler.record(Event::new(samples[2].at, EventKind::Kernel, "lut"));
    drop(sampler);
    assert_eq!(samples[0].span, 0);
    assert!(samples[1].span > 0 && samples[1].at >= samples[0].at);
    assert!(
        samples
            .iter()
            .all(|s| s.get(Metric::Resident).unwrap_or(1.0) > 0.0)
    );
    assert_eq!(
        samples[1].get(Metric::Active),
        None,
        "there is no engine yet"
    );
    let records = records(&path);
    assert!(
        matches!(&records[0], Record::Event(event) if event.kind == EventKind::Start),
        "{records:?}"
    );
    for sample in samples {
        assert!(records.contains(&Record::Sample(sample)));
    }
    assert!(
        matches!(records.last(), Some(Record::Event(event)) if event.text() == "lut"),
        "{records:?}"
    );
}

#[test]
fn a_log_that_cannot_be_written_is_said_and_samples_still_come() {
    let dir = tempdir().unwrap();
    let (_sampler, told) = start(Nothing(None), Some(&dir.path().join("no/log")));
    let Told::Notice(text) = told.recv().unwrap() else {
        panic!("a notice first");
    };
    assert!(text.starts_with("cannot open the monitor log "), "{text}");
    assert!(text.ends_with("nothing is logged"), "{text}");
    assert!(matches!(told.recv().unwrap(), Told::Sample(_)));
}

#[test]
fn what_is_measured_elsewhere_is_told_instead() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sample = Sample::new(5000, 1000);
    sample.set(Metric::Resident, 7.0);
    let event = Event::new(4500, EventKind::Kernel, "lut");
    let known = vec![Record::Event(event.clone()), Record::Sample(sample.clone())];
    let (sampler, told) = start(Nothing(Some(Mutex::new(known))), Some(&path));
    assert!(matches!(told.recv().unwrap(), Told::Event(first) if first == event));
    assert!(matches!(told.recv().unwrap(), Told::Sample(then) if *then == sample));
    assert!(told.recv_timeout(3 * INTERVAL).is_err(), "nothing is new");
    drop(sampler);
    assert_eq!(
        records(&path)[1..],
        [Record::Event(event), Record::Sample(sample)]
    );
}
