//! Takes the lines of a CDR, and keeps the rows that are wanted.

use std::io;
use std::ops::Range;

use super::row::{Row, RowType};
use super::spool::Spool;
use crate::count::LATENESS_MS;
use crate::count::ahead::FileLine;
use crate::count::inputs::Inputs;
use crate::count::line_reader::{Depth, LineReader, ReadEvent};
use crate::count::reading::LineTaker;
use crate::count::{Count, Level, Listener, SessionRecord, SessionTracker, Source, StayRecord};

/// Which sessions are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// A name or a unique id.
    pub(crate) session: Option<String>,
    /// A name.
    pub(crate) room: Option<String>,
}

impl Filter {
    fn is_wanted(&self, name: &[u8], unique: Option<&[u8]>) -> bool {
        let is_session = |session: &String| {
            name == session.as_bytes() || unique.is_some_and(|unique| unique == session.as_bytes())
        };
        self.session.as_ref().is_none_or(is_session)
            && self.room.as_ref().is_none_or(|room| name == room.as_bytes())
    }
}

/// The rows of one kind, as the tracker hands over the records.
#[derive(Debug)]
struct Rows {
    /// What a row is about. Rows of participants have some of sessions among them.
    of: RowType,
    filter: Filter,
    spool: Spool,
}

/// Rows of several kinds.
#[derive(Debug)]
struct RowSets(Vec<Rows>);

impl Rows {
    fn add_stay(&mut self, stay: &StayRecord<'_>) {
        if !self.filter.is_wanted(stay.session, stay.unique) {
            return;
        }
        match self.of {
            RowType::Participant => self.spool.push(&Row::of_stay(stay)),
            RowType::Session if stay.is_lone => self.spool.push(&Row::of_lone_stay(stay)),
            RowType::Session => {}
        }
    }

    fn add_session(&mut self, session: &SessionRecord<'_>) {
        if !self.filter.is_wanted(session.session, session.unique) {
            return;
        }
        match self.of {
            RowType::Session => self.spool.push(&Row::of_session(session)),
            RowType::Participant => {
                if let Some(row) = Row::of_rest(session) {
                    self.spool.push(&row);
                }
            }
        }
    }
}

impl Listener for RowSets {
    fn count(&mut self, count: Count<'_>) {
        match count {
            Count::StayRecord(stay) => self.0.iter_mut().for_each(|rows| rows.add_stay(stay)),
            Count::SessionRecord(session) => {
                self.0.iter_mut().for_each(|rows| rows.add_session(session));
            }
            _ => {}
        }
    }

    fn level(&mut self, _: Range<i64>, _: Level) {}
}

/// How far the events of a directory have come.
#[derive(Clone, Copy, Debug)]
struct Clock {
    last: i64,
    /// The latest time that two consecutive events agree on: a single wrong time means nothing.
    now: i64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    tracker: SessionTracker,
    rows: RowSets,
    clocks: Vec<Option<Clock>>,
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Ledger {
    /// Keeps rows of these kinds.
    pub(crate) fn new(kinds: &[RowType], filter: &Filter) -> Self {
        let rows = |of: &RowType| Rows { of: *of, filter: filter.clone(), spool: Spool::default() };
        Self {
            tracker: SessionTracker::with_records(),
            rows: RowSets(kinds.iter().map(rows).collect()),
            clocks: Vec::new(),
            first: None,
            last: None,
            lines: 0,
            bytes: 0,
        }
    }

    /// The inputs are over. Returns the time before which no row can change and none can come.
    pub(crate) fn end(&mut self, inputs: &Inputs) -> Option<i64> {
        self.tracker.end(&mut self.rows);
        if inputs.lacks_expected {
            return None;
        }
        let clocks = self.clocks.iter().enumerate();
        let clocks = clocks.filter_map(|(source, clock)| Some((source, clock.as_ref()?.now)));
        let (ended, open): (Vec<_>, Vec<_>) =
            clocks.partition(|(source, _)| inputs.ended.contains(source));
        // All others must have come so far: the events of one may still be on their way.
        let open = open.into_iter().map(|(_, now)| now).min();
        let now = open.or_else(|| ended.into_iter().map(|(_, now)| now).max())?;
        Some(now.saturating_sub(LATENESS_MS).min(self.tracker.open_since()))
    }

    /// Hands over all rows of a kind that is kept.
    ///
    /// # Errors
    ///
    /// The rows could not be kept, or `take` failed.
    pub(crate) fn rows<E: From<io::Error>>(
        &mut self,
        of: RowType,
        take: impl FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.rows.0.iter_mut().find(|rows| rows.of == of) {
            Some(rows) => rows.spool.rows(take),
            None => Ok(()),
        }
    }

    pub(crate) fn tracker(&self) -> &SessionTracker {
        &self.tracker
    }

    fn note_time(&mut self, at: i64, source: Source) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        if self.clocks.len() <= source {
            self.clocks.resize(source + 1, None);
        }
        if let Some(clock) = self.clocks.get_mut(source) {
            let before = clock.unwrap_or(Clock { last: i64::MIN, now: i64::MIN });
            *clock = Some(Clock { last: at, now: before.now.max(before.last.min(at)) });
        }
    }
}

impl LineTaker for Ledger {
    fn reader(&self) -> LineReader {
        self.tracker.reader(Depth::Records)
    }

    fn take(
        &mut self,
        line: FileLine<'_>,
        event: Option<ReadEvent>,
        source: Source,
        before: Option<i64>,
    ) {
        self.lines += 1;
        self.bytes += line.bytes.len() as u64;
        let Some(event) = event else { return };
        if let Some(at) = event.at {
            self.note_time(at, source);
        }
        if let Some(at) = event.at.or(before) {
            self.tracker.take(at, source, event);
        }
    }

    fn advance(&mut self, watermark: i64) {
        self.tracker.advance(watermark, &mut self.rows);
    }
}
