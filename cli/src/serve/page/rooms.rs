//! The rooms of the page: those that are open now, and the last ones that ended.
//!
//! Every event takes effect when it is read, so that the page shows it at once. `count` waits some
//! minutes for late events before it counts; what is billed comes from there.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

use super::person::{Person, shown};
use super::room::{Activity, Change, Open, Participant, Room, RoomRow, kind_name};
use crate::count::event::{ActivityRef, Id, SessionRef, Stay};

/// Ended rooms that are remembered, for the search.
const ENDED_MAX: usize = 10_000;

/// Open rooms that are remembered; more are counted, and not shown.
const OPEN_MAX: usize = 20_000;

/// Participants of one room that are remembered; more are counted, and not shown.
const PARTICIPANTS_MAX: usize = 500;

/// Recordings, egress and so on of one room that are remembered.
const ACTIVITIES_MAX: usize = 100;

/// Participants and recordings of all rooms together that are remembered: some 50 MB. Rooms that
/// ended make room for new ones.
const REMEMBERED_MAX: usize = 200_000;

#[derive(Debug)]
pub(super) struct Rooms {
    by_key: HashMap<Box<str>, Room>,
    /// The key of the room that began last under a name.
    names: HashMap<Box<str>, Box<str>>,
    /// The keys of ended rooms, the first one ended first.
    ended: VecDeque<Box<str>>,
    /// Participants and activities of all rooms.
    remembered: usize,
    remembered_max: usize,
    open: Open,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            names: HashMap::new(),
            ended: VecDeque::new(),
            remembered: 0,
            remembered_max: REMEMBERED_MAX,
            open: Open::default(),
        }
    }
}

impl Rooms {
    pub(super) fn open(&self) -> Open {
        self.open
    }

    pub(super) fn began(&mut self, at: i64, session: &SessionRef<'_>) {
        self.end_namesake(at, session);
        if let Some(room) = self.room(at, session) {
            room.has_start = true;
            room.began_ms = room.began_ms.min(at);
        }
    }

    /// A room of this name that is known but is another one: if it is open, its end was lost.
    fn end_namesake(&mut self, at: i64, session: &SessionRef<'_>) {
        let Some(key) = self.names.get(&shown(session.name.clone())).cloned() else { return };
        let Some(room) = self.by_key.get(&key) else { return };
        let unique = session.unique.clone().map(shown);
        let is_another = match (&room.unique, &unique) {
            (Some(ours), Some(theirs)) => ours != theirs,
            // Only the times can tell: it began again after its end.
            _ => room.ended_ms.is_some_and(|ended_ms| ended_ms <= at),
        };
        if is_another && room.ended_ms.is_none() {
            let reason = Id::Borrowed(&b"(another room of its name began)"[..]);
            self.end(at, key, Some(&reason));
        } else if is_another && *key == *unique.unwrap_or_else(|| room.name.clone()) {
            self.forget(&key);
        }
    }

    pub(super) fn ended(&mut self, at: i64, session: &SessionRef<'_>, reason: Option<&Id<'_>>) {
        if let Some(key) = self.find_or_insert(at, session) {
            self.end(at, key, reason);
        }
    }

    fn end(&mut self, at: i64, key: Box<str>, reason: Option<&Id<'_>>) {
        let Some(room) = self.by_key.get_mut(&key) else { return };
        if room.ended_ms.is_some() {
            return;
        }
        room.ended_ms = Some(at);
        room.reason = reason.map(|reason| shown(reason.clone()));
        let present = std::mem::take(&mut room.present);
        room.participants.values_mut().filter(|one| one.left_ms.is_none()).for_each(|one| {
            one.left_ms = Some(at);
        });
        for activity in room.activities.values_mut().filter(|one| one.ended_ms.is_none()) {
            activity.ended_ms = Some(at);
            self.open.end(activity.kind);
        }
        self.open.rooms -= 1;
        self.open.participants -= present;
        self.ended.push_back(key);
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.remove(&oldest);
        }
    }

    pub(super) fn joined(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        id: &Id<'_>,
        person: Person,
    ) {
        let has_place = self.make_place();
        let Some(room) = self.room(at, session) else { return };
        let id = shown(id.clone());
        let known = room.participants.get(&id);
        if known.is_some_and(|one| one.left_ms.is_none()) {
            return;
        }
        let is_known = known.is_some();
        room.joins += 1;
        if room.ended_ms.is_some() {
            return;
        }
        room.present += 1;
        if is_known || has_place && room.participants.len() < PARTICIPANTS_MAX {
            let Person { label, platform } = person;
            let one = Participant { label, platform, joined_ms: at, left_ms: None, reason: None };
            room.participants.insert(id, one);
            self.remembered += usize::from(!is_known);
        }
        self.open.participants += 1;
    }

    pub(super) fn left(
        &mut self,
        at: i64,
        session: &SessionRef<'_>,
        stay: &Stay<'_>,
        person: Person,
    ) {
        let has_place = self.make_place();
        let (Some(id), Some(room)) = (&stay.participant, self.room(at, session)) else { return };
        let id = shown(id.clone());
        let reason = stay.reason.clone().map(shown);
        if let Some(one) = room.participants.get_mut(&id) {
            if one.left_ms.is_none() {
                (one.left_ms, one.reason) = (Some(at), reason);
                room.present -= 1;
                self.open.participants -= 1;
            }
            return;
        }
        let remembered = room.participants.values().filter(|one| one.left_ms.is_none()).count();
        if room.present > remembered as u64 {
            // One of those for which there was no place.
            room.present -= 1;
            self.open.participants -= 1;
        } else if has_place && room.participants.len() < PARTICIPANTS_MAX {
            let joined_ms = stay.joined.or_else(|| Some(at - stay.duration?)).unwrap_or(at);
            let Person { label, platform } = person;
            let one = Participant { label, platform, joined_ms, left_ms: Some(at), reason };
            room.participants.insert(id, one);
            self.remembered += 1;
        }
    }

    /// Whether one more may be remembered. Forgets the rooms that ended first if there is no place.
    fn make_place(&mut self) -> bool {
        while self.remembered >= self.remembered_max {
            let Some(oldest) = self.ended.pop_front() else { return false };
            self.remove(&oldest);
        }
        true
    }

    pub(super) fn activity(&mut self, at: i64, activity: &ActivityRef<'_>, change: Change) {
        let Some(kind) = kind_name(activity.kind) else { return };
        // What ends may outlive its room by far: that does not open the room again.
        if matches!(change, Change::Ended { .. }) && self.find(&activity.session).is_none() {
            return;
        }
        let has_place = self.make_place();
        let Some(room) = self.room(at, &activity.session) else { return };
        let key = (kind, shown(activity.id.clone()));
        if !room.activities.contains_key(&key) {
            if !has_place || room.activities.len() >= ACTIVITIES_MAX {
                return;
            }
            let (began_ms, id) = (change.began().unwrap_or(at), key.1.clone());
            let is_over = room.ended_ms.is_some();
            let one = Activity { kind, id, began_ms, ended_ms: is_over.then_some(at), bytes: None };
            room.activities.insert(key.clone(), one);
            self.remembered += 1;
            if !is_over {
                self.open.begin(kind);
            }
        }
        let room = self.room(at, &activity.session);
        let known = room.and_then(|room| room.activities.get_mut(&key));
        if let (Some(one), Change::Ended { bytes, .. }) = (known, change) {
            one.bytes = bytes.or(one.bytes);
            if one.ended_ms.is_none() {
                one.ended_ms = Some(at);
                self.open.end(kind);
            }
        }
    }

    /// Any event of a room.
    pub(super) fn hear(&mut self, at: i64, session: &SessionRef<'_>) {
        self.room(at, session);
    }

    /// Ends the rooms that have had no event since `since`: usually their server died.
    pub(super) fn give_up_before(&mut self, since: i64) {
        let is_silent = |room: &Room| room.ended_ms.is_none() && room.last_ms < since;
        let silent = self.by_key.iter().filter(|(_, room)| is_silent(room));
        let silent: Vec<_> = silent.map(|(key, room)| (key.clone(), room.last_ms)).collect();
        let reason = Id::Borrowed(&b"(no event for a day)"[..]);
        silent.into_iter().for_each(|(key, last_ms)| self.end(last_ms, key, Some(&reason)));
    }

    /// The open rooms, those with the most participants first.
    pub(super) fn open_rows(&self, count_max: usize) -> Vec<RoomRow<'_>> {
        let mut open: Vec<_> =
            self.by_key.iter().filter(|(_, room)| room.ended_ms.is_none()).collect();
        open.sort_by(|(a_key, a), (b_key, b)| {
            b.present.cmp(&a.present).then(b.began_ms.cmp(&a.began_ms)).then(a_key.cmp(b_key))
        });
        open.truncate(count_max);
        open.into_iter().map(|(key, room)| room.row(key, false)).collect()
    }

    /// The rooms that were open within a span and contain `query` in a text, the last one first; and
    /// how many there are.
    pub(super) fn search(
        &self,
        span: &Range<i64>,
        query: &str,
        count_max: usize,
    ) -> (Vec<RoomRow<'_>>, usize) {
        let query = query.to_lowercase();
        let is_within = |room: &Room| {
            room.began_ms < span.end && room.ended_ms.unwrap_or(room.last_ms) >= span.start
        };
        let mut found: Vec<_> = self
            .by_key
            .iter()
            .filter(|(_, room)| is_within(room) && room.contains(&query))
            .collect();
        found.sort_by(|(a_key, a), (b_key, b)| b.began_ms.cmp(&a.began_ms).then(a_key.cmp(b_key)));
        let count = found.len();
        found.truncate(count_max);
        (found.into_iter().map(|(key, room)| room.row(key, true)).collect(), count)
    }

    /// The room of an event, new if it is not known.
    fn room(&mut self, at: i64, session: &SessionRef<'_>) -> Option<&mut Room> {
        let key = self.find_or_insert(at, session)?;
        let room = self.by_key.get_mut(&key)?;
        room.last_ms = room.last_ms.max(at);
        Some(room)
    }

    fn find(&self, session: &SessionRef<'_>) -> Option<Box<str>> {
        let unique = session.unique.clone().map(shown);
        if let Some(unique) = &unique
            && self.by_key.contains_key(unique)
        {
            return Some(unique.clone());
        }
        let key = self.names.get(&shown(session.name.clone()))?;
        let room = self.by_key.get(key)?;
        let is_same = match (&room.unique, &unique) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        is_same.then(|| key.clone())
    }

    fn find_or_insert(&mut self, at: i64, session: &SessionRef<'_>) -> Option<Box<str>> {
        if let Some(key) = self.find(session) {
            return Some(key);
        }
        let (name, unique) = (shown(session.name.clone()), session.unique.clone().map(shown));
        let unique = unique.filter(|unique| !unique.is_empty());
        let key = unique.clone().unwrap_or_else(|| name.clone());
        if key.is_empty() || self.by_key.len() - self.ended.len() >= OPEN_MAX {
            return None;
        }
        let room = Room {
            name: name.clone(),
            unique,
            began_ms: at,
            has_start: false,
            last_ms: at,
            ended_ms: None,
            reason: None,
            present: 0,
            joins: 0,
            participants: BTreeMap::new(),
            activities: BTreeMap::new(),
        };
        self.by_key.insert(key.clone(), room);
        self.names.insert(name, key.clone());
        self.open.rooms += 1;
        Some(key)
    }

    /// Forgets an ended room, whose name is used again.
    fn forget(&mut self, key: &str) {
        self.ended.retain(|ended| **ended != *key);
        self.remove(key);
    }

    fn remove(&mut self, key: &str) {
        let Some(room) = self.by_key.remove(key) else { return };
        self.remembered -= room.participants.len() + room.activities.len();
        if self.names.get(&room.name).is_some_and(|newest| **newest == *key) {
            self.names.remove(&room.name);
        }
    }
}
