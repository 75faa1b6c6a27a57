//! Who is in: the sessions that are open and the participants in them.
//!
//! It turns events, in the order of their lines, into [`Count`]s, and always knows how many there
//! are now. Memory is held by the open sessions, and for some minutes by those that ended, so that
//! an event that comes twice or too late is known for what it is.
//!
//! Files begin and end anywhere, so sessions and participants appear whose beginning was never
//! read. One that turns out at its end to have been there all the time was missing in every number
//! before: `now` goes down by one at its end, below zero if need be, and `before` up by one. The
//! true number at any moment is `now` of that moment plus `before` as it is at the end of the
//! input. So the peaks are exact without remembering anything.

use std::collections::{HashMap, VecDeque};

use super::event::{Id, SessionRef, Stay};

/// How long an end is remembered, in milliseconds of the events' time.
const GRACE_MS: i64 = 5 * 60_000;

/// A session without an event of its own for a day, in milliseconds, is given up: its server died,
/// most of the time.
const GIVEN_UP_MS: i64 = 24 * 3_600_000;

/// How often sessions to be given up are looked for, in milliseconds of the events' time.
const SWEEP_MS: i64 = 3_600_000;

/// Something to be counted, at the time where it belongs, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// A session began.
    Session { at: i64 },
    /// A participant joined.
    Participant { at: i64 },
    /// A participant left, after so many milliseconds.
    Stay { at: i64, ms: i64 },
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gauge {
    /// Now, but for those whose beginning was before the first line and whose end is still to
    /// come.
    pub(super) now: i64,
    /// Those whose beginning was before the first line, as far as is known now.
    pub(super) before: i64,
}

#[derive(Debug)]
struct Session {
    unique: Option<Box<[u8]>>,
    /// When its first event was.
    first: i64,
    /// When its last event was.
    last: i64,
    /// Its beginning was not read; it is in [`Gauge::before`].
    is_from_before: bool,
    ended: Option<i64>,
    participants: HashMap<Box<[u8]>, Participant>,
}

#[derive(Debug)]
struct Participant {
    joined: i64,
    is_from_before: bool,
    left: Option<i64>,
    /// Is not in [`Gauge::now`] any more, because the session has ended.
    is_uncounted: bool,
}

/// An end that is remembered for a while: of a session, or of a participant in it.
#[derive(Debug)]
struct Gone {
    at: i64,
    session: Box<[u8]>,
    participant: Option<Box<[u8]>>,
}

/// The sessions and participants at one point of the input.
#[derive(Debug, Default)]
pub(super) struct Presence {
    sessions: HashMap<Box<[u8]>, Session>,
    gone: VecDeque<Gone>,
    pub(super) session_gauge: Gauge,
    pub(super) participant_gauge: Gauge,
    /// Sessions without an end that were given up.
    pub(super) sessions_given_up: u64,
    /// The time of the first event: what began later began within the input.
    begin: Option<i64>,
    /// The time of the event before.
    previous: i64,
    next_sweep: i64,
}

impl Presence {
    /// Time passes; every event is told, before it is taken.
    pub(super) fn tick(&mut self, at: i64, counts: &mut Vec<Count>) {
        self.begin.get_or_insert(at);
        // One event with a time of its own must not end everything: two have to agree.
        let now = at.min(self.previous);
        self.previous = at;
        while self.gone.front().is_some_and(|gone| gone.at + GRACE_MS < now) {
            if let Some(gone) = self.gone.pop_front() {
                self.forget(&gone, counts);
            }
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_MS;
            self.give_up(now - GIVEN_UP_MS);
        }
    }

    /// The input is over.
    pub(super) fn end(&mut self, counts: &mut Vec<Count>) {
        while let Some(gone) = self.gone.pop_front() {
            self.forget(&gone, counts);
        }
    }

    /// Sessions that have not ended, and participants that have not left.
    pub(super) fn open(&self) -> (u64, u64) {
        let open = || self.sessions.values().filter(|session| session.ended.is_none());
        let inside = |session: &Session| {
            session.participants.values().filter(|participant| participant.left.is_none()).count()
        };
        (open().count() as u64, open().map(inside).sum::<usize>() as u64)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn session_began(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        counts: &mut Vec<Count>,
    ) {
        let Some(key) = key_of(session) else { return };
        if let Some(known) = self.sessions.get_mut(key) {
            known.last = known.last.max(at);
            let other = known.is_other(session);
            let is_late = match known.ended {
                None => known.is_from_before,
                Some(ended) => known.is_from_before && ended >= at,
            };
            if !other && is_late {
                // Some of its events came first: it was not there before them after all.
                known.is_from_before = false;
                known.first = at;
                self.session_gauge.before -= 1;
                self.session_gauge.now += 1;
                counts.push(Count::Session { at });
                return;
            }
            let without_unique = known.unique.is_none() && session.unique.is_none();
            let is_again = match known.ended {
                None => other || without_unique && known.first != at,
                Some(ended) => other || session.unique.is_none() && ended < at,
            };
            if !is_again {
                return;
            }
            if known.ended.is_none() {
                self.lose(key);
            }
        }
        self.session_gauge.now += 1;
        counts.push(Count::Session { at });
        self.insert(key, session, at, false, counts);
    }

    pub(super) fn session_ended(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        began: Option<i64>,
        counts: &mut Vec<Count>,
    ) {
        let Some(key) = key_of(session) else { return };
        let began = began.filter(|&began| self.is_within(began));
        match self.sessions.get(key) {
            Some(known) if known.ended.is_none() && known.is_other(session) => return,
            Some(known) if known.ended.is_some() && !known.is_other(session) => return,
            Some(known) if known.ended.is_none() => {}
            _ => {
                if let Some(began) = began {
                    // Its beginning was lost, or it was given up too early and is counted already.
                    if at - began < GIVEN_UP_MS {
                        counts.push(Count::Session { at: began });
                    } else {
                        self.sessions_given_up = self.sessions_given_up.saturating_sub(1);
                    }
                    self.insert(key, session, began, false, counts);
                    // It was never counted in.
                    self.session_gauge.now += 1;
                } else {
                    self.session_gauge.before += 1;
                    self.insert(key, session, at, true, counts);
                }
            }
        }
        let Some(known) = self.sessions.get_mut(key) else { return };
        if let Some(began) = began.filter(|_| known.is_from_before) {
            // It had events before, but its beginning was lost.
            known.is_from_before = false;
            self.session_gauge.before -= 1;
            self.session_gauge.now += 1;
            counts.push(Count::Session { at: began });
        }
        known.last = known.last.max(at);
        known.ended = Some(at);
        self.session_gauge.now -= 1;
        for participant in known.participants.values_mut().filter(|one| one.left.is_none()) {
            participant.is_uncounted = true;
            self.participant_gauge.now -= 1;
        }
        self.gone.push_back(Gone { at, session: key.into(), participant: None });
    }

    pub(super) fn joined(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        participant: &Id<'_>,
        counts: &mut Vec<Count>,
    ) {
        let Some(known) = self.session_of(at, session, counts) else { return };
        let has_ended = known.ended.is_some();
        match known.participants.get_mut(participant.as_ref()) {
            Some(Participant { left: None, .. }) => return,
            Some(one) if one.left >= Some(at) => {
                if std::mem::take(&mut one.is_from_before) {
                    // The two events came in the wrong order.
                    self.participant_gauge.before -= 1;
                    self.participant_gauge.now += 1;
                    counts.push(Count::Participant { at });
                }
                return;
            }
            _ => {}
        }
        let one =
            Participant { joined: at, is_from_before: false, left: None, is_uncounted: has_ended };
        known.participants.insert(participant.as_ref().into(), one);
        counts.push(Count::Participant { at });
        self.participant_gauge.now += i64::from(!has_ended);
    }

    pub(super) fn left(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        stay: &Stay<'_>,
        counts: &mut Vec<Count>,
    ) {
        let told = stay.duration.or_else(|| Some((at - stay.joined?).max(0)));
        let joined = stay.joined.filter(|&joined| self.is_within(joined));
        let known = match &stay.participant {
            Some(_) => self.session_of(at, session, counts),
            None => None,
        };
        let (Some(known), Some(participant)) = (known, &stay.participant) else {
            counts.extend(told.map(|ms| Count::Stay { at, ms }));
            return;
        };
        let mut stayed = told;
        match known.participants.get_mut(participant.as_ref()) {
            Some(Participant { left: Some(_), .. }) => return,
            Some(one) => {
                one.left = Some(at);
                stayed = told.or(Some((at - one.joined).max(0)));
                self.participant_gauge.now -= i64::from(!one.is_uncounted);
            }
            None => {
                let one = Participant {
                    joined: joined.unwrap_or(at),
                    is_from_before: joined.is_none(),
                    left: Some(at),
                    is_uncounted: false,
                };
                known.participants.insert(participant.as_ref().into(), one);
                if let Some(joined) = joined {
                    // Its beginning was lost.
                    counts.push(Count::Participant { at: joined });
                } else {
                    self.participant_gauge.before += 1;
                    self.participant_gauge.now -= 1;
                }
            }
        }
        counts.extend(stayed.map(|ms| Count::Stay { at, ms }));
        if let Some(key) = key_of(session) {
            let participant = Some(participant.as_ref().into());
            self.gone.push_back(Gone { at, session: key.into(), participant });
        }
    }

    /// Makes sure that the session of an event is known. One that is not was there before the first
    /// line, until its beginning says otherwise. `None` where the event has no session, or one that
    /// is over since another one of its name began.
    fn session_of(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        counts: &mut Vec<Count>,
    ) -> Option<&mut Session> {
        let key = key_of(session)?;
        match self.sessions.get(key) {
            Some(known) if !known.is_other(session) => {}
            Some(known) if known.ended.is_none() => return None,
            _ => {
                self.session_gauge.before += 1;
                self.insert(key, session, at, true, counts);
            }
        }
        let known = self.sessions.get_mut(key)?;
        known.last = known.last.max(at);
        if known.unique.is_none() {
            known.unique = session.unique.as_deref().map(Into::into);
        }
        Some(known)
    }

    fn insert(
        &mut self,
        key: &[u8],
        session: &SessionRef<'_>,
        first: i64,
        is_from_before: bool,
        counts: &mut Vec<Count>,
    ) {
        let unique = session.unique.as_deref().map(Into::into);
        let participants = HashMap::new();
        let new = Session { unique, first, last: first, is_from_before, ended: None, participants };
        if let Some(old) = self.sessions.insert(key.into(), new) {
            old.count_stays(counts);
        }
    }

    fn is_within(&self, at: i64) -> bool {
        self.begin.is_some_and(|begin| at >= begin)
    }

    /// A session is over without an end: another one of its name began, or nothing was heard of it.
    fn lose(&mut self, key: &[u8]) {
        let Some(lost) = self.sessions.remove(key) else { return };
        let inside = lost.participants.values().filter(|one| one.left.is_none()).count();
        self.session_gauge.now -= 1;
        self.participant_gauge.now -= inside as i64;
        self.sessions_given_up += 1;
    }

    fn give_up(&mut self, last: i64) {
        let silent = |session: &Session| session.ended.is_none() && session.last < last;
        let lost: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| silent(session))
            .map(|(key, _)| key.clone())
            .collect();
        lost.iter().for_each(|key| self.lose(key));
    }

    /// Nothing more is expected of an end.
    fn forget(&mut self, gone: &Gone, counts: &mut Vec<Count>) {
        let Some(session) = self.sessions.get_mut(&gone.session) else { return };
        match &gone.participant {
            Some(participant) => {
                let participants = &mut session.participants;
                let left = participants.get(participant).and_then(|one| one.left);
                left.filter(|&left| left == gone.at).and_then(|_| participants.remove(participant));
            }
            None if session.ended == Some(gone.at) => {
                session.count_stays(counts);
                self.sessions.remove(&gone.session);
            }
            None => {}
        }
    }
}

impl Session {
    /// Counts the stays of those whom the end of the session ended.
    fn count_stays(&self, counts: &mut Vec<Count>) {
        let Some(at) = self.ended else { return };
        let inside = self.participants.values().filter(|one| one.left.is_none());
        counts.extend(inside.map(|one| Count::Stay { at, ms: (at - one.joined).max(0) }));
    }

    /// Whether an event is of another session of the same name.
    fn is_other(&self, session: &SessionRef<'_>) -> bool {
        match (&self.unique, &session.unique) {
            (Some(ours), Some(theirs)) => **ours != **theirs,
            _ => false,
        }
    }
}

/// What a session is known by: its name, or where it has none, its other name.
fn key_of<'a>(session: &'a SessionRef<'_>) -> Option<&'a [u8]> {
    let name = Some(session.name.as_ref()).filter(|name| !name.is_empty());
    name.or_else(|| session.unique.as_deref().filter(|unique| !unique.is_empty()))
}
