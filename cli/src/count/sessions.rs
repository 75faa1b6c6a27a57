//! The known sessions, and which of them an event is about.
//!
//! An event has a name, which one session of a server has at a time, and usually also an id that no
//! other session ever has. OpenVidu Meet has only the name.

use std::collections::HashMap;

use super::counts::{Count, Counted};
use super::event::SessionRef;

/// The number of the directory that an event was read from. The server that writes it has one
/// session of a name at a time; another server may have another one.
pub(crate) type Source = usize;

/// The key of a session: its unique id, or its name if no event has an id.
pub(super) type Key = Box<[u8]>;

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
    pub(super) ended: Option<i64>,
    pub(super) participants: HashMap<Box<[u8]>, Participant>,
}

#[derive(Debug)]
pub(super) struct Participant {
    pub(super) joined: i64,
    pub(super) is_from_before: bool,
    pub(super) left: Option<i64>,
    /// It is no longer in [`Gauge::now`], because the session has ended.
    pub(super) is_uncounted: bool,
}

impl Session {
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
        inside.for_each(|one| counted(Count::Stay { at, ms: (at - one.joined).max(0) }));
    }
}

/// The sessions that are open, and those that ended some minutes ago.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: HashMap<Key, Session>,
    /// The key of the session that started last under a name.
    names: HashMap<Box<[u8]>, Key>,
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
        is_same.then(|| key.into())
    }

    /// The session that started last under the name of `session`.
    fn namesake(&self, session: &SessionRef<'_>) -> Option<(&[u8], &Session)> {
        let key = self.names.get(session.name.as_ref())?;
        Some((key, self.by_key.get(key)?))
    }

    /// The same if it is open, on the same server: then the other one is over.
    pub(super) fn open_namesake(&self, source: Source, session: &SessionRef<'_>) -> Option<Key> {
        let (key, known) = self.namesake(session)?;
        (known.ended.is_none() && known.source == source).then(|| key.into())
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
        let key = unique.clone().or_else(|| Some(name.clone()).filter(|name| !name.is_empty()))?;
        if !name.is_empty() {
            self.names.insert(name.clone(), key.clone());
        }
        let participants = HashMap::new();
        let (last, ended) = (first, None);
        let new =
            Session { name, unique, source, first, last, is_from_before, ended, participants };
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
