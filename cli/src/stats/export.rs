//! The report as a program reads it: JSON and CSV.

use serde_json::{Map, Value, json};

use super::period::Divider;
use super::tally::{Figures, Report};

/// One JSON object.
pub(super) fn json(report: &Report, divider: &Divider, files: usize, lines_bad: u64) -> Value {
    let mut root = json!({
        "files": files,
        "lines": report.lines,
        "lines_bad": lines_bad,
        "bytes": report.bytes,
        "first_timestamp": report.first_timestamp,
        "last_timestamp": report.last_timestamp,
        "sessions_before": report.sessions_before,
        "sessions_open": report.sessions_open,
        "sessions_without_end": report.sessions_given_up,
        "participants_before": report.participants_before,
        "participants_open": report.participants_open,
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
    root
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

/// A day or an hour as RFC 3339 has it; empty for events before the first one with a time, and
/// where nothing is divided.
fn begin_of(begin: Option<i64>, divider: &Divider) -> String {
    let local = begin.filter(|_| divider.by.is_some()).and_then(|begin| divider.local(begin));
    local.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
}

/// CSV (RFC 4180, with plain line feeds): a heading, and a row for each day or hour, or one for
/// everything.
pub(super) fn csv(report: &Report, divider: &Divider) -> String {
    let mut heading = vec!["begin".to_owned()];
    heading.extend(numbers(&report.total).map(|(name, _)| name.to_owned()));
    heading.extend(report.kinds.iter().map(|name| field(&format!("events.{name}"))));
    let mut text = heading.join(",") + "\n";
    let mut add = |begin: Option<i64>, figures: &Figures| {
        let mut cells = vec![begin_of(begin, divider)];
        cells.extend(numbers(figures).map(|(_, value)| value.to_string()));
        cells.extend(figures.kinds.iter().map(u64::to_string));
        text.push_str(&cells.join(","));
        text.push('\n');
    };
    if divider.by.is_some() {
        report.rows.iter().for_each(|(begin, figures)| add(*begin, figures));
    } else {
        add(None, &report.total);
    }
    text
}

/// A field in quotes where it needs them. One that a spreadsheet would take for a formula cannot
/// be: fields begin with `events.`.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
