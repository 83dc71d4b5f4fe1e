use tempfile::tempdir;

use super::*;

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
