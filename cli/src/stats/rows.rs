//! The figures of each day or hour, or of everything.

use std::collections::BTreeMap;
use std::ops::Range;

use super::figures::Figures;
use super::names::NameCounts;
use super::period::{Divider, Span};
use crate::count::{Count, Level, Listener};

/// What an event without a reason is counted under.
const NO_REASON: &[u8] = b"(none)";

#[derive(Debug)]
pub(super) struct Rows {
    divider: Divider,
    /// Events outside of it are not counted.
    period: Span,
    /// The row of the last event, taken out of `rows`.
    row: Row,
    rows: BTreeMap<Option<i64>, Figures>,
    pub(super) leave_reasons: NameCounts,
    pub(super) end_reasons: NameCounts,
}

#[derive(Debug, Default)]
struct Row {
    key: Option<i64>,
    span: Span,
    figures: Figures,
    /// Whether it is a row at all.
    is_used: bool,
}

impl Rows {
    pub(super) fn new(divider: Divider, period: Span) -> Self {
        Self {
            divider,
            period,
            row: Row::default(),
            rows: BTreeMap::new(),
            leave_reasons: NameCounts::default(),
            end_reasons: NameCounts::default(),
        }
    }

    /// An event of a kind at `at`; `None` if no earlier event has a time either.
    pub(super) fn count_event(&mut self, at: Option<i64>, kind: usize) {
        if self.is_within(at) {
            self.figures(at).count_kind(kind);
        }
    }

    /// All rows, including what existed before the first line.
    pub(super) fn into_rows(mut self, before: Level) -> BTreeMap<Option<i64>, Figures> {
        self.put_row_back();
        self.rows.values_mut().for_each(|row| row.settle(before));
        self.rows
    }

    fn is_within(&self, at: Option<i64>) -> bool {
        at.map_or(self.period.start == i64::MIN, |at| self.period.contains(&at))
    }

    /// The figures of the span that contains `at`.
    #[inline]
    fn figures(&mut self, at: Option<i64>) -> &mut Figures {
        let fits = match at {
            Some(at) => self.row.span.contains(&at),
            None => self.row.key.is_none() && self.row.is_used,
        };
        if !fits {
            self.change_row(at);
        }
        &mut self.row.figures
    }

    #[cold]
    fn change_row(&mut self, at: Option<i64>) {
        let span = at.map_or(0..0, |at| self.divider.span(at));
        // Events without a time get no row of their own if there is only one.
        let key = if self.divider.by.is_none() { Some(i64::MIN) } else { at.map(|_| span.start) };
        self.put_row_back();
        let figures = self.rows.remove(&key).unwrap_or_default();
        self.row = Row { key, span, figures, is_used: true };
    }

    fn put_row_back(&mut self) {
        let row = std::mem::take(&mut self.row);
        if row.is_used {
            self.rows.insert(row.key, row.figures);
        }
    }
}

impl Listener for Rows {
    fn count(&mut self, count: Count<'_>) {
        let (Count::Session { at }
        | Count::Participant { at }
        | Count::Stay { at, .. }
        | Count::Left { at, .. }
        | Count::SessionEnd { at, .. }
        | Count::Recording { at, .. }) = count
        else {
            return;
        };
        if !self.is_within(Some(at)) {
            return;
        }
        match count {
            Count::Session { .. } => self.figures(Some(at)).sessions += 1,
            Count::Participant { .. } => self.figures(Some(at)).participants += 1,
            Count::Stay { ms, .. } => {
                let figures = self.figures(Some(at));
                figures.participant_ms = figures.participant_ms.saturating_add(ms.max(0) as u64);
            }
            Count::Left { reason, .. } => self.leave_reasons.add(reason.unwrap_or(NO_REASON)),
            Count::SessionEnd { reason, .. } => self.end_reasons.add(reason.unwrap_or(NO_REASON)),
            Count::Recording { bytes, .. } => {
                let figures = self.figures(Some(at));
                figures.recordings += 1;
                figures.recording_bytes = figures.recording_bytes.saturating_add(bytes);
            }
            // What never came is for `audit`, records are for `sessions`.
            Count::Missing(_) | Count::StayRecord(_) | Count::SessionRecord(_) => {}
        }
    }

    /// Adds the levels to every row that is not empty.
    fn level(&mut self, span: Range<i64>, level: Level) {
        let (begin, end) = (span.start.max(self.period.start), span.end.min(self.period.end));
        if begin >= end {
            return;
        }
        if self.row.span.start <= begin && end <= self.row.span.end {
            self.row.figures.see(level);
            return;
        }
        self.put_row_back();
        let first = match self.divider.by {
            None => i64::MIN,
            Some(_) => self.divider.span(begin).start,
        };
        self.rows.range_mut(Some(first)..Some(end)).for_each(|(_, row)| row.see(level));
    }
}
