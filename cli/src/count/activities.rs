//! Egress, ingress, recordings and broadcasts that are under way.
//!
//! Tracks belong to a participant and are kept with it. These belong to a session, or to none, and
//! may end after it.

use std::collections::VecDeque;

use super::counts::{Count, Counted};
use super::event::{ActivityKey, ActivityRef, Source};
use super::hash::Map;
use super::missing::{Missing, MissingEvent, Sign};

/// How long an end is remembered, in milliseconds of event time.
const ENDED_MS: i64 = 5 * 60_000;

/// An activity ends at most this long after its session, in milliseconds: a recording must still be
/// stored then.
pub(crate) const AFTER_SESSION_MS: i64 = 3_600_000;

#[derive(Debug)]
struct Activity {
    source: Source,
    session: Box<[u8]>,
    unique: Option<Box<[u8]>>,
    /// The time of its last event.
    last: i64,
    session_ended: Option<i64>,
    ended: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Activities {
    by_key: Map<ActivityKey, Activity>,
    /// Those that ended some minutes ago, in the order in which they did.
    gone: VecDeque<(i64, ActivityKey)>,
}

impl Activities {
    pub(super) fn is_open_before(&self, activity: &ActivityRef<'_>, at: i64) -> bool {
        let known = self.by_key.get(&key_of(activity));
        known.is_some_and(|known| known.ended.is_none() && known.last < at)
    }

    pub(super) fn open(&self) -> u64 {
        self.by_key.values().filter(|activity| activity.ended.is_none()).count() as u64
    }

    pub(super) fn began(
        &mut self,
        at: i64,
        source: Source,
        activity: &ActivityRef<'_>,
        counted: &mut Counted<'_>,
    ) {
        let key = key_of(activity);
        match self.by_key.get_mut(&key) {
            Some(known) if known.ended.is_none() && known.last >= at => return,
            Some(known) if known.ended.is_none() => {
                let missing = known.missing_end(&key, Sign::NameBeganAgain, at);
                counted(Count::Missing(missing));
            }
            _ => {}
        }
        let session = activity.session.name.as_ref().into();
        let unique = activity.session.unique.as_deref().map(Into::into);
        let new = Activity { source, session, unique, last: at, session_ended: None, ended: None };
        self.by_key.insert(key, new);
    }

    /// An event says that it is under way.
    pub(super) fn goes_on(&mut self, at: i64, activity: &ActivityRef<'_>) {
        if let Some(known) = self.by_key.get_mut(&key_of(activity)) {
            known.last = known.last.max(at);
        }
    }

    pub(super) fn ended(
        &mut self,
        at: i64,
        source: Source,
        activity: &ActivityRef<'_>,
        began: Option<i64>,
        counted: &mut Counted<'_>,
    ) {
        let key = key_of(activity);
        if let Some(known) = self.by_key.get_mut(&key) {
            if known.ended.is_none() {
                known.ended = Some(at);
                self.gone.push_back((at, key));
            }
            return;
        }
        counted(Count::Missing(missing_start(at, source, activity, began)));
        let session = activity.session.name.as_ref().into();
        let known = Activity {
            source,
            session,
            unique: None,
            last: at,
            session_ended: None,
            ended: Some(at),
        };
        self.by_key.insert(key.clone(), known);
        self.gone.push_back((at, key));
    }

    pub(super) fn session_ended(&mut self, at: i64, keys: impl IntoIterator<Item = ActivityKey>) {
        for key in keys {
            if let Some(known) = self.by_key.get_mut(&key) {
                known.session_ended = Some(at);
            }
        }
    }

    /// Forgets those that ended some minutes ago.
    pub(super) fn forget(&mut self, now: i64) {
        while self.gone.front().is_some_and(|(at, _)| at.saturating_add(ENDED_MS) < now) {
            if let Some((at, key)) = self.gone.pop_front()
                && self.by_key.get(&key).is_some_and(|known| known.ended == Some(at))
            {
                self.by_key.remove(&key);
            }
        }
    }

    /// Gives up those without an event since `silent`, or whose session ended long ago.
    pub(super) fn give_up(&mut self, now: i64, silent: i64, counted: &mut Counted<'_>) {
        self.by_key.retain(|key, known| {
            let session_ended = known.session_ended.map(|at| at.saturating_add(AFTER_SESSION_MS));
            let sign = match session_ended {
                _ if known.ended.is_some() => return true,
                Some(at) if at < now => Sign::SessionEnded,
                _ if known.last < silent => Sign::Silence,
                _ => return true,
            };
            let before = known.session_ended.unwrap_or(now).max(known.last);
            counted(Count::Missing(known.missing_end(key, sign, before)));
            false
        });
    }

    /// The input is over: reports which are open.
    pub(super) fn end(&self, now: i64, counted: &mut Counted<'_>) {
        for (key, known) in self.by_key.iter().filter(|(_, known)| known.ended.is_none()) {
            counted(Count::Missing(known.missing_end(key, Sign::StillOpen, now.max(known.last))));
        }
    }
}

impl Activity {
    fn missing_end<'a>(&'a self, key: &'a ActivityKey, sign: Sign, before: i64) -> Missing<'a> {
        Missing {
            event: MissingEvent::ActivityEnd(key.0),
            sign,
            source: self.source,
            session: &self.session,
            unique: self.unique.as_deref(),
            participant: None,
            activity: Some(&key.1),
            told: None,
            after: Some(self.last),
            before,
            inside: 0,
        }
    }
}

/// The end of one that never started.
pub(super) fn missing_start<'a>(
    at: i64,
    source: Source,
    activity: &'a ActivityRef<'a>,
    began: Option<i64>,
) -> Missing<'a> {
    Missing {
        event: MissingEvent::ActivityStart(activity.kind),
        sign: Sign::LaterEvents,
        source,
        session: &activity.session.name,
        unique: activity.session.unique.as_deref(),
        participant: activity.participant.as_deref(),
        activity: Some(&activity.id),
        told: began,
        after: None,
        before: at,
        inside: 0,
    }
}

pub(super) fn key_of(activity: &ActivityRef<'_>) -> ActivityKey {
    (activity.kind, activity.id.as_ref().into())
}

#[cfg(test)]
mod tests {
    use super::super::event::{ActivityKind, SessionRef};
    use super::*;

    fn egress(id: &str) -> ActivityRef<'_> {
        let session = SessionRef { name: b"daily".into(), unique: None };
        let id = id.as_bytes().into();
        let (kind, participant) = (ActivityKind::Egress, None);
        ActivityRef { kind, session, participant, made_of: None, is_received: false, id }
    }

    #[test]
    fn those_that_ended_are_forgotten_after_some_minutes() {
        let mut activities = Activities::default();
        let mut missing = 0;
        let mut counted = |_: Count<'_>| missing += 1;
        for number in 0..10_000_i64 {
            let (id, at) = (format!("EG_{number}"), number * 1000);
            activities.began(at, 0, &egress(&id), &mut counted);
            activities.ended(at + 500, 0, &egress(&id), None, &mut counted);
            // The same end from another server.
            activities.ended(at + 700, 0, &egress(&id), None, &mut counted);
            activities.forget(at);
            let held = activities.by_key.len();
            assert!(held <= 302, "{held} are held");
        }
        assert_eq!((activities.open(), missing), (0, 0));
    }
}
