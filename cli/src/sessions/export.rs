//! Rows for programs: JSON and CSV, with the same names.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::row::{Row, RowType};
use crate::count::Sum;
use crate::json_output::{self, ObjectType};

/// A row, and what is known of it at the end of the input.
#[derive(Debug)]
pub(super) struct Final<'a> {
    pub(super) row: &'a Row,
    /// The local day that it belongs to; empty while it is open.
    pub(super) day: String,
    /// Nothing that belongs to this day can change or come.
    pub(super) is_closed: bool,
}

/// One JSON object.
pub(super) fn json(row: &Final<'_>) -> Value {
    let members: Map<_, _> =
        members(row).into_iter().map(|(name, value)| (name.into(), value)).collect();
    let of_type = match row.row.of {
        RowType::Participant => ObjectType::Participant,
        RowType::Session => ObjectType::Session,
    };
    json_output::object("sessions", of_type, Value::Object(members))
}

fn members(row: &Final<'_>) -> Vec<(&'static str, Value)> {
    let Final { row, day, is_closed } = row;
    let text = |text: &String| if text.is_empty() { Value::Null } else { json!(text) };
    let mut members = vec![
        ("day", text(day)),
        ("closed", json!(is_closed)),
        ("session", text(&row.session)),
        ("session_id", text(&row.session_id)),
    ];
    match row.of {
        RowType::Participant => members.extend([
            ("participant", text(&row.participant)),
            ("identity", text(&row.identity)),
            ("kind", text(&row.kind)),
            ("connection", text(&row.connection)),
            ("platform", text(&row.platform)),
            ("location", text(&row.location)),
            ("client_data", text(&row.client_data)),
            ("joined_ms", json!(row.began)),
            ("left_ms", json!(row.ended)),
            ("last_ms", json!(row.last)),
            ("seconds", seconds(row.stay_ms)),
        ]),
        RowType::Session => members.extend([
            ("began_ms", json!(row.began)),
            ("ended_ms", json!(row.ended)),
            ("last_ms", json!(row.last)),
            ("participants", json!(row.participants)),
            ("participant_seconds", seconds(row.stay_ms)),
        ]),
    }
    members.extend([
        ("ended_by", json!(row.ended_by.map(|by| by.word()))),
        ("reason", text(&row.reason)),
    ]);
    members.extend(usage(row));
    members
}

fn usage(row: &Row) -> [(&'static str, Value); 9] {
    let usage = &row.usage;
    let sum = |sum: Sum| (json!(sum.count), seconds(sum.ms));
    let (tracks, track_seconds) = sum(usage.tracks);
    let (received, received_seconds) = sum(usage.received);
    let (egresses, egress_seconds) = sum(usage.egress);
    let (recordings, recording_seconds) = sum(usage.recordings);
    [
        ("tracks", tracks),
        ("track_seconds", track_seconds),
        ("tracks_received", received),
        ("track_received_seconds", received_seconds),
        ("egresses", egresses),
        ("egress_seconds", egress_seconds),
        ("recordings", recordings),
        ("recording_seconds", recording_seconds),
        ("recording_bytes", json!(usage.recording_bytes)),
    ]
}

fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}

/// The columns of CSV. They are the same whatever was read: see `docs/json.md`.
const PARTICIPANT_COLUMNS: [&str; 28] = [
    "day",
    "closed",
    "session",
    "session_id",
    "participant",
    "identity",
    "kind",
    "connection",
    "platform",
    "location",
    "client_data",
    "joined",
    "joined_ms",
    "left",
    "left_ms",
    "last_ms",
    "seconds",
    "ended_by",
    "reason",
    "tracks",
    "track_seconds",
    "tracks_received",
    "track_received_seconds",
    "egresses",
    "egress_seconds",
    "recordings",
    "recording_seconds",
    "recording_bytes",
];

/// The same with `--by session`.
const SESSION_COLUMNS: [&str; 22] = [
    "day",
    "closed",
    "session",
    "session_id",
    "began",
    "began_ms",
    "ended",
    "ended_ms",
    "last_ms",
    "participants",
    "participant_seconds",
    "ended_by",
    "reason",
    "tracks",
    "track_seconds",
    "tracks_received",
    "track_received_seconds",
    "egresses",
    "egress_seconds",
    "recordings",
    "recording_seconds",
    "recording_bytes",
];

/// Writes rows as CSV (RFC 4180, with plain line feeds) below a header.
pub(super) struct CsvRows<W: Write> {
    writer: csv::Writer<W>,
    columns: &'static [&'static str],
    zone: TimeZone,
}

impl<W: Write> CsvRows<W> {
    pub(super) fn new(out: W, of: RowType, zone: TimeZone) -> Result<Self, csv::Error> {
        let columns: &[&str] = match of {
            RowType::Participant => &PARTICIPANT_COLUMNS,
            RowType::Session => &SESSION_COLUMNS,
        };
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns)?;
        Ok(Self { writer, columns, zone })
    }

    /// Columns that a row of this type does not have are empty.
    pub(super) fn write(&mut self, row: &Final<'_>) -> Result<(), csv::Error> {
        let members = members(row);
        let cell = |column: &&str| {
            let time = |at: Option<i64>| at.map(|at| local(at, &self.zone)).unwrap_or_default();
            match *column {
                "joined" | "began" => return time(row.row.began),
                "left" | "ended" => return time(row.row.ended),
                // A session among participants.
                "joined_ms" => return row.row.began.map(|at| at.to_string()).unwrap_or_default(),
                "left_ms" => return row.row.ended.map(|at| at.to_string()).unwrap_or_default(),
                "seconds" => return seconds(row.row.stay_ms).to_string(),
                _ => {}
            }
            match members.iter().find(|(name, _)| name == column).map(|(_, value)| value) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            }
        };
        self.writer.write_record(self.columns.iter().map(cell))
    }

    /// Everything was written.
    pub(super) fn end(mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// RFC 3339 with the offset of the time zone; the number if it is not a time.
fn local(at: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(at).map(|time| time.to_zoned_datetime(zone.clone()));
    time.map_or_else(
        |_| at.to_string(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
    )
}
