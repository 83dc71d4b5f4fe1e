//! Replays the corpus of the fuzz target `sessions`, so that it counts without a fuzzer.

mod exercise;

use std::fs;

use tritone_store::Store;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sessions");

#[test]
fn sessions_are_refused_or_can_be_imported() {
    let place = tempfile::tempdir().unwrap();
    let mut store = Store::open(&place.path().join("sessions.db"))
        .unwrap()
        .store;
    let mut imported = 0;
    for entry in fs::read_dir(CORPUS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let documents = exercise::exercise(&fs::read(&path).unwrap());
        assert_eq!(documents.is_some(), name.starts_with("good-"), "{name}");
        for document in documents.into_iter().flatten() {
            let id = store.import(&document).unwrap();
            let kept = store.document(id).unwrap();
            assert_eq!(kept.messages.len(), document.messages.len(), "{name}");
            imported += 1;
        }
    }
    assert!(imported > 2, "{CORPUS} has {imported} sessions");
}
