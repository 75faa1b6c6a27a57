//! Follows sessions and participants through all events.
//!
//! Events come nearly in order and some of them twice. The tracker drops repeated ones ([`Seen`]),
//! sorts the rest by time ([`EventOrder`]), follows who is present ([`Presence`]), and tells a
//! [`Listener`] what to count, and how many there are at any time.

use std::collections::VecDeque;
use std::ops::Range;

use super::counts::{Count, Gauge, SessionEnd};
use super::detail::Detail;
use super::event::{ActivityKind, Id, Says, Source};
use super::event_order::{EventOrder, LATENESS_MS, TimedEvent};
use super::hash::Map;
use super::line_reader::{Depth, LineReader, ReadEvent};
use super::presence::Presence;
use super::seen::{Fingerprint, Novelty, Seen};
#[cfg(feature = "serve")]
use super::sessions::KnownSession;

/// How long a recording is remembered, in milliseconds of event time.
const RECORDING_MS: i64 = 5 * 60_000;

/// The numbers of sessions and participants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) sessions: Gauge,
    pub(crate) participants: Gauge,
}

/// Receives what is to be counted. Times are in milliseconds since 1970.
pub(crate) trait Listener {
    fn count(&mut self, count: Count<'_>);

    /// From `span.start` until just before `span.end` there were this many. Spans come in order,
    /// without gaps.
    fn level(&mut self, span: Range<i64>, level: Level);
}

/// A waiting event of sessions.
#[derive(Debug)]
struct Told {
    fingerprint: Option<Fingerprint>,
    says: Says<'static>,
    /// Who the participant is who comes or goes.
    detail: Option<Box<Detail<'static>>>,
}

#[derive(Debug)]
pub(crate) struct SessionTracker {
    seen: Seen,
    order: EventOrder<Told>,
    /// Events that were told again, with the source that did.
    repeats: EventOrder<Fingerprint>,
    /// Activities change no count, and wait by themselves, so that counts are the same without them.
    details: EventOrder<Box<Detail<'static>>>,
    presence: Presence,
    recordings: RecentIds,
    egresses: RecentIds,
    /// Levels were reported up to here.
    told: i64,
    /// The latest time of an event.
    latest: i64,
    watermark: i64,
    events_repeated: u64,
    events_unknown: u64,
    batch: Vec<TimedEvent<Told>>,
    detail_batch: Vec<TimedEvent<Box<Detail<'static>>>>,
}

impl SessionTracker {
    pub(crate) fn new() -> Self {
        Self::with_silence(0)
    }

    /// Gives up what has had no event for this long, in milliseconds, and for a day at least.
    pub(crate) fn with_silence(silence_max_ms: i64) -> Self {
        Self {
            seen: Seen::new(),
            order: EventOrder::new(),
            repeats: EventOrder::new(),
            details: EventOrder::new(),
            presence: Presence::new(silence_max_ms),
            recordings: RecentIds::default(),
            egresses: RecentIds::default(),
            told: i64::MIN,
            latest: i64::MIN,
            watermark: i64::MIN,
            events_repeated: 0,
            events_unknown: 0,
            batch: Vec::new(),
            detail_batch: Vec::new(),
        }
    }

    /// Also hands over a record of each session and each stay.
    pub(crate) fn with_records() -> Self {
        let mut tracker = Self::new();
        tracker.presence.keep_records();
        tracker
    }

    /// Reads lines whose events this tracker takes.
    pub(crate) fn reader(&self, depth: Depth) -> LineReader {
        LineReader::new(depth, self.seen.fingerprinter())
    }

    /// Takes an event; one without a time is assigned `at`. False if it occurred before, and is not
    /// to be counted.
    pub(crate) fn take(&mut self, at: i64, source: Source, event: ReadEvent) -> bool {
        let ReadEvent { fingerprint, says, mut detail, .. } = event;
        self.latest = self.latest.max(at);
        if let Some(fingerprint) = fingerprint {
            match self.seen.insert(at, fingerprint) {
                Novelty::New => self.presence.begin_at(at),
                Novelty::Repeated => {
                    self.events_repeated += 1;
                    if !matches!(says, Says::Nothing) {
                        self.repeats.push(at, source, fingerprint);
                    }
                    return false;
                }
                Novelty::Unknown => self.events_unknown += 1,
            }
        }
        if let Some(activity) = detail.take_if(|detail| matches!(**detail, Detail::Activity(_))) {
            self.details.push(at, source, activity);
        }
        if !matches!(says, Says::Nothing) {
            self.order.push(at, source, Told { fingerprint, says, detail });
        }
        true
    }

    /// No more events are expected that are [`LATENESS_MS`] older than `watermark`.
    pub(crate) fn advance(&mut self, watermark: i64, listener: &mut impl Listener) {
        self.watermark = self.watermark.max(watermark);
        let end = self.watermark.saturating_sub(LATENESS_MS);
        self.release_before(end, listener);
        self.seen.forget_before(end);
        self.pass_time(end, listener);
    }

    /// The input is over.
    pub(crate) fn end(&mut self, listener: &mut impl Listener) {
        self.release_before(i64::MAX, listener);
        self.tell_level(self.latest.saturating_add(1), listener);
        let now = self.now();
        self.presence.end(now, &mut |count| listener.count(count));
    }

    /// The sessions that are open, and those that ended some minutes ago, also after the end.
    #[cfg(feature = "serve")]
    pub(crate) fn known_sessions(&self) -> impl Iterator<Item = KnownSession<'_>> {
        self.presence.known_sessions()
    }

    /// Egress, recordings and so on that have not ended.
    pub(crate) fn open_activities(&self) -> u64 {
        self.presence.activities.open()
    }

    /// The time up to which everything was read; the time of the latest event if that is not known.
    pub(crate) fn now(&self) -> i64 {
        if self.watermark == i64::MIN { self.latest } else { self.watermark }
    }

    /// After the end: nothing that ended before this time, in milliseconds since 1970, is without
    /// its final record, as far as the events that were read can tell.
    pub(crate) fn open_since(&self) -> i64 {
        self.presence.open_since
    }

    /// Sessions that have not ended, and participants that have not left.
    pub(crate) fn open(&self) -> (u64, u64) {
        self.presence.open()
    }

    pub(crate) fn level(&self) -> Level {
        Level {
            sessions: self.presence.session_gauge,
            participants: self.presence.participant_gauge,
        }
    }

    /// Sessions without an end that count as over.
    pub(crate) fn sessions_given_up(&self) -> u64 {
        self.presence.sessions_given_up
    }

    /// Events that occurred before.
    pub(crate) fn events_repeated(&self) -> u64 {
        self.events_repeated
    }

    /// Events that may have occurred before.
    pub(crate) fn events_unknown(&self) -> u64 {
        self.events_unknown
    }

    #[cfg(test)]
    pub(crate) fn sessions_held(&self) -> usize {
        self.presence.held()
    }

    fn release_before(&mut self, end: i64, listener: &mut impl Listener) {
        let mut batch = std::mem::take(&mut self.batch);
        while let Some(at) = self.order.pop_before(end, &mut batch) {
            self.note_details(at);
            self.tell_level(at, listener);
            // A single event with a wrong time must not end everything: time advances with the
            // watermark.
            self.pass_time(at.min(self.watermark), listener);
            self.note_repeats(at, &mut batch);
            if batch.len() > 1 {
                batch.sort_by_cached_key(|event| {
                    (rank(&self.presence, event.at, &event.says.says), event.source)
                });
            }
            for TimedEvent { at, source, says: Told { says, detail, .. }, .. } in batch.drain(..) {
                self.follow(at, source, &says, listener);
                if let Some(detail) = detail {
                    self.presence.note_participant(&says, *detail);
                }
            }
        }
        self.batch = batch;
        self.note_details(end);
    }

    /// An event that several sources tell is that of the first of them, whichever was read first.
    fn note_repeats(&mut self, at: i64, events: &mut [TimedEvent<Told>]) {
        let mut repeats = Vec::new();
        while self.repeats.pop_before(at.saturating_add(1), &mut repeats).is_some() {}
        if repeats.is_empty() {
            return;
        }
        let mut first = Map::default();
        for TimedEvent { source, says: fingerprint, .. } in repeats {
            let known = first.entry(fingerprint).or_insert(source);
            *known = source.min(*known);
        }
        for event in events {
            let again = event.says.fingerprint.and_then(|fingerprint| first.get(&fingerprint));
            event.source = again.map_or(event.source, |again| event.source.min(*again));
        }
    }

    /// Notes what was told before `end` with the sessions as they are now.
    fn note_details(&mut self, end: i64) {
        let mut batch = std::mem::take(&mut self.detail_batch);
        while let Some(at) = self.details.pop_before(end, &mut batch) {
            for event in batch.drain(..) {
                if self.is_new_detail(at, &event.says) {
                    self.presence.note_activity(at, &event.says);
                }
            }
        }
        self.detail_batch = batch;
    }

    /// The end of an egress may come twice with two times; its id is unique.
    fn is_new_detail(&mut self, at: i64, detail: &Detail<'_>) -> bool {
        match detail {
            Detail::Activity(Says::ActivityEnded { activity, .. })
                if activity.kind == ActivityKind::Egress =>
            {
                self.egresses.is_new(&activity.id, at)
            }
            _ => true,
        }
    }

    fn pass_time(&mut self, now: i64, listener: &mut impl Listener) {
        self.presence.pass_time(now, &mut |count| listener.count(count));
    }

    /// Reports the levels up to `end`: nothing has changed since the last call.
    fn tell_level(&mut self, end: i64, listener: &mut impl Listener) {
        if end > self.told {
            listener.level(self.told..end, self.level());
            self.told = end;
        }
    }

    /// Who came and left, and what was recorded.
    fn follow(
        &mut self,
        at: i64,
        source: Source,
        says: &Says<'static>,
        listener: &mut impl Listener,
    ) {
        let mut count = |count: Count<'_>| listener.count(count);
        match says {
            Says::Nothing => {}
            Says::SessionBegan(session) => {
                self.presence.session_began(at, source, session, &mut count);
            }
            Says::SessionEnded { session, began, reason } => {
                let told = SessionEnd { began: *began, reason: reason.as_deref() };
                self.presence.session_ended(at, source, session, told, &mut count);
            }
            Says::Joined { session, participant } => {
                self.presence.joined(at, source, session, participant, &mut count);
            }
            Says::Left(session, stay) => {
                self.presence.left(at, source, session, stay, &mut count);
            }
            Says::Recorded(recorded) => {
                if recorded.id.as_ref().is_none_or(|id| self.recordings.is_new(id, at)) {
                    count(Count::Recording { at, bytes: recorded.bytes });
                    self.presence.recorded(at, recorded, &mut count);
                }
            }
            Says::JoinFailed { session, participant } => {
                self.presence.join_failed(session, participant);
            }
            Says::ActivityBegan(activity) => {
                self.presence.activity_began(at, source, activity, &mut count);
            }
            Says::ActivityGoesOn(activity) => self.presence.activity_goes_on(at, activity),
            Says::ActivityEnded { activity, began, .. } => {
                self.presence.activity_ended(at, source, activity, *began, &mut count);
            }
        }
    }
}

/// The order in which events with the same time are followed, whatever order they came in: first
/// the ends of what existed before, then starts, then what starts and ends at that time.
fn rank(presence: &Presence, at: i64, says: &Says<'static>) -> u8 {
    match says {
        Says::Left(session, stay) => {
            let participant = stay.participant.as_ref();
            let was_there = participant.is_some_and(|one| presence.is_in_before(session, one, at));
            if was_there { 0 } else { 4 }
        }
        Says::ActivityEnded { activity, .. } => {
            if presence.is_activity_before(activity, at) {
                0
            } else {
                4
            }
        }
        Says::SessionEnded { session, .. } if presence.is_open_before(session, at) => 1,
        Says::SessionBegan(_) => 2,
        Says::Joined { .. } | Says::ActivityBegan(_) | Says::ActivityGoesOn(_) => 3,
        Says::SessionEnded { .. } => 5,
        Says::Nothing | Says::Recorded(_) | Says::JoinFailed { .. } => 6,
    }
}

/// The recordings or egresses of the last minutes: an event may come with two times, and from two
/// servers.
#[derive(Debug, Default)]
struct RecentIds {
    known: Map<Box<[u8]>, i64>,
    order: VecDeque<(i64, Box<[u8]>)>,
}

impl RecentIds {
    fn is_new(&mut self, id: &Id<'_>, at: i64) -> bool {
        while self.order.front().is_some_and(|(known, _)| known + RECORDING_MS < at) {
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
