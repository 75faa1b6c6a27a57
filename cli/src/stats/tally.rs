//! Counts the events of lines.

use super::figures::{Figures, Report};
use super::names::Names;
use super::period::{Divider, Span};
use super::rows::Rows;
use crate::count::line::Line;
use crate::count::line_reader::{Depth, LineReader, ReadEvent};
use crate::count::{SessionTracker, Source};

/// Takes lines, and counts.
#[derive(Debug)]
pub(super) struct Tally {
    kinds: Names,
    tracker: SessionTracker,
    rows: Rows,
    first: Option<i64>,
    last: Option<i64>,
    lines: u64,
    bytes: u64,
}

impl Tally {
    /// Events outside of `period` are followed, but not counted.
    pub(super) fn new(divider: Divider, period: Span) -> Self {
        Self {
            kinds: Names::default(),
            tracker: SessionTracker::new(),
            rows: Rows::new(divider, period),
            first: None,
            last: None,
            lines: 0,
            bytes: 0,
        }
    }

    /// Reads lines for [`Tally::take`].
    pub(super) fn reader(&self) -> LineReader {
        self.tracker.reader(Depth::Counts)
    }

    /// Takes a line, with or without its line feed, and what it says; `None` if it is not the line of
    /// an event. An event without a time is assigned `before`, the time of the line before it.
    pub(super) fn take(
        &mut self,
        line: &[u8],
        event: Option<ReadEvent>,
        source: Source,
        before: Option<i64>,
    ) {
        self.lines += 1;
        self.bytes += line.len() as u64;
        let Some(event) = event else { return };
        if let Some(at) = event.at {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        }
        let at = event.at.or(before);
        let is_new = at.is_none_or(|at| self.tracker.take(at, source, event));
        if is_new {
            self.rows.count_event(at, self.kinds.number(&Line::of_parsed(line).name));
        }
    }

    /// Hardly any event before this time is still to come.
    pub(super) fn advance(&mut self, watermark: i64) {
        self.tracker.advance(watermark, &mut self.rows);
    }

    #[cfg(test)]
    pub(super) fn sessions_held(&self) -> usize {
        self.tracker.sessions_held()
    }

    /// The result.
    pub(super) fn end(self) -> Report {
        let Self { mut tracker, mut rows, kinds, .. } = self;
        tracker.end(&mut rows);
        let (sessions_open, participants_open) = tracker.open();
        let before = tracker.level();
        let leave_reasons = std::mem::take(&mut rows.leave_reasons).into_sorted();
        let end_reasons = std::mem::take(&mut rows.end_reasons).into_sorted();
        let mut rows = rows.into_rows(before);
        let kinds = kinds.into_names();
        let mut total = Figures::default();
        for row in rows.values_mut() {
            row.kinds.resize(kinds.len(), 0);
            total.add(row);
        }
        Report {
            kinds,
            total,
            rows,
            lines: self.lines,
            bytes: self.bytes,
            first_timestamp: self.first,
            last_timestamp: self.last,
            events_repeated: tracker.events_repeated(),
            events_unknown: tracker.events_unknown(),
            sessions_before: before.sessions.before.max(0) as u64,
            participants_before: before.participants.before.max(0) as u64,
            sessions_open,
            participants_open,
            sessions_given_up: tracker.sessions_given_up(),
            leave_reasons,
            end_reasons,
        }
    }
}
