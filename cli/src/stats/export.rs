//! The report for programs: JSON and CSV.

use std::error::Error;

use serde_json::{Map, Value, json};

use super::figures::{Figures, Report};
use super::period::Divider;
use super::rejects::Rejects;
use crate::json_output::{self, ObjectType};

/// What was read, besides the events.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) files_count: usize,
    /// Files that were named twice; each is read and counted once.
    pub(super) files_repeated: usize,
    pub(super) lines_bad: u64,
    pub(super) rejects: Rejects,
}

/// One JSON object.
pub(super) fn json(report: &Report, divider: &Divider, input: &Input) -> Value {
    let mut root = json!({
        "files_count": input.files_count,
        "files_repeated": input.files_repeated,
        "lines": report.lines,
        "lines_bad": input.lines_bad,
        "rejected": input.rejects.count,
        "rejected_by_reason": by_name(&input.rejects.reasons),
        "events_repeated": report.events_repeated,
        "events_not_told_apart": report.events_unknown,
        "bytes": report.bytes,
        "first_timestamp": report.first_timestamp,
        "last_timestamp": report.last_timestamp,
        "sessions_before": report.sessions_before,
        "sessions_open": report.sessions_open,
        "sessions_without_end": report.sessions_given_up,
        "participants_before": report.participants_before,
        "participants_open": report.participants_open,
        "participants_left_by_reason": by_name(&report.leave_reasons),
        "sessions_ended_by_reason": by_name(&report.end_reasons),
    });
    if let Value::Object(root) = &mut root {
        add_figures(root, report, &report.total);
        if divider.by.is_some() {
            let rows = report.rows.iter().map(|(begin, figures)| {
                let mut row = Map::new();
                row.insert("begin".to_owned(), begin_of(*begin, divider).into());
                row.insert("begin_timestamp".to_owned(), json!(begin));
                add_figures(&mut row, report, figures);
                Value::Object(row)
            });
            root.insert("rows".to_owned(), rows.collect());
        }
    }
    json_output::object("stats", ObjectType::Summary, root)
}

fn by_name(counts: &[(String, u64)]) -> Value {
    Value::Object(counts.iter().map(|(name, count)| (name.clone(), json!(count))).collect())
}

fn add_figures(object: &mut Map<String, Value>, report: &Report, figures: &Figures) {
    for (name, value) in numbers(figures) {
        object.insert(name.to_owned(), value);
    }
    let kinds = report.kinds.iter().zip(&figures.kinds).filter(|(_, count)| **count > 0);
    let kinds: Map<_, _> = kinds.map(|(name, count)| (name.clone(), json!(count))).collect();
    object.insert("events_by_type".to_owned(), Value::Object(kinds));
}

fn numbers(figures: &Figures) -> [(&'static str, Value); 8] {
    [
        ("events", json!(figures.events)),
        ("sessions", json!(figures.sessions)),
        ("participants", json!(figures.participants)),
        ("participant_minutes", json!(figures.participant_ms as f64 / 60_000.0)),
        ("recordings", json!(figures.recordings)),
        ("recording_bytes", json!(figures.recording_bytes)),
        ("peak_sessions", json!(figures.peak_sessions)),
        ("peak_participants", json!(figures.peak_participants)),
    ]
}

/// A day or an hour in RFC 3339; empty for events before the first one with a time, and without
/// `--by`.
fn begin_of(begin: Option<i64>, divider: &Divider) -> String {
    let local = begin.filter(|_| divider.by.is_some()).and_then(|begin| divider.local(begin));
    local.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
}

/// CSV (RFC 4180, with plain line feeds): a header, and a row per day or hour, or one for
/// everything. The columns are always the same: what depends on the data is only in the JSON.
///
/// # Errors
///
/// None except for memory: it is written to a buffer.
pub(super) fn csv(report: &Report, divider: &Divider) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = numbers(&report.total).map(|(name, _)| name);
    writer.write_record(["begin", "begin_timestamp"].iter().chain(&names))?;
    let mut write = |begin: Option<i64>, figures: &Figures| {
        let timestamp = begin.map(|begin| begin.to_string()).unwrap_or_default();
        let numbers = numbers(figures).map(|(_, value)| value.to_string());
        writer.write_record([begin_of(begin, divider), timestamp].iter().chain(&numbers))
    };
    if divider.by.is_some() {
        report.rows.iter().try_for_each(|(begin, figures)| write(*begin, figures))?;
    } else {
        write(None, &report.total)?;
    }
    Ok(writer.into_inner()?)
}
