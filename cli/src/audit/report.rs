//! The output at the end: a table for people, objects for programs.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

use comfy_table::{Table, presets};
use indicatif::HumanCount;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::cause::local;
use super::finding::{Finding, Reason};
use crate::json_output::{self, ObjectType};
use crate::outcome::say;
use crate::print::{print, shown};

/// What was read.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) files_count: usize,
    pub(super) lines: u64,
    pub(super) lines_bad: u64,
    pub(super) bytes: u64,
    pub(super) events_repeated: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) sessions_open: u64,
    pub(super) participants_open: u64,
    pub(super) activities_open: u64,
    /// Missing events of which only the number is known, because there are too many.
    pub(super) untold: u64,
    /// What the server was asked about, if one was asked.
    pub(super) server: Option<Server>,
}

/// What a server says there is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) rooms: u64,
    pub(super) participants: u64,
}

/// Everything, in order of time.
#[derive(Debug)]
pub(super) struct Report {
    findings: Vec<Finding>,
    summary: Summary,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>, summary: Summary) -> Self {
        let key = |finding: &Finding| {
            let subject = &finding.subject;
            let ids = (subject.session.clone(), subject.participant.clone());
            (finding.at, finding.is_note, ids, subject.activity.clone(), finding.reason)
        };
        findings.sort_by_cached_key(key);
        Self { findings, summary }
    }

    pub(super) fn has_findings(&self) -> bool {
        self.summary.untold > 0 || self.findings.iter().any(|finding| !finding.is_note)
    }

    fn count(&self, is_note: bool) -> u64 {
        self.findings.iter().filter(|finding| finding.is_note == is_note).count() as u64
    }

    fn by_reason(&self, is_note: bool) -> Map<String, Value> {
        let mut counts: BTreeMap<Reason, u64> = BTreeMap::new();
        for finding in self.findings.iter().filter(|finding| finding.is_note == is_note) {
            *counts.entry(finding.reason).or_default() += 1;
        }
        counts.iter().map(|(reason, count)| (reason.word().to_owned(), json!(count))).collect()
    }

    /// Findings, notes and the summary as JSON objects, one on each line.
    pub(super) fn print_json(&self) -> Result<(), Box<dyn Error>> {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = writeln!(text, "{}", finding.json());
        }
        let Summary { server, .. } = &self.summary;
        let summary = json!({
            "files_count": self.summary.files_count,
            "lines": self.summary.lines,
            "lines_bad": self.summary.lines_bad,
            "bytes": self.summary.bytes,
            "events_repeated": self.summary.events_repeated,
            "first_timestamp": self.summary.first,
            "last_timestamp": self.summary.last,
            "sessions_open": self.summary.sessions_open,
            "participants_open": self.summary.participants_open,
            "activities_open": self.summary.activities_open,
            "server_rooms": server.map(|server| server.rooms),
            "server_participants": server.map(|server| server.participants),
            "findings": self.count(false) + self.summary.untold,
            "findings_untold": self.summary.untold,
            "findings_by_reason": self.by_reason(false),
            "notes": self.count(true),
        });
        let _ = writeln!(text, "{}", json_output::object("audit", ObjectType::Summary, summary));
        print(text)
    }

    /// The findings as a table, the rest on standard error.
    pub(super) fn print_table(&self, zone: &TimeZone) -> Result<(), Box<dyn Error>> {
        let findings = || self.findings.iter().filter(|finding| !finding.is_note);
        if findings().next().is_some() {
            print(table(findings(), zone))?;
        }
        let mut notes: BTreeMap<String, u64> = BTreeMap::new();
        for note in self.findings.iter().filter(|finding| finding.is_note) {
            let cause = note.cause.as_ref().map(|cause| format!(": {cause}"));
            let text = format!("{}{}", shown(&note.message), cause.unwrap_or_default());
            *notes.entry(text).or_default() += 1;
        }
        for (note, count) in notes {
            say(format_args!("note: {note} ({} times)", HumanCount(count)));
        }
        if self.summary.untold > 0 {
            let untold = HumanCount(self.summary.untold);
            say(format_args!("{untold} more events are missing, which are not in the table"));
        }
        say(self.sentence());
        Ok(())
    }

    fn sentence(&self) -> String {
        let Summary { files_count, lines, sessions_open, participants_open, .. } = self.summary;
        let counted = |count: u64, noun: &str| {
            format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
        };
        let found = match self.count(false) + self.summary.untold {
            0 => "nothing is missing".to_owned(),
            findings => counted(findings, "finding"),
        };
        let server = self.summary.server.map(|server| {
            let (rooms, inside) = (counted(server.rooms, "room"), server.participants);
            format!("; the server has {rooms} with {}", counted(inside, "participant"))
        });
        format!(
            "{}, {}: {found}; {} with {} open at the end{}",
            counted(files_count as u64, "file"),
            counted(lines, "line"),
            counted(sessions_open, "session"),
            counted(participants_open, "participant"),
            server.unwrap_or_default()
        )
    }
}

fn table<'a>(findings: impl Iterator<Item = &'a Finding>, zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_row(["time", "what is wrong", "session", "participant", "id", "likely reason"]);
    let text = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), shown);
    for finding in findings {
        let subject = &finding.subject;
        table.add_row([
            local(finding.at, zone),
            shown(&finding.message),
            text(if subject.session.is_some() { &subject.session } else { &subject.session_id }),
            text(&subject.participant),
            text(&subject.activity),
            finding.cause.as_ref().map_or("not known".to_owned(), ToString::to_string),
        ]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}
