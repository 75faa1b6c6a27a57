//! Counts the events of one line after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};

use cdrlog::LineFault;

use super::event::{self, Event, Id, Says};
use super::line::{Line, Parser};
use super::period::{Divider, Span};
use super::presence::{Count, Gauge, Presence};

/// How many kinds of events are counted by name; what comes after them is counted as [`OTHERS`].
const KINDS_MAX: usize = 1000;
const OTHERS: &str = "(others)";

/// How long a recording is remembered, in milliseconds of the events' time.
const GRACE_MS: i64 = 5 * 60_000;

/// What was counted in one span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Events by the number of their kind.
    pub(super) kinds: Vec<u64>,
    pub(super) events: u64,
    pub(super) sessions: u64,
    pub(super) participants: u64,
    pub(super) participant_ms: u64,
    pub(super) recordings: u64,
    pub(super) recording_bytes: u64,
    pub(super) peak_sessions: u64,
    pub(super) peak_participants: u64,
    peaks: Option<Peaks>,
}

/// The largest numbers seen, before what was there before the first line is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peaks {
    sessions: i64,
    participants: i64,
}

/// What the whole input comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// The names of the kinds, by their number.
    pub(super) kinds: Vec<String>,
    pub(super) total: Figures,
    /// By the begin of their span; `None` for events before the first one that tells its time.
    pub(super) rows: BTreeMap<Option<i64>, Figures>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) first_timestamp: Option<i64>,
    pub(super) last_timestamp: Option<i64>,
    pub(super) sessions_before: u64,
    pub(super) participants_before: u64,
    pub(super) sessions_open: u64,
    pub(super) participants_open: u64,
    pub(super) sessions_given_up: u64,
}

/// Takes lines in their order, and counts.
#[derive(Debug)]
pub(super) struct Tally {
    divider: Divider,
    /// What lies outside is followed, but not counted.
    period: Span,
    parser: Parser,
    kinds: Kinds,
    presence: Presence,
    recordings: Recordings,
    counts: Vec<Count>,
    /// The row of the last event, taken out of `rows`.
    row: Row,
    rows: BTreeMap<Option<i64>, Figures>,
    /// The time of the event before; an event that does not tell its own has the same.
    now: Option<i64>,
    first: Option<i64>,
    last: Option<i64>,
    lines: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Row {
    key: Option<i64>,
    span: Span,
    figures: Figures,
    /// Whether it is a row at all.
    is_used: bool,
}

impl Tally {
    pub(super) fn new(divider: Divider, period: Span) -> Self {
        Self {
            divider,
            period,
            parser: Parser::default(),
            kinds: Kinds::default(),
            presence: Presence::default(),
            recordings: Recordings::default(),
            counts: Vec::new(),
            row: Row::default(),
            rows: BTreeMap::new(),
            now: None,
            first: None,
            last: None,
            lines: 0,
            bytes: 0,
        }
    }

    /// Takes a line, with its line feed or without.
    ///
    /// # Errors
    ///
    /// Why it is no line of an event.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), LineFault> {
        self.lines += 1;
        self.bytes += line.len() as u64;
        let line = self.parser.parse(line)?;
        let event = event::read(&line);
        self.now = event.at.or(self.now);
        if let Some(at) = event.at {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        }
        self.count_event(&line, &event);
        Ok(())
    }

    fn count_event(&mut self, line: &Line<'_>, event: &Event<'_>) {
        let counts_here =
            self.now.map_or(self.period.start == i64::MIN, |now| self.period.contains(&now));
        if counts_here {
            let kind = self.kinds.number(&line.name);
            let gauges = (self.presence.session_gauge, self.presence.participant_gauge);
            let figures = self.figures(self.now);
            figures.events += 1;
            if figures.kinds.len() <= kind {
                figures.kinds.resize(kind + 1, 0);
            }
            if let Some(count) = figures.kinds.get_mut(kind) {
                *count += 1;
            }
            figures.see(gauges);
        }
        let Some(now) = self.now else { return };
        self.follow(now, event);
        if counts_here {
            let gauges = (self.presence.session_gauge, self.presence.participant_gauge);
            self.figures(Some(now)).see(gauges);
        }
    }

    /// Who came and who went, what was recorded.
    fn follow(&mut self, at: i64, event: &Event<'_>) {
        let mut counts = std::mem::take(&mut self.counts);
        self.presence.tick(at, &mut counts);
        match &event.says {
            Says::Nothing => {}
            Says::SessionBegan(session) => self.presence.session_began(at, session, &mut counts),
            Says::SessionEnded { session, began } => {
                self.presence.session_ended(at, session, *began, &mut counts);
            }
            Says::Joined { session, participant } => {
                self.presence.joined(at, session, participant, &mut counts);
            }
            Says::Left(session, stay) => self.presence.left(at, session, stay, &mut counts),
            Says::Recorded { id, bytes } => self.count_recording(at, id.as_ref(), *bytes),
        }
        self.add(&mut counts);
        self.counts = counts;
    }

    fn count_recording(&mut self, at: i64, id: Option<&Id<'_>>, bytes: u64) {
        if id.is_none_or(|id| self.recordings.is_new(id, at)) && self.period.contains(&at) {
            let figures = self.figures(Some(at));
            figures.recordings += 1;
            figures.recording_bytes = figures.recording_bytes.saturating_add(bytes);
        }
    }

    fn add(&mut self, counts: &mut Vec<Count>) {
        for count in counts.drain(..) {
            let (Count::Session { at } | Count::Participant { at } | Count::Stay { at, .. }) =
                count;
            if !self.period.contains(&at) {
                continue;
            }
            let figures = self.figures(Some(at));
            match count {
                Count::Session { .. } => figures.sessions += 1,
                Count::Participant { .. } => figures.participants += 1,
                Count::Stay { ms, .. } => {
                    figures.participant_ms =
                        figures.participant_ms.saturating_add(ms.max(0) as u64);
                }
            }
        }
    }

    /// The figures of the span that `at` is in.
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
        // Events without a time are no row of their own where there is only one.
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

    #[cfg(test)]
    pub(super) fn sessions_held(&self) -> usize {
        self.presence.held()
    }

    /// What it comes to.
    pub(super) fn end(mut self) -> Report {
        let (sessions_open, participants_open) = self.presence.open();
        let mut counts = std::mem::take(&mut self.counts);
        self.presence.end(&mut counts);
        self.add(&mut counts);
        self.put_row_back();
        let before = (self.presence.session_gauge.before, self.presence.participant_gauge.before);
        let mut total = Figures::default();
        for row in self.rows.values_mut() {
            row.settle(before);
            row.kinds.resize(self.kinds.names.len(), 0);
            total.add(row);
        }
        Report {
            kinds: self.kinds.names,
            total,
            rows: self.rows,
            lines: self.lines,
            bytes: self.bytes,
            first_timestamp: self.first,
            last_timestamp: self.last,
            sessions_before: before.0.max(0) as u64,
            participants_before: before.1.max(0) as u64,
            sessions_open,
            participants_open,
            sessions_given_up: self.presence.sessions_given_up,
        }
    }
}

impl Figures {
    fn see(&mut self, (sessions, participants): (Gauge, Gauge)) {
        let peaks = self.peaks.get_or_insert(Peaks { sessions: i64::MIN, participants: i64::MIN });
        peaks.sessions = peaks.sessions.max(sessions.now);
        peaks.participants = peaks.participants.max(participants.now);
    }

    /// Adds to the peaks what is known to have been there before.
    fn settle(&mut self, (sessions, participants): (i64, i64)) {
        if let Some(peaks) = self.peaks.take() {
            self.peak_sessions = (peaks.sessions + sessions).max(0) as u64;
            self.peak_participants = (peaks.participants + participants).max(0) as u64;
        }
    }

    fn add(&mut self, other: &Self) {
        if self.kinds.len() < other.kinds.len() {
            self.kinds.resize(other.kinds.len(), 0);
        }
        for (sum, count) in self.kinds.iter_mut().zip(&other.kinds) {
            *sum += count;
        }
        self.events += other.events;
        self.sessions += other.sessions;
        self.participants += other.participants;
        self.participant_ms = self.participant_ms.saturating_add(other.participant_ms);
        self.recordings += other.recordings;
        self.recording_bytes = self.recording_bytes.saturating_add(other.recording_bytes);
        self.peak_sessions = self.peak_sessions.max(other.peak_sessions);
        self.peak_participants = self.peak_participants.max(other.peak_participants);
    }
}

/// Gives each name of an event a number.
#[derive(Debug, Default)]
struct Kinds {
    numbers: HashMap<Box<[u8]>, usize>,
    /// The names that came first: of the few kinds that most events are, each is found sooner by
    /// its length than by its hash.
    first: Vec<Box<[u8]>>,
    names: Vec<String>,
}

impl Kinds {
    /// How many names are looked through before their hash is.
    const FIRST: usize = 12;

    fn number(&mut self, name: &[u8]) -> usize {
        if let Some(number) = self.first.iter().position(|first| **first == *name) {
            return number;
        }
        self.numbers.get(name).copied().unwrap_or_else(|| self.add(name))
    }

    fn add(&mut self, name: &[u8]) -> usize {
        if self.names.len() > KINDS_MAX {
            return KINDS_MAX;
        }
        let number = self.names.len();
        if number == KINDS_MAX {
            self.names.push(OTHERS.to_owned());
        } else {
            self.names.push(String::from_utf8_lossy(name).into_owned());
            self.numbers.insert(name.into(), number);
            if number < Self::FIRST {
                self.first.push(name.into());
            }
        }
        number
    }
}

/// The recordings of the last minutes: an event may come twice, and from two servers.
#[derive(Debug, Default)]
struct Recordings {
    known: HashMap<Box<[u8]>, i64>,
    order: VecDeque<(i64, Box<[u8]>)>,
}

impl Recordings {
    fn is_new(&mut self, id: &Id<'_>, at: i64) -> bool {
        while self.order.front().is_some_and(|(known, _)| known + GRACE_MS < at) {
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
        let is_new = self.known.insert(id.as_ref().into(), at).is_none();
        if is_new {
            self.order.push_back((at, id.as_ref().into()));
        }
        is_new
    }
}
