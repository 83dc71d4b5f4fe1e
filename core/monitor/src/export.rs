//! Records as a table or a document.

use std::io::{self, Write};

use serde_json::Value;

use crate::metric::Metric;
use crate::record::Record;
use crate::time::utc;

/// Writes the line with the names of the columns: `at`, `time` (UTC), `span_ms`, every metric, `cores`
/// (per cent, separated by semicolons), `event` and `text`.
///
/// # Errors
/// When `out` cannot be written.
pub fn csv_head(out: &mut impl Write) -> io::Result<()> {
    write!(out, "at,time,span_ms")?;
    for metric in Metric::ALL {
        write!(out, ",{}", metric.name())?;
    }
    writeln!(out, ",cores,event,text")
}

/// Writes a record as a line of CSV (RFC 4180); what is not known is empty.
///
/// # Errors
/// When `out` cannot be written.
pub fn csv_line(record: &Record, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{},{},", record.at(), utc(record.at()))?;
    match record {
        Record::Sample(sample) => {
            write!(out, "{}", sample.span)?;
            for &metric in Metric::ALL {
                match sample.get(metric) {
                    Some(value) => write!(out, ",{value}")?,
                    None => write!(out, ",")?,
                }
            }
            let cores: Vec<String> = sample.cores().iter().map(ToString::to_string).collect();
            writeln!(out, ",{},,", cores.join(";"))
        }
        Record::Event(event) => {
            for _ in Metric::ALL {
                write!(out, ",")?;
            }
            writeln!(out, ",,{},{}", event.kind.name(), quoted(event.text()))
        }
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Writes records as a table; see [`csv_head`] and [`csv_line`].
///
/// # Errors
/// When `out` cannot be written.
pub fn csv<'r>(
    records: impl IntoIterator<Item = &'r Record>,
    out: &mut impl Write,
) -> io::Result<()> {
    csv_head(out)?;
    for record in records {
        csv_line(record, out)?;
    }
    Ok(())
}

/// Writes records as a JSON array of the objects that a log has one a line, with the time in UTC besides.
///
/// # Errors
/// When `out` cannot be written.
pub fn json<'r>(
    records: impl IntoIterator<Item = &'r Record>,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(out, "[")?;
    for (index, record) in records.into_iter().enumerate() {
        let mut object = record.object();
        object.insert("time".to_owned(), utc(record.at()).into());
        let line = Value::Object(object);
        write!(out, "{}\n{line}", if index == 0 { "" } else { "," })?;
    }
    writeln!(out, "\n]")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Event, EventKind};
    use crate::record::tests::any_record;
    use crate::sample::Sample;

    /// The fields of a table, by the rules of RFC 4180.
    fn fields(text: &str) -> Vec<Vec<String>> {
        let mut rows = vec![];
        let (mut row, mut field, mut quoted) = (vec![], String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                _ => field.push(char),
            }
        }
        rows
    }

    /// A record out of a row of the table.
    fn read(head: &[String], row: &[String]) -> Record {
        let get = |name: &str| &row[head.iter().position(|column| column == name).unwrap()];
        let at = get("at").parse().unwrap();
        if let Some(kind) = EventKind::named(get("event")) {
            return Record::Event(Event::new(at, kind, get("text")));
        }
        let mut sample = Sample::new(at, get("span_ms").parse().unwrap());
        for &metric in Metric::ALL {
            sample.set_known(metric, get(metric.name()).parse().ok());
        }
        let cores = get("cores").split(';').filter_map(|core| core.parse().ok());
        sample.set_cores(cores);
        Record::Sample(sample)
    }

    #[test]
    fn a_table() {
        let mut sample = Sample::new(61_000, 1000);
        sample.set(Metric::Resident, 1024.0);
        sample.set_cores([1.0, 2.0]);
        let event = Event::new(62_000, EventKind::Model, "a \"b\", c");
        let mut out = Vec::new();
        csv(&[Record::Sample(sample), Record::Event(event)], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("at,time,span_ms,resident_bytes,"));
        assert!(lines[1].starts_with("61000,1970-01-01T00:01:01.000Z,1000,1024,,"));
        assert!(lines[1].ends_with(",1;2,,"));
        assert!(lines[2].ends_with(",model,\"a \"\"b\"\", c\""));
    }

    proptest! {
        #[test]
        fn tables_and_documents_say_what_was_measured(records in prop::collection::vec(any_record(), 0..8)) {
            let mut out = Vec::new();
            csv(&records, &mut out).unwrap();
            let rows = fields(std::str::from_utf8(&out).unwrap());
            let again: Vec<Record> = rows[1..].iter().map(|row| read(&rows[0], row)).collect();
            prop_assert_eq!(&again, &records);
            prop_assert!(rows.iter().all(|row| row.len() == rows[0].len()));

            let mut out = Vec::new();
            json(&records, &mut out).unwrap();
            let document: Vec<Value> = serde_json::from_slice(&out).unwrap();
            let again: Result<Vec<Record>, String> = document
                .iter()
                .map(|value| Record::from_json(&value.to_string()))
                .collect();
            prop_assert_eq!(again, Ok(records));
        }
    }
}
