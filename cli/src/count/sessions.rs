//! The known sessions, and which of them an event is about.
//!
//! An event has a name, which one session of a server has at a time, and usually also an id that no
//! other session ever has. OpenVidu Meet has only the name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::counts::{Count, Counted};
use super::event::{ActivityKey, SessionRef, Source};
use super::hash::Map;
use super::usage::SessionUsage;

/// The key of a session: its unique id, or its name if no event has an id.
pub(super) type Key = Arc<[u8]>;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: Box<[u8]>,
    pub(super) unique: Option<Box<[u8]>>,
    /// Where its first event was read.
    pub(super) source: Source,
    /// The time of its first event.
    pub(super) first: i64,
    /// The time of its last event.
    pub(super) last: i64,
    /// Its start was not read; it is in [`Gauge::before`].
    pub(super) is_from_before: bool,
    /// Its start was read.
    pub(super) has_start: bool,
    /// When it started, according to its end.
    pub(super) began_told: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) participants: Map<Box<[u8]>, Participant>,
    /// What started in it, except for tracks.
    pub(super) activities: BTreeSet<ActivityKey>,
    /// What was used, until its record was handed over; `None` if no records are kept.
    pub(super) usage: Option<Box<SessionUsage>>,
}

#[derive(Debug)]
pub(super) struct Participant {
    pub(super) joined: i64,
    pub(super) is_from_before: bool,
    /// Its join was read.
    pub(super) has_join: bool,
    /// When it joined, according to its leaving.
    pub(super) began_told: Option<i64>,
    pub(super) left: Option<i64>,
    /// What was counted when it left, in milliseconds.
    pub(super) stay_ms: i64,
    /// Its tracks that have not ended, and when each began.
    pub(super) tracks: BTreeMap<Box<[u8]>, i64>,
    /// It is no longer in [`Gauge::now`], because the session has ended.
    pub(super) is_uncounted: bool,
}

/// A session, and what is known of it.
#[cfg(feature = "serve")]
#[derive(Debug)]
pub(crate) struct KnownSession<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) unique: Option<&'a [u8]>,
    /// The time of its first event.
    pub(crate) first: i64,
    pub(crate) ended: Option<i64>,
    pub(crate) participants: Vec<KnownParticipant<'a>>,
}

/// A participant of a session who is in it, or left some minutes ago.
#[cfg(feature = "serve")]
#[derive(Debug)]
pub(crate) struct KnownParticipant<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) joined: i64,
    pub(crate) left: Option<i64>,
}

#[cfg(feature = "serve")]
impl KnownParticipant<'_> {
    /// Whether it has this id or identity: events tell one of the two.
    pub(crate) fn is(&self, sid: &str, identity: &str) -> bool {
        [sid, identity].iter().any(|id| !id.is_empty() && id.as_bytes() == self.id)
    }
}

impl Session {
    #[cfg(feature = "serve")]
    pub(super) fn known(&self) -> KnownSession<'_> {
        let participants = self.participants.iter();
        let participants = participants
            .map(|(id, one)| KnownParticipant { id, joined: one.joined, left: one.left })
            .collect();
        let (name, unique) = (&*self.name, self.unique.as_deref());
        KnownSession { name, unique, first: self.first, ended: self.ended, participants }
    }

    /// An event of it has the time `at`.
    pub(super) fn hear(&mut self, at: i64, session: &SessionRef<'_>) {
        self.last = self.last.max(at);
        if self.unique.is_none() {
            self.unique = session.unique.as_deref().map(Into::into);
        }
    }

    /// Counts the stays of participants that the end of the session ended.
    pub(super) fn count_stays(&self, counted: &mut Counted<'_>) {
        let Some(at) = self.ended else { return };
        let inside = self.participants.values().filter(|one| one.left.is_none());
        inside.for_each(|one| counted(Count::Stay { at, ms: self.stay_ms(one) }));
    }
}

/// A remembered end: of a session, or of a participant in it.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) at: i64,
    pub(super) session: Key,
    pub(super) participant: Option<Box<[u8]>>,
}

/// The sessions that are open, and those that ended some minutes ago.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: Map<Key, Session>,
    /// The key of the session that started last under a name.
    names: Map<Box<[u8]>, Key>,
    /// Records of them are wanted.
    pub(super) keeps_usage: bool,
}

impl Sessions {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Session> {
        self.by_key.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Session> {
        self.by_key.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Session)> {
        self.by_key.iter()
    }

    /// The keys in the order of the times at which the sessions began.
    pub(super) fn sorted_keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.iter().map(|(key, one)| (one.first, key.clone())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The key of the session that an event is about, if it is known.
    pub(super) fn find(&self, session: &SessionRef<'_>) -> Option<Key> {
        if let Some(unique) = session.unique.as_deref()
            && let Some((key, _)) = self.by_key.get_key_value(unique)
        {
            return Some(key.clone());
        }
        let (key, known) = self.namesake(session)?;
        let is_same = match (&known.unique, &session.unique) {
            (Some(ours), Some(theirs)) => **ours == **theirs,
            _ => true,
        };
        is_same.then(|| key.clone())
    }

    /// The session that started last under the name of `session`.
    fn namesake(&self, session: &SessionRef<'_>) -> Option<(&Key, &Session)> {
        let key = self.names.get(session.name.as_ref())?;
        Some((key, self.by_key.get(key)?))
    }

    /// The same if it is open, on the same server: then the other one is over.
    pub(super) fn open_namesake(&self, source: Source, session: &SessionRef<'_>) -> Option<Key> {
        let (key, known) = self.namesake(session)?;
        (known.ended.is_none() && known.source == source).then(|| key.clone())
    }

    /// A new session, and the one that it replaces. `None` if the event does not say which session.
    pub(super) fn insert(
        &mut self,
        source: Source,
        session: &SessionRef<'_>,
        first: i64,
        is_from_before: bool,
    ) -> Option<(Key, Option<Session>)> {
        let name: Box<[u8]> = session.name.as_ref().into();
        let unique = session.unique.as_deref().filter(|unique| !unique.is_empty());
        let unique: Option<Box<[u8]>> = unique.map(Into::into);
        let key = unique.as_deref().or_else(|| Some(&*name).filter(|name| !name.is_empty()));
        let key = Key::from(key?);
        if !name.is_empty() {
            self.names.insert(name.clone(), key.clone());
        }
        let new = Session {
            name,
            unique,
            source,
            first,
            last: first,
            is_from_before,
            has_start: false,
            began_told: None,
            ended: None,
            participants: Map::default(),
            activities: BTreeSet::new(),
            usage: self.keeps_usage.then(Box::default),
        };
        let old = self.by_key.insert(key.clone(), new);
        Some((key, old))
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Session> {
        let removed = self.by_key.remove(key)?;
        if self.names.get(&removed.name).is_some_and(|newest| **newest == *key) {
            self.names.remove(&removed.name);
        }
        Some(removed)
    }
}
