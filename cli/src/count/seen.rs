//! Which events occurred before: those of the last minutes, by fingerprint.
//!
//! An event that occurs twice has the same time both times. So fingerprints are kept in one set per
//! span of event time, and a whole set is dropped once the watermark has passed it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use foldhash::quality::RandomState;

use super::event::{Event, Id, Says, SessionRef};
use super::line::Line;

/// The span of event time of one set, in milliseconds.
const SET_MS: i64 = 5 * 60_000;

/// The maximum number of events that are remembered, of 8 to 16 bytes each.
const SEEN_MAX: usize = 4_000_000;

/// A fingerprint is a hash already.
#[derive(Debug, Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` is hashed here; this keeps the contract of the trait for all else.
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Fingerprints = HashSet<u64, BuildHasherDefault<Unhashed>>;

/// Whether an event is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// It occurred before.
    Repeated,
    /// It cannot be decided: it is older than what is remembered, or there are too many.
    Unknown,
}

/// Computes fingerprints. Those of clones are comparable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprinter(RandomState);

impl Fingerprinter {
    /// What identifies an event of sessions: its kind, session, participant and time. For all
    /// others it is the whole line: two tracks may well start in the same millisecond. `None` if the
    /// event has no time: such events are never the same.
    pub(crate) fn of(&self, line: &Line<'_>, event: &Event<'_>) -> Option<Fingerprint> {
        let at = event.at?;
        let identity = identity(&event.says).filter(|(session, _)| !is_nameless(session));
        Some(Fingerprint(match identity {
            Some((session, participant)) => {
                let session = (&session.name, &session.unique);
                self.hash((at, &line.name, session, participant))
            }
            None => self.hash(line.text),
        }))
    }

    fn hash(&self, value: impl Hash) -> u64 {
        self.0.hash_one(value)
    }
}

/// Events with the same one are the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(u64);

/// The events of the last minutes of event time.
#[derive(Debug)]
pub(crate) struct Seen {
    fingerprinter: Fingerprinter,
    /// The number of the set `current`.
    current_number: i64,
    /// The set of the last event, taken out of `sets`: nearly every event belongs to the same set
    /// as the one before.
    current: Fingerprints,
    sets: BTreeMap<i64, Fingerprints>,
    count: usize,
    /// Events before this time are not remembered.
    floor: i64,
    count_max: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self::with_limit(SEEN_MAX)
    }

    fn with_limit(count_max: usize) -> Self {
        Self {
            fingerprinter: Fingerprinter::default(),
            current_number: 0,
            current: Fingerprints::default(),
            sets: BTreeMap::new(),
            count: 0,
            floor: i64::MIN,
            count_max,
        }
    }

    /// What computes the fingerprints of events that are remembered here.
    pub(crate) fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter.clone()
    }

    /// Remembers the event with this fingerprint and the time `at`.
    pub(crate) fn insert(&mut self, at: i64, Fingerprint(fingerprint): Fingerprint) -> Novelty {
        if at < self.floor {
            return Novelty::Unknown;
        }
        let number = at.div_euclid(SET_MS);
        if number != self.current_number {
            self.change_set(number);
        }
        if self.count >= self.count_max {
            let is_known = self.current.contains(&fingerprint);
            return if is_known { Novelty::Repeated } else { Novelty::Unknown };
        }
        if !self.current.insert(fingerprint) {
            return Novelty::Repeated;
        }
        self.count += 1;
        Novelty::New
    }

    /// No more events before `floor` will be checked.
    pub(crate) fn forget_before(&mut self, floor: i64) {
        let number = floor.div_euclid(SET_MS);
        if number == self.floor.div_euclid(SET_MS) {
            return;
        }
        // Only whole sets: events of the set that contains `floor` are still remembered.
        self.floor = number.saturating_mul(SET_MS);
        if self.current_number < number {
            self.change_set(number);
        }
        let kept = self.sets.split_off(&number);
        let dropped = std::mem::replace(&mut self.sets, kept);
        self.count -= dropped.values().map(HashSet::len).sum::<usize>();
    }

    #[cold]
    fn change_set(&mut self, number: i64) {
        let next = self.sets.remove(&number).unwrap_or_default();
        let last = std::mem::replace(&mut self.current, next);
        if !last.is_empty() {
            self.sets.insert(self.current_number, last);
        }
        self.current_number = number;
    }
}

fn identity<'a>(says: &'a Says<'_>) -> Option<(&'a SessionRef<'a>, Option<&'a Id<'a>>)> {
    match says {
        Says::SessionBegan(session) | Says::SessionEnded { session, .. } => Some((session, None)),
        Says::Joined { session, participant } => Some((session, Some(participant))),
        Says::Left(session, stay) => {
            stay.participant.as_ref().map(|participant| (session, Some(participant)))
        }
        Says::Nothing
        | Says::Recorded(_)
        | Says::JoinFailed { .. }
        | Says::ActivityBegan(_)
        | Says::ActivityGoesOn(_)
        | Says::ActivityEnded { .. } => None,
    }
}

fn is_nameless(session: &SessionRef<'_>) -> bool {
    session.name.is_empty() && session.unique.is_none()
}

#[cfg(test)]
mod tests {
    use super::super::event_reader;
    use super::super::line::Parser;
    use super::*;

    fn insert(seen: &mut Seen, line: &str) -> Novelty {
        let mut parser = Parser::default();
        let line = parser.parse(line.as_bytes()).unwrap();
        let event = event_reader::read(&line);
        let fingerprint = seen.fingerprinter().of(&line, &event);
        seen.insert(event.at.unwrap(), fingerprint.unwrap())
    }

    fn joined(at: i64, participant: &str, more: &str) -> String {
        format!(
            r#"{{"participantJoined":{{"timestamp":{at},"sessionId":"s","connectionId":"{participant}"{more}}}}}"#
        )
    }

    #[test]
    fn events_of_one_kind_session_participant_and_time_are_one() {
        let mut seen = Seen::new();
        assert_eq!(insert(&mut seen, &joined(1000, "a", "")), Novelty::New);
        for other in [joined(1000, "b", ""), joined(1001, "a", ""), joined(1000, "", "")] {
            assert_eq!(insert(&mut seen, &other), Novelty::New, "{other}");
        }
        let again = joined(1000, "a", r#","location":"elsewhere""#);
        assert_eq!(insert(&mut seen, &again), Novelty::Repeated);
        let left = joined(1000, "a", "").replace("Joined", "Left");
        assert_eq!(insert(&mut seen, &left), Novelty::New);
    }

    #[test]
    fn other_events_are_one_only_where_the_whole_line_is_equal() {
        let mut seen = Seen::new();
        let track =
            |id: u8| format!(r#"{{"webrtcConnectionCreated":{{"timestamp":5,"streamId":{id}}}}}"#);
        assert_eq!(insert(&mut seen, &track(1)), Novelty::New);
        assert_eq!(insert(&mut seen, &track(2)), Novelty::New);
        assert_eq!(insert(&mut seen, &(track(1) + "\n")), Novelty::Repeated);
    }

    #[test]
    fn what_is_older_than_the_floor_is_not_told_apart_and_takes_no_memory() {
        let mut seen = Seen::new();
        for number in 1..10_000_i64 {
            assert_eq!(insert(&mut seen, &joined(number * 1000, "a", "")), Novelty::New);
            seen.forget_before(number * 1000 - SET_MS);
            assert!(seen.count <= 901, "{} events are remembered", seen.count);
        }
        assert_eq!(insert(&mut seen, &joined(1000, "a", "")), Novelty::Unknown);
        assert_eq!(insert(&mut seen, &joined(9_990_000, "a", "")), Novelty::Repeated);
    }

    #[test]
    fn a_hostile_number_of_events_at_one_time_takes_bounded_memory() {
        let mut seen = Seen::with_limit(3);
        for participant in ["a", "b", "c"] {
            assert_eq!(insert(&mut seen, &joined(7, participant, "")), Novelty::New);
        }
        assert_eq!(insert(&mut seen, &joined(7, "d", "")), Novelty::Unknown);
        assert_eq!(insert(&mut seen, &joined(7, "b", "")), Novelty::Repeated);
        assert_eq!(seen.count, 3);
    }
}
