use std::path::Path;

use tempfile::tempdir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tritone_monitor::read_log;

use super::*;

const INTERVAL: Duration = Duration::from_millis(100);

/// The next message; the sampler is at work.
fn next(receiver: &mut UnboundedReceiver<Msg>) -> Msg {
    receiver.blocking_recv().unwrap()
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
    let (sender, mut receiver) = unbounded_channel();
    let watch = Watch {
        interval: Some(INTERVAL),
        log: Some(path.clone()),
    };
    let sampler = Sampler::start(sender, Slot::default(), watch);
    let mut samples = Vec::new();
    while samples.len() < 3 {
        match next(&mut receiver) {
            Msg::Sample(sample) => samples.push(*sample),
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
    let (sender, mut receiver) = unbounded_channel();
    let watch = Watch {
        interval: Some(INTERVAL),
        log: Some(dir.path().join("no/log")),
    };
    let _sampler = Sampler::start(sender, Slot::default(), watch);
    let Msg::Notice(text) = next(&mut receiver) else {
        panic!("a notice first");
    };
    assert!(text.starts_with("cannot open the monitor log "), "{text}");
    assert!(text.ends_with("nothing is logged"), "{text}");
    assert!(matches!(next(&mut receiver), Msg::Sample(_)));
}

#[test]
fn the_engine_is_measured() {
    let status = EngineStatus {
        active: 1,
        kv_pages_used: 3,
        kv_pages: 8,
        kv_page_bytes: 1024,
        counters: tritone_engine::Counters {
            decoded_tokens: 40,
            decode_time: Duration::from_secs(2),
            ..tritone_engine::Counters::default()
        },
        ..EngineStatus::default()
    };
    let mut rates = Rates::default();
    let mut sample = Sample::new(1000, 1000);
    rates.fill(&mut sample, Counters::default());
    let mut counters = Counters::default();
    engine(&status, &mut sample, &mut counters);
    rates.fill(&mut sample, counters);
    assert_eq!(sample.get(Metric::DecodeRate), Some(20.0));
    assert_eq!(sample.get(Metric::KvBytes), Some(3072.0));
}

#[test]
fn exports_do_not_replace_each_other() {
    let dir = tempdir().unwrap();
    let place = dir.path().join("state/tritone");
    let time = "2025-11-26T07:30:31.250Z";
    let records = [Record::Event(Event::new(1, EventKind::Kernel, "lut"))];
    let both = Destination {
        file: None,
        csv: true,
        json: true,
    };
    let said = export_to(&place, time, &records, &both).unwrap();
    assert!(
        said.ends_with("monitor-20251126T073031250Z.json and .csv"),
        "{said}"
    );
    for ending in ["json", "csv"] {
        let file = place
            .join("monitor-20251126T073031250Z")
            .with_extension(ending);
        assert!(fs::read_to_string(file).unwrap().contains("lut"));
    }
    let error = export_to(&place, time, &records, &both).unwrap_err();
    assert!(error.starts_with("cannot export to "), "{error}");
    let file = dir.path().join("mine");
    let named = Destination {
        file: Some(file.display().to_string()),
        csv: true,
        json: false,
    };
    assert_eq!(export(&records, &named), Ok(file.display().to_string()));
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("lut") && !text.starts_with(['{', '[']),
        "{text}"
    );
    let error = export(&records, &named).unwrap_err();
    assert!(
        error.ends_with("it is there already; give another name"),
        "{error}"
    );
}

#[test]
fn a_program_that_was_stopped_leaves_a_gap() {
    let ms = Duration::from_millis;
    // Late by as much as a busy machine makes it.
    assert_eq!(covered(ms(1900), ms(1000)), ms(1900));
    assert_eq!(covered(ms(900), ms(100)), ms(900));
    assert_eq!(covered(ms(3_600_000), ms(1000)), ms(1000));
}
