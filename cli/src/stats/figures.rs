//! The counts, and the totals of the report.

use std::collections::BTreeMap;

use crate::count::Level;

/// The counts of one span of time.
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

/// The maxima seen, before adding what existed before the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peaks {
    sessions: i64,
    participants: i64,
}

/// The result for the whole input.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// The names of the kinds, by their number.
    pub(super) kinds: Vec<String>,
    pub(super) total: Figures,
    /// By the start of their span; `None` for events before the first one with a time.
    pub(super) rows: BTreeMap<Option<i64>, Figures>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) first_timestamp: Option<i64>,
    pub(super) last_timestamp: Option<i64>,
    /// Events that occurred before, and are not counted.
    pub(super) events_repeated: u64,
    /// Events that are counted, although they may have occurred before.
    pub(super) events_unknown: u64,
    pub(super) sessions_before: u64,
    pub(super) participants_before: u64,
    pub(super) sessions_open: u64,
    pub(super) participants_open: u64,
    pub(super) sessions_given_up: u64,
    /// Why participants left and sessions ended, most frequent first.
    pub(super) leave_reasons: Vec<(String, u64)>,
    pub(super) end_reasons: Vec<(String, u64)>,
}

impl Figures {
    pub(super) fn count_kind(&mut self, kind: usize) {
        self.events += 1;
        if self.kinds.len() <= kind {
            self.kinds.resize(kind + 1, 0);
        }
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        }
    }

    /// There were this many at one time.
    pub(super) fn see(&mut self, level: Level) {
        let peaks = self.peaks.get_or_insert(Peaks { sessions: i64::MIN, participants: i64::MIN });
        peaks.sessions = peaks.sessions.max(level.sessions.now);
        peaks.participants = peaks.participants.max(level.participants.now);
    }

    /// Adds what is known to have existed before to the peaks.
    pub(super) fn settle(&mut self, level: Level) {
        if let Some(peaks) = self.peaks.take() {
            self.peak_sessions = (peaks.sessions + level.sessions.before).max(0) as u64;
            self.peak_participants = (peaks.participants + level.participants.before).max(0) as u64;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
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
