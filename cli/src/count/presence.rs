//! Who is present: the open sessions and their participants.
//!
//! It turns events, in the order of their times, into [`Count`]s, and always knows how many there
//! are now. It holds the open sessions, and for some minutes those that ended, so that an event
//! that comes twice or too late is recognised.
//!
//! Files start and end anywhere, so there are sessions and participants whose start was never read.
//! If the end of one shows that it existed all the time, it was missing in every earlier number: at
//! its end, `now` goes down by one, below zero if necessary, and `before` up by one. The true
//! number at any moment is `now` at that moment plus `before` at the end of the input. So the peaks
//! are exact without remembering anything.

use std::collections::{BTreeMap, VecDeque};

use super::activities::Activities;
use super::counts::{Count, Counted, Gauge, SessionEnd};
use super::event::{Id, SessionRef, Source, Stay};
use super::missing::Sign;
use super::record::End;
#[cfg(feature = "serve")]
use super::sessions::KnownSession;
use super::sessions::{Gone, Key, Participant, Session, Sessions};
use super::unsettled::WaitingSessions;

/// A session without an event for this long (a day, in milliseconds) counts as over: usually its
/// server died.
pub(crate) const GIVEN_UP_MS: i64 = 24 * 3_600_000;

/// The sessions and participants at one point of the input.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(super) sessions: Sessions,
    pub(super) activities: Activities,
    pub(super) gone: VecDeque<Gone>,
    /// Those whose records wait for an egress or a recording.
    pub(super) unsettled: WaitingSessions,
    /// After the end of the input: the earliest time to which something that is open may belong.
    pub(crate) open_since: i64,
    pub(crate) session_gauge: Gauge,
    pub(crate) participant_gauge: Gauge,
    /// Sessions without an end that count as over.
    pub(crate) sessions_given_up: u64,
    /// The time of the oldest event: what started later started within the input.
    begin: Option<i64>,
    pub(super) next_sweep: i64,
    /// What has had no event for this long, in milliseconds, is given up.
    pub(super) silence_max_ms: i64,
}

impl Presence {
    /// Gives up what has had no event for this long, in milliseconds, and for a day at least.
    pub(crate) fn new(silence_max_ms: i64) -> Self {
        Self {
            sessions: Sessions::default(),
            activities: Activities::default(),
            gone: VecDeque::new(),
            unsettled: WaitingSessions::default(),
            open_since: i64::MAX,
            session_gauge: Gauge::default(),
            participant_gauge: Gauge::default(),
            sessions_given_up: 0,
            begin: None,
            next_sweep: 0,
            silence_max_ms: silence_max_ms.max(GIVEN_UP_MS),
        }
    }

    /// Also hands over a record of each session and each stay.
    pub(crate) fn keep_records(&mut self) {
        self.sessions.keeps_usage = true;
    }

    /// Any event, at the time `at`.
    pub(crate) fn begin_at(&mut self, at: i64) {
        self.begin = Some(self.begin.map_or(at, |begin| begin.min(at)));
    }

    /// The sessions that are open, and those that ended some minutes ago.
    #[cfg(feature = "serve")]
    pub(crate) fn known_sessions(&self) -> impl Iterator<Item = KnownSession<'_>> {
        self.sessions.iter().map(|(_, session)| session.known())
    }

    /// Sessions that have not ended, and participants that have not left.
    pub(crate) fn open(&self) -> (u64, u64) {
        let open = || {
            self.sessions
                .iter()
                .map(|(_, session)| session)
                .filter(|session| session.ended.is_none())
        };
        let inside = |session: &Session| {
            session.participants.values().filter(|participant| participant.left.is_none()).count()
        };
        (open().count() as u64, open().map(inside).sum::<usize>() as u64)
    }

    /// Whether a session has been open since before `at`.
    pub(crate) fn is_open_before(&self, session: &SessionRef<'_>, at: i64) -> bool {
        self.known(session).is_some_and(|known| known.ended.is_none() && known.first < at)
    }

    /// Whether a participant has been in a session since before `at`.
    pub(crate) fn is_in_before(&self, session: &SessionRef<'_>, one: &Id<'_>, at: i64) -> bool {
        let known = self.known(session).and_then(|known| known.participants.get(one.as_ref()));
        known.is_some_and(|one| one.left.is_none() && one.joined < at)
    }

    fn known(&self, session: &SessionRef<'_>) -> Option<&Session> {
        self.sessions.get(&self.sessions.find(session)?)
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn session_began(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        counted: &mut Counted<'_>,
    ) {
        if let Some(key) = self.sessions.find(session) {
            if self.is_known_beginning(at, &key, session, counted) {
                return;
            }
            if self.sessions.get(&key).is_some_and(|known| known.ended.is_none()) {
                self.lose(&key, Sign::NameBeganAgain, at, counted);
            }
        } else if let Some(key) = self.sessions.open_namesake(source, session) {
            self.lose(&key, Sign::NameBeganAgain, at, counted);
        }
        if let Some(key) = self.insert(source, session, at, false, counted) {
            if let Some(new) = self.sessions.get_mut(&key) {
                new.has_start = true;
            }
            self.session_gauge.now += 1;
            counted(Count::Session { at });
        }
    }

    /// Whether the start of a known session is its own, and not that of another session with the
    /// same name.
    fn is_known_beginning(
        &mut self,
        at: i64,
        key: &[u8],
        session: &SessionRef<'_>,
        counted: &mut Counted<'_>,
    ) -> bool {
        let Some(known) = self.sessions.get_mut(key) else { return false };
        known.hear(at, session);
        let is_late = known.ended.is_none_or(|ended| ended >= at && known.first >= at);
        if known.is_from_before && is_late {
            // Some of its events came first: it did not exist before them after all.
            known.is_from_before = false;
            known.has_start = true;
            known.first = at;
            self.session_gauge.before -= 1;
            self.session_gauge.now += 1;
            counted(Count::Session { at });
            return true;
        }
        let is_again = session.unique.is_none()
            && match known.ended {
                None => known.unique.is_none() && known.first != at,
                Some(ended) => ended < at || ended == at && known.first < at,
            };
        known.has_start |= !is_again;
        !is_again
    }

    pub(crate) fn session_ended(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        told: SessionEnd<'_>,
        counted: &mut Counted<'_>,
    ) {
        let began = told.began.filter(|&began| self.is_within(began));
        let key = match self.sessions.find(session) {
            Some(key) if self.sessions.get(&key).is_some_and(|one| one.ended.is_some()) => return,
            Some(key) => Some(key),
            None if self.sessions.open_namesake(source, session).is_some() => return,
            None => self.insert_ended(at, source, session, began, counted),
        };
        let Some((key, known)) =
            key.and_then(|key| self.sessions.get_mut(&key).map(|one| (key, one)))
        else {
            return;
        };
        if let Some(began) = began.filter(|_| known.is_from_before) {
            // It had events before, but its start was lost.
            known.is_from_before = false;
            self.session_gauge.before -= 1;
            self.session_gauge.now += 1;
            counted(Count::Session { at: began });
        }
        counted(Count::SessionEnd { at, reason: told.reason });
        known.hear(at, session);
        known.ended = Some(at);
        known.began_told = told.began;
        if let Some(usage) = &mut known.usage {
            usage.reason = told.reason.map(Into::into);
        }
        self.activities.session_ended(at, std::mem::take(&mut known.activities));
        self.session_gauge.now -= 1;
        for participant in known.participants.values_mut().filter(|one| one.left.is_none()) {
            participant.is_uncounted = true;
            self.participant_gauge.now -= 1;
        }
        self.gone.push_back(Gone { at, session: key, participant: None });
    }

    /// An unknown session ends at `at`.
    fn insert_ended(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        began: Option<i64>,
        counted: &mut Counted<'_>,
    ) -> Option<Key> {
        let Some(began) = began else {
            let key = self.insert(source, session, at, true, counted)?;
            self.session_gauge.before += 1;
            return Some(key);
        };
        let key = self.insert(source, session, began, false, counted)?;
        // Its start was lost, or it was given up too early and is counted already.
        if at - began < GIVEN_UP_MS {
            counted(Count::Session { at: began });
        } else {
            self.sessions_given_up = self.sessions_given_up.saturating_sub(1);
        }
        // It was never counted as present.
        self.session_gauge.now += 1;
        Some(key)
    }

    pub(crate) fn joined(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        participant: &Id<'_>,
        counted: &mut Counted<'_>,
    ) {
        let Some((_, known)) = self.session_of(at, source, session, counted) else { return };
        let has_ended = known.ended.is_some();
        match known.participants.get_mut(participant.as_ref()) {
            Some(one @ Participant { left: None, .. }) => {
                one.has_join = true;
                return;
            }
            Some(one) if one.left > Some(at) || one.left == Some(at) && one.joined >= at => {
                one.has_join = true;
                if std::mem::take(&mut one.is_from_before) {
                    // The two events came in the wrong order.
                    one.joined = at;
                    self.participant_gauge.before -= 1;
                    self.participant_gauge.now += 1;
                    counted(Count::Participant { at });
                }
                return;
            }
            _ => {}
        }
        let one = Participant {
            joined: at,
            is_from_before: false,
            has_join: true,
            began_told: None,
            left: None,
            stay_ms: 0,
            tracks: BTreeMap::new(),
            is_uncounted: has_ended,
        };
        if let Some(before) = known.participants.insert(participant.as_ref().into(), one) {
            known.tell_missing_of(participant, &before, counted);
            known.tell_stay(participant, &before, End::Inferred, counted);
        }
        counted(Count::Participant { at });
        self.participant_gauge.now += i64::from(!has_ended);
    }

    pub(crate) fn left(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        stay: &Stay<'_>,
        counted: &mut Counted<'_>,
    ) {
        let told = stay.duration.or_else(|| Some((at - stay.joined?).max(0)));
        let joined = stay.joined.filter(|&joined| self.is_within(joined));
        let known = match &stay.participant {
            Some(_) => self.session_of(at, source, session, counted),
            None => None,
        };
        let (Some((key, known)), Some(participant)) = (known, &stay.participant) else {
            if let Some(ms) = told {
                counted(Count::Stay { at, ms });
            }
            counted(Count::Left { at, reason: stay.reason.as_deref() });
            self.tell_lone_stay(at, session, stay, told.unwrap_or_default(), counted);
            return;
        };
        let mut stayed = told;
        match known.participants.get_mut(participant.as_ref()) {
            Some(Participant { left: Some(_), .. }) => return,
            Some(one) => {
                one.left = Some(at);
                one.began_told = stay.joined;
                stayed = told.or(Some((at - one.joined).max(0)));
                one.stay_ms = stayed.unwrap_or_default();
                self.participant_gauge.now -= i64::from(!one.is_uncounted);
            }
            None => {
                let one = Participant {
                    joined: joined.unwrap_or(at),
                    is_from_before: joined.is_none(),
                    has_join: false,
                    began_told: stay.joined,
                    left: Some(at),
                    stay_ms: told.unwrap_or_default(),
                    tracks: BTreeMap::new(),
                    is_uncounted: false,
                };
                known.participants.insert(participant.as_ref().into(), one);
                if let Some(joined) = joined {
                    // Its start was lost.
                    counted(Count::Participant { at: joined });
                } else {
                    self.participant_gauge.before += 1;
                    self.participant_gauge.now -= 1;
                }
            }
        }
        if let Some(ms) = stayed {
            counted(Count::Stay { at, ms });
        }
        counted(Count::Left { at, reason: stay.reason.as_deref() });
        self.note_reason(&key, participant, stay);
        let participant = Some(participant.as_ref().into());
        self.gone.push_back(Gone { at, session: key, participant });
    }

    /// Makes sure that the session of an event is known. An unknown one existed before the first
    /// line, until its start says otherwise. `None` if the event has no session, or one that is
    /// over since another one with its name started.
    fn session_of(
        &mut self,
        at: i64,
        source: Source,
        session: &SessionRef<'_>,
        counted: &mut Counted<'_>,
    ) -> Option<(Key, &mut Session)> {
        let key = match self.sessions.find(session) {
            Some(key) => key,
            None if self.sessions.open_namesake(source, session).is_some() => return None,
            None => {
                let key = self.insert(source, session, at, true, counted)?;
                self.session_gauge.before += 1;
                key
            }
        };
        let known = self.sessions.get_mut(&key)?;
        known.hear(at, session);
        Some((key, known))
    }

    /// A new session, replacing one with the same key. `None` if the event does not say which
    /// session.
    fn insert(
        &mut self,
        source: Source,
        session: &SessionRef<'_>,
        first: i64,
        is_from_before: bool,
        counted: &mut Counted<'_>,
    ) -> Option<Key> {
        let (key, old) = self.sessions.insert(source, session, first, is_from_before)?;
        if let Some(old) = old {
            old.count_stays(counted);
            old.tell_missing(counted);
            self.tell_records(old, End::Inferred, counted);
        }
        Some(key)
    }

    fn is_within(&self, at: i64) -> bool {
        self.begin.is_some_and(|begin| at >= begin)
    }
}
