//! Rows for people: a table whose columns are as wide as its widest cells.

use std::io::{self, Write};

use indicatif::{DecimalBytes, HumanCount};
use jiff::tz::TimeZone;

use super::clock::Clock;
use super::row::{EndedBy, Row, RowType};
use crate::print::shown;

/// The columns, and whether each is aligned to the right.
const PARTICIPANT_COLUMNS: [(&str, bool); 10] = [
    ("joined", false),
    ("left", false),
    ("time", true),
    ("session", false),
    ("participant", false),
    ("ended by", false),
    ("platform", false),
    ("location", false),
    ("tracks", true),
    ("recorded", true),
];

const SESSION_COLUMNS: [(&str, bool); 9] = [
    ("began", false),
    ("ended", false),
    ("session", false),
    ("participants", true),
    ("participant-time", true),
    ("ended by", false),
    ("tracks", true),
    ("egress", true),
    ("recorded", true),
];

/// Lays out rows: first every row is measured, then every row is written.
#[derive(Debug)]
pub(super) struct Table {
    of: RowType,
    clock: Clock,
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn new(of: RowType, zone: TimeZone) -> Self {
        let mut table = Self { of, clock: Clock::new(zone), widths: Vec::new() };
        table.widths = table.columns().iter().map(|(name, _)| name.len()).collect();
        table
    }

    fn columns(&self) -> &'static [(&'static str, bool)] {
        match self.of {
            RowType::Participant => &PARTICIPANT_COLUMNS,
            RowType::Session => &SESSION_COLUMNS,
        }
    }

    pub(super) fn measure(&mut self, row: &Row<'_>) {
        let cells = self.cells(row);
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    pub(super) fn write_header(&self, out: &mut impl Write) -> io::Result<()> {
        let header: Vec<_> = self.columns().iter().map(|(name, _)| (*name).to_owned()).collect();
        self.write_cells(&header, out)
    }

    pub(super) fn write(&mut self, row: &Row<'_>, out: &mut impl Write) -> io::Result<()> {
        let cells = self.cells(row);
        self.write_cells(&cells, out)
    }

    fn write_cells(&self, cells: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
            let is_number = self.columns().get(index).is_some_and(|(_, is_number)| *is_number);
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            if index > 0 {
                line.push_str("  ");
            }
            if is_number {
                line.extend([padding.as_str(), cell]);
            } else {
                line.extend([cell, padding.as_str()]);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }

    fn cells(&mut self, row: &Row<'_>) -> Vec<String> {
        let usage = &row.usage;
        let counted = |sum: crate::count::Sum| match sum.count {
            0 => "-".to_owned(),
            count => format!("{} {}", HumanCount(count), duration(sum.ms)),
        };
        let recorded = match usage.recordings.count {
            0 => "-".to_owned(),
            _ => {
                format!("{} {}", duration(usage.recordings.ms), DecimalBytes(usage.recording_bytes))
            }
        };
        let session = text(if row.session.is_empty() { &row.session_id } else { &row.session });
        let (began, ended) = (self.time(row.began), self.time(row.ended));
        let ended_by = row.ended_by.map_or("open", |by| match by {
            EndedBy::Leave => "leave",
            EndedBy::SessionEnd => "session end",
            EndedBy::Inferred => "inferred",
        });
        let ended_by = ended_by.to_owned();
        if self.of == RowType::Session {
            let (stays, time) = (HumanCount(row.participants).to_string(), duration(row.stay_ms));
            let (tracks, egress) = (counted(usage.tracks), counted(usage.egress));
            return vec![began, ended, session, stays, time, ended_by, tracks, egress, recorded];
        }
        let (who, time) = match row.of {
            RowType::Participant => (text(row.who()), duration(row.stay_ms)),
            RowType::Session => ("(session)".to_owned(), "-".to_owned()),
        };
        let (platform, location) = (text(&row.platform), text(&row.location));
        let tracks = counted(usage.tracks);
        vec![began, ended, time, session, who, ended_by, platform, location, tracks, recorded]
    }

    fn time(&mut self, at: Option<i64>) -> String {
        let local = at.and_then(|at| self.clock.local(at));
        local.map_or("-".to_owned(), |local| local.text())
    }
}

fn text(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { shown(text) }
}

/// Hours, minutes and seconds.
fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
