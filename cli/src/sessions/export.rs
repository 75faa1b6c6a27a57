//! Rows for programs: JSON and CSV, with the same names.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::clock::Clock;
use super::row::{Row, RowType};
use crate::count::{Sum, Usage};
use crate::json_output::{self, ObjectType};

/// A row, and what is known of it at the end of the input. Serialized, it is one JSON object.
#[derive(Debug)]
pub(super) struct Final<'a> {
    pub(super) row: &'a Row<'a>,
    /// The local day that it belongs to; empty while it is open.
    pub(super) day: &'a str,
    /// Nothing that belongs to this day can change or come.
    pub(super) is_closed: bool,
}

impl Serialize for Final<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, day, is_closed } = *self;
        let mut object = serializer.serialize_map(None)?;
        let of_type = match row.of {
            RowType::Participant => ObjectType::Participant,
            RowType::Session => ObjectType::Session,
        };
        json_output::begin("sessions", of_type, &mut object)?;
        object.serialize_entry("day", &told(day))?;
        object.serialize_entry("closed", &is_closed)?;
        object.serialize_entry("session", &told(&row.session))?;
        object.serialize_entry("session_id", &told(&row.session_id))?;
        match row.of {
            RowType::Participant => {
                for (name, text) in participant(row) {
                    object.serialize_entry(name, &told(text))?;
                }
                object.serialize_entry("joined_ms", &row.began)?;
                object.serialize_entry("left_ms", &row.ended)?;
                object.serialize_entry("last_ms", &row.last)?;
                object.serialize_entry("seconds", &seconds(row.stay_ms))?;
            }
            RowType::Session => {
                object.serialize_entry("began_ms", &row.began)?;
                object.serialize_entry("ended_ms", &row.ended)?;
                object.serialize_entry("last_ms", &row.last)?;
                object.serialize_entry("participants", &row.participants)?;
                object.serialize_entry("participant_seconds", &seconds(row.stay_ms))?;
            }
        }
        object.serialize_entry("ended_by", &row.ended_by.map(|by| by.word()))?;
        object.serialize_entry("reason", &told(&row.reason))?;
        for (count_name, count, seconds_name, ms) in sums(&row.usage) {
            object.serialize_entry(count_name, &count)?;
            object.serialize_entry(seconds_name, &seconds(ms))?;
        }
        object.serialize_entry("recording_bytes", &row.usage.recording_bytes)?;
        object.end()
    }
}

/// Null if no event told it.
fn told(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn participant<'a>(row: &'a Row<'_>) -> [(&'static str, &'a str); 7] {
    [
        ("participant", &row.participant),
        ("identity", &row.identity),
        ("kind", &row.kind),
        ("connection", &row.connection),
        ("platform", &row.platform),
        ("location", &row.location),
        ("client_data", &row.client_data),
    ]
}

/// Names and values of counts, and names and milliseconds of durations.
fn sums(usage: &Usage) -> [(&'static str, u64, &'static str, i64); 4] {
    let of = |count, seconds, sum: Sum| (count, sum.count, seconds, sum.ms);
    [
        of("tracks", "track_seconds", usage.tracks),
        of("tracks_received", "track_received_seconds", usage.received),
        of("egresses", "egress_seconds", usage.egress),
        of("recordings", "recording_seconds", usage.recordings),
    ]
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
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

/// The error of what CSV is written to, which says whether its reader went away.
pub(super) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Writes rows as CSV (RFC 4180, with plain line feeds) below a header.
pub(super) struct CsvRows<W: Write> {
    writer: csv::Writer<W>,
    of: RowType,
    clock: Clock,
    /// The text of a number.
    text: Vec<u8>,
}

impl<W: Write> CsvRows<W> {
    pub(super) fn new(out: W, of: RowType, zone: TimeZone) -> Result<Self, csv::Error> {
        let columns: &[&str] = match of {
            RowType::Participant => &PARTICIPANT_COLUMNS,
            RowType::Session => &SESSION_COLUMNS,
        };
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns)?;
        Ok(Self { writer, of, clock: Clock::new(zone), text: Vec::new() })
    }

    /// Writes all columns in their order; those that a row of this type does not have are empty.
    pub(super) fn write(&mut self, row: &Final<'_>) -> Result<(), csv::Error> {
        let Final { row, day, is_closed } = *row;
        let closed = if is_closed { "true" } else { "false" };
        for text in [day, closed, &row.session, &row.session_id] {
            self.writer.write_field(text)?;
        }
        if self.of == RowType::Participant {
            // A session among participants has empty ones.
            participant(row).iter().try_for_each(|(_, text)| self.writer.write_field(text))?;
        }
        self.time(row.began)?;
        self.time(row.ended)?;
        self.number(row.last)?;
        if self.of == RowType::Session {
            self.number(row.participants)?;
        }
        self.number(seconds(row.stay_ms))?;
        self.writer.write_field(row.ended_by.map_or("", |by| by.word()))?;
        self.writer.write_field(&*row.reason)?;
        for (_, count, _, ms) in sums(&row.usage) {
            self.number(count)?;
            self.number(seconds(ms))?;
        }
        self.number(row.usage.recording_bytes)?;
        // Ends the row.
        self.writer.write_record(None::<&[u8]>)
    }

    /// A local time, and its milliseconds since 1970.
    fn time(&mut self, at: Option<i64>) -> Result<(), csv::Error> {
        let Some(at) = at else {
            return [""; 2].iter().try_for_each(|none| self.writer.write_field(none));
        };
        match self.clock.local(at) {
            Some(local) => self.writer.write_field(local.rfc3339())?,
            None => self.number(at)?,
        }
        self.number(at)
    }

    fn number(&mut self, number: impl Serialize) -> Result<(), csv::Error> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, &number).map_err(io::Error::from)?;
        self.writer.write_field(&self.text)
    }

    /// Everything was written.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
