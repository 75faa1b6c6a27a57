//! Takes the lines of a CDR, and keeps the rows that are wanted.

use std::ops::Range;

use cdrlog::LineFault;
use cdrlog::reader::Line;

use super::row::Row;
use super::spool::Spool;
use crate::count::line::Parser;
use crate::count::reading::LineTaker;
use crate::count::tracker::LATENESS_MS;
use crate::count::{
    Count, Level, Listener, SessionRecord, SessionTracker, Source, StayRecord, event_reader,
};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Participant,
    Session,
}

/// Which sessions are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// A name or a unique id.
    pub(super) session: Option<String>,
    /// A name.
    pub(super) room: Option<String>,
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

/// The rows, as the tracker hands over the records.
#[derive(Debug)]
pub(super) struct Rows {
    by: By,
    filter: Filter,
    pub(super) spool: Spool,
}

impl Rows {
    fn add_stay(&mut self, stay: &StayRecord<'_>) {
        if !self.filter.is_wanted(stay.session, stay.unique) {
            return;
        }
        match self.by {
            By::Participant => self.spool.push(&Row::of_stay(stay)),
            By::Session if stay.is_lone => self.spool.push(&Row::of_lone_stay(stay)),
            By::Session => {}
        }
    }

    fn add_session(&mut self, session: &SessionRecord<'_>) {
        if !self.filter.is_wanted(session.session, session.unique) {
            return;
        }
        match self.by {
            By::Session => self.spool.push(&Row::of_session(session)),
            By::Participant => {
                if let Some(row) = Row::of_rest(session) {
                    self.spool.push(&row);
                }
            }
        }
    }
}

impl Listener for Rows {
    fn count(&mut self, count: Count<'_>) {
        match count {
            Count::StayRecord(stay) => self.add_stay(stay),
            Count::SessionRecord(session) => self.add_session(session),
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
pub(super) struct Ledger {
    parser: Parser,
    tracker: SessionTracker,
    pub(super) rows: Rows,
    clocks: Vec<Option<Clock>>,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Ledger {
    pub(super) fn new(by: By, filter: Filter) -> Self {
        Self {
            parser: Parser::default(),
            tracker: SessionTracker::with_records(),
            rows: Rows { by, filter, spool: Spool::default() },
            clocks: Vec::new(),
            first: None,
            last: None,
            lines: 0,
            bytes: 0,
        }
    }

    /// The input is over. Returns the time before which no row can change and none can come.
    pub(super) fn end(&mut self) -> Option<i64> {
        self.tracker.end(&mut self.rows);
        // All directories must have come so far: the events of one may still be on their way.
        let now = self.clocks.iter().flatten().map(|clock| clock.now).min()?;
        Some(now.saturating_sub(LATENESS_MS).min(self.tracker.open_since()))
    }

    pub(super) fn tracker(&self) -> &SessionTracker {
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
    fn take(
        &mut self,
        line: Line<'_>,
        source: Source,
        before: Option<i64>,
    ) -> Result<Option<i64>, LineFault> {
        let bytes = line.bytes_with_end();
        self.lines += 1;
        self.bytes += bytes.len() as u64;
        let mut parser = std::mem::take(&mut self.parser);
        let parsed = parser.parse(bytes);
        let told = parsed.map(|line| {
            let event = event_reader::read(&line);
            let told = event.at;
            if let Some(at) = told {
                self.note_time(at, source);
            }
            if let Some(at) = told.or(before)
                && self.tracker.take(at, source, &line, event)
                && let Some(detail) = event_reader::read_detail(&line)
            {
                self.tracker.take_detail(at, source, detail);
            }
            told
        });
        self.parser = parser;
        told
    }

    fn advance(&mut self, watermark: i64) {
        self.tracker.advance(watermark, &mut self.rows);
    }
}
